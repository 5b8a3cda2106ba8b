"""Step 1: who is who, and what a smoke test says when it is believed too early."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from jfsnb.checks.client import ON_DISK
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.preflight import is_ready
from jfsnb.checks.serving import mount_pod_ready, served_by_one
from jfsnb.driver import names
from jfsnb.driver.mountpods.mount_pods import MountPod, Pairing, claims_of, pair
from jfsnb.errors import NotInCluster
from jfsnb.queries import clients, driver_facts
from jfsnb.queries.driver_facts import Driver, Volume
from jfsnb.queries.model import Row, Table, Timeline
from jfsnb.redact import redact_text
from jfsnb.run.preflight import preflight
from jfsnb.run.proof.csi_calls import csi_calls
from jfsnb.run.results import Baseline, Preflight, ServedBy, WhoIsWho
from jfsnb.run.smoke import manifest, prepare
from jfsnb.run.smoke import smoke_pod as smoke
from jfsnb.run.state import Run, part

__all__ = ["baseline", "csi_calls", "preflight", "served_by", "who_is_who"]
Obj = dict[str, Any]


@part(WhoIsWho)
def who_is_who(run: Run) -> WhoIsWho:
    """Read who takes part: driver, nodes, driver Pods, class, volume, claim, ConfigMap, Mount Pods."""
    timeline = Timeline()
    with timeline.measure("read the cluster"):
        driver = driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
        nodes = run.cluster.list("nodes")
        csi_nodes = run.cluster.list("csinodes")
        pods = driver_facts.facts_of(driver_facts.mount_pods(run.cluster, driver))
        cast = _cast(run, driver)
    return run.finish(
        WhoIsWho(
            cast=cast,
            nodes=_node_rows(driver, nodes, csi_nodes, pods),
            mount_pods=mount_pod_rows(pods),
            config_map=driver.config_name,
            config=redact_text(driver.config_text),
            timeline=tuple(timeline.entries),
        )
    )


def _cast(run: Run, driver: Driver) -> Table:
    cluster, settings = run.cluster, run.settings
    rows: list[Row] = []

    def add(role: str, kind: str, name: str, namespace: str, says: str) -> None:
        rows.append({"role": role, "kind": kind, "name": name, "namespace": namespace, "what_it_says": says})

    registered = cluster.find("csidrivers", name=driver.deployment.driver_name)
    if registered is not None:
        spec = registered["spec"]
        add(
            "the driver's entry in Kubernetes",
            "CSIDriver",
            driver.deployment.driver_name,
            "",
            f"attachRequired {spec.get('attachRequired')}, podInfoOnMount {spec.get('podInfoOnMount')}",
        )
    for pod in cluster.list("pods", driver.namespace, labels=names.CSI_CONTROLLER_SELECTOR):
        add("controller plugin", "Pod", pod["metadata"]["name"], driver.namespace, _runs(pod))
    for pod in driver.node_pods:
        where = f"on {pod['spec'].get('nodeName') or 'no node yet'}: {_runs(pod)}"
        add("node plugin", "Pod", pod["metadata"]["name"], driver.namespace, where)
    add(
        "the driver's configuration",
        "ConfigMap",
        driver.config_name,
        driver.namespace,
        f"key {names.CONFIG_KEY}, {len(driver.config_text.splitlines())} lines; names the Mount Pods' image",
    )
    for storage_class in cluster.list("storageclasses"):
        if storage_class.get("provisioner") == driver.deployment.driver_name:
            says = f"reclaimPolicy {storage_class.get('reclaimPolicy')}"
            add("how volumes are made", "StorageClass", storage_class["metadata"]["name"], "", says)
    if not settings.storage_class:
        volume = driver_facts.find_volume(cluster, settings.namespace, settings.pvc)
        phase = (volume.claim.get("status") or {}).get("phase")
        add("the claim", "PersistentVolumeClaim", settings.pvc, settings.namespace, f"{phase} to {volume.name}")
        add("the volume", "PersistentVolume", volume.name, "", f"volumeHandle {volume.handle}")
    return tuple(rows)


def _runs(pod: Obj) -> str:
    image = pod["spec"]["containers"][0].get("image", "")
    return f"{(pod.get('status') or {}).get('phase')}, {image}"


def _node_rows(driver: Driver, nodes: Iterable[Obj], csi_nodes: Iterable[Obj], pods: Iterable[MountPod]) -> Table:
    registered = {
        n["metadata"]["name"]
        for n in csi_nodes
        if any(d.get("name") == driver.deployment.driver_name for d in (n.get("spec") or {}).get("drivers") or ())
    }
    served = [p.node for p in pods]
    rows = []
    for node in sorted(nodes, key=lambda n: str(n["metadata"]["name"])):
        name = node["metadata"]["name"]
        plugin = driver.node_pod(name)
        rows.append(
            {
                "node": name,
                "ready": is_ready(node),
                "driver_registered": name in registered,
                "csi_node_pod": plugin["metadata"]["name"] if plugin else "",
                "csi_node_ready": plugin is not None and is_ready(plugin),
                "mount_pods": served.count(name),
            }
        )
    return tuple(rows)


def mount_pod_rows(pods: Iterable[MountPod]) -> Table:
    """Columns name, node, volume, image, phase, references, age_seconds."""
    now = datetime.now(UTC)
    return tuple(
        {
            "name": p.name,
            "node": p.node,
            "volume": p.unique_id,
            "image": p.image,
            "phase": p.phase,
            "references": len(p.references),
            "age_seconds": round((now - p.created).total_seconds()) if p.created else None,
        }
        for p in sorted(pods, key=lambda p: p.name)
    )


@part(Baseline)
def baseline(run: Run) -> Baseline:
    """Deploy the smoke Pod under the configuration as it is and watch it until it is Ready.

    Raises:
        CheckFailed, WaitTimeout: it does not get there; says why.
    """
    timeline = Timeline()
    driver = driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
    prepare.make_missing(run, timeline)
    volume = prepare.bound_volume(run, timeline)
    fields = smoke.deploy(run, manifest.BASELINE, driver, volume, timeline, nodes=_judged_nodes(run))
    return run.require(Baseline(**fields))


def _judged_nodes(run: Run) -> tuple[str, ...]:
    """Those where nothing is in the way; empty: all of them, or nobody has looked."""
    places = (run.recall(Preflight.PART) or {}).get("nodes") or ()
    left_out = any(place["problem"] for place in places)
    return tuple(place["node"] for place in places if not place["problem"]) if left_out else ()


@part(ServedBy)
def served_by(run: Run) -> ServedBy:
    """Put the client in the app Pod beside the client that serves it."""
    known = run.recall(Baseline.PART)
    if not known or not known["pod"]:
        raise NotInCluster("this run has no baseline Pod", "run the cell that deploys it first")
    driver = driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
    app = run.cluster.get("pods", known["namespace"], known["pod"])
    pairing = pairing_of(run, driver, app)
    found = pairing.volume_of(known["claim"])
    serving = found.mount_pod if found else None
    in_app = clients.in_app_pod(run.cluster, known["namespace"], known["pod"])
    rows: list[Row] = [_row("app Pod", known["pod"], known["image"], in_app, "", "juicefs --version in its container")]
    checks = [served_by_one(pairing, known["claim"])]
    same: bool | None = None
    if serving is not None:
        versions = clients.in_mount_pod(run.cluster, serving)
        source, running = clients.best(versions)
        how = f"{clients.SOURCE_WORDS[source]}, found by the reference annotation"
        rows.append(_row("Mount Pod", serving.name, serving.image, versions[ON_DISK], running, how))
        checks.append(mount_pod_ready(serving))
        same = clients.same(in_app, running)
    return run.require(ServedBy(rows=tuple(rows), same_client=same, checks=tuple(checks)))


def _row(where: str, pod: str, image: str, disk: str | Unreadable, running: str | Unreadable, how: str) -> Row:
    return {
        "where": where,
        "pod": pod,
        "image": image,
        "client_on_disk": clients.shown(disk),
        "client_running": clients.shown(running) or "none: it serves nobody",
        "how_we_know": how,
    }


def pairing_of(run: Run, driver: Driver, app: Obj, mount_pods: Iterable[MountPod] | None = None) -> Pairing:
    """All volumes of an app Pod with their Mount Pods."""
    namespace = app["metadata"]["namespace"]
    claims = [run.cluster.find("persistentvolumeclaims", namespace, c) for _, c in claims_of(app)]
    bound = [c for c in claims if c is not None]
    volumes = [run.cluster.find("persistentvolumes", name=c["spec"].get("volumeName", "-")) for c in bound]
    pods = driver_facts.facts_of(driver_facts.mount_pods(run.cluster, driver)) if mount_pods is None else mount_pods
    told = driver.deployment
    found = [v for v in volumes if v is not None]
    return pair(app, bound, found, pods, driver=told.driver_name, process_mode=told.process_mode)


def volume_now(run: Run) -> Volume:
    """The smoke claim's volume as it is now."""
    return driver_facts.find_volume(run.cluster, run.settings.namespace, manifest.claim_name(run.settings))
