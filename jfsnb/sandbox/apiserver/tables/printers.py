"""The cells of a table, kind by kind, in the order of the kind's columns, as a real server prints them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from jfsnb.sandbox.apiserver.schema.resources import Resource, columns
from jfsnb.sandbox.apiserver.tables import workload_printers as workloads
from jfsnb.sandbox.apiserver.tables.ages import NONE, UNKNOWN, UNSET, since
from jfsnb.sandbox.apiserver.tables.pod_printer import pod_cells

Obj = dict[str, Any]
MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def cells(resource: Resource, obj: Obj) -> list[Any]:
    """The cells of one object."""
    printer = PRINTERS.get(resource.storage)
    if printer is not None:
        return printer(obj)
    defined = columns().get(f"{resource.path}/{resource.plural}") or ()
    created = obj["metadata"].get("creationTimestamp")
    if any(c["name"] == "Age" for c in defined) and len(defined) == 2:
        return [obj["metadata"]["name"], since(created)]
    return [obj["metadata"]["name"], created]


def _age(obj: Obj) -> str:
    return since(obj["metadata"].get("creationTimestamp"))


def _modes(modes: Iterable[str] | None) -> str:
    given = set(modes or ())
    return ",".join(short for mode, short in MODES.items() if mode in given)


def _state(obj: Obj) -> str:
    """A phase, unless the object is on its way out."""
    phase: str = (obj.get("status") or {}).get("phase", "")
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else phase


def _config_map(obj: Obj) -> list[Any]:
    return [obj["metadata"]["name"], len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), _age(obj)]


def _secret(obj: Obj) -> list[Any]:
    return [obj["metadata"]["name"], obj.get("type", ""), len(obj.get("data") or ()), _age(obj)]


def _namespace(obj: Obj) -> list[Any]:
    return [obj["metadata"]["name"], (obj.get("status") or {}).get("phase", ""), _age(obj)]


def _node(obj: Obj) -> list[Any]:
    meta, status = obj["metadata"], obj.get("status") or {}
    ready = next((c["status"] for c in status.get("conditions") or () if c["type"] == "Ready"), None)
    state = "Unknown" if ready is None else "Ready" if ready == "True" else "NotReady"
    if (obj.get("spec") or {}).get("unschedulable"):
        state += ",SchedulingDisabled"
    prefix = "node-role.kubernetes.io/"
    labels = meta.get("labels") or {}
    roles = {k.removeprefix(prefix) for k in labels if k.startswith(prefix) and k != prefix}
    roles |= {v for k, v in labels.items() if k == "kubernetes.io/role" and v}
    info = status.get("nodeInfo") or {}
    addresses = {a["type"]: a["address"] for a in reversed(status.get("addresses") or [])}
    return [
        meta["name"],
        state,
        ",".join(sorted(roles)) or NONE,
        _age(obj),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", NONE),
        addresses.get("ExternalIP", NONE),
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _volume(obj: Obj) -> list[Any]:
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    claim = spec.get("claimRef") or {}
    return [
        meta["name"],
        (spec.get("capacity") or {}).get("storage", "0"),
        _modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        _state(obj),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or UNSET,
        status.get("reason", ""),
        _age(obj),
        spec.get("volumeMode") or UNSET,
    ]


def _claim(obj: Obj) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    bound = bool(spec.get("volumeName"))
    return [
        obj["metadata"]["name"],
        _state(obj),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "0") if bound else "",
        _modes(status.get("accessModes")) if bound else "",
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or UNSET,
        _age(obj),
        spec.get("volumeMode") or UNSET,
    ]


def _storage_class(obj: Obj) -> list[Any]:
    meta = obj["metadata"]
    marked = (meta.get("annotations") or {}).get(DEFAULT_CLASS) == "true"
    return [
        meta["name"] + (" (default)" if marked else ""),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "Immediate"),
        bool(obj.get("allowVolumeExpansion")),
        _age(obj),
    ]


def _csi_driver(obj: Obj) -> list[Any]:
    spec = obj.get("spec") or {}
    audiences = ",".join(t.get("audience", "") for t in spec.get("tokenRequests") or ())
    return [
        obj["metadata"]["name"],
        spec.get("attachRequired", True),
        spec.get("podInfoOnMount", False),
        spec.get("storageCapacity", False),
        audiences or UNSET,
        spec.get("requiresRepublish", False),
        ",".join(spec.get("volumeLifecycleModes") or ()) or NONE,
        _age(obj),
    ]


def _csi_node(obj: Obj) -> list[Any]:
    return [obj["metadata"]["name"], len((obj.get("spec") or {}).get("drivers") or ()), _age(obj)]


def _attachment(obj: Obj) -> list[Any]:
    spec = obj.get("spec") or {}
    return [
        obj["metadata"]["name"],
        spec.get("attacher", ""),
        (spec.get("source") or {}).get("persistentVolumeName", ""),
        spec.get("nodeName", ""),
        (obj.get("status") or {}).get("attached", False),
        _age(obj),
    ]


def _attributes_class(obj: Obj) -> list[Any]:
    return [obj["metadata"]["name"], obj.get("driverName", ""), _age(obj)]


def _event(obj: Obj) -> list[Any]:
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    last, count = obj.get("lastTimestamp") or first, obj.get("count") or 1
    series = obj.get("series")
    if series:
        last, count = series.get("lastObservedTime") or last, series.get("count", count)
    about = obj.get("involvedObject") or {}
    kind = about.get("kind", "").lower()
    source = obj.get("source") or {}
    component = source.get("component") or obj.get("reportingComponent", "")
    instance = source.get("host") or obj.get("reportingInstance", "")
    return [
        since(last),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{kind}/{about['name']}" if about.get("name") else kind,
        about.get("fieldPath", ""),
        f"{component}, {instance}" if instance else component,
        (obj.get("message") or "").strip(),
        since(first),
        count,
        obj["metadata"]["name"],
    ]


def _lease(obj: Obj) -> list[Any]:
    return [obj["metadata"]["name"], (obj.get("spec") or {}).get("holderIdentity", ""), _age(obj)]


def _priority_class(obj: Obj) -> list[Any]:
    return [
        obj["metadata"]["name"],
        obj.get("value", 0),
        bool(obj.get("globalDefault")),
        _age(obj),
        obj.get("preemptionPolicy", ""),
    ]


def _role_binding(obj: Obj) -> list[Any]:
    role = obj.get("roleRef") or {}
    named: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or ():
        name = subject.get("name", "")
        if subject.get("kind") == "ServiceAccount":
            name = f"{subject.get('namespace', '')}/{name}"
        named.setdefault(subject.get("kind", ""), []).append(name)
    lists = [", ".join(named[k]) for k in ("User", "Group", "ServiceAccount")]
    return [obj["metadata"]["name"], f"{role.get('kind', '')}/{role.get('name', '')}", _age(obj), *lists]


def _service(obj: Obj) -> list[Any]:
    spec = obj.get("spec") or {}
    ports = ",".join(
        f"{p.get('port')}" + (f":{p['nodePort']}" if p.get("nodePort") else "") + f"/{p.get('protocol', 'TCP')}"
        for p in spec.get("ports") or ()
    )
    external = ",".join(spec.get("externalIPs") or ())
    if spec.get("type") == "ExternalName":
        external = spec.get("externalName", "")
    elif spec.get("type") == "LoadBalancer":
        external = external or "<pending>"
    return [
        obj["metadata"]["name"],
        spec.get("type", ""),
        spec.get("clusterIP") or NONE,
        external or NONE,
        ports or NONE,
        _age(obj),
        workloads.labels(spec.get("selector")),
    ]


def _endpoints(obj: Obj) -> list[Any]:
    found = []
    for subset in obj.get("subsets") or ():
        ports = [p["port"] for p in subset.get("ports") or ()]
        for address in subset.get("addresses") or ():
            found += [f"{address['ip']}:{p}" for p in ports] or [address["ip"]]
    shown = ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "")
    return [obj["metadata"]["name"], shown or NONE, _age(obj)]


def _endpoint_slice(obj: Obj) -> list[Any]:
    ports = ",".join(str(p.get("port", "*")) for p in obj.get("ports") or ()) or UNSET
    found = [a for e in obj.get("endpoints") or () for a in e.get("addresses") or ()]
    shown = ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "")
    return [obj["metadata"]["name"], obj.get("addressType", ""), ports, shown or UNSET, _age(obj)]


def _quota(obj: Obj) -> list[Any]:
    status = obj.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    shown = {k: f"{k}: {used.get(k, '0')}/{v}" for k, v in sorted(hard.items())}
    limits = ", ".join(v for k, v in shown.items() if k.startswith("limits"))
    requests = ", ".join(v for k, v in shown.items() if not k.startswith("limits"))
    return [obj["metadata"]["name"], requests, limits, _age(obj)]


PRINTERS: dict[str, Callable[[Obj], list[Any]]] = {
    "/pods": pod_cells,
    "/configmaps": _config_map,
    "/secrets": _secret,
    "/namespaces": _namespace,
    "/nodes": _node,
    "/persistentvolumes": _volume,
    "/persistentvolumeclaims": _claim,
    "/services": _service,
    "/endpoints": _endpoints,
    "/resourcequotas": _quota,
    "events": _event,
    "coordination.k8s.io/leases": _lease,
    "discovery.k8s.io/endpointslices": _endpoint_slice,
    "scheduling.k8s.io/priorityclasses": _priority_class,
    "storage.k8s.io/storageclasses": _storage_class,
    "storage.k8s.io/csidrivers": _csi_driver,
    "storage.k8s.io/csinodes": _csi_node,
    "storage.k8s.io/volumeattachments": _attachment,
    "storage.k8s.io/volumeattributesclasses": _attributes_class,
    "rbac.authorization.k8s.io/rolebindings": _role_binding,
    "rbac.authorization.k8s.io/clusterrolebindings": _role_binding,
    **workloads.PRINTERS,
}
