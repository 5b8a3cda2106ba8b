"""Whether a node takes a Pod that was bound to it: it refuses what its resources cannot hold (OutOfcpu and so on)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from jfsnb.driver.settings import quantity
from jfsnb.sandbox.apimachinery.client import Obj


@dataclass(frozen=True)
class Rejection:
    """Why a Pod is refused, as its status says it."""

    reason: str
    message: str


def rejection(pod: Obj, others: Iterable[Obj], allocatable: Mapping[str, str]) -> Rejection | None:
    """None when the Pod fits beside the others.

    Args:
        pod: the new one.
        others: Pods that are on the node and have not ended.
        allocatable: what the node offers.
    """
    present = list(others)
    if len(present) >= quantity.parse(allocatable.get("pods", "110")):
        return _out_of("pods", 1, len(present), int(quantity.parse(allocatable["pods"])))
    for name, scale in (("cpu", 1000), ("memory", 1)):
        wanted = round(_request(pod, name) * scale)
        used = sum(round(_request(other, name) * scale) for other in present)
        capacity = round(quantity.parse(allocatable[name]) * scale)
        if wanted and wanted + used > capacity:
            return _out_of(name, wanted, used, capacity)
    return None


def _out_of(name: str, wanted: int, used: int, capacity: int) -> Rejection:
    text = f"Node didn't have enough resource: {name}, requested: {wanted}, used: {used}, capacity: {capacity}"
    return Rejection(f"OutOf{name}", text)


def _request(pod: Obj, name: str) -> Decimal:
    """What a Pod asks for: its containers and sidecars together, or its greediest init container."""

    def of(container: Obj) -> Decimal:
        resources = container.get("resources") or {}
        asked = (resources.get("requests") or {}).get(name, (resources.get("limits") or {}).get(name, "0"))
        return quantity.parse(str(asked))

    inits = pod["spec"].get("initContainers") or ()
    sidecars = sum((of(c) for c in inits if c.get("restartPolicy") == "Always"), Decimal())
    together = sidecars + sum(of(c) for c in pod["spec"]["containers"])
    return max([together, *(sidecars + of(c) for c in inits if c.get("restartPolicy") != "Always")])
