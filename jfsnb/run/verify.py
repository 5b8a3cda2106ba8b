"""Step 5: find the Mount Pod, prove the client, prove the data, watch the end, put everything back."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from jfsnb.checks import carried_out, configured
from jfsnb.checks.bystanders import Seen, baseline_kept, others_unchanged
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.model import CheckResult, Verdict, overall
from jfsnb.checks.serving import claim_bound, distinct_from_baseline, made_after_patch, mount_pod_ready, served_by_one
from jfsnb.driver import names
from jfsnb.driver.mountpods.mount_pods import MountPod, VolumePairing
from jfsnb.errors import JfsnbError, NotInCluster
from jfsnb.queries import driver_facts
from jfsnb.queries.driver_facts import Driver
from jfsnb.queries.model import Row, Timeline
from jfsnb.run import config_map as config
from jfsnb.run.background import pairing_of
from jfsnb.run.change.config_entry import ConfigEntry
from jfsnb.run.change.model import State
from jfsnb.run.proof.client import client
from jfsnb.run.proof.data import data
from jfsnb.run.proof.serving import baseline_mount_pod, smoked
from jfsnb.run.proof.shutdown import shutdown
from jfsnb.run.results import (
    Baseline,
    Chain,
    Client,
    DataProof,
    Deployed,
    InForce,
    Patched,
    PatchPlan,
    Preflight,
    Restored,
    RunVerdict,
    Shutdown,
)
from jfsnb.run.rollback import rollback
from jfsnb.run.state import Run, checks_of, load, part

__all__ = ["chain", "client", "data", "restore", "shutdown", "verdict"]
Obj = dict[str, Any]
#: Parts without which nobody can say PASS.
NEEDED = (Preflight, Baseline, PatchPlan, Patched, InForce, Deployed, Chain, Client, DataProof, Shutdown, Restored)


@part(Chain)
def chain(run: Run) -> Chain:
    """Follow app Pod, claim, volume and reference annotation to the Mount Pod."""
    known, driver = smoked(run, Deployed.PART), driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
    app = run.cluster.get("pods", known.namespace, known.pod)
    pairing = pairing_of(run, driver, app)
    found = pairing.volume_of(known.claim)
    pvc = run.cluster.find("persistentvolumeclaims", known.namespace, known.claim)
    pv = run.cluster.find("persistentvolumes", name=found.pv) if found and found.pv else None
    checks = [claim_bound(pvc, pv, known.claim, driver.deployment.driver_name), served_by_one(pairing, known.claim)]
    serving = found.mount_pod if found else None
    if serving is not None:
        checks.append(mount_pod_ready(serving))
        baseline = baseline_mount_pod(run, driver)
        checks.append(distinct_from_baseline(serving, baseline))
        remembered = (run.recall(Patched.PART) or {}).get("remembered")
        nobody = Unreadable("nobody looked before the patch")
        there = nobody if remembered is None else {row["uid"] for row in remembered}
        checks.append(made_after_patch(serving, there))
    return run.finish(
        Chain(
            links=_links(app, found, pv, serving),
            mount_pod=serving.name if serving else "",
            node=pairing.node,
            others=_others(found),
            checks=tuple(checks),
        )
    )


def _links(app: Obj, found: VolumePairing | None, pv: Obj | None, serving: MountPod | None) -> tuple[Row, ...]:
    rows: list[Row] = []

    def link(obj: str, field: str, value: str, leads_to: str) -> None:
        rows.append({"object": obj, "field": field, "value": value, "leads_to": leads_to})

    uid, name = app["metadata"]["uid"], app["metadata"]["name"]
    if found is None:
        return ()
    link(f"pod/{name}", f"spec.volumes[{found.volume}]", found.claim, f"pvc/{found.claim}")
    link(f"pvc/{found.claim}", "spec.volumeName", found.pv, f"pv/{found.pv}")
    if pv is not None:
        link(f"pv/{found.pv}", "spec.csi.volumeHandle", found.unique_id_hint, "Mount Pods with this volume-id")
    link(f"pod/{name}", "metadata.uid", uid, "the reference annotation that names it")
    if serving is not None:
        target = next(r.target for r in serving.references if r.pod_uid == uid and r.pv_name == found.pv)
        link(f"pod/{serving.name}", names.reference_key(target), target, f"this Mount Pod, on {serving.node}")
    return tuple(rows)


def _others(found: VolumePairing | None) -> tuple[Row, ...]:
    """Mount Pods of the same volume that are not the one, and why."""
    if found is None:
        return ()
    return tuple(
        {"name": p.name, "node": p.node, "why_not": f"serves {len(p.references)} other Pods, not this one"}
        for p in found.beside
    ) + tuple({"name": p.name, "node": p.node, "why_not": "is being deleted"} for p in found.deleting)


@part(Restored)
def restore(run: Run) -> Restored:
    """Restore the configuration and remove everything the run made, unless ``keep``."""
    timeline = Timeline()
    driver = driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
    checks = [_baseline_untouched(run, driver), _others_untouched(run, driver)]
    if run.settings.keep:
        rows: tuple[Row, ...] = tuple(
            {"what": e.change.KIND, "object": e.change.object, "outcome": "kept, as asked"}
            for e in run.journal.standing()
        )
        checks += [configured.restored("", kept=True), carried_out.nothing_left([], kept=True)]
    else:
        run.tell("change", "restore the configuration and remove what this run made")
        before = _before(run, driver)
        with timeline.measure("undo everything in the journal"):
            done = rollback(run.cluster, run.id, run.settings.outputs, driver_namespace=driver.namespace)
        rows = done.rows
        left, failed = done.unsettled(State.LEFT), done.unsettled(State.FAILED)
        checks.append(configured.restored(before, _text_now(run, driver), done.theirs, left, failed))
        checks.append(carried_out.nothing_left(left, failed))
    return run.finish(Restored(undone=rows, checks=tuple(checks), timeline=tuple(timeline.entries)))


def _text_now(run: Run, driver: Driver) -> str | Unreadable:
    try:
        return config.text_of(run.cluster.get("configmaps", driver.namespace, driver.config_name))
    except JfsnbError as error:
        return Unreadable(error.what)


def _baseline_untouched(run: Run, driver: Driver) -> Any:
    """The baseline is still served by the Mount Pod that it had."""
    try:
        known = smoked(run, Baseline.PART)
    except JfsnbError as error:  # no reason not to put everything back
        nobody = Unreadable(error.what)
        return baseline_kept(nobody, nobody, "", "")
    after = baseline_mount_pod(run, driver)
    before: MountPod | Unreadable = (
        MountPod.from_object(known.mount_object) if known.mount_object else Unreadable("it was not recorded")
    )
    return baseline_kept(before, after, known.uid, known.volume)


def _others_untouched(run: Run, driver: Driver) -> CheckResult:
    """Mount Pods that were there before the patch and are not this run's are as they were."""
    known = run.recall(Patched.PART) or {}
    before: list[Seen] | Unreadable = [Seen(**row) for row in known.get("remembered") or ()]
    if not before:
        before = Unreadable("which Mount Pods there were before the patch was not recorded")
    ours = set()
    for part_name in (Baseline.PART, Deployed.PART):
        with contextlib.suppress(NotInCluster):
            ours.add((driver.namespace, smoked(run, part_name).mount_pod))
    try:
        now: Sequence[MountPod] | Unreadable = driver_facts.facts_of(driver_facts.mount_pods(run.cluster, driver))
    except JfsnbError as error:
        now = Unreadable(error.what)
    return others_unchanged(before, now, ours)


def _before(run: Run, driver: Driver) -> str:
    """Checksum of config.yaml before the run's patch; of what it is now, where nothing was patched."""
    patches = [e.change for e in run.journal.entries() if isinstance(e.change, ConfigEntry)]
    return patches[0].before_sha256 if patches else config.checksum(driver.config_text)


@part(RunVerdict)
def verdict(run: Run) -> RunVerdict:
    """All checks of the run together."""
    parts = [p for p in load(run.folder) if p["part"] != RunVerdict.PART]
    found = checks_of(parts)
    complete = carried_out.all_parts_looked([n.PART for n in NEEDED], {p["part"] for p in parts})
    rows = tuple(
        {
            "step": step,
            "code": c.code,
            "title": c.title,
            "verdict": str(c.verdict),
            "reason": c.reason,
            "next_action": c.next_action,
        }
        for step, c in found
    )
    total = overall([*(c.verdict for _, c in found), complete.verdict])
    return run.finish(RunVerdict(rows=rows, sentence=_sentence(run, total), checks=(complete,)))


def _sentence(run: Run, total: Verdict) -> str:
    image = run.settings.image
    runs = next((r["found"] for r in (run.recall(Client.PART) or {}).get("levels") or () if r["level"] == 3), "unknown")
    words = {
        Verdict.PASS: f"{image} (client {runs}) served the smoke Pod: it mounted, wrote, was read back and shut down.",
        Verdict.WARN: f"{image} (client {runs}) served the smoke Pod; read the warnings.",
        Verdict.FAIL: f"{image} did not pass: see the first FAIL.",
        Verdict.NOT_READY: f"{image} could not be judged yet: see what was waited for.",
        Verdict.ERROR: f"{image} could not be judged: something could not be looked at.",
        Verdict.NA: "Nothing was judged.",
    }
    return words[total]
