"""Step 3: put the image under test into the driver's configuration, and see when it is in force."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, replace
from typing import Any

from jfsnb.checks.bystanders import Seen
from jfsnb.checks.client import another_than_baseline
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.configured import caution, decides_for_image
from jfsnb.checks.snapshot import Snapshot
from jfsnb.driver.config import merging as driver_config
from jfsnb.driver.config.edit import Edit, unified_diff
from jfsnb.driver.config.effects import Mount, edit_warnings
from jfsnb.driver.config.merging import ImageDecision, effective_image
from jfsnb.errors import ConflictError, NotInCluster
from jfsnb.queries import affected, collect, driver_facts
from jfsnb.queries.affected import Reach
from jfsnb.queries.driver_facts import Driver, Volume
from jfsnb.queries.explain import volume_of
from jfsnb.queries.model import Timeline
from jfsnb.redact import redact_text
from jfsnb.run import config_map as config
from jfsnb.run import in_force
from jfsnb.run.change.config_entry import ConfigEntry
from jfsnb.run.change.nudge import Nudge
from jfsnb.run.in_force import wait_in_force
from jfsnb.run.results import Baseline, Patched, PatchPlan
from jfsnb.run.smoke import prepare
from jfsnb.run.state import Run, atomic, part, required
from jfsnb.settings import Settings

__all__ = ["apply", "plan", "plan_of", "wait_in_force"]
Obj = dict[str, Any]
BEFORE, AFTER = "config-before.yaml", "config-after.yaml"


@part(PatchPlan)
def plan(run: Run) -> PatchPlan:
    """Current and future effective image for the smoke PVC, the smallest edit, and whom it affects. Changes nothing.

    Raises:
        CheckFailed: the image under test is the one that serves already, or another entry would win.
        ConfigInvalid: config.yaml cannot be edited safely.
    """
    timeline = Timeline()
    driver, volume, edit = _planned(run, timeline)
    node = run.cluster.find("nodes", name=run.node) if run.node else None
    config.refuse_beside_others(driver.config_map, run.id, edit, volume.claim_name)
    with timeline.measure("decide which image wins"):
        now = driver_facts.decide_image(run.cluster, driver, driver.config(), volume, node)
        then = driver_facts.decide_image(run.cluster, driver, driver_config.load(edit.after), volume, node)
    with timeline.measure("preview whom it affects"):
        known = collect.for_reach(run.cluster, driver)
        found = _plan_of(known, run.settings, edit, Mount(volume.claim, volume.pv, node), now, then)
    image = run.settings.image
    checks = [decides_for_image(then, image, volume.claim_name)]
    if baseline_image := (run.recall(Baseline.PART) or {}).get("mount_image"):
        checks.insert(0, another_than_baseline(image, baseline_image))
    unknown = [f"whom it affects is not known: {found.affected_unknown}"] if found.affected_unknown else []
    if run.settings.keep and (found.warnings or unknown):  # an edit that is undone at the end need not survive
        checks.append(caution((*found.warnings, *unknown)))
    return run.require(replace(found, checks=tuple(checks), timeline=tuple(timeline.entries)))


def plan_of(known: Snapshot, settings: Settings) -> PatchPlan:
    """The same of what was read of a cluster, for a claim that is there. Changes nothing.

    Raises:
        NotInCluster: the claim is not there. CheckFailed, ConfigInvalid: as ``plan``.
    """
    volume = volume_of(known, settings.namespace, settings.pvc)
    text, is_ce = known.config_text or "", volume.is_ce
    edit = config.plan_edit(text, settings.scope, volume.claim_name, settings.image, is_ce)
    config.refuse_beside_others(known.config_map or {}, settings.run_id, edit, volume.claim_name)
    env, pv = known.deployment.env, volume.pv
    now, then = (
        effective_image(driver_config.load(side), volume.claim, None, pv=pv, env=env, is_ce=is_ce)
        for side in (text, edit.after)
    )
    found = _plan_of(known, settings, edit, Mount(volume.claim, pv, None), now, then)
    return required(replace(found, checks=(decides_for_image(then, settings.image, volume.claim_name),)))


def _plan_of(
    known: Snapshot, settings: Settings, edit: Edit, target: Mount, now: ImageDecision, then: ImageDecision
) -> PatchPlan:
    reach = affected.reach(known, edit)
    if reach.unread is None and not _holds(known, target):
        reach = Reach(unread=Unreadable("the lists of claims and volumes do not hold the claim itself"))
    warnings = edit_warnings(edit, known.config_map or {}, target, reach.everyone)
    return PatchPlan(
        config_map=(known.config_map or {}).get("metadata", {}).get("name", ""),
        scope=settings.scope,
        current_image=now.image,
        current_why=now.provenance,
        future_image=then.image,
        future_why=then.provenance,
        changed=edit.changed,
        diff=unified_diff(redact_text(edit.before), redact_text(edit.after)),
        affected=reach.claims,
        affected_pods=reach.pods,
        affected_unknown=reach.unread.why if reach.unread is not None else "",
        warnings=warnings,
        planned_for=config.checksum(edit.before),
    )


def _holds(known: Snapshot, target: Mount) -> bool:
    """Whether the lists have the claim and the volume that were read one by one before."""
    claim, pv = ((obj or {"metadata": {}})["metadata"] for obj in (target.pvc, target.pv))
    return (claim.get("namespace"), claim.get("name")) in known.pvc_by_key and pv.get("name") in known.pv_by_name


def _planned(run: Run, timeline: Timeline) -> tuple[Driver, Volume, Edit]:
    settings = run.settings
    driver = driver_facts.find_driver(run.cluster, settings.driver_namespace)
    if settings.storage_class:  # the plan for a claim that is there changes nothing
        prepare.make_missing(run, timeline)
    volume = prepare.bound_volume(run, timeline)
    edit = config.plan_edit(driver.config_text, settings.scope, volume.claim_name, settings.image, volume.is_ce)
    return driver, volume, edit


@part(Patched)
def apply(run: Run) -> Patched:
    """Patch the ConfigMap, guarded by its resourceVersion; the journal comes first, and the note goes with it.

    Raises:
        ConflictError: somebody else changed it since the plan, or in between; or another run has patched the same.
    """
    timeline = Timeline()
    driver, volume, edit = _planned(run, timeline)
    config.refuse_beside_others(driver.config_map, run.id, edit, volume.claim_name)
    known = run.recall(PatchPlan.PART)
    if known and known["planned_for"] != config.checksum(edit.before):
        raise ConflictError(
            f"ConfigMap {driver.namespace}/{driver.config_name} was changed by somebody else since the plan",
            "look at the new plan, and apply that",
        )
    version = driver.config_map["metadata"]["resourceVersion"]
    everyone = driver_facts.facts_of(driver_facts.mount_pods(run.cluster, driver))
    remembered = tuple(asdict(Seen.of(p)) for p in everyone)
    if not edit.changed:
        return run.finish(Patched(config_map=driver.config_name, before=version, after=version, remembered=remembered))
    for name, text in ((BEFORE, edit.before), (AFTER, edit.after)):
        with atomic(run.folder / name) as sink:
            sink.write(redact_text(text))
    wanted = in_force.nodes_that_matter(run, driver)
    nudges = _nudges(run, wanted)
    standing = [e.change for e in run.journal.standing()]
    told = (*nudges, *standing)
    change = ConfigEntry.of(run.id, driver.config_map, edit, volume.claim_name, told, run.settings.namespace)
    with timeline.measure("server-side dry run"):
        change.rehearse(run.cluster)
    marks = in_force.marks(run.cluster, wanted)
    numbers = [run.journal.plan(nudge) for nudge in nudges]
    run.tell("change", change.describe(), f"configmap/{driver.config_name}")
    with timeline.measure("patch the ConfigMap"):
        patched = run.journal.do(run.cluster, change)
    with timeline.measure("annotate CSI node Pods, so that their kubelets sync at once"):
        for number, nudge in zip(numbers, nudges, strict=True):
            with contextlib.suppress(NotInCluster, ConflictError):  # without it the wait is only longer
                run.journal.do(run.cluster, nudge, number)
    return run.finish(
        Patched(
            config_map=driver.config_name,
            changed=True,
            before=version,
            after=patched["metadata"]["resourceVersion"],
            backup=str(run.folder / BEFORE),
            marks=marks,
            patched_at=in_force.now(),
            remembered=remembered,
            timeline=tuple(timeline.entries),
        )
    )


def _nudges(run: Run, wanted: dict[str, Obj]) -> tuple[Nudge, ...]:
    """Written down before the patch that they follow: undone in reverse, they hurry the way back too."""
    metas = [pod["metadata"] for pod in wanted.values()]
    return tuple(Nudge(run_id=run.id, plural="pods", namespace=m["namespace"], name=m["name"]) for m in metas)
