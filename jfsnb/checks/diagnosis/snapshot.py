"""The register of diagnosis rules.

A rule is a pure function of a snapshot (jfsnb.checks.snapshot) that yields a result for each thing it finds wrong and
stays silent otherwise. It names the parts that it needs; where one could not be read, and where it meets one that it
did not name, the answer is ERROR. What could be read of some objects only it looks at, and answers ERROR for the rest.
It may also name parts that it wants: without them it sees less, and the answer is ERROR beside what it finds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from jfsnb.checks.codes import Unreadable, register, unreadable
from jfsnb.checks.model import SEVERITY, CheckResult, Verdict
from jfsnb.checks.parts import Each, NotRead
from jfsnb.checks.snapshot import NOTHING, Snapshot
from jfsnb.errors import JfsnbError

__all__ = ["RULES", "RegisteredRule", "Rule", "Snapshot", "diagnose", "rule"]
Rule = Callable[[Snapshot], Iterable[CheckResult]]


@dataclass(frozen=True)
class RegisteredRule:
    """A diagnosis rule, its code, and the parts of the snapshot without which it cannot look, or sees less."""

    code: str
    needs: tuple[str, ...]
    look: Rule
    wants: tuple[str, ...] = ()


RULES: list[RegisteredRule] = []


def rule(
    code: str, title: str, cause: str, fix: str, needs: Sequence[str] = (), wants: Sequence[str] = ()
) -> Callable[[Rule], Rule]:
    """Register a diagnosis rule.

    Args:
        needs: parts of the snapshot without which it cannot look. wants: those without which it sees less.
    """
    register(code, title, cause, fix)

    def add(look: Rule) -> Rule:
        RULES.append(RegisteredRule(code, tuple(needs), look, tuple(wants)))
        return look

    return add


def diagnose(snapshot: Snapshot) -> tuple[CheckResult, ...]:
    """Everything that the rules find, by code; empty in a healthy world that could be read.

    A rule that could not look, or that met an object it does not understand, is an ERROR.
    """
    return _one_each(r for entry in sorted(RULES, key=lambda e: e.code) for r in _apply(entry, snapshot))


#: Areas of the codes that tell what state an object is in.
_STATES = ("MNT", "END", "POD", "PVC", "CSI")


def _one_each(results: Iterable[CheckResult]) -> tuple[CheckResult, ...]:
    """Findings about the state of one object are one finding: under the worst of them, which says the others too."""
    groups: dict[tuple[str, str], list[CheckResult]] = defaultdict(list)
    for number, one in enumerate(results):
        state = one.code.split("-")[1] in _STATES and one.evidence and one.verdict is not Verdict.ERROR
        groups[(one.evidence[0].object, "") if state else ("", str(number))].append(one)
    return tuple(_merged(sorted(group, key=lambda r: SEVERITY.index(r.verdict))) for group in groups.values())


def _merged(group: list[CheckResult]) -> CheckResult:
    first, *others = group
    if not others:
        return first
    reason = "; also: ".join(dict.fromkeys(r.reason for r in group))
    evidence = tuple(dict.fromkeys(e for r in group for e in r.evidence))
    return replace(first, reason=reason, evidence=evidence)


def _apply(entry: RegisteredRule, snapshot: Snapshot) -> Iterator[CheckResult]:
    needed = {name: snapshot.part(name) for name in entry.needs}
    missing = [f"{name}: {part.why}" for name, part in needed.items() if isinstance(part, Unreadable)]
    if missing:
        yield unreadable(entry.code, Unreadable("; ".join(missing)))
        return
    wanted = {name: snapshot.part(name) for name in entry.wants}
    dark = {name: part for name, part in wanted.items() if isinstance(part, Unreadable)}
    partly = {n: part for n, part in (*needed.items(), *wanted.items()) if isinstance(part, Each) and part.unread}
    blind = [f"{name}: {part.why}" for name, part in dark.items()]
    blind += [f"{name}: {_first(part)}" for name, part in partly.items()]
    if blind:
        yield unreadable(entry.code, Unreadable("; ".join(blind)))
    snapshot = snapshot.but(**{name: NOTHING[name] for name in dark}) if dark else snapshot
    try:
        yield from entry.look(snapshot)
    except NotRead as error:
        yield unreadable(entry.code, error.unreadable)
    except (KeyError, TypeError, AttributeError, ValueError, JfsnbError) as error:
        yield unreadable(entry.code, Unreadable(f"an object looks strange ({type(error).__name__}: {error})"))


def _first(part: Each[object]) -> str:
    """Of many the first, and how many there are."""
    name, first = next(iter(part.unread.items()))
    more = f" (and {len(part.unread) - 1} more)" if len(part.unread) > 1 else ""
    return f"{name}: {first.why}{more}"
