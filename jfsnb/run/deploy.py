"""Step 4: the smoke Pod under the new configuration, beside the baseline."""

from __future__ import annotations

from datetime import UTC, datetime

from jfsnb.checks.codes import Unreadable
from jfsnb.checks.serving import distinct_from_baseline
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.errors import NotInCluster
from jfsnb.queries import driver_facts
from jfsnb.queries.model import Row, Timeline
from jfsnb.run.results import Baseline, Deployed, Prepared, SideBySide
from jfsnb.run.smoke import manifest
from jfsnb.run.smoke import prepare as preparation
from jfsnb.run.smoke import smoke_pod as smoke_pods
from jfsnb.run.state import Run, part


@part(Prepared)
def prepare(run: Run) -> Prepared:
    """Make the claim and updatedb-config where they are missing."""
    timeline = Timeline()
    rows = preparation.make_missing(run, timeline)
    preparation.bound_volume(run, timeline)
    return run.finish(Prepared(objects=rows, timeline=tuple(timeline.entries)))


@part(Deployed)
def smoke(run: Run) -> Deployed:
    """Deploy the smoke Pod on the baseline's node and watch events, log and readiness.

    Raises:
        CheckFailed, WaitTimeout: it does not get there; says why.
    """
    timeline = Timeline()
    driver = driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
    preparation.make_missing(run, timeline)
    volume = preparation.bound_volume(run, timeline)
    node = (run.recall(Baseline.PART) or {}).get("node", "")
    fields = smoke_pods.deploy(run, manifest.UNDER_TEST, driver, volume, timeline, node)
    return run.require(Deployed(**fields))


@part(SideBySide)
def side_by_side(run: Run) -> SideBySide:
    """The Mount Pods of the smoke volume: who serves whom, with which image."""
    known = run.recall(Deployed.PART)
    if not known or not known["uid"]:
        raise NotInCluster("this run has no smoke Pod", "run the cell that deploys it first")
    before = run.recall(Baseline.PART) or {}
    driver = driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
    volume = preparation.bound_volume(run, Timeline())
    pods = driver_facts.facts_of(driver_facts.mount_pods(run.cluster, driver))
    mine = [p for p in pods if p.unique_id == volume.handle or any(r.pv_name == volume.name for r in p.references)]
    users = {known["uid"]: "the Pod under test", before.get("uid", ""): "the baseline"}
    tested, baseline = (_serving(pods, uid, volume.name) for uid in (known["uid"], before.get("uid", "")))
    check = distinct_from_baseline(tested, baseline)
    return run.finish(SideBySide(mount_pods=tuple(_row(p, users, volume.name) for p in mine), checks=(check,)))


def _serving(pods: tuple[MountPod, ...], uid: str, volume: str) -> MountPod | Unreadable:
    found = [p for p in pods if uid and p.serves(uid, volume)]
    return found[0] if found else Unreadable("no Mount Pod carries its reference")


def _row(pod: MountPod, users: dict[str, str], volume: str) -> Row:
    serves = [who for uid, who in users.items() if uid and pod.serves(uid, volume)]
    others = len(pod.references) - len(serves)
    age = round((datetime.now(UTC) - pod.created).total_seconds()) if pod.created else None
    return {
        "name": pod.name,
        "node": pod.node,
        "volume": pod.unique_id,
        "image": pod.image,
        "phase": pod.phase,
        "hash": pod.settings_hash[:12],
        "references": len(pod.references),
        "serves": ", ".join(serves + ([f"{others} other Pod{'s' if others > 1 else ''}"] if others else [])),
        "age_seconds": age,
    }
