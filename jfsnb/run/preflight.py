"""Before anything is changed: is everything there that the run needs, and may these credentials do it?"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from jfsnb.checks import preflight as checks
from jfsnb.checks.leftover import RUN_LABEL, leftovers
from jfsnb.checks.model import CheckResult, Verdict
from jfsnb.checks.serving import claim_bound
from jfsnb.checks.tier import FULL, REAL_CLUSTER, real_data_path
from jfsnb.cluster import access
from jfsnb.cluster.client import KUBE_SYSTEM, Cluster
from jfsnb.driver import placing
from jfsnb.errors import NotInCluster, PermissionMissing, SandboxError
from jfsnb.queries import driver_facts
from jfsnb.queries.driver_facts import Driver
from jfsnb.queries.model import Row, Timeline
from jfsnb.run.results import Preflight
from jfsnb.run.smoke import manifest
from jfsnb.run.state import Run, part

Obj = dict[str, Any]


@dataclass(frozen=True)
class Permission:
    """One thing that a run must be allowed to do.

    Args:
        verb, resource, namespace: as in RBAC; ``pods/exec`` for a subresource; empty namespace: cluster-wide.
        needed_for: what the run does with it.
        allowed: None when the cluster cannot tell.
        name: of the one object that it is needed for; empty: any.
    """

    verb: str
    resource: str
    namespace: str
    needed_for: str
    allowed: bool | None = None
    name: str = ""

    @property
    def words(self) -> str:
        return f"{self.verb} {self.resource}" + (f" in {self.namespace}" if self.namespace else "")


@part(Preflight)
def preflight(run: Run) -> Preflight:
    """Ask what could go wrong before anything is changed: driver, its mode, ConfigMap, claim, permission by permission.

    Raises:
        NotInCluster, PermissionMissing: with what is missing.
        ConfigInvalid: config.yaml cannot be loaded.
        JfsnbError, WaitTimeout: the run could not work.
    """
    timeline, settings, cluster = Timeline(), run.settings, run.cluster
    with timeline.measure("find the driver"):
        found = driver_facts.find_driver(cluster, settings.driver_namespace)
    with timeline.measure("ask for permissions"):
        makes_claim = bool(settings.storage_class)
        wanted = needed(settings.namespace, found.namespace, makes_claim, found.config_name, settings.driver_namespace)
        permissions = ask(cluster, wanted)
    _refuse_missing(run, permissions, timeline)
    csi_driver = cluster.find("csidrivers", name=found.deployment.driver_name)
    places = places_for_smoke_pods(run, found)
    checks_found = [
        real_data_path(cluster.tier, cluster.tier_reason),
        _permissions_check(permissions),
        checks.driver_installed(csi_driver, found.daemon_set),
        checks.mount_pod_mode(found.deployment),
        checks.config_known(found.deployment, settings.scope),
        checks.config_loads(found.config_text),
        checks.csi_nodes_ready(places),
        *leftovers(found.config_map, _of_runs(cluster, settings.namespace), datetime.now(UTC), run.id),
    ]
    claim = settings.pvc
    if settings.storage_class:
        claim = f"a new one of StorageClass {settings.storage_class}"
        if cluster.find("storageclasses", name=settings.storage_class) is None:
            raise NotInCluster(
                f"there is no StorageClass {settings.storage_class}", "set storage_class to an existing one"
            )
    else:
        checks_found.append(_claim(cluster, settings.namespace, settings.pvc, found.deployment.driver_name))
    version = found.deployment.version
    rows: list[Row] = [
        {"what": what, "value": value}
        for what, value in (
            ("context", cluster.context),
            ("API server", cluster.server),
            ("Kubernetes", cluster.version),
            ("sandbox tier", f"{cluster.tier}: {cluster.tier_reason}" if cluster.tier else "none: a real cluster"),
            ("CSI driver", f"{found.namespace}, {found.deployment.image}"),
            ("driver version", ".".join(map(str, version)) if version else "not told by its tag"),
            ("mode", "process" if found.deployment.process_mode else "Mount Pods"),
            ("ConfigMap", found.config_name),
            ("claim", f"{settings.namespace}/{claim}"),
            ("image under test", settings.image),
        )
    ]
    result = Preflight(
        cluster=tuple(rows),
        permissions=tuple(asdict(p) for p in permissions),
        nodes=tuple(asdict(p) for p in places),
        checks=tuple(map(_obstacle, checks_found)),
        timeline=tuple(timeline.entries),
    )
    if cluster.tier not in (REAL_CLUSTER, FULL):
        run.finish(result)
        raise SandboxError(
            f"cannot be judged in sandbox tier {cluster.tier}: {cluster.tier_reason}",
            "run on Linux x86-64 with /dev/fuse and user namespaces, or against a real cluster: --cluster CONTEXT",
        )
    return run.require(result)


def _obstacle(check: CheckResult) -> CheckResult:
    """What is wrong with the cluster says nothing about the client under test: it keeps the run from judging it."""
    return replace(check, verdict=Verdict.ERROR) if check.verdict is Verdict.FAIL else check


def _permissions_check(permissions: tuple[Permission, ...]) -> CheckResult:
    return _obstacle(checks.permissions({p.words: p.allowed for p in permissions}))


def _refuse_missing(run: Run, permissions: tuple[Permission, ...], timeline: Timeline) -> None:
    """Stop before anything is tried that cannot work."""
    missing = [p.words for p in permissions if p.allowed is False]
    if not missing:
        return
    rows = tuple(asdict(p) for p in permissions)
    check = _permissions_check(permissions)
    run.finish(Preflight(permissions=rows, checks=(check,), timeline=tuple(timeline.entries)))
    files = ["read-only", run.settings.scope, *(["storage-class"] if run.settings.storage_class else [])]
    raise PermissionMissing(
        f"these credentials may not do what the run needs: {', '.join(missing)}",
        f"apply {', '.join(f'deploy/rbac/{name}.yaml' for name in files)} (namespaces as said there), or use others",
    )


def needed(
    namespace: str, driver_namespace: str, makes_claim: bool, config_map: str = "", only_namespace: str = ""
) -> tuple[Permission, ...]:
    """The permissions of a run, each with what it is for; as deploy/rbac gives them.

    Args:
        namespace: of the smoke Pods. config_map: the driver's. only_namespace: where alone the driver is looked for.
    """
    wanted = [
        Permission("list", "nodes", "", "which nodes are Ready"),
        Permission("get", "nodes", "", "labels of the smoke Pods' node, which selectors look at"),
        Permission("list", "csinodes", "", "where the driver is registered"),
        Permission("get", "namespaces", "", "telling this cluster from another one", name=KUBE_SYSTEM),
        Permission("get", "csidrivers", "", "the driver's entry"),
        Permission("list", "storageclasses", "", "how volumes are made"),
        Permission("list", "pods", only_namespace, "finding the driver, and what a dead run has left"),
        Permission("list", "persistentvolumes", "", "previewing whom a patch affects"),
        Permission("get", "persistentvolumes", "", "the volume behind the claim"),
        Permission("list", "persistentvolumeclaims", "", "previewing whom a patch affects"),
        Permission("get", "persistentvolumeclaims", namespace, "the claim"),
        Permission("get", "pods", namespace, "smoke Pods"),
        Permission("create", "pods", namespace, "smoke Pods"),
        Permission("delete", "pods", namespace, "removing smoke Pods"),
        Permission("list", "pods", namespace, "following smoke Pods"),
        Permission("watch", "pods", namespace, "following smoke Pods"),
        Permission("get", "pods/log", namespace, "their logs"),
        Permission("get", "pods/exec", namespace, "reading the client and data in the smoke Pod"),
        Permission("create", "pods/exec", namespace, "the same, since Kubernetes 1.35"),
        Permission("list", "events", namespace, "their events"),
        Permission("watch", "events", namespace, "their events"),
        Permission("get", "configmaps", namespace, "updatedb-config"),
        Permission("create", "configmaps", namespace, "updatedb-config where it is missing"),
        Permission("list", "configmaps", namespace, "removing it"),
        Permission("delete", "configmaps", namespace, "removing it"),
        Permission("get", "daemonsets", driver_namespace, "the driver's mode, version and ConfigMap"),
        Permission("get", "configmaps", driver_namespace, "the driver's configuration", name=config_map),
        Permission("patch", "configmaps", driver_namespace, "the driver's configuration", name=config_map),
        Permission("get", "pods", driver_namespace, "Mount Pods"),
        Permission("list", "pods", driver_namespace, "Mount Pods and CSI node Pods"),
        Permission("watch", "pods", driver_namespace, "following Mount Pods"),
        Permission("patch", "pods", driver_namespace, "hurrying the kubelet by annotating CSI node Pods"),
        Permission("get", "pods/log", driver_namespace, "logs of Mount Pods and CSI nodes"),
        Permission("list", "events", driver_namespace, "events of Mount Pods"),
        Permission("watch", "events", driver_namespace, "events of Mount Pods"),
        Permission("get", "pods/exec", driver_namespace, "the client that runs, and config.yaml in a CSI node"),
        Permission("create", "pods/exec", driver_namespace, "the same, since Kubernetes 1.35"),
    ]
    if makes_claim:
        wanted += [
            Permission("get", "storageclasses", "", "the class of the claim"),
            Permission("create", "persistentvolumeclaims", namespace, "the claim"),
            Permission("watch", "persistentvolumeclaims", namespace, "the claim, until it is bound or gone"),
            Permission("delete", "persistentvolumeclaims", namespace, "removing the claim"),
            Permission("watch", "persistentvolumes", "", "its volume, until it is gone"),
            Permission("patch", "persistentvolumes", "", "letting its volume go, where the class retains volumes"),
        ]
    return tuple(wanted)


def ask(cluster: Cluster, permissions: tuple[Permission, ...]) -> tuple[Permission, ...]:
    """The same permissions with the cluster's answers."""

    def answer(permission: Permission) -> Permission:
        plural, _, sub = permission.resource.partition("/")
        return replace(
            permission,
            allowed=access.permitted(cluster, permission.verb, plural, permission.namespace, sub, permission.name),
        )

    with ThreadPoolExecutor(4) as pool:
        return tuple(pool.map(answer, permissions))


def places_for_smoke_pods(run: Run, driver: Driver) -> tuple[checks.Landing, ...]:
    """Every node, and what is in the way of a smoke Pod there."""
    cluster = run.cluster
    pod = manifest.smoke_pod(run.settings, manifest.BASELINE, is_sandbox=cluster.is_sandbox)
    registered = {
        n["metadata"]["name"]
        for n in cluster.list("csinodes")
        if any(d.get("name") == driver.deployment.driver_name for d in (n.get("spec") or {}).get("drivers") or ())
    }
    daemon_set = driver.daemon_set if isinstance(driver.daemon_set, dict) else None
    image = pod["spec"]["containers"][0]["image"]
    return tuple(
        checks.landing(
            node, pod, driver.node_pod(name), name in registered, placing.why_no_pod(daemon_set, node), image
        )
        for node, name in ((n, n["metadata"]["name"]) for n in cluster.list("nodes"))
    )


def _of_runs(cluster: Cluster, namespace: str) -> list[Obj]:
    """What any run has in the smoke Pods' namespace."""
    kinds = (("pods", "Pod"), ("configmaps", "ConfigMap"))
    return [{"kind": kind, **o} for plural, kind in kinds for o in cluster.list(plural, namespace, labels=RUN_LABEL)]


def nodes_with_driver(cluster: Cluster, driver: Driver) -> tuple[dict[str, Obj], dict[str, str]]:
    """Nodes on which the driver can work now: node → its CSI node Pod; and the others with a word why not."""
    ready_nodes = {n["metadata"]["name"] for n in cluster.list("nodes") if checks.is_ready(n)}
    ready: dict[str, Obj] = {}
    others: dict[str, str] = {}
    for pod in driver.node_pods:
        node = pod["spec"].get("nodeName", "")
        if node not in ready_nodes:
            others[node] = "the node is not Ready"
        elif not checks.is_ready(pod) or pod["metadata"].get("deletionTimestamp"):
            others[node] = "its CSI node Pod is not Ready"
        else:
            ready[node] = pod
    return ready, others


def _claim(cluster: Cluster, namespace: str, name: str, driver: str) -> Any:
    pvc = cluster.find("persistentvolumeclaims", namespace, name)
    volume = ((pvc or {}).get("spec") or {}).get("volumeName")
    pv = cluster.find("persistentvolumes", name=volume) if volume else None
    return claim_bound(pvc, pv, f"{namespace}/{name}", driver)
