"""The downward API: fields of a Pod and resources of its containers, as values of variables and files."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from jfsnb.driver.settings.quantity import parse
from jfsnb.sandbox.apimachinery.client import Obj

SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.+)'\]$")


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


def resource(container: Obj, ref: Mapping[str, Any], allocatable: Mapping[str, str]) -> str:
    """The value of a resourceFieldRef: rounded up to whole divisors; limits fall back to what the node has."""
    kind, _, name = str(ref["resource"]).partition(".")
    if kind not in ("limits", "requests") or not name:
        raise UnknownField(f"unsupported container resource : {ref['resource']}")
    resources = container.get("resources") or {}
    amount = (resources.get(kind) or {}).get(name)
    if amount is None and kind == "limits":
        amount = allocatable.get(name)
    divisor = parse(str(ref.get("divisor") or "1")) or 1
    return str(math.ceil(parse(amount or "0") / divisor))
