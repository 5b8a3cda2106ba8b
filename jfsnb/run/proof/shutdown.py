"""The smoke Pod's end: deleted while its log and its Mount Pod's are followed since before."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jfsnb.checks import shutdown as checks
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.model import CheckResult
from jfsnb.checks.tier import labelled
from jfsnb.cluster.feeds import Feeds, Item
from jfsnb.driver.mountpods.deletion import NEXT_LOOK, delete_at, reason_to_stay
from jfsnb.driver.mountpods.mount_pods import MountPod, container_status
from jfsnb.driver.names import MOUNT_CONTAINER
from jfsnb.queries import clients, driver_facts
from jfsnb.queries.model import Row, Timeline
from jfsnb.run.proof.serving import Smoked, baseline_mount_pod, smoked
from jfsnb.run.results import Deployed, Shutdown
from jfsnb.run.state import Run, part

Obj = dict[str, Any]
#: Exit codes of PID 1: the fast manifest ends itself; the article's bash ignores SIGTERM until it is killed.
EXPECTED_EXIT = {"fast": (0,), "article": (137,)}
#: How long the followed logs may take to begin.
FOLLOW_SECONDS = 10.0


@dataclass
class _Ending:
    """What has been seen since before the deletion.

    Args:
        gone: UIDs of this run's Pods that are gone. patience: seconds; a shorter delete delay is waited for.
    """

    known: Smoked
    mount_name: str
    pod: Obj | None = None
    mount: Obj | None = None
    pod_gone: bool = False
    mount_gone: bool = False
    followed: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)
    mount_log: list[str] = field(default_factory=list)
    deleted_at: float = 0.0
    steps: list[Row] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    gone: frozenset[str] = frozenset()
    patience: float = 0.0

    def note(self, what: str) -> bool:
        """Write down when something was first seen; False when it was before."""
        if what in self.told:
            return False
        self.told.add(what)
        self.steps.append({"at_seconds": round(time.monotonic() - self.deleted_at, 2), "what": what})
        return True

    @property
    def mount_facts(self) -> MountPod | None:
        return MountPod.from_object(self.mount) if self.mount else None

    @property
    def over(self) -> bool:
        """The Pod is gone, and its Mount Pod too, or that has a reason to stay."""
        if not self.pod_gone:
            return False
        facts = self.mount_facts
        if self.mount_gone or facts is None:
            return True
        if facts.serves(self.known.uid, self.known.volume) or facts.deleting:
            return False
        now = datetime.now(UTC)
        due = None if facts.references else delete_at(facts.annotations, now)
        soon = due is not None and (due + NEXT_LOOK - now).total_seconds() < self.patience
        return bool(reason_to_stay(facts, now, self.gone)) and not soon


@part(Shutdown)
def shutdown(run: Run) -> Shutdown:
    """Delete the smoke Pod with its log followed since before; wait for unmount and the end of the Mount Pod."""
    timeline, known = Timeline(), smoked(run, Deployed.PART)
    driver = driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
    app = run.cluster.get("pods", known.namespace, known.pod)
    grace = int(app["spec"].get("terminationGracePeriodSeconds") or 30)
    gone = frozenset({known.uid, *_gone_before(run)})
    ending = _Ending(known, known.mount_pod, pod=app, gone=gone, patience=run.settings.timeout)
    with Feeds(run.cluster, run.settings.timeout + grace + NEXT_LOOK.total_seconds()) as feeds:
        container = app["spec"]["containers"][0]["name"]
        feeds.logs("log", known.namespace, known.pod, container, tail=1)
        feeds.logs("mount log", driver.namespace, known.mount_pod, MOUNT_CONTAINER, tail=1)
        with timeline.measure("begin to follow both logs"):
            _begin(ending, feeds)
        feeds.watch("pod", "pods", known.namespace, fields=f"metadata.name={known.pod}")
        feeds.watch("mount pod", "pods", driver.namespace, fields=f"metadata.name={known.mount_pod}")
        before = run.cluster.log(known.namespace, known.pod, container)
        mount_before = run.cluster.log(driver.namespace, known.mount_pod, MOUNT_CONTAINER)
        ending.log, ending.mount_log = [], []
        run.tell("change", f"delete Pod {known.namespace}/{known.pod}", f"pod/{known.pod}")
        ending.deleted_at = time.monotonic()
        run.cluster.delete("pods", known.namespace, known.pod, uid=known.uid)
        ending.note("deletion asked for")
        run.tell("wait", f"{known.pod} to end (at most {grace} s of grace), and its Mount Pod after it")
        with timeline.waiting(f"{known.pod} and its Mount Pod gone"):
            for item in feeds:
                _take(run, ending, item)
                if ending.over:
                    break
            _rest_of_logs(ending, feeds)
    run.keep_log(known.pod, (*before, *ending.log))
    run.keep_log(known.mount_pod, (*mount_before, *ending.mount_log))
    if ending.pod_gone:
        run.journal.gone("pods", known.namespace, known.pod)
    return run.finish(
        Shutdown(
            log=tuple(ending.log),
            mount_log=tuple(ending.mount_log),
            steps=tuple(ending.steps),
            mount_pod_gone=ending.mount_gone,
            checks=labelled(_judge(run, ending, mount_before), run.cluster.tier),
            timeline=tuple(timeline.entries),
        )
    )


def _begin(ending: _Ending, feeds: Feeds) -> None:
    """Until each log has given the line that was there already: from here on nothing is missed."""
    for item in feeds.within(FOLLOW_SECONDS):
        if item.line is not None:
            ending.followed.add(item.source)
        if ending.followed >= {"log", "mount log"}:
            return


def _take(run: Run, ending: _Ending, item: Item) -> None:
    if item.line is not None:
        mine = item.source == "log"
        (ending.log if mine else ending.mount_log).append(item.line)
        run.tell("log", item.line, f"pod/{ending.known.pod if mine else ending.mount_name}")
        for text in checks.PRE_STOP_LINES[:2]:
            if mine and text in item.line:
                ending.note(f"smoke Pod: {item.line.strip('= ')}")
    elif item.event is not None and item.event.type != "SYNCED":
        gone = item.event.type == "DELETED"
        if item.source == "pod":
            ending.pod, ending.pod_gone = item.event.object, gone
            _note_pod(ending)
        else:
            ending.mount, ending.mount_gone = item.event.object, gone
            _note_mount(ending)
    elif item.event is not None and item.source == "mount pod" and ending.mount is None:
        ending.mount_gone = True  # it was not there when the watch began


def _note_pod(ending: _Ending) -> None:
    code = _exit_code(ending.pod, "")
    if code is not None:
        ending.note(f"smoke Pod: container ended with exit code {code}")
    if ending.pod_gone:
        ending.note("smoke Pod: gone (its volume is unmounted)")


def _note_mount(ending: _Ending) -> None:
    facts = ending.mount_facts
    if facts is None:
        return
    if not facts.serves(ending.known.uid, ending.known.volume):
        ending.note(f"Mount Pod: reference removed, {len(facts.references)} left")
    if facts.deleting:
        ending.note("Mount Pod: deletion asked for by the driver")
    if ending.mount_gone:
        ending.note("Mount Pod: gone")


def _rest_of_logs(ending: _Ending, feeds: Feeds) -> None:
    """Lines that are still on their way when the objects have gone."""
    for item in feeds.within(0.3):
        if item.line is not None:
            (ending.log if item.source == "log" else ending.mount_log).append(item.line)


def _exit_code(pod: Obj | None, container: str) -> int | None:
    if pod is None:
        return None
    name = container or pod["spec"]["containers"][0]["name"]
    ended = ((container_status(pod, name) or {}).get("state") or {}).get("terminated")
    return int(ended["exitCode"]) if ended else None


def _gone_before(run: Run) -> set[str]:
    """UIDs of Pods that this run has made and that are gone: their references serve nobody."""
    made = {e.change.uid for e in run.journal.entries() if e.change.plural == "pods" and e.outcome}
    return made - {""}


def _sessions(run: Run, ending: _Ending, log: Sequence[str]) -> frozenset[int] | Unreadable | None:
    """The file system's list of sessions, asked in another Mount Pod, where the client has not told of its own end."""
    if ending.mount_facts is None or checks.tells_its_end(log):
        return None
    driver = driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
    other = baseline_mount_pod(run, driver)
    return other if isinstance(other, Unreadable) else clients.sessions(run.cluster, other)


def _stays(facts: MountPod, ending: _Ending) -> str:
    return "" if facts.deleting else reason_to_stay(facts, datetime.now(UTC), ending.gone)


def _judge(run: Run, ending: _Ending, before: Sequence[str]) -> tuple[CheckResult, ...]:
    known = ending.known
    unseen = Unreadable(f"{ending.mount_name} could not be watched")
    facts = None if ending.mount_gone else ending.mount_facts or unseen
    ended = ((container_status(ending.pod or {}, "") or {}).get("state") or {}).get("terminated") or {}
    code: int | Unreadable | None = _exit_code(ending.pod, "")
    if code is None and ending.pod_gone:
        code = Unreadable("the Pod went before its status told an exit code")
    expected = EXPECTED_EXIT[run.settings.profile]
    return (
        checks.pre_stop_lines(ending.log, known.pod, "log" in ending.followed),
        checks.app_exit(code, expected, known.pod, str(ended.get("reason", ""))),
        checks.reference_removed(facts, known.uid, known.volume),
        checks.mount_pod_gone(facts, ending.mount_name, datetime.now(UTC), ending.gone),
        checks.client_exit(
            ending.mount_log,
            _exit_code(ending.mount, MOUNT_CONTAINER),
            ending.mount_name,
            "mount log" in ending.followed,
            stays="" if facts is None or isinstance(facts, Unreadable) else _stays(facts, ending),
            session=checks.session_of(before),
            sessions=_sessions(run, ending, ending.mount_log),
        ),
    )
