"""Breaking and mending a sandbox. How to undo each change is written into the cluster before the change is made."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jfsnb.errors import ConflictError, SandboxError, UsageError
from jfsnb.sandbox.apimachinery.client import ApiError
from jfsnb.sandbox.drills import Scenario, find
from jfsnb.sandbox.drills.cluster import ABOUT, Cluster, path_of
from jfsnb.sandbox.drills.verbs import VERBS, Step, World, filled
from jfsnb.sandbox.lifecycle import Sandbox

WHERE = "kube-system"
LABEL = "jfsnb.io/drills"


def break_(sandbox: Sandbox, name: str) -> Scenario:
    """Put a sandbox into a scenario's state.

    Raises:
        UsageError: there is no such scenario, or the sandbox lacks what it needs.
        ConflictError: it is broken that way already.
        WaitTimeout: the cluster did not get there; what was done so far can be mended.
    """
    scenario = find(name)
    if sandbox.tier != "full":
        raise UsageError(f"drills need real mounts; this sandbox has tier {sandbox.tier}", sandbox.tier_reason)
    _run(sandbox, lambda world: _break(world, scenario))
    return scenario


def mend(sandbox: Sandbox, name: str) -> bool:
    """Take a scenario back; False when the sandbox was not broken that way."""
    find(name)
    return bool(_run(sandbox, lambda world: _mend(world, name)))


def broken(sandbox: Sandbox) -> tuple[str, ...]:
    """Names of the scenarios that the sandbox is in."""

    async def names(world: World) -> tuple[str, ...]:
        found = await world.cluster.list(path_of("ConfigMap", "", WHERE), labelSelector=LABEL)
        return tuple(sorted(m["metadata"]["labels"][LABEL] for m in found["items"]))

    return tuple(_run(sandbox, names))


def _run(sandbox: Sandbox, work: Callable[[World], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with Cluster.from_kubeconfig(sandbox.kubeconfig) as cluster:
            assert isinstance(cluster, Cluster)
            return await work(World(cluster, sandbox.state_dir))

    try:
        with ThreadPoolExecutor(1) as thread:  # a notebook's own thread has a running loop
            return thread.submit(asyncio.run, run()).result()
    except ApiError as error:
        raise SandboxError(f"the API server refused a step: {error}") from error


async def _break(world: World, scenario: Scenario) -> None:
    about = (await world.cluster.get(ABOUT))["data"]
    words = {"OLD": world.images.baseline, "NEW": about.get("image", ""), "NODE": await world.cluster.live_node()}
    if not words["NEW"]:
        raise UsageError("this sandbox knows no second client", "add one: jfsnb sandbox images add TAG --client PATH")
    if scenario.needs == "limits" and not about.get("limits"):
        raise UsageError("this drill needs memory limits, which do not hold in this sandbox", about["reason"])
    journal = Journal(world.cluster, scenario.name)
    await journal.begin()
    for step in scenario.steps:
        await _take(world, filled(step, words), journal.add)


async def _mend(world: World, name: str) -> bool:
    journal = Journal(world.cluster, name)
    undo = await journal.read()
    if undo is None:
        return False
    while undo:
        await _take(world, undo[-1])
        undo.pop()
        await journal.write(undo)
    await journal.end()
    return True


async def _take(world: World, step: Step, note: Callable[[Step], Awaitable[None]] | None = None) -> None:
    """Take a step; what undoes it is noted before it happens."""
    for verb, value in step.items():
        taken = VERBS[verb](world, value)
        if isinstance(taken, Awaitable):
            await taken
            continue
        async for undo in taken:
            if note is not None:
                await note(undo)


class Journal:
    """How to undo a scenario, oldest change first, in a ConfigMap."""

    def __init__(self, cluster: Cluster, scenario: str) -> None:
        self.cluster, self.scenario, self.name = cluster, scenario, f"jfsnb-drill-{scenario}"
        self.undo: list[Step] = []

    async def begin(self) -> None:
        meta = {"name": self.name, "namespace": WHERE, "labels": {LABEL: self.scenario}}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"undo": "[]"}}
        try:
            await self.cluster.create(path_of("ConfigMap", "", WHERE), body)
        except ApiError as error:
            if error.status != 409:
                raise
            what = f"the sandbox is in the scenario {self.scenario} already"
            raise ConflictError(what, f"jfsnb sandbox mend {self.scenario}") from error

    async def add(self, step: Step) -> None:
        self.undo.append(step)
        await self.write(self.undo)

    async def write(self, undo: list[Step]) -> None:
        await self.cluster.patch(path_of("ConfigMap", self.name, WHERE), {"data": {"undo": json.dumps(undo)}})

    async def read(self) -> list[Step] | None:
        found = await self.cluster.find("ConfigMap", self.name, WHERE)
        return None if found is None else list(json.loads(found["data"]["undo"]))

    async def end(self) -> None:
        await self.cluster.delete(path_of("ConfigMap", self.name, WHERE))
