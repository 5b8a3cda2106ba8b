"""A folder of kubectl's output as a snapshot, so that people without jfsnb on the other side can be helped.

Any ``*.json`` or ``*.yaml`` (also ``.gz``) with a list or an object counts; ``log-<Pod>-<container>.txt`` is a log,
``config-<CSI node Pod>.yaml`` what that Pod has as config.yaml. docs/collect.md has the kubectl lines.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from jfsnb.bundle import sound
from jfsnb.bundle.archive import damaged, parsed
from jfsnb.checks.client import LOG, SUPERVISOR
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.leftover import RUN_LABEL
from jfsnb.checks.snapshot import LogLine, Snapshot
from jfsnb.driver import names
from jfsnb.driver.deployment import Deployment
from jfsnb.driver.mountpods.mount_pods import is_mount_pod, parse_time
from jfsnb.queries.investigate import faults_of_file
from jfsnb.queries.slim import (
    foreign,
    is_juicefs,
    juicefs_claims,
    of_driver,
    runs_controller,
    slim,
    uses_juicefs,
)

Obj = dict[str, Any]
FILES, FILE_BYTES = 5000, 256 << 20
NOT_THERE = Unreadable("it is not in the folder")
#: What a file of this name is a complete list of, also where it has none.
COMPLETE = {
    "pods": ("Pod",),
    "pvc": ("PersistentVolumeClaim",),
    "pv": ("PersistentVolume",),
    "nodes": ("Node",),
    "events": ("Event",),
    "cluster-storage": ("PersistentVolume", "StorageClass", "CSIDriver", "CSINode"),
    "workloads": ("DaemonSet", "StatefulSet", "Deployment"),
    "secrets": ("Secret",),
    "jobs": ("Job",),
    "jobs-leases": ("Job",),
}
PARTS = {
    "PersistentVolumeClaim": "pvcs",
    "StorageClass": "storage_classes",
    "Node": "nodes",
    "CSINode": "csi_nodes",
}
_SUFFIXES = (".json", ".yaml", ".yml", ".txt", ".log")
_VERSION = re.compile(r"JuiceFS version (\S+)")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_folder(path: Path) -> Snapshot:
    """The snapshot in a folder.

    Raises:
        BundleInvalid: a file in it is damaged, or there are no CSI node Pods in it.
    """
    texts = dict(_texts(path))
    objects, complete = _objects(path, texts)
    with faults_of_file(path.name):
        return _snapshot(path, texts, objects, complete)


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    """Name without .gz → content, for regular files in the folder itself; links are not followed."""
    entries = sorted(entry for entry in path.iterdir() if entry.is_file() and not entry.is_symlink())
    if len(entries) > FILES:
        raise damaged(path, f"it has more than {FILES} files")
    left = FILE_BYTES
    for entry in entries:
        name = entry.name.removesuffix(".gz")
        if not name.endswith(_SUFFIXES):
            continue
        try:
            with gzip.open(entry) if entry.suffix == ".gz" else open(entry, "rb") as source:
                content = source.read(left + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise damaged(path, f"{entry.name} cannot be read ({error})") from None
        left -= len(content)
        if left < 0:
            raise damaged(path, f"its files have more than {FILE_BYTES >> 20} MB")
        yield name, content.decode("utf-8", "replace")


def _objects(path: Path, texts: Mapping[str, str]) -> tuple[dict[str, list[Obj]], set[str]]:
    """Kind → objects, and of which kinds there are lists."""
    found: dict[str, list[Obj]] = defaultdict(list)
    complete: set[str] = set()
    for name, text in texts.items():
        stem, _, suffix = name.rpartition(".")
        if suffix not in ("json", "yaml", "yml") or _config_of(name):
            continue
        items = list(_items(_loaded(path, name, text)))
        for item in items:
            if trouble := sound.problem(item):
                raise damaged(path, f"{name}: {trouble}")
            found[str(item.get("kind", ""))].append(item)
        complete |= {str(item.get("kind", "")) for item in items}
        complete |= set(COMPLETE.get(stem.removesuffix("-replaced"), ()))
    return found, complete


def _loaded(path: Path, name: str, text: str) -> Any:
    if name.endswith(".json"):
        return parsed(path, name, text.encode())
    try:
        return sound.printable(yaml.load(text, Loader=_Loader))
    except (yaml.YAMLError, ValueError, RecursionError):
        raise damaged(path, f"{name} is no YAML") from None


def _items(told: Any) -> Iterator[Any]:
    """The objects of a list, of a typed list, or of one object."""
    if not isinstance(told, dict):
        return
    kind, items = str(told.get("kind", "")), told.get("items")
    if isinstance(items, list):
        for item in items:
            yield {"kind": kind.removesuffix("List"), **item} if isinstance(item, dict) else item
    elif kind and "apiVersion" in told:
        yield told


def _config_of(name: str) -> str:
    """The CSI node Pod whose config.yaml a file is; empty where it is another file."""
    found = re.fullmatch(r"config-(.*csi-node.*)\.yaml", name)
    return found[1] if found else ""


def _snapshot(path: Path, texts: Mapping[str, str], objects: dict[str, list[Obj]], complete: set[str]) -> Snapshot:
    pods = objects["Pod"]
    csi_pods = [p for p in pods if _labelled(p, names.CSI_NODE_SELECTOR)]
    if not csi_pods:
        raise damaged(path, "no file in it lists the driver's Pods")
    space = csi_pods[0]["metadata"]["namespace"]
    mount_pods = [p for p in pods if is_mount_pod(p, space)]
    others = [p for p in pods if p not in csi_pods and p not in mount_pods]
    driver = Deployment.from_object(csi_pods[0]).driver_name
    pvs = [v for v in objects["PersistentVolume"] if is_juicefs(v, driver)]
    ours = juicefs_claims(pvs, objects["PersistentVolumeClaim"], objects["StorageClass"], driver)
    workloads = [o for kind in ("StatefulSet", "Deployment") for o in objects[kind] if runs_controller(o)]
    logs = {"csi_logs": names.PLUGIN_CONTAINER, "mount_logs": names.MOUNT_CONTAINER}
    read: dict[str, Any] = {
        part: {p["metadata"]["name"]: _log(texts, p["metadata"]["name"], container) for p in asked}
        for (part, container), asked in zip(logs.items(), (csi_pods, mount_pods), strict=True)
    }
    read |= {part: objects[kind] if kind in complete else NOT_THERE for kind, part in PARTS.items()}
    return Snapshot(
        now=_taken(texts, objects),
        source=path.name,
        file=path.name,
        mount_pods=mount_pods,
        app_pods=[slim(p) for p in others if uses_juicefs(p, ours)],
        csi_pods=csi_pods,
        controller_pods=[p for p in pods if _labelled(p, names.CSI_CONTROLLER_SELECTOR)],
        controllers=workloads if {"StatefulSet", "Deployment"} & complete else NOT_THERE,
        jobs=[j for j in objects["Job"] if _in(space, j) and of_driver(j)] if "Job" in complete else NOT_THERE,
        job_pods=[p for p in pods if _in(space, p) and names.JOB_NAME in (p["metadata"].get("labels") or {})],
        pvs=pvs if "PersistentVolume" in complete else NOT_THERE,
        foreign_pvs=foreign(objects["PersistentVolume"], driver) if "PersistentVolume" in complete else NOT_THERE,
        events=_telling(objects["Event"], space) if "Event" in complete else NOT_THERE,
        daemon_set=_one(objects, complete, "DaemonSet", names.CSI_NODE_DAEMON_SET, space),
        csi_driver=_one(objects, complete, "CSIDriver", driver),
        config_map=_one(objects, complete, "ConfigMap", _config_map(csi_pods[0]), space),
        secret_keys=_secret_keys(objects["Secret"]) if "Secret" in complete else NOT_THERE,
        run_pods=[p for p in pods if RUN_LABEL in (p["metadata"].get("labels") or {})],
        csi_files={p["metadata"]["name"]: _config(texts, p["metadata"]["name"]) for p in csi_pods},
        csi_file_times={},
        clients={name: _client(log) for name, log in read["mount_logs"].items()},
        next_hashes=NOT_THERE,
        **read,
    )


def _labelled(pod: Obj, selector: str) -> bool:
    key, _, value = selector.partition("=")
    return (pod["metadata"].get("labels") or {}).get(key) == value


def _in(space: str, obj: Obj) -> bool:
    return bool(obj["metadata"].get("namespace") == space)


def _config_map(csi_pod: Obj) -> str:
    from jfsnb.driver.deployment import Deployment

    return Deployment.from_object(csi_pod).config_map or names.CONFIG_MAP


def _one(objects: Mapping[str, list[Obj]], complete: set[str], kind: str, name: str, space: str = "") -> Any:
    if kind not in complete:
        return NOT_THERE
    named = [o for o in objects[kind] if o["metadata"]["name"] == name]
    return next((o for o in named if o["metadata"].get("namespace", "") == space), None)


def _telling(events: Iterable[Obj], space: str) -> list[Obj]:
    """Those that a live snapshot has, too."""
    mine = {"Upgrade"}
    return [
        e
        for e in events
        if e.get("type") == "Warning" or (e.get("reason") in mine and e["metadata"].get("namespace") == space)
    ]


def _secret_keys(secrets: Iterable[Obj]) -> dict[str, Any]:
    places = ((s["metadata"].get("namespace", ""), s["metadata"]["name"], s.get("data") or {}) for s in secrets)
    return {f"{space}/{name}": tuple(sorted(data)) for space, name, data in places}


def _log(texts: Mapping[str, str], pod: str, container: str) -> tuple[LogLine, ...] | Unreadable:
    for name in (f"log-{pod}-{container}.txt", f"log-{pod}-{container}.log", f"log-{pod}.txt"):
        if name in texts:
            return tuple(LogLine.stamped(sound.printable(line)) for line in texts[name].splitlines())
    return NOT_THERE


def _config(texts: Mapping[str, str], pod: str) -> str | Unreadable:
    return texts.get(f"config-{pod}.yaml", NOT_THERE)


def _client(log: Iterable[str] | Unreadable) -> dict[str, str | Unreadable] | Unreadable:
    """What the client said of itself when it was last started, as far as its log reaches back.

    What was started first is what the container's image holds.
    """
    if isinstance(log, Unreadable):
        return Unreadable("nobody asked it, and its log is not in the folder")
    told = [found[1] for line in log if (found := _VERSION.search(line))]
    if not told:
        return Unreadable("nobody asked it, and its log does not reach back to its start")
    return {LOG: told[-1], **({SUPERVISOR: told[0]} if told[0] != told[-1] else {})}


def _taken(texts: Mapping[str, str], objects: Mapping[str, list[Obj]]) -> datetime:
    """When: as ``taken.txt`` says, else the newest time that any object or log tells."""
    said = parse_time(texts.get("taken.txt", "").strip())
    if said is not None and said.tzinfo is not None:
        return said
    return max(_times(texts, objects), default=datetime.fromtimestamp(0, UTC))


def _times(texts: Mapping[str, str], objects: Mapping[str, list[Obj]]) -> Iterator[datetime]:
    told: list[Any] = []
    for kind, items in objects.items():
        for item in items:
            told.append(item["metadata"].get("creationTimestamp"))
            if kind == "Event":
                told += [item.get("lastTimestamp"), item.get("eventTime")]
            elif kind == "Lease":
                told.append((item.get("spec") or {}).get("renewTime"))
    for name, text in texts.items():
        if name.startswith("log-"):
            told.append(text.rstrip().rpartition("\n")[2].partition(" ")[0])
    for one in told:
        at = parse_time(one) if isinstance(one, str) else None
        if at is not None and at.tzinfo is not None:
            yield at
