"""Deploying a smoke Pod and watching it: its events, its log, its Mount Pod, until it is Ready or cannot become so."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from jfsnb.checks import arrival as checks
from jfsnb.checks import smoke as smoke_checks
from jfsnb.checks.model import CheckResult, Verdict
from jfsnb.cluster.feeds import Feeds, Item
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.driver.names import MOUNT_CONTAINER, mount_pod_selector
from jfsnb.errors import JfsnbError, NotInCluster
from jfsnb.queries.driver_facts import Driver, Volume
from jfsnb.queries.model import Row, Timeline
from jfsnb.redact import redact_text
from jfsnb.run.smoke import manifest
from jfsnb.run.state import Run

Obj = dict[str, Any]
MOUNT_LOG_LINES = 20


@dataclass
class Watched:
    """What has been seen of a smoke Pod so far."""

    pod: Obj | None
    volume: Volume
    mount_objects: dict[str, Obj] = field(default_factory=dict)
    events: dict[str, Row] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    log_ended: bool = False
    told: set[str] = field(default_factory=set)

    @property
    def mount_object(self) -> Obj | None:
        """The Mount Pod that carries this Pod's reference."""
        uid = (self.pod or {}).get("metadata", {}).get("uid", "")
        serving = [o for o in self.mount_objects.values() if MountPod.from_object(o).serves(uid, self.volume.name)]
        return serving[-1] if serving else None

    @property
    def mount_pod(self) -> MountPod | None:
        found = self.mount_object
        return MountPod.from_object(found) if found else None

    @property
    def failed_mounts(self) -> list[str]:
        return [e["message"] for e in self.events.values() if e["reason"] in ("FailedMount", "FailedAttachVolume")]

    @property
    def up(self) -> bool:
        """Ready, tests passed, and it is known who serves."""
        ready = self.pod is not None and checks.is_ready(self.pod)
        return ready and any(checks.PASSED_LINE in line for line in self.log) and self.mount_pod is not None

    @property
    def lost(self) -> bool:
        """Waiting does not help."""
        if self.pod is None:
            return True
        mine = checks.trouble_of(self.pod)
        theirs = checks.trouble_of(self.mount_object) if self.mount_object else None
        return any(t is not None and t.hopeless for t in (mine, theirs))


def deploy(
    run: Run,
    role: str,
    driver: Driver,
    volume: Volume,
    timeline: Timeline,
    node: str = "",
    nodes: Collection[str] = (),
) -> dict[str, Any]:
    """Create the smoke Pod of a role and watch it.

    Returns:
        The fields of ``results.Smoke``, checks and timeline included.
    """
    pod = manifest.smoke_pod(run.settings, role, node=node, nodes=nodes, is_sandbox=run.cluster.is_sandbox)
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    run.tell("change", f"create Pod {namespace}/{name} ({run.settings.profile} manifest)", f"pod/{name}")
    _remove_own(run, namespace, name)
    started = time.monotonic()
    with timeline.measure(f"create Pod {name}"):
        created = run.journal.create(run.cluster, pod)
    seen = Watched(created, volume)
    run.tell("wait", f"{name}: Ready, its tests passed, and its Mount Pod known", f"pod/{name}")
    with timeline.waiting(f"{name} Ready and its tests passed"):
        _watch(run, seen, driver, namespace, name)
    seconds = time.monotonic() - started
    result = _fields(run, seen, pod, namespace, name)
    run.keep_log(name, seen.log)
    claim_phase = str((volume.claim.get("status") or {}).get("phase", ""))
    up = checks.came_up(
        seen.pod,
        seen.mount_pod,
        seen.mount_object,
        seen.failed_mounts,
        seen.log,
        result["mount_log"],
        claim_phase,
        seconds,
    )
    found: tuple[CheckResult, ...] = (up,)
    if up.verdict is Verdict.PASS or any(line.startswith("ERROR") for line in seen.log):
        found += (smoke_checks.smoke_lines(seen.log, name),)
    return {**result, "checks": found, "timeline": tuple(timeline.entries)}


def _remove_own(run: Run, namespace: str, name: str) -> None:
    """A cell may be run again: the Pod that this very run has made before makes room for a new one."""
    old = run.cluster.find("pods", namespace, name)
    if old is not None and (old["metadata"].get("labels") or {}).get(manifest.RUN_LABEL) == run.id:
        run.cluster.delete("pods", namespace, name, uid=old["metadata"]["uid"], grace=2)
        run.cluster.wait_gone("pods", namespace, name, run.settings.timeout, old["metadata"]["uid"])
        run.journal.gone("pods", namespace, name)


def _watch(run: Run, seen: Watched, driver: Driver, namespace: str, name: str) -> None:
    with Feeds(run.cluster, run.settings.timeout) as feeds:
        feeds.watch("pod", "pods", namespace, fields=f"metadata.name={name}")
        feeds.watch("events", "events", namespace, fields=f"involvedObject.name={name}")
        shared = driver.deployment.shares_by_storage_class or driver.deployment.shares_by_file_system
        unique = "" if shared else seen.volume.handle
        feeds.watch("mount pods", "pods", driver.namespace, labels=mount_pod_selector(unique))
        for item in feeds:
            _take(run, seen, feeds, item, driver, namespace, name)
            if seen.up or seen.lost:
                break
        # What the container said last is worth having, also when it has ended at once.
        if seen.lost and "log" in feeds and not seen.log_ended:
            _drain_log(seen, feeds)


def _drain_log(seen: Watched, feeds: Feeds) -> None:
    for item in feeds.within(2.0):
        if item.source == "log" and item.line is not None:
            seen.log.append(item.line)
        elif item.source == "log":
            return


def _take(run: Run, seen: Watched, feeds: Feeds, item: Item, driver: Driver, namespace: str, name: str) -> None:
    if item.source == "log":
        if item.line is None:
            seen.log_ended = True
        else:
            seen.log.append(item.line)
            run.tell("log", item.line, f"pod/{name}")
        return
    if item.event is None or item.event.type == "SYNCED":
        return
    obj, gone = item.event.object, item.event.type == "DELETED"
    if item.source == "pod":
        seen.pod = None if gone else obj
        _tell_state(run, seen, obj, f"pod/{name}")
        if "log" not in feeds and _has_started(obj):
            feeds.logs("log", namespace, name, obj["spec"]["containers"][0]["name"])
    elif item.source == "mount pods":
        if gone:
            seen.mount_objects.pop(obj["metadata"]["name"], None)
        else:
            seen.mount_objects[obj["metadata"]["name"]] = obj
        serving = seen.mount_pod
        if serving is not None and serving.name == obj["metadata"]["name"]:
            _tell_state(run, seen, obj, f"pod/{serving.name}")
            if "mount events" not in feeds:
                fields = f"involvedObject.name={serving.name}"
                feeds.watch("mount events", "events", driver.namespace, fields=fields)
    elif not gone:
        _take_event(run, seen, obj)


def _take_event(run: Run, seen: Watched, obj: Obj) -> None:
    row = event_row(obj)
    seen.events[obj["metadata"]["uid"]] = row
    run.tell("event", f"{row['type']} {row['reason']}: {row['message']}", row["object"])


def event_row(event: Obj) -> Row:
    """An Event as a row: at, type, reason, object, message, count."""
    involved = event.get("involvedObject") or {}
    at = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or ""
    return {
        "at": at,
        "type": event.get("type", ""),
        "reason": event.get("reason", ""),
        "object": f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}",
        "message": redact_text(str(event.get("message") or "")),
        "count": event.get("count") or (event.get("series") or {}).get("count") or 1,
    }


def _has_started(pod: Obj) -> bool:
    states = [s.get("state") or {} for s in (pod.get("status") or {}).get("containerStatuses") or ()]
    return any("running" in s or "terminated" in s for s in states)


def _tell_state(run: Run, seen: Watched, pod: Obj, source: str) -> None:
    """Say what state a Pod is in, once per change."""
    status = pod.get("status") or {}
    trouble = checks.trouble_of(pod)
    state = f"{trouble.reason}: {trouble.message}" if trouble else str(status.get("phase", ""))
    state += ", Ready" if checks.is_ready(pod) else ""
    if (line := f"{source} {state}") not in seen.told:
        seen.told.add(line)
        run.tell("note", state, source)


def _fields(run: Run, seen: Watched, pod: Obj, namespace: str, name: str) -> dict[str, Any]:
    live = seen.pod or {}
    serving = seen.mount_pod
    return {
        "pod": name,
        "namespace": namespace,
        "uid": live.get("metadata", {}).get("uid", ""),
        "node": live.get("spec", {}).get("nodeName", ""),
        "ip": (live.get("status") or {}).get("podIP", ""),
        "image": pod["spec"]["containers"][0]["image"],
        "claim": seen.volume.claim_name,
        "volume": seen.volume.name,
        "mount_pod": serving.name if serving else "",
        "mount_image": serving.image if serving else "",
        "mount_object": _lean(seen.mount_object),
        "manifest": manifest.to_yaml(pod),
        "wide": wide_row(run, namespace, name),
        "events": tuple(sorted(seen.events.values(), key=lambda e: str(e["at"]))),
        "log": tuple(seen.log),
        "mount_log": () if seen.up or serving is None else _last_lines(run, serving),
    }


def _last_lines(run: Run, pod: MountPod) -> tuple[str, ...]:
    """What a Mount Pod that does not come up has said; nothing when its container never ran."""
    try:
        return run.cluster.log(pod.namespace, pod.name, MOUNT_CONTAINER, tail=MOUNT_LOG_LINES)
    except JfsnbError:
        return ()


def wide_row(run: Run, namespace: str, name: str) -> tuple[Row, ...]:
    """What ``kubectl get pod -o wide`` shows, from the server's own columns."""
    try:
        rows = run.cluster.table("pods", namespace, name)
    except NotInCluster:
        return ()
    wanted = ("Name", "Ready", "Status", "Restarts", "Age", "IP", "Node")
    return tuple({key.upper(): row.get(key, "") for key in wanted} for row in rows)


def _lean(pod: Obj | None) -> Obj:
    """A Mount Pod's object as far as the rules read it; its environment and command may hold credentials."""
    if pod is None:
        return {}
    lean: Obj = json.loads(json.dumps({key: pod.get(key) for key in ("metadata", "spec", "status")}))
    for container in lean["spec"].get("containers") or ():
        container.pop("env", None)
        container["command"] = [redact_text(word) for word in container.get("command") or ()]
    return lean
