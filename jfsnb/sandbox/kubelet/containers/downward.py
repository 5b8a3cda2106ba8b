"""The downward API: fields of a Pod and resources of its containers, as values of variables and files."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from jfsnb.sandbox.apimachinery.client import Obj

SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.+)'\]$")
SUFFIXES = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
SUFFIXES |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60, "n": 1e-9, "u": 1e-6}
QUANTITY = re.compile(r"^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)$")


class UnknownField(Exception):
    """A fieldRef or resourceFieldRef names something that there is not."""


def field(pod: Obj, path: str) -> str:
    """The value of a fieldRef.

    Args:
        pod: the Pod, its status filled in as far as it is known.
        path: for example ``metadata.name``, ``metadata.labels['app']`` or ``status.podIP``.

    Raises:
        UnknownField: the downward API has no such field.
    """
    meta, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    subscript = SUBSCRIPT.match(path)
    if subscript:
        return str((meta.get(subscript[1]) or {}).get(subscript[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        pairs = meta.get(path.removeprefix("metadata.")) or {}
        return "\n".join(f"{key}={json.dumps(pairs[key], ensure_ascii=False)}" for key in sorted(pairs))
    simple: dict[str, Any] = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta.get("namespace", ""),
        "metadata.uid": meta.get("uid", ""),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": status.get("hostIP", ""),
        "status.hostIPs": ",".join(ip["ip"] for ip in status.get("hostIPs") or ()),
        "status.podIP": status.get("podIP", ""),
        "status.podIPs": ",".join(ip["ip"] for ip in status.get("podIPs") or ()),
    }
    if path not in simple:
        raise UnknownField(f"unsupported fieldPath: {path}")
    return str(simple[path])


def quantity(text: str) -> float:
    """The number that a resource quantity such as ``10Ki`` or ``250m`` stands for."""
    match = QUANTITY.match(str(text))
    if match is None or match[2] not in SUFFIXES:
        raise ValueError(f"not a quantity: {text!r}")
    return float(match[1]) * SUFFIXES[match[2]]


def resource(container: Obj, ref: Mapping[str, Any], allocatable: Mapping[str, str]) -> str:
    """The value of a resourceFieldRef: rounded up to whole divisors; limits fall back to what the node has."""
    kind, _, name = str(ref["resource"]).partition(".")
    if kind not in ("limits", "requests") or not name:
        raise UnknownField(f"unsupported container resource : {ref['resource']}")
    resources = container.get("resources") or {}
    amount = (resources.get(kind) or {}).get(name)
    if amount is None and kind == "limits":
        amount = allocatable.get(name)
    divisor = quantity(str(ref.get("divisor") or "1")) or 1.0
    return str(math.ceil(round(quantity(amount or "0") / divisor, 6)))
