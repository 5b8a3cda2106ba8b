"""Whether an entry of mountPodPatch is meant for a PVC and a node, and why (reference/csi-driver.md §2.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NO_SELECTOR = "no selector: matches everything"
_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?{_NAME}$")
_VALUE = re.compile(rf"^({_NAME})?$")


@dataclass(frozen=True)
class Match:
    """Whether something matched, and in a few words why (not)."""

    matched: bool
    why: str


@dataclass(frozen=True)
class LabelSelector:
    """matchLabels and matchExpressions. An empty one matches everything; an invalid one nothing."""

    match_labels: Mapping[str, str] = field(default_factory=dict)
    match_expressions: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> LabelSelector:
        labels = {k: v or "" for k, v in (data.get("matchLabels") or {}).items()}
        return cls(labels, tuple(e or {} for e in data.get("matchExpressions") or ()))

    def explain(self, labels: Mapping[str, str]) -> Match:
        """Evaluate against an object's labels."""
        for key, value in self.match_labels.items():
            if not _KEY.match(key) or not _VALUE.match(value):
                return Match(False, f"matchLabels {key}={value} is not a valid label, so nothing matches")
            if labels.get(key) != value:
                return Match(False, f"matchLabels {key}={value}: it has {_shown(labels, key)}")
        for expression in self.match_expressions:
            found = _expression(expression, labels)
            if not found.matched:
                return found
        parts = [f"{k}={v}" for k, v in self.match_labels.items()]
        parts += [_words(e) for e in self.match_expressions]
        return Match(True, ", ".join(parts) or "empty label selector: matches all")


@dataclass(frozen=True)
class PvcSelector:
    """pvcSelector: matchName first, then matchStorageClassName *instead of* labels, else labels."""

    match_name: str = ""
    match_storage_class: str = ""
    labels: LabelSelector = LabelSelector()

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> PvcSelector:
        return cls(data.get("matchName", ""), data.get("matchStorageClassName", ""), LabelSelector.of(data))

    @property
    def ignores_labels(self) -> bool:
        """matchStorageClassName is set beside labels, which the driver then never looks at (§8.3)."""
        return bool(self.match_storage_class) and not self.has_no_labels

    @property
    def has_no_labels(self) -> bool:
        return self.labels == LabelSelector()

    def explain(self, pvc: Mapping[str, Any] | None) -> Match:
        """Evaluate against a PVC object; None when it is not known."""
        if pvc is None:
            return Match(False, "pvcSelector: the PVC is not known")
        name = pvc.get("metadata", {}).get("name", "")
        if self.match_name and name != self.match_name:
            return Match(False, f"pvcSelector.matchName {self.match_name}: the PVC is {name}")
        named = f"pvcSelector.matchName {self.match_name}" if self.match_name else ""
        if self.match_storage_class:
            wanted, actual = self.match_storage_class, pvc.get("spec", {}).get("storageClassName")
            if actual != wanted:
                return Match(False, f"pvcSelector.matchStorageClassName {wanted}: the PVC has {actual or 'none'}")
            return Match(True, " and ".join(filter(None, [named, f"pvcSelector.matchStorageClassName {wanted}"])))
        found = self.labels.explain(pvc.get("metadata", {}).get("labels") or {})
        if not found.matched:
            return Match(False, f"pvcSelector.{found.why}")
        if named and self.has_no_labels:
            return Match(True, named)
        return Match(True, " and ".join(filter(None, [named, f"pvcSelector {found.why}"])))


@dataclass(frozen=True)
class Selector:
    """Both selectors of an entry; one that is absent matches everything."""

    pvc: PvcSelector | None = None
    node: LabelSelector | None = None

    def explain(self, pvc: Mapping[str, Any] | None, node: Mapping[str, Any] | None) -> Match:
        """Evaluate against a PVC and a Node object (None: not known)."""
        found = [self.pvc.explain(pvc)] if self.pvc is not None else []
        if self.node is not None:
            found.append(_explain_node(self.node, node))
        failed = [m for m in found if not m.matched]
        return failed[0] if failed else Match(True, " and ".join(m.why for m in found) or NO_SELECTOR)

    def matches(self, pvc: Mapping[str, Any] | None, node: Mapping[str, Any] | None) -> bool:
        return self.explain(pvc, node).matched

    @property
    def is_empty(self) -> bool:
        return self.pvc is None and self.node is None


def _explain_node(selector: LabelSelector, node: Mapping[str, Any] | None) -> Match:
    labels = (node or {}).get("metadata", {}).get("labels") or {}
    if not labels:
        return Match(False, "nodeSelector: the node is not known or has no labels")
    found = selector.explain(labels)
    return Match(found.matched, f"nodeSelector {found.why}" if found.matched else f"nodeSelector.{found.why}")


def _expression(expression: Mapping[str, Any], labels: Mapping[str, str]) -> Match:
    key, operator = expression.get("key", ""), expression.get("operator", "")
    values = [v or "" for v in expression.get("values") or []]
    needs_values = operator in ("In", "NotIn")
    known = needs_values or operator in ("Exists", "DoesNotExist")
    if not known or needs_values != bool(values) or not _KEY.match(key) or not all(map(_VALUE.match, values)):
        return Match(False, f"matchExpressions {_words(expression)} is invalid, so nothing matches")
    actual = labels.get(key)
    met = {
        "In": actual in values and actual is not None,
        "NotIn": actual not in values,
        "Exists": actual is not None,
        "DoesNotExist": actual is None,
    }[operator]
    return Match(met, _words(expression) if met else f"matchExpressions {_words(expression)}: {_shown(labels, key)}")


def _words(expression: Mapping[str, Any]) -> str:
    values = expression.get("values")
    shown = f" ({', '.join(map(str, values))})" if values else ""
    return f"{expression.get('key', '')} {expression.get('operator', '')}{shown}"


def _shown(labels: Mapping[str, str], key: str) -> str:
    return f"{key}={labels[key]}" if key in labels else f"no label {key}"
