"""``juicefs-csi-driver upgrade`` in the CSI node Pod (reference §3.8)."""

import os
import re
from pathlib import Path

import pytest

from jfsnb.sandbox import lifecycle
from jfsnb.sandbox.images.clients import ask_version
from jfsnb.sandbox.images.images import ImageStore

from .test_end_to_end_volumes import EXPAND, drop_claim, make_claim, storage_class, until_claim, volume_gone
from .world import NAMESPACE, OLD, World

pytestmark = [pytest.mark.sandbox, pytest.mark.full]
CLIENTS = ("JFSNB_TEST_CLIENT", "JFSNB_OTHER_TEST_CLIENT")


def upgrade(world, *words):
    """What the command prints, without the times in front of the lines."""
    said = world.exec(world.csi_node(), " ".join(["juicefs-csi-driver upgrade", *words]))
    lines = [line for line in said.splitlines() if line]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines)
    return [line[20:] for line in lines]


def test_a_client_that_is_too_old_is_not_upgraded(world):
    world.app("app-one")
    app = world.running("app-one")
    (mount_pod,) = world.serving(app)
    name = mount_pod.name
    start = f"POD-START [{name}] start to upgrade"
    for words, why in (([], "smooth binary upgrade"), (["--recreate"], "recreate smooth upgrade")):
        assert upgrade(world, name, *words) == [
            start,
            f"POD-FAIL [{name}] can not upgrade: image {OLD} do not support {why}.",
        ]
    assert [m.name for m in world.serving(app)] == [name]
    assert upgrade(world, "nobody")[-1] == "POD-FAIL [nobody] can not get pod."
    recorded = next(p for p in world.recorded_mount_pods() if p.node != mount_pod.node)
    assert upgrade(world, recorded.name)[-1] == f"POD-FAIL [{recorded.name}] pod is not on node."


@pytest.fixture(scope="module")
def modern_world(tmp_path_factory):
    """A sandbox of its own whose baseline is a 1.x client, with another one to upgrade to: (world, other image)."""
    if not set(CLIENTS) <= set(os.environ):
        pytest.skip(f"{' and '.join(CLIENTS)} name no two juicefs binaries of 1.x")
    home, name = tmp_path_factory.mktemp("modern"), f"csi-{os.getpid()}-modern"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JFSNB_CACHE", str(home / "cache"))
        store, binaries = ImageStore(home), [Path(os.environ[name]) for name in CLIENTS]
        baseline, other = (store.add(f"ce-v{ask_version(b).partition('+')[0]}", b) for b in binaries)
        sandbox = lifecycle.up(name, owner_pid=os.getpid(), baseline=baseline.reference)
        try:
            world = World(sandbox.kubeconfig)
            world.running("juicefs-csi-controller-0")
            yield world, other
        finally:
            lifecycle.down(name)


@pytest.mark.parametrize("secret", [EXPAND, {}], ids=["controller", "node"])
def test_a_volume_is_as_large_as_its_claim_and_grows_with_it(modern_world, secret):
    """Quotas: set by the controller before the first mount, or by the node; enlarged by the expansion."""
    world, _ = modern_world
    with storage_class(world, expand=secret):
        make_claim(world, "app-sized", "app-class", "1Gi")
        world.app("app-sized", claim="app-sized")
        pod = world.running("app-sized")
        early = (
            "juicefs/controller-quota-set"
            in world.core.read_persistent_volume(world.volume_of(pod)).spec.csi.volume_attributes
        )
        assert early is bool(secret)
        world.eventually("app-sized", "df -BG --output=size /data", " 1G")
        if secret:
            grow = {"spec": {"resources": {"requests": {"storage": "3Gi"}}}}
            world.core.patch_namespaced_persistent_volume_claim("app-sized", NAMESPACE, grow)
            until_claim(world, "app-sized", lambda c: c.status.capacity["storage"] == "3Gi")
            world.eventually("app-sized", "df -BG --output=size /data", " 3G")
        world.delete("app-sized")
        volume_gone(world, drop_claim(world, "app-sized"))


def test_a_running_client_is_exchanged_and_its_user_goes_on(modern_world):
    world, other = modern_world
    world.app("app-one", "while :; do date +%s.%N >> /data/log || exit; sleep .05; done")
    app = world.running("app-one")
    (before,) = world.serving(app)
    world.eventually(before.name, f"ls -a {before.command.mount_path}", ".stats")
    assert upgrade(world, before.name, "--recreate")[-1].startswith(
        f"POD-FAIL [{before.name}] fail to recv FUSE fd from /tmp/{before.upgrade_uuid}/fuse_fd_comm."
    )
    world.configure(world.with_entry(ceMountImage=other.reference))
    said = upgrade(world, before.name)
    assert said[-1] == f"POD-SUCCESS [{before.name}] Upgrade binary in jfs-mount"
    assert any(re.fullmatch(r"create canary job juicefs-[0-9a-f]{8}-canary for .*", line) for line in said)
    world.eventually(before.name, f"cat {before.command.config_file}", other.client_version)
    (after,) = world.serving(app)
    assert (after.name, after.image, after.settings_hash) == (before.name, before.image, before.settings_hash)
    assert after.restarts == 0
    assert world.event(before.name, "Upgrade binary in jfs-mount")
    lines = int(world.exec("app-one", "wc -l < /data/log"))
    world.eventually("app-one", f"[ $(wc -l < /data/log) -gt {lines + 3} ] && echo writing", "writing")
    status = world.core.read_namespaced_pod("app-one", NAMESPACE).status
    assert status.container_statuses[0].restart_count == 0
