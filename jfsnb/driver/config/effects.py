"""Whom an edit of config.yaml affects, and what to know before agreeing to it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.config.edit import Edit
from jfsnb.driver.config.merging import effective_image, load
from jfsnb.driver.config.selectors import Selector
from jfsnb.driver.config.traps import config_warnings
from jfsnb.driver.deployment import managed_by
from jfsnb.driver.images import ImageReference, same_image

Obj = Mapping[str, Any]


@dataclass(frozen=True)
class Mount:
    """A PVC on a node: the unit for which the driver decides. Objects may be None when they are not known."""

    pvc: Obj | None
    pv: Obj | None = None
    node: Obj | None = None


@dataclass(frozen=True)
class Affected:
    """What a PVC's next Mount Pod on a node would get, before and after the edit."""

    namespace: str
    claim: str
    node: str
    image_now: str
    why_now: str
    image_then: str
    why_then: str

    @property
    def changes(self) -> bool:
        return self.image_now != self.image_then


def preview(
    before: str, after: str, mounts: Iterable[Mount], *, env: Mapping[str, str] | None = None, is_ce: bool = True
) -> tuple[Affected, ...]:
    """The effective image of every PVC and node, before and after.

    Args:
        before, after: config.yaml. mounts: the PVCs and nodes to look at. env: of the CSI node, as far as known.
        is_ce: community edition.

    Raises:
        ConfigInvalid: one of the texts is not what the driver can load.
    """
    old, new = load(before), load(after)
    found = []
    for mount in mounts:
        now, then = (effective_image(c, mount.pvc, mount.node, pv=mount.pv, env=env, is_ce=is_ce) for c in (old, new))
        meta = (mount.pvc or {}).get("metadata", {})
        node = (mount.node or {}).get("metadata", {}).get("name", "")
        found.append(
            Affected(
                meta.get("namespace", ""),
                meta.get("name", ""),
                node,
                now.image,
                now.provenance,
                then.image,
                then.provenance,
            )
        )
    return tuple(found)


def alike(before: str, after: str, nodes: Iterable[Obj]) -> tuple[tuple[Obj, ...], ...]:
    """Nodes in groups for which config.yaml decides alike: those that the same nodeSelectors match.

    Raises:
        ConfigInvalid: one of the texts is not what the driver can load.
    """
    selectors = [e.selector.node for text in (before, after) for e in load(text).entries if e.selector.node is not None]
    groups: dict[tuple[bool, ...], list[Obj]] = {}
    for node in nodes:
        matched = tuple(Selector(node=selector).matches(None, node) for selector in selectors)
        groups.setdefault(matched, []).append(node)
    return tuple(map(tuple, groups.values()))


def edit_warnings(edit: Edit, config_map: Obj, target: Mount, others: Iterable[Affected] = ()) -> tuple[str, ...]:
    """What speaks against an edit, one sentence each.

    Args:
        edit: as planned. config_map: the object that holds config.yaml. target: the smoke PVC.
        others: the preview for all other PVCs.
    """
    config = load(edit.after)
    wins = effective_image(config, target.pvc, target.node, pv=target.pv, is_ce=edit.image_key == "ceMountImage")
    found = []
    if not same_image(wins.image, edit.image):
        found.append(f"the smoke PVC would still get {wins.image}: {wins.provenance} wins")
    mutable = ImageReference.parse(edit.image).mutable_why
    if mutable:
        found.append(f"the image can change under its name ({mutable}); a digest or a tag of its own cannot")
    found += _ownership(config_map)
    touched = [o for o in others if o.changes and not _is(o, target)]
    if touched and edit.scope == "canary":
        listed = ", ".join(sorted({f"{o.namespace}/{o.claim}" for o in touched}))
        found.append(f"matchName looks at no namespace, so the next mounts of {listed} get the image too")
    elif touched:
        claims = {(o.namespace, o.claim) for o in touched}
        found.append(f"the next mounts of {len(claims)} other PVCs get the image too")
    return (*found, *config_warnings(config))


def _is(affected: Affected, target: Mount) -> bool:
    meta = (target.pvc or {}).get("metadata", {})
    return (affected.namespace, affected.claim) == (meta.get("namespace", ""), meta.get("name", ""))


def _ownership(config_map: Obj) -> list[str]:
    owner = managed_by(config_map)
    found = [f"{owner} manages this ConfigMap and may undo the edit"] if owner else []
    found += filter(None, [drift(config_map)])
    if config_map.get("immutable"):
        found.append("this ConfigMap is immutable, so it cannot be edited")
    return found


def drift(config_map: Obj) -> str:
    """What to know when config.yaml is not what was last applied with kubectl apply; empty when it is."""
    notes = config_map.get("metadata", {}).get("annotations") or {}
    applied = notes.get("kubectl.kubernetes.io/last-applied-configuration", "{}")
    try:
        text = (json.loads(applied).get("data") or {}).get(names.CONFIG_KEY, "")
    except (ValueError, AttributeError):
        return ""
    if not text or text == (config_map.get("data") or {}).get(names.CONFIG_KEY):
        return ""
    return "what kubectl apply last applied differs from what is there now; the next apply would bring it"
