"""A smoke Pod of this run, as an earlier part has left it in the run folder, and the Mount Pod that serves it now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jfsnb.checks.codes import Unreadable
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.errors import JfsnbError, NotInCluster
from jfsnb.queries import driver_facts
from jfsnb.queries.driver_facts import Driver
from jfsnb.run.results import Baseline
from jfsnb.run.state import Run


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


def mount_pod_of(run: Run, driver: Driver, known: Smoked) -> MountPod | Unreadable:
    """The Mount Pod that serves a smoke Pod, as it is now."""
    pods = driver_facts.facts_of(driver_facts.mount_pods(run.cluster, driver))
    found = [p for p in pods if known.uid and p.serves(known.uid, known.volume)]
    return found[0] if found else Unreadable(f"no Mount Pod carries the reference of {known.pod}")


def baseline_mount_pod(run: Run, driver: Driver) -> MountPod | Unreadable:
    """The baseline's Mount Pod as it is now."""
    try:
        return mount_pod_of(run, driver, smoked(run, Baseline.PART))
    except JfsnbError as error:
        return Unreadable(error.what)
