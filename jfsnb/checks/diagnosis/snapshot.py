"""The register of diagnosis rules.

A rule is a pure function of a snapshot (jfsnb.checks.snapshot) that yields a result for each thing it finds wrong and
stays silent otherwise. It names the parts that it needs; where one could not be read, and where it meets one that it
did not name, the answer is ERROR. What could be read of some objects only it looks at, and answers ERROR for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from jfsnb.checks.codes import Unreadable, register, unreadable
from jfsnb.checks.model import CheckResult
from jfsnb.checks.parts import Each, NotRead
from jfsnb.checks.snapshot import Snapshot
from jfsnb.errors import JfsnbError

__all__ = ["RULES", "RegisteredRule", "Rule", "Snapshot", "diagnose", "rule"]
Rule = Callable[[Snapshot], Iterable[CheckResult]]


@dataclass(frozen=True)
class RegisteredRule:
    """A diagnosis rule, its code, and the parts of the snapshot without which it cannot look."""

    code: str
    needs: tuple[str, ...]
    look: Rule


RULES: list[RegisteredRule] = []


def rule(code: str, title: str, cause: str, fix: str, needs: Sequence[str] = ()) -> Callable[[Rule], Rule]:
    """Register a diagnosis rule; ``needs`` names parts of the snapshot."""
    register(code, title, cause, fix)

    def add(look: Rule) -> Rule:
        RULES.append(RegisteredRule(code, tuple(needs), look))
        return look

    return add


def diagnose(snapshot: Snapshot) -> tuple[CheckResult, ...]:
    """Everything that the rules find, by code; empty in a healthy world that could be read.

    A rule that could not look, or that met an object it does not understand, is an ERROR.
    """
    return tuple(r for entry in sorted(RULES, key=lambda e: e.code) for r in _apply(entry, snapshot))


def _apply(entry: RegisteredRule, snapshot: Snapshot) -> Iterator[CheckResult]:
    needed = {name: snapshot.part(name) for name in entry.needs}
    missing = [f"{name}: {part.why}" for name, part in needed.items() if isinstance(part, Unreadable)]
    if missing:
        yield unreadable(entry.code, Unreadable("; ".join(missing)))
        return
    blind = [f"{name}: {_first(part)}" for name, part in needed.items() if isinstance(part, Each) and part.unread]
    if blind:
        yield unreadable(entry.code, Unreadable("; ".join(blind)))
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
