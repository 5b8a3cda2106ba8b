"""Does an app's own mount answer, looked at from inside? All objects may look healthy while it is dead."""

from __future__ import annotations

from collections.abc import Mapping

from jfsnb.checks.codes import Unreadable, register, result, unreadable
from jfsnb.checks.model import CheckResult, Evidence, Verdict

INSIDE = register(
    "JFS-IO-006",
    "The mount answers from inside the app",
    "Every object looks healthy, but the app's own mount is dead (ENOTCONN), or it hangs.",
    "Restart the app Pod: a container never sees a mount that is bound anew on its node.",
)
#: Asked in the app's container, with the paths of its mounts: a bounded stat and list of each, by everyday tools.
LOOK = """
for path in "$@"; do
  said=$(timeout 10 sh -c 'stat "$1" >/dev/null && ls -a "$1" >/dev/null' look "$path" 2>&1)
  code=$?
  [ $code = 124 ] && said="it hangs: no answer within 10 s"
  [ $code = 0 ] && said=""
  [ $code != 0 ] && [ -z "$said" ] && said="exit code $code"
  printf '%s\\t%s\\n' "$path" "$(printf '%s' "$said" | tr '\\n\\t' '  ')"
done
"""


def read(answer: str) -> dict[str, str]:
    """Path → what was wrong with it; empty when it answered. From what LOOK printed."""
    rows = (line.partition("\t") for line in answer.splitlines())
    return {path: said.strip() for path, tab, said in rows if tab}


def answers_inside(seen: Mapping[str, str] | Unreadable | None, pod: str) -> CheckResult:
    """FAIL for a mount that does not answer.

    Args:
        seen: see ``read``; None: nobody has looked, or exec in that namespace is not allowed. pod: ``namespace/name``.
    """
    if seen is None:
        reason = f"{pod}: not looked at from inside (exec there, or --all of collect); objects can hide a dead mount"
        return result(INSIDE, Verdict.NA, reason)
    if isinstance(seen, Unreadable):
        return unreadable(INSIDE, seen)
    if not seen:
        return unreadable(INSIDE, Unreadable(f"{pod}: no mount was looked at"))
    evidence = [Evidence(f"pod/{pod}", f"stat and list of {path}", said or "answered") for path, said in seen.items()]
    dead = {path: said for path, said in seen.items() if said}
    if dead:
        told = "; ".join(f"{path}: {said}" for path, said in dead.items())
        return result(INSIDE, Verdict.FAIL, f"{pod}: {told}", evidence)
    return result(INSIDE, Verdict.PASS, f"{pod} reads and lists {', '.join(seen)}", evidence)
