"""The effective settings of a PVC on a node, field by field, with who decided and who was overruled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jfsnb.driver.config.merging import DriverConfig, ImageDecision, MergedPatch, Setter

_IMAGES = ("ceMountImage", "eeMountImage")


@dataclass(frozen=True)
class Explained:
    """One field of what the next Mount Pod gets.

    Args:
        field: as in config.yaml; ``image`` for the image, whatever decides it.
        value: in words; the values of environment variables are left out, as they may be secret.
        provenance: who decided.
        overruled: who would have decided otherwise, the nearest first.
    """

    field: str
    value: str
    provenance: str
    overruled: tuple[str, ...] = ()


def explain(config: DriverConfig, merged: MergedPatch, decision: ImageDecision) -> tuple[Explained, ...]:
    """All fields that something sets, the image first.

    Args:
        config: that was merged. merged: for the PVC and node. decision: the image for them.
    """
    others = tuple(f"{c.image} ({c.provenance})" for c in decision.candidates[1:])
    found = [Explained("image", decision.image, decision.provenance, others)]
    by_number = {entry.number: entry.fields for entry in config.entries}
    for name, value in merged.fields.items():
        if name not in _IMAGES:
            overruled = _overruled(name, merged, by_number)
            found.append(Explained(name, _words(name, value), merged.provenance(name), overruled))
    return tuple(found)


def _overruled(name: str, merged: MergedPatch, entries: Mapping[int, Mapping[str, Any]]) -> tuple[str, ...]:
    """Earlier entries whose whole value was replaced; appended fields overrule nobody."""
    setters: tuple[Setter, ...] = merged.setters.get(name, ())
    if merged.provenance(name) != str(setters[-1]):
        return ()
    return tuple(f"{_words(name, entries[s.entry][name])} ({s})" for s in reversed(setters[:-1]))


def _words(name: str, value: Any) -> str:
    if name in ("env", "initContainers"):
        return ", ".join(str(item.get("name", "")) for item in value if item)
    if isinstance(value, list):
        return ", ".join(_words("", item) for item in value)
    if isinstance(value, dict):
        return ", ".join(
            f"{k}={_words('', v)}" if not isinstance(v, dict) else f"{k}: {_words('', v)}" for k, v in value.items()
        )
    return str(value).lower() if isinstance(value, bool) else str(value)
