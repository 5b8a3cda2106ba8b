"""Endpoints and EndpointSlices: the addresses of the Pods behind a Service."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from jfsnb.sandbox.controllers.cluster import Cluster
from jfsnb.sandbox.controllers.controller import Controller
from jfsnb.sandbox.controllers.objects import (
    Key,
    Obj,
    condition_is,
    deleting,
    key_of,
    labels_of,
    owner_reference,
    random_suffix,
    spec_of,
    status_of,
    terminated,
)

SERVICE, MANAGER = "kubernetes.io/service-name", "endpointslice.kubernetes.io/managed-by"
MANAGED_BY = "endpointslice-controller.k8s.io"


def selected(service: Obj, labels: dict[str, str]) -> bool:
    """Whether a Service selects these labels; a Service without selector has endpoints of its owner's making."""
    wanted = spec_of(service).get("selector") or {}
    return bool(wanted) and wanted.items() <= labels.items()


def port_number(port: Obj, pod: Obj) -> int | None:
    """The number behind a service port's target in this Pod; None when the Pod has no port of that name."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target
    for container in spec_of(pod).get("containers") or ():
        for candidate in container.get("ports") or ():
            if candidate.get("name") == target and candidate.get("protocol", "TCP") == port.get("protocol", "TCP"):
                return int(candidate["containerPort"])
    return None


def ports_of(service: Obj, pod: Obj) -> list[Obj]:
    found = []
    for port in spec_of(service).get("ports") or ():
        number = port_number(port, pod)
        if number is not None:
            found.append({"name": port.get("name", ""), "port": number, "protocol": port.get("protocol", "TCP")})
    return found


def target_of(pod: Obj) -> Obj:
    meta = pod["metadata"]
    return {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}


def endpoint(service: Obj, pod: Obj) -> Obj:
    """One endpoint of a slice."""
    is_ready, leaving = condition_is(pod, "Ready"), deleting(pod)
    anyway = bool(spec_of(service).get("publishNotReadyAddresses"))
    found = {
        "addresses": [status_of(pod)["podIP"]],
        "conditions": {"ready": anyway or (is_ready and not leaving), "serving": is_ready, "terminating": leaving},
        "nodeName": spec_of(pod)["nodeName"],
        "targetRef": target_of(pod),
    }
    if spec_of(pod).get("hostname") and spec_of(pod).get("subdomain") == service["metadata"]["name"]:
        found["hostname"] = spec_of(pod)["hostname"]
    return found


def slices(service: Obj, pods: Iterable[Obj]) -> list[tuple[list[Obj], list[Obj]]]:
    """(ports, endpoints) of the Service: one slice for each set of port numbers."""
    groups: dict[str, tuple[list[Obj], list[Obj]]] = {}
    for pod in sorted(pods, key=lambda p: str(p["metadata"]["name"])):
        ports = ports_of(service, pod)
        groups.setdefault(repr(ports), (ports, []))[1].append(endpoint(service, pod))
    return list(groups.values()) or [([], [])]


def subsets(service: Obj, pods: Iterable[Obj]) -> list[Obj]:
    """The same as in an Endpoints object."""
    result = []
    for ports, endpoints in slices(service, pods):
        by_readiness: dict[str, list[Obj]] = defaultdict(list)
        for found in endpoints:
            if found["conditions"]["terminating"] and not found["conditions"]["ready"]:
                continue
            field = "addresses" if found["conditions"]["ready"] else "notReadyAddresses"
            address = {"ip": found["addresses"][0], "nodeName": found["nodeName"], "targetRef": found["targetRef"]}
            by_readiness[field].append(address)
        if by_readiness:
            named = [{k: v for k, v in p.items() if k != "name" or v} for p in ports]
            result.append({**by_readiness, **({"ports": named} if named else {})})
    return result


class Endpoints(Controller):
    component = "endpoint-slice-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.watch("services")
        self.watch("pods", self._of_pod)
        self.watch("endpointslices", self._of_slice)
        self.read("endpoints")

    def _of_pod(self, pod: Obj) -> list[Key]:
        services = self.cluster.all("services", pod["metadata"]["namespace"]) if labels_of(pod) else []
        return [key_of(s) for s in services if selected(s, labels_of(pod))]

    @staticmethod
    def _of_slice(found: Obj) -> Key | None:
        name = labels_of(found).get(SERVICE)
        return (found["metadata"]["namespace"], name) if name and labels_of(found).get(MANAGER) == MANAGED_BY else None

    async def sync(self, key: Key) -> None:
        service = self.cluster.get("services", key)
        if service is None or deleting(service) or not spec_of(service).get("selector"):
            return
        if spec_of(service).get("type") == "ExternalName":
            return
        pods = [p for p in self.cluster.all("pods", key[0]) if selected(service, labels_of(p)) and _reachable(p)]
        await self._write_slices(service, slices(service, pods))
        await self._write_endpoints(service, subsets(service, pods))

    async def _write_slices(self, service: Obj, wanted: list[tuple[list[Obj], list[Obj]]]) -> None:
        namespace, name = key_of(service)
        labels = {**labels_of(service), SERVICE: name, MANAGER: MANAGED_BY}
        if spec_of(service).get("clusterIP") == "None":
            labels["service.kubernetes.io/headless"] = ""
        known = [s for s in self.cluster.all("endpointslices", namespace) if self._of_slice(s) == (namespace, name)]
        for ports, endpoints in wanted:
            old = next((s for s in known if (s.get("ports") or []) == ports), None) or (known[0] if known else None)
            fields = {"addressType": "IPv4", "ports": ports, "endpoints": endpoints}
            if old is not None:
                known.remove(old)
                if any((old.get(k) or []) != v for k, v in fields.items() if k != "addressType"):
                    await self.cluster.update("endpointslices", {**old, **fields})
                continue
            meta = {
                "name": f"{name}-{random_suffix()}",
                "namespace": namespace,
                "labels": labels,
                "ownerReferences": [owner_reference(service)],
            }
            await self.cluster.create("endpointslices", {"metadata": meta, **fields})
        for surplus in known:
            await self.cluster.delete("endpointslices", surplus)

    async def _write_endpoints(self, service: Obj, wanted: list[Obj]) -> None:
        key = key_of(service)
        old = self.cluster.get("endpoints", key)
        if old is None:
            labels = {**labels_of(service), "endpoints.kubernetes.io/managed-by": "endpoint-controller"}
            meta = {
                "name": key[1],
                "namespace": key[0],
                "labels": labels,
                "ownerReferences": [owner_reference(service)],
            }
            await self.cluster.create("endpoints", {"metadata": meta, **({"subsets": wanted} if wanted else {})})
        elif (old.get("subsets") or []) != wanted:
            await self.cluster.update("endpoints", {**old, "subsets": wanted})


def _reachable(pod: Obj) -> bool:
    return bool(status_of(pod).get("podIP")) and bool(spec_of(pod).get("nodeName")) and not terminated(pod)
