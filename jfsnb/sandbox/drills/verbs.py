"""What a drill can do.

A verb that changes something is a generator: it yields the step that undoes the change before it makes it. Others are
coroutines. Undoing is verbs, too.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from jfsnb.driver import names
from jfsnb.errors import SandboxError, WaitTimeout
from jfsnb.sandbox.apimachinery.client import Obj
from jfsnb.sandbox.csi.rules.job import canary_name
from jfsnb.sandbox.drills.cluster import NAMESPACE, SECONDS, Cluster, bare, is_ready, path_of
from jfsnb.sandbox.images.images import ImageStore

Step = dict[str, Any]
Verb = Callable[["World", Any], AsyncIterator[Step] | Awaitable[None]]
#: Part of what the driver says when it has read its configuration again, well or badly.
RELOADED = "reload config"
TEMPLATES = Path(__file__).parent / "templates"
VERBS: dict[str, Verb] = {}
V = TypeVar("V", bound=Verb)


class World:
    """Where a drill happens.

    Args:
        cluster: its API server. state: the sandbox's directory, whose image store is the registry.
    """

    def __init__(self, cluster: Cluster, state: Path) -> None:
        self.cluster, self.images = cluster, ImageStore(state)


def verb(function: V) -> V:
    VERBS[function.__name__] = function
    return function


@verb
async def create(world: World, obj: Obj) -> AsyncIterator[Step]:
    """Make an object, its status too."""
    meta = obj["metadata"]
    namespace = meta.get("namespace", NAMESPACE)
    if await world.cluster.find(obj["kind"], meta["name"], namespace) is None:
        yield {"delete": {"kind": obj["kind"], "name": meta["name"], "namespace": namespace, "now": True}}
    await world.cluster.make(obj)


@verb
async def delete(world: World, what: Obj) -> AsyncIterator[Step]:
    """Delete an object and wait until it is gone. ``back: true``: it comes back when the drill is mended."""
    kind, name, namespace = what["kind"], what["name"], what.get("namespace", NAMESPACE)
    if what.get("back"):
        found = await world.cluster.find(kind, name, namespace)
        if found is not None:
            yield {"create": bare(found)}
    await world.cluster.remove(kind, name, namespace, bool(what.get("now")))


@verb
async def patch(world: World, what: Obj) -> AsyncIterator[Step]:
    """Change an object by a merge patch; undone field by field."""
    kind, name, namespace = what["kind"], what["name"], what.get("namespace", NAMESPACE)
    before = await world.cluster.find(kind, name, namespace)
    if before is None:
        return
    yield {"patch": {**what, "patch": inverse(before, what["patch"])}}
    await world.cluster.patch(path_of(kind, name, namespace), what["patch"])


@verb
async def volume(world: World, what: Obj) -> AsyncIterator[Step]:
    """A PV and its claim, ``drill-<name>``; ``csi`` overrides fields of the PV's csi part, ``spec`` others."""
    name = what["name"]
    pv, pvc = _template("volume", NAME=name)
    pv["spec"]["csi"] |= what.get("csi", {})
    pv["spec"] |= what.get("spec", {})
    pvc["spec"]["storageClassName"] = pv["spec"]["storageClassName"]
    handle = pv["spec"]["csi"]["volumeHandle"]
    for obj in (pv, pvc):
        async for undo in create(world, obj):
            yield undo
    if handle == pv["metadata"]["name"]:
        yield {"unused": handle}


@verb
async def csi_node(world: World, what: Obj) -> AsyncIterator[Step]:
    """Take the CSI node Pod off the live node (``missing``): its DaemonSet selects no node. Or let it come back."""
    cluster, missing = world.cluster, bool(what["missing"])
    if missing:
        yield {"csi_node": {"missing": False}}
    selector = {"jfsnb.io/drill": "nowhere" if missing else None}
    change = {"spec": {"template": {"spec": {"nodeSelector": selector}}}}
    if missing:
        pod = await cluster.csi_node_pod()
        await cluster.patch(path_of("DaemonSet", "juicefs-csi-node"), change)
        await cluster.gone("Pod", pod, fieldSelector=f"metadata.name={pod}")
    else:
        await cluster.patch(path_of("DaemonSet", "juicefs-csi-node"), change)
        await cluster.csi_node_pod()
        await cluster.registered()


@verb
async def unused(world: World, handle: str) -> None:
    """Wait until no Mount Pod serves a volume any more; one that was told to stay without users is deleted.

    So is one that crashes: its users wait for a client, and cannot end before there is one.
    """
    cluster, selector = world.cluster, f"{names.MOUNT_POD_SELECTOR},volume-id={handle}"

    for pod in (await cluster.list(path_of("Pod"), labelSelector=selector))["items"]:
        if STATES["crashing"](pod):
            await cluster.delete(path_of("Pod", pod["metadata"]["name"]))

    def settled(found: list[Obj]) -> bool:
        return all(STATES["leaving"](pod) for pod in found)

    await cluster.until(path_of("Pod"), settled, f"Mount Pods of {handle} to go", labelSelector=selector)
    for pod in (await cluster.list(path_of("Pod"), labelSelector=selector))["items"]:
        await cluster.remove("Pod", pod["metadata"]["name"])


@verb
async def app(world: World, what: Obj) -> AsyncIterator[Step]:
    """An app Pod ``drill-<name>`` on volume ``drill-<volume>``; ``wait: false`` where it cannot come up."""
    pod = _template("app", NAME=what["name"], VOLUME=what.get("volume") or what["name"])
    container = pod["spec"]["containers"][0]
    container |= what.get("container", {})
    container["volumeMounts"][0] |= what.get("mount", {})
    pod["spec"] |= what.get("spec", {})
    pod["metadata"]["labels"] |= what.get("labels", {})
    pod["spec"].setdefault("nodeSelector", {"kubernetes.io/hostname": await world.cluster.live_node()})
    async for undo in create(world, pod):
        yield undo
    if what.get("wait", True):
        await _pod(world, pod["metadata"]["name"], is_ready, "to be Ready")


@verb
async def config(world: World, what: Obj) -> AsyncIterator[Step]:
    """Edit config.yaml: ``entry`` appends one to mountPodPatch, ``without`` takes a text out, ``text`` replaces all.

    Afterwards the live CSI node has read it, unless ``reload: false``.
    """
    cluster = world.cluster
    found = await cluster.get(path_of("ConfigMap", names.CONFIG_MAP))
    before = found["data"][names.CONFIG_KEY]
    reload = what.get("reload", True)
    if "entry" in what:
        block = "\n" + _indented(yaml.safe_dump([what["entry"]], sort_keys=False))
        after = before + block
        yield {"config": {"without": block, "reload": reload}}
    elif "without" in what:
        after = before.replace(what["without"], "", 1)
    else:
        after = what["text"]
        yield {"config": {"text": before, "reload": reload}}
    if after == before:
        return
    change = {"data": {names.CONFIG_KEY: after}}
    if not reload:
        await cluster.patch(path_of("ConfigMap", names.CONFIG_MAP), change)
        return
    pod = await cluster.csi_node_pod()
    known = [line async for line in cluster.lines(pod, names.PLUGIN_CONTAINER) if RELOADED in line]
    await cluster.patch(path_of("ConfigMap", names.CONFIG_MAP), change)
    await cluster.patch(path_of("Pod", pod), {"metadata": {"annotations": {"jfsnb.io/drill": str(hash(after))}}})
    try:
        async with asyncio.timeout(SECONDS):
            left = len(known) + 1
            async for line in cluster.lines(pod, names.PLUGIN_CONTAINER, follow=True):
                left -= RELOADED in line
                if not left:
                    return
    except TimeoutError:
        raise WaitTimeout(f"{pod} did not read config.yaml in {SECONDS:.0f} s") from None


@verb
async def upgrade(world: World, what: Obj) -> AsyncIterator[Step]:
    """Have the driver upgrade the Mount Pod of a ``volume``, or the Mount Pod ``pod``; its answer ``says`` something.

    ``recreate: true``: by another Pod, else by another client in its container. What is undone is its canary Job.
    """
    cluster = world.cluster
    if "pod" in what:
        pod = await cluster.get(path_of("Pod", what["pod"]))
    else:
        pod = await cluster.mount_pod(f"drill-{what['volume']}", is_ready)
    yield {"delete": {"kind": "Job", "name": canary_name(pod)}}
    command = f"juicefs-csi-driver upgrade {pod['metadata']['name']}{' --recreate' if what.get('recreate') else ''}"
    said = await cluster.execute(await cluster.csi_node_pod(), command, names.PLUGIN_CONTAINER)
    if what["says"] not in said:
        raise SandboxError(f"the driver did not say {what['says']!r} to {command!r}, but: {said.strip()}")


@verb
async def image(world: World, what: Obj) -> AsyncIterator[Step]:
    """Let the container of a Mount Pod that is only shown have another image."""
    found = await world.cluster.get(path_of("Pod", what["pod"]))
    container = found["spec"]["containers"][0]
    yield {"image": {"pod": what["pod"], "is": container["image"]}}
    change = {"spec": {"containers": [{"name": container["name"], "image": what["is"]}]}}
    await world.cluster.patch(path_of("Pod", what["pod"]), change, kind="strategic")


@verb
async def wait(world: World, what: Obj) -> None:
    """Wait for an ``event`` about a ``pod`` or ``volume`` (its Mount Pod), or until that is as ``is`` says.

    ``log``: until the log of a ``volume``'s Mount Pod has it.
    """
    cluster = world.cluster
    if "log" in what:
        return await _logged(world, what["volume"], what["log"])
    if "pod" in what and "is" in what:
        await _pod(world, f"drill-{what['pod']}", STATES[what["is"]], f"to be {what['is']}")
    elif "event" in what:
        pattern = re.compile(what["event"])
        about = f"drill-{what['pod']}" if "pod" in what else await _mount_pod_name(world, what["volume"])
        path, text = f"/api/v1/namespaces/{NAMESPACE}/events", f"an event {what['event']!r} about {about}"
        await cluster.until(
            path,
            lambda found: any(pattern.search(e.get("message", "")) for e in found),
            text,
            fieldSelector=f"involvedObject.name={about}",
        )
    else:
        await cluster.mount_pod(f"drill-{what['volume']}", STATES[what["is"]])


@verb
async def execute(world: World, what: Obj) -> None:
    """Run a shell command: ``in: csi-node``, or in the Mount Pod of a ``volume``, or in an app ``pod``.

    ``fails: true``: it may end badly, as when it kills its own container.
    """
    cluster = world.cluster
    if "volume" in what:
        pod = (await cluster.mount_pod(f"drill-{what['volume']}", is_ready))["metadata"]["name"]
        container = names.MOUNT_CONTAINER
    elif "pod" in what:
        pod, container = f"drill-{what['pod']}", what.get("container", "app")
    else:
        pod, container = await cluster.csi_node_pod(), names.PLUGIN_CONTAINER
    try:
        await cluster.execute(pod, what["command"], container)
    except SandboxError:
        if not what.get("fails"):
            raise


@verb
async def references(world: World, what: Obj) -> None:
    """Edit the reference annotations of a volume's Mount Pod by hand: ``lose`` them, or ``spoil`` their keys."""
    pod = await world.cluster.mount_pod(f"drill-{what['volume']}", is_ready)
    notes = pod["metadata"]["annotations"]
    kept = {k: v for k, v in notes.items() if names.is_reference(k, v)}
    change: dict[str, str | None] = dict.fromkeys(kept)
    if what["do"] == "spoil":
        change |= {k[:-1] + ("0" if k[-1] != "0" else "1"): v for k, v in kept.items()}
    name = pod["metadata"]["name"]
    await world.cluster.patch(path_of("Pod", name), {"metadata": {"annotations": change}})


@verb
async def mount_pod(world: World, what: Obj) -> None:
    """Delete the Mount Pod of a volume, as ``kubectl delete`` would."""
    pod = await world.cluster.mount_pod(f"drill-{what['delete']}", is_ready)
    await world.cluster.delete(path_of("Pod", pod["metadata"]["name"]))
    await world.cluster.mount_pod(
        f"drill-{what['delete']}", lambda p: is_ready(p) and p["metadata"]["uid"] != pod["metadata"]["uid"]
    )


@verb
async def push(world: World, what: Obj) -> None:
    """Push an image: ``tag`` is then the client that image ``as`` has."""
    source = next(f.source for f in world.images.find(what["as"]).files if f.source.endswith("/juicefs"))
    await asyncio.to_thread(world.images.add, what["tag"], Path(source), keep=False)


async def _logged(world: World, volume: str, text: str) -> None:
    name = (await world.cluster.mount_pod(f"drill-{volume}", is_ready))["metadata"]["name"]
    try:
        async with asyncio.timeout(SECONDS):
            async for line in world.cluster.lines(name, names.MOUNT_CONTAINER, follow=True):
                if text in line:
                    return
    except TimeoutError:
        pass
    raise WaitTimeout(f"the log of {name} did not say {text!r} in {SECONDS:.0f} s")


STATES: dict[str, Callable[[Obj], bool]] = {
    "ready": is_ready,
    "restarted": lambda p: _restarts(p) > 0 and is_ready(p),
    "crashing": lambda p: _restarts(p) > 0 and not is_ready(p),
    "unpulled": lambda p: _waiting(p) in ("ErrImagePull", "ImagePullBackOff"),
    "starting": lambda p: bool(_status(p, "initContainerStatuses").get("state", {}).get("running")),
    "leaving": lambda p: names.DELETE_AT in (p["metadata"].get("annotations") or {}),
}


def _status(pod: Obj, field: str = "containerStatuses") -> Obj:
    found: Obj = ((pod.get("status") or {}).get(field) or [{}])[0]
    return found


def _restarts(pod: Obj) -> int:
    return int(_status(pod).get("restartCount", 0))


def _waiting(pod: Obj) -> str:
    return str(((_status(pod).get("state") or {}).get("waiting") or {}).get("reason", ""))


async def _mount_pod_name(world: World, volume: str) -> str:
    return str((await world.cluster.mount_pod(f"drill-{volume}"))["metadata"]["name"])


async def _pod(world: World, name: str, condition: Callable[[Obj], bool], what: str) -> None:
    await world.cluster.until(
        path_of("Pod"),
        lambda found: any(map(condition, found)),
        f"Pod {name} {what}",
        fieldSelector=f"metadata.name={name}",
    )


def inverse(before: Obj, change: Obj) -> Obj:
    """The merge patch that takes a merge patch back."""
    found: Obj = {}
    for key, value in change.items():
        old = before.get(key)
        nested = isinstance(value, dict) and isinstance(old, dict | None)
        found[key] = inverse(old or {}, value) if nested else old
    return found


def _template(name: str, **words: str) -> Any:
    text = (TEMPLATES / f"{name}.yaml").read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace(word, value)
    return yaml.safe_load(text)


def _indented(text: str) -> str:
    return "".join(f"  {line}" for line in text.splitlines(keepends=True))


def filled(step: Any, words: dict[str, str]) -> Any:
    """A step with ``${OLD}``, ``${NEW}`` … put in."""
    text = json.dumps(step)
    for word, value in words.items():
        text = text.replace("${" + word + "}", json.dumps(value)[1:-1])
    return json.loads(text)
