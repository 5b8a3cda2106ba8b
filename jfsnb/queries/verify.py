"""Which client serves this Pod (or everybody who uses this claim), per volume, and is it the one that was asked for?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jfsnb.checks import client as client_checks
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.inside import answers_inside
from jfsnb.checks.model import CheckResult
from jfsnb.checks.serving import claim_bound, mount_pod_ready, served_by_one
from jfsnb.checks.snapshot import Snapshot
from jfsnb.checks.tier import FULL, REAL_CLUSTER, labelled, real_data_path
from jfsnb.driver.config.merging import ImageDecision
from jfsnb.driver.mountpods.mount_pods import MountPod, Pairing, VolumePairing, claims_of, pair
from jfsnb.driver.names import RECORDED
from jfsnb.errors import NotInCluster
from jfsnb.queries import clients
from jfsnb.queries.finding import Finding
from jfsnb.queries.model import Row
from jfsnb.queries.mounts import client_checked, config_rows, words_of, worst
from jfsnb.queries.next_mount import next_mount

Obj = dict[str, Any]
KINDS = {
    "pod": "pods",
    "po": "pods",
    "pvc": "persistentvolumeclaims",
    "persistentvolumeclaim": "persistentvolumeclaims",
}
COLUMNS = (
    *("pod", "volume", "claim", "mount_pod", "node", "image", "image_id", "client", "client_by"),
    *("desired_image", "next_mount", "verdict", "reason"),
)
NOBODY_RUNS_IT = Unreadable("it is only recorded, nobody runs it")


def verify(known: Snapshot, namespace: str, target: str, image: str = "") -> Finding:
    """Which client serves, per volume, and is it the one that the configuration asks for?

    Args:
        target: a Pod's or a claim's name; ``pod/x`` and ``pvc/x`` say which. A Pod is looked for first.
        image: expect this image instead of what the configuration says.

    Rows: pod, volume, claim, mount_pod, node, image, image_id, client, client_by, desired_image, next_mount, verdict,
    reason.

    Raises:
        NotInCluster: there is neither.
    """
    pods, claim = meant(known, namespace, target)
    rows: list[Row] = []
    checks: list[CheckResult] = []
    if claim:
        pvc = known.pvc_by_key.get((namespace, claim))
        name = ((pvc or {}).get("spec") or {}).get("volumeName", "")
        if name not in known.foreign_drivers:
            checks.append(claim_bound(pvc, known.pv_by_name.get(name), f"{namespace}/{claim}", known.driver_name))
    for app in pods:
        found, judged = _verify_pod(known, app, image, claim)
        rows += found
        checks += [*judged, *_from_inside(known, app)]
    nodes = {row["node"] for row in rows}
    here = [one for node, one in known.loaded.items() if node in nodes]
    return Finding(tuple(rows), tuple(checks), {"configuration in force": config_rows(here)})


def _from_inside(known: Snapshot, app: Obj) -> list[CheckResult]:
    """What a running app sees of its own mounts: a re-creation that went wrong shows nowhere else."""
    meta, phase = app["metadata"], (app.get("status") or {}).get("phase")
    recorded = (meta.get("annotations") or {}).get(RECORDED) == "true"
    if phase != "Running" or recorded or not _pairing(known, app).volumes:
        return []
    uid = meta["uid"]
    seen = known.inside.of(uid) if uid in known.inside or uid in known.inside.unread else None
    return [answers_inside(seen, f"{meta['namespace']}/{meta['name']}")]


def meant(known: Snapshot, namespace: str, target: str) -> tuple[list[Obj], str]:
    """The app Pods that are meant, and the claim if one was named. Raises NotInCluster where there is neither."""
    kind, _, name = target.rpartition("/")
    plural = KINDS.get(kind, "")
    there = (p for p in known.app_pods if p["metadata"]["namespace"] == namespace)
    beside = sorted(there, key=lambda p: p["metadata"]["name"])
    if plural in ("", "pods"):
        for pod in beside:
            if pod["metadata"]["name"] == name:
                return [pod], ""
    if plural in ("", "persistentvolumeclaims") and (namespace, name) in known.pvc_by_key:
        return [p for p in beside if _lives(p) and name in {claim for _, claim in claims_of(p)}], name
    what = {"pods": "no Pod", "persistentvolumeclaims": "no claim"}.get(plural, "neither a Pod nor a claim")
    next_step = "check the name, and the namespace: -n NAMESPACE"
    if known.file:
        next_step += "; a file holds only Pods that use JuiceFS"
    raise NotInCluster(f"there is {what} {namespace}/{name}", next_step)


def serving(known: Snapshot, app: Obj, only: str = "") -> list[MountPod]:
    """The Mount Pods that serve an app Pod's volumes, or one claim's only."""
    return [v.mount_pod for v in _pairing(known, app).volumes if only in ("", v.claim) and v.mount_pod is not None]


def _pairing(known: Snapshot, app: Obj) -> Pairing:
    namespace = app["metadata"]["namespace"]
    claims = [known.pvc_by_key[namespace, c] for _, c in claims_of(app) if (namespace, c) in known.pvc_by_key]
    told = known.deployment
    return pair(app, claims, known.pvs, known.parsed, driver=told.driver_name, process_mode=told.process_mode)


def _lives(pod: Obj) -> bool:
    return (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")


def _verify_pod(known: Snapshot, app: Obj, image: str, only: str) -> tuple[list[Row], list[CheckResult]]:
    pairing = _pairing(known, app)
    foreign = _foreign(known, app)
    volumes = [v for v in pairing.volumes if only in ("", v.claim) and v.claim not in foreign]
    rows = [_not_concerned(pairing, claim, driver) for claim, driver in foreign.items() if only in ("", claim)]
    checks: list[CheckResult] = []
    if only in foreign:
        return rows, []
    if not volumes:
        return rows, [served_by_one(replace(pairing, volumes=()), only)]
    for volume in volumes:
        row, judged = _verify_volume(known, pairing, volume, image)
        rows.append(row)
        checks += judged
    return rows, checks


def _foreign(known: Snapshot, app: Obj) -> dict[str, str]:
    """Claim → driver, of the Pod's volumes that are not JuiceFS's, as far as that could be read."""
    drivers = known.foreign_drivers
    claims = [(claim, known.pvc_by_key.get((app["metadata"]["namespace"], claim)) or {}) for _, claim in claims_of(app)]
    named = ((claim, (pvc.get("spec") or {}).get("volumeName", "")) for claim, pvc in claims)
    return {claim: drivers[volume] for claim, volume in named if volume in drivers}


def _not_concerned(pairing: Pairing, claim: str, driver: str) -> Row:
    reason = f"a volume of {driver}: not concerned"
    empty = dict.fromkeys(COLUMNS, "")
    return {**empty, "pod": pairing.pod, "claim": claim, "node": pairing.node, "verdict": "N/A", "reason": reason}


def _verify_volume(
    known: Snapshot, pairing: Pairing, volume: VolumePairing, image: str
) -> tuple[Row, list[CheckResult]]:
    checks = [served_by_one(pairing, volume.claim)]
    serving = volume.mount_pod
    runs: str | Unreadable = Unreadable(volume.problem or f"{pairing.mode} mode")
    desired: ImageDecision | Unreadable = Unreadable("there is no Mount Pod")
    coming, source = "", ""
    if serving is not None:
        desired = known.desired(volume.pv, serving.node, serving.command.is_ce)
        recorded = serving.annotations.get(RECORDED) == "true"
        versions = NOBODY_RUNS_IT if recorded else known.clients.of(serving.name)
        source, runs = ("", versions) if isinstance(versions, Unreadable) else clients.best(versions)
        checks.append(mount_pod_ready(serving))
        checks.append(
            client_checks.spec_image(serving, image) if image else client_checks.desired_image(serving, desired)
        )
        checks += client_checked(serving, None if recorded else versions)
        predicted = next_mount(known, volume.pv, serving.node, serving.command.is_ce, recorded=recorded)
        coming = predicted.reason if not isinstance(predicted, Unreadable) else words_of(predicted)
    checks = list(labelled(checks, known.tier))
    if known.tier not in (REAL_CLUSTER, FULL):
        checks.append(real_data_path(known.tier))
    bad = worst(checks)
    row = {
        "pod": pairing.pod,
        "volume": volume.volume,
        "claim": volume.claim,
        "mount_pod": serving.name if serving else "",
        "node": pairing.node,
        "image": serving.image if serving else pairing.sidecar_image,
        "image_id": serving.image_id if serving else "",
        "client": clients.shown(runs),
        "client_by": clients.SOURCE_WORDS.get(source, ""),
        "desired_image": image or (desired.image if isinstance(desired, ImageDecision) else ""),
        "next_mount": coming,
        "verdict": str(bad.verdict),
        "reason": bad.reason,
    }
    return row, checks
