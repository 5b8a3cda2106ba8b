"""Two live nodes: each CSI node Pod has its own copy of the configuration (reference §2.7, §3.2)."""

import os

import pytest

from jfsnb.cluster.connect import connect
from jfsnb.queries import collect
from jfsnb.sandbox import lifecycle

from .world import NEW, NODE, OLD, World

pytestmark = [pytest.mark.sandbox, pytest.mark.full]
SECOND = "svr30987hc4900"


@pytest.fixture
def two_nodes():
    name = f"csi-{os.getpid()}-two"
    sandbox = lifecycle.up(name, owner_pid=os.getpid(), nodes=(NODE, SECOND))
    try:
        if sandbox.tier != "full":
            pytest.skip(f"needs tier full: {sandbox.tier_reason}")
        world = World(sandbox.kubeconfig)
        world.running("juicefs-csi-controller-0")
        yield world
    finally:
        lifecycle.down(name)


def states(world):
    """What the tool says of the live nodes' configuration."""
    found = collect.for_mounts(connect(kubeconfig=world.kubeconfig)).loaded
    return {node: found[node].state.state for node in (NODE, SECOND)}


def test_nodes_take_a_configuration_at_different_times(two_nodes):
    """Patched for all, in force on one: the same claim is served by two clients, one on each node."""
    world = two_nodes
    text = world.with_entry(ceMountImage=NEW)
    world.configure(text, pods=[world.csi_node(SECOND)])
    for node, name in ((NODE, "app-here"), (SECOND, "app-there")):
        world.app(name, f"echo {name} > /data/{name}; while :; do sleep 1; done", node=node)
    here, there = world.running("app-here"), world.running("app-there")
    (old,), (new,) = world.serving(here), world.serving(there)
    assert (old.node, old.image) == (NODE, OLD), "patched, but not yet in force on this node"
    assert (new.node, new.image) == (SECOND, NEW)
    assert old.settings_hash != new.settings_hash
    assert states(world) == {NODE: "old", SECOND: "in force"}
    world.eventually("app-here", "cat /data/app-there", "app-there")
    world.eventually("app-there", "cat /data/app-here", "app-here")

    world.sync(world.csi_node())
    world.until_logged(world.csi_node(), "config file updated, reload config")
    assert states(world) == {NODE: "in force", SECOND: "in force"}
    world.app("app-late")
    (late,) = world.serving(world.running("app-late"))
    assert (late.node, late.image, late.settings_hash) == (NODE, NEW, new.settings_hash)
    assert [m.name for m in world.serving(here)] == [old.name], "who runs keeps what he has"

    world.delete("app-there")  # one node's Mount Pod goes, the other's stay
    world.gone(new.name)
    assert [m.name for m in world.mount_pods()] == [old.name, late.name]
