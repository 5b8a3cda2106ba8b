"""A finding about one object: what it is, what its cause is if that is known, and the newest that was said about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jfsnb.checks.codes import result
from jfsnb.checks.diagnosis.said import Said, ago, telling
from jfsnb.checks.diagnosis.snapshot import Snapshot
from jfsnb.checks.diagnosis.symptoms.table import Symptom, explain
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver.mountpods.mount_pods import parse_time

UNKNOWN = "no known cause"
LOOK_AT_NODE = "Look at the node, and at its kubelet."
#: More events than these are not quoted.
_QUOTED = 4


@dataclass(frozen=True)
class Cause:
    """What is behind a trouble, as far as it is known.

    Args:
        text: in words. fix: what to do. said: the sentence that told it; None when it was told by something else.
        code: of the check that it belongs to, if the rows of its table belong to several.
    """

    text: str
    fix: str
    said: Said | None = None
    code: str = ""


@dataclass(frozen=True)
class Case:
    """One object in trouble.

    Args:
        code: of its check. obj: as evidence names objects, ``pod/x``. name: for people, ``namespace/x``.
        state: what is the matter, in words.
        status: what its status says now, nearest to the cause first. events: newest first.
        look: the command that shows more.
        more: further evidence.
    """

    code: str
    obj: str
    name: str
    state: str
    look: str
    status: Sequence[Said] = ()
    events: Sequence[Said] = ()
    more: Sequence[Evidence] = field(default=())


def cause_of(status: Iterable[Said], events: Iterable[Said], rows: Sequence[Symptom]) -> Cause | None:
    """The cause that the status tells, else the newest episode of events; what is older tells nothing."""
    for said in (*status, *telling(events)):
        symptom = explain(said.text, rows)
        if symptom is not None:
            return Cause(symptom.cause, symptom.fix, said, symptom.code)
        if not said.echo and said.field.startswith("event "):
            return None  # the newest event that tells anything is of no known kind
    return None


def or_node(snapshot: Snapshot, node: str, cause: Cause | None, events: Sequence[Said] = ()) -> Cause | None:
    """The cause, unless nothing has been said since the Pod's node went down: then that is the cause.

    Args:
        events: about the Pod, newest first.
    """
    down = snapshot.node_down(node)
    if down is None:
        return cause
    since = parse_time(down.get("lastTransitionTime"))
    said = cause.said if cause else next(iter(events), None)
    if said is None and cause is not None:
        return cause
    if said is not None and (said.at is None or since is None or said.at > since):
        return cause
    age = f" since {ago(snapshot.now, since).removesuffix(' ago')}" if since else ""
    return Cause(f"its node {node} is not Ready{age}: {down.get('message') or down.get('reason')}", LOOK_AT_NODE)


def finding(case: Case, cause: Cause | None, verdict: Verdict, now: datetime) -> CheckResult:
    """The object, its state, the cause or that it is not known, and the newest sentence with its age."""
    events = telling(case.events)
    said = (*case.status, *events)
    quote = cause.said if cause and cause.said else next((s for s in said if not s.echo), next(iter(said), None))
    newest = events[0] if events and (quote is None or quote.field.startswith("event ")) else None
    quoted = [s for s in (quote, newest if newest is not quote else None) if s is not None]
    words = [f"{case.name}: {cause.text}" if cause else f"{case.name}: {case.state}"]
    words += [f"{s.field.removeprefix('event ')}: {s.quoted(now)}" for s in quoted[:1]]
    if cause is None:
        words.append(UNKNOWN)
    elif not quoted:
        words.append(case.state)
    evidence = [Evidence(case.obj, "state", case.state)]
    evidence += [Evidence(case.obj, s.field, s.quoted(now)) for s in case.status]
    evidence += [Evidence(case.obj, s.field, s.quoted(now)) for s in events[:_QUOTED]]
    evidence += case.more
    action = cause.fix if cause else f"Look closer: {case.look}"
    return result(case.code, verdict, "; ".join(words), evidence, action)


def describe(kind: str, namespace: str, name: str) -> str:
    """The kubectl command that shows an object with its events."""
    place = f"-n {namespace} " if namespace else ""
    return f"kubectl {place}describe {kind} {name}"
