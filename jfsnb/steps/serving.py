"""A smoke Pod of this run, as an earlier part has left it in the run folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jfsnb.errors import NotInCluster
from jfsnb.steps.run import Run


@dataclass(frozen=True)
class Smoked:
    """What is known of a smoke Pod.

    Args:
        mount_object: its Mount Pod's object when it became Ready; empty when not known.
        log: its lines until then.
    """

    pod: str
    namespace: str
    uid: str
    node: str
    image: str
    claim: str
    volume: str
    mount_pod: str
    mount_object: dict[str, Any] = field(default_factory=dict)
    log: tuple[str, ...] = ()


def smoked(run: Run, part: str) -> Smoked:
    """The smoke Pod of a part (``baseline`` or ``smoke``).

    Raises:
        NotInCluster: that part has not deployed one.
    """
    known = run.recall(part)
    if not known or not known.get("uid"):
        what = "baseline" if part == "baseline" else "smoke"
        raise NotInCluster(f"this run has no {what} Pod", "run the notebook that deploys it first (01, 04)")
    return Smoked(
        **{n: known[n] for n in ("pod", "namespace", "uid", "node", "image", "claim", "volume", "mount_pod")},
        mount_object=known.get("mount_object") or {},
        log=tuple(known["log"]),
    )
