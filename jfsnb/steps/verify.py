"""Step 5: find the Mount Pod, prove the client, prove the data, watch the end, put everything back."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jfsnb.checks import carried_out, configured
from jfsnb.checks import client as client_checks
from jfsnb.checks.bystanders import Seen, baseline_kept, others_unchanged
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.model import CheckResult, Verdict, overall
from jfsnb.checks.serving import claim_bound, distinct_from_baseline, mount_pod_ready, served_by_one
from jfsnb.checks.tier import labelled
from jfsnb.driver import names
from jfsnb.driver.mountpods import MountPod, VolumePairing
from jfsnb.errors import JfsnbError, NotInCluster
from jfsnb.steps import clients, config
from jfsnb.steps import driver as driver_facts
from jfsnb.steps.background import pairing_of
from jfsnb.steps.data import data
from jfsnb.steps.driver import Driver
from jfsnb.steps.image_probe import client_in_image
from jfsnb.steps.journal import CONFIG
from jfsnb.steps.model import Row, Timeline
from jfsnb.steps.results import (
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
from jfsnb.steps.rollback import rollback
from jfsnb.steps.run import Run, checks_of, load, part
from jfsnb.steps.serving import Smoked, smoked
from jfsnb.steps.shutdown import shutdown

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
    checks = [claim_bound(pvc, pv, known.claim), served_by_one(pairing, known.claim)]
    serving = found.mount_pod if found else None
    if serving is not None:
        checks.append(mount_pod_ready(serving))
        baseline = _baseline_mount_pod(run, driver)
        checks.append(distinct_from_baseline(serving, baseline))
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


def _mount_pod_of(run: Run, driver: Driver, known: Smoked) -> MountPod | Unreadable:
    """The Mount Pod that serves a smoke Pod, as it is now."""
    pods = driver_facts.facts_of(driver_facts.mount_pods(run.cluster, driver))
    found = [p for p in pods if known.uid and p.serves(known.uid, known.volume)]
    return found[0] if found else Unreadable(f"no Mount Pod carries the reference of {known.pod}")


def _baseline_mount_pod(run: Run, driver: Driver) -> MountPod | Unreadable:
    try:
        return _mount_pod_of(run, driver, smoked(run, Baseline.PART))
    except JfsnbError as error:
        return Unreadable(error.what)


@part(Client)
def client(run: Run) -> Client:
    """Three levels of evidence for the client: spec, image id, and what really runs."""
    timeline, image = Timeline(), run.settings.image
    known, driver = smoked(run, Deployed.PART), driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
    serving = _mount_pod_of(run, driver, known)
    if isinstance(serving, Unreadable):
        raise NotInCluster(serving.why, "look at the cell before: which Mount Pod serves the smoke Pod?")
    baseline = _baseline_mount_pod(run, driver)
    with timeline.measure("ask the Mount Pods which client runs"), ThreadPoolExecutor(3) as pool:
        asked = pool.submit(clients.in_mount_pod, run.cluster, serving)
        asked_before = (
            pool.submit(clients.in_mount_pod, run.cluster, baseline) if isinstance(baseline, MountPod) else None
        )
        expected = (
            clients.in_app_pod(run.cluster, known.namespace, known.pod)
            if known.image == image
            else client_in_image(run, image, known.node)
        )
        versions, before = asked.result(), asked_before.result() if asked_before else {}
    source, runs = clients.best(versions)
    runs_before = clients.best(before)[1] if before else Unreadable("there is no baseline")
    checks = (
        client_checks.spec_image(serving, image),
        client_checks.image_id(serving, "", baseline if isinstance(baseline, MountPod) else None),
        client_checks.running_client(versions, expected, serving.name),
        client_checks.another_than_baseline(
            image, baseline.image if isinstance(baseline, MountPod) else "", _text(runs), _text(runs_before)
        ),
    )
    levels = _levels(serving, image, source, runs, versions, expected)
    return run.finish(
        Client(
            levels=levels,
            baseline=_baseline_levels(baseline, before),
            checks=labelled(checks, run.cluster.tier),
            timeline=tuple(timeline.entries),
        )
    )


def _text(version: str | Unreadable) -> str:
    return version if isinstance(version, str) else ""


def _levels(
    pod: MountPod,
    image: str,
    source: str,
    runs: str | Unreadable,
    versions: dict[str, str | Unreadable],
    expected: str | Unreadable,
) -> tuple[Row, ...]:
    wanted = clients.shown(expected)
    rows = [
        _level(1, "What was asked for?", "spec.containers[jfs-mount].image", image, pod.image, "what was asked for"),
        _level(2, "Which image did the node run?", "imageID", "", pod.image_id, "which image was started"),
        _level(3, "Which client runs?", clients.SOURCE_WORDS[source], wanted, clients.shown(runs), "what runs"),
    ]
    for other, version in versions.items():
        if other != source and isinstance(version, str):
            proves = "only what is on disk" if other == client_checks.ON_DISK else "what runs, seen another way"
            rows.append(
                _level(3, "Does it agree?", clients.SOURCE_WORDS[other], wanted, clients.shown(version), proves)
            )
    return tuple(rows)


def _level(level: int, question: str, source: str, expected: str, found: str, proves: str) -> Row:
    return {
        "level": level,
        "question": question,
        "source": source,
        "expected": expected,
        "found": found,
        "proves": proves,
    }


def _baseline_levels(pod: MountPod | Unreadable, versions: dict[str, str | Unreadable]) -> tuple[Row, ...]:
    if isinstance(pod, Unreadable):
        return ()
    source, runs = clients.best(versions)
    return (
        _level(1, "What was asked for?", "spec.containers[jfs-mount].image", "", pod.image, "what was asked for"),
        _level(2, "Which image did the node run?", "imageID", "", pod.image_id, "which image was started"),
        _level(3, "Which client runs?", clients.SOURCE_WORDS[source], "", clients.shown(runs), "what runs"),
    )


@part(Restored)
def restore(run: Run) -> Restored:
    """Restore the configuration and remove everything the run made, unless ``keep``."""
    timeline = Timeline()
    driver = driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
    checks = [_baseline_untouched(run, driver), _others_untouched(run, driver)]
    before = _text_before(run, driver)
    if run.settings.keep:
        rows: tuple[Row, ...] = tuple(
            {"what": e.op, "object": e.object, "outcome": "kept, as asked"} for e in run.journal.standing()
        )
    else:
        run.tell("change", "restore the configuration and remove what this run made")
        with timeline.measure("undo everything in the journal"):
            rows = rollback(run.cluster, run.id, run.settings.outputs).rows
    try:
        now: str | Unreadable = config.text_of(
            run.cluster.get("configmaps", driver.config_map["metadata"]["namespace"], driver.config_name)
        )
    except JfsnbError as error:
        now = Unreadable(error.what)
    checks.append(configured.restored(before, now, run.settings.keep))
    left = [r for r in rows if str(r["outcome"]).startswith(("left", "failed"))]
    checks.append(carried_out.nothing_left([f"{r['object']}: {r['outcome']}" for r in left], run.settings.keep))
    return run.finish(Restored(undone=rows, checks=tuple(checks), timeline=tuple(timeline.entries)))


def _baseline_untouched(run: Run, driver: Driver) -> Any:
    """The baseline is still served by the Mount Pod that it had."""
    try:
        known = smoked(run, Baseline.PART)
    except JfsnbError as error:  # no reason not to put everything back
        nobody = Unreadable(error.what)
        return baseline_kept(nobody, nobody, "", "")
    after = _baseline_mount_pod(run, driver)
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


def _text_before(run: Run, driver: Driver) -> str:
    """config.yaml before the run's patch."""
    note = (driver.config_map["metadata"].get("annotations") or {}).get(config.note_key(run.id))
    if note:
        return str(config.read_note(note)["before"])
    if not any(e.op == CONFIG for e in run.journal.entries()):
        return driver.config_text  # nothing was patched
    backup = run.folder / "config-before.yaml"
    return backup.read_text(encoding="utf-8") if backup.exists() else ""


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
