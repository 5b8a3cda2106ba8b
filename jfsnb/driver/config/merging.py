"""The driver's config.yaml: load it as the driver does, select entries, merge them (reference/csi-driver.md §2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jfsnb.driver import images, names
from jfsnb.driver.config import goyaml, schema
from jfsnb.driver.config.selectors import LabelSelector, Match, PvcSelector, Selector
from jfsnb.driver.golang.decoding import unmarshal
from jfsnb.driver.golang.types import decoded_over, dumps, shape
from jfsnb.driver.golang.types import fields as go_fields

Obj = Mapping[str, Any]
#: Fields of which a later entry replaces the whole value of an earlier one.
REPLACED = tuple(
    name
    for name in go_fields(schema.PATCH)
    if name not in ("pvcSelector", "nodeSelector", "volumes", "volumeMounts", "volumeDevices", "startupProbe")
)
RESERVED_VOLUMES = ("rsa-key", "init-config", "config-", "jfs-dir", "update-db", "cachedir-")


@dataclass(frozen=True)
class PatchEntry:
    """One entry of mountPodPatch.

    Args:
        number: its place in the list, from 1, as people count.
        selector: for which PVCs and nodes it is.
        fields: what it sets; absent, null and empty values are left out.
        line: its line in config.yaml, from 1; 0 when not known.
    """

    number: int
    selector: Selector
    fields: Mapping[str, Any]
    line: int = 0

    @property
    def label(self) -> str:
        return f"entry {self.number} of mountPodPatch"


@dataclass(frozen=True)
class DriverConfig:
    """config.yaml as the driver holds it in memory.

    Args:
        switches: the top-level ``enable…`` keys that are set.
        entries: mountPodPatch, in order.
        unknown: keys that the driver ignores.
        repeated: keys that stand twice in their mapping (the later one counts), as paths.
    """

    switches: Mapping[str, bool] = field(default_factory=dict)
    entries: tuple[PatchEntry, ...] = ()
    unknown: tuple[schema.UnknownKey, ...] = ()
    repeated: tuple[str, ...] = ()

    @property
    def enable_node_selector(self) -> bool:
        return self.switches.get("enableNodeSelector", False)


@dataclass(frozen=True)
class Setter:
    """Which entry set a field, and why that entry applied."""

    entry: int
    why: str

    def __str__(self) -> str:
        return f"entry {self.entry} of mountPodPatch, {self.why}"


@dataclass(frozen=True)
class MergedPatch:
    """What all matching entries come to for one PVC and node.

    Args:
        fields: the merged values, keyed as in config.yaml; templates not expanded.
        setters: field → the entries that set it, in order; for replaced fields the last one counts.
        considered: every entry with whether it matched and why.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    setters: Mapping[str, tuple[Setter, ...]] = field(default_factory=dict)
    considered: tuple[tuple[PatchEntry, Match], ...] = ()

    def get(self, name: str, default: Any = None) -> Any:
        return self.fields.get(name, default)

    def provenance(self, name: str) -> str:
        """Who decided a field: ``entry 2 of mountPodPatch, pvcSelector.matchName x``; empty when nobody did."""
        setters = self.setters.get(name, ())
        shown = setters[-1:] if name in REPLACED else setters
        return "; ".join(map(str, shown))

    def image(self, is_ce: bool = True) -> str:
        """ceMountImage or eeMountImage; empty when no entry sets it."""
        return str(self.fields.get("ceMountImage" if is_ce else "eeMountImage", ""))


def load(text: str) -> DriverConfig:
    """config.yaml as the driver loads it: not strict, key case folded, scalars turned into strings (§2.1).

    Raises:
        ConfigInvalid: not YAML, or a value of a type that the driver refuses. The driver then keeps what it had.
    """
    document = goyaml.parse(text)
    data = schema.decoded(document)
    raw = schema.list_key(document.value)
    entries = tuple(
        _entry(number, fields, document.lines.get((raw, number - 1), 0))
        for number, fields in enumerate(data["mountPodPatch"] or (), start=1)
    )
    switches = {name: value for name, value in data.items() if name != "mountPodPatch"}
    repeated = tuple(schema.path_text(p) for p in document.repeated)
    return DriverConfig(switches, entries, tuple(schema.unknown_keys(document)), repeated)


def _entry(number: int, fields: dict[str, Any], line: int) -> PatchEntry:
    pvc, node = fields.get("pvcSelector"), fields.get("nodeSelector")
    selector = Selector(
        PvcSelector.of(pvc) if pvc is not None else None, LabelSelector.of(node) if node is not None else None
    )
    kept = {name: value for name, value in fields.items() if name not in ("pvcSelector", "nodeSelector")}
    return PatchEntry(number, selector, kept, line)


def merge(config: DriverConfig, pvc: Obj | None, node: Obj | None) -> MergedPatch:
    """Merge the entries that match, in list order, later ones winning (§2.4).

    Args:
        config: the loaded config.yaml.
        pvc: the PVC object, or None when it is not known (then no entry with a pvcSelector matches).
        node: the Node object, or None.
    """
    fields: dict[str, Any] = {}
    setters: dict[str, list[Setter]] = {}
    considered = tuple((entry, entry.selector.explain(pvc, node)) for entry in config.entries)
    for entry, match in considered:
        if match.matched:
            for name in _merge_entry(fields, entry):
                setters.setdefault(name, []).append(Setter(entry.number, match.why))
    return MergedPatch(fields, {k: tuple(v) for k, v in setters.items()}, considered)


def _merge_entry(fields: dict[str, Any], entry: PatchEntry) -> list[str]:
    touched = [name for name in REPLACED if name in entry.fields]
    fields.update({name: entry.fields[name] for name in touched})
    taken = {v.get("name", "") for v in fields.get("volumes", ())}
    volumes = []
    for volume in entry.fields.get("volumes", ()):
        name = (volume or {}).get("name", "")
        if not name.startswith(RESERVED_VOLUMES) and name not in taken:
            taken.add(name)
            volumes.append(volume)
    accepted = {v.get("name", "") for v in volumes}
    added = {"volumes": volumes}
    for kind in ("volumeMounts", "volumeDevices"):
        added[kind] = [m for m in entry.fields.get(kind, ()) if (m or {}).get("name", "") in accepted]
    for name, items in added.items():
        if items:
            fields[name] = [*fields.get(name, ()), *items]
            touched.append(name)
    return touched


def expand_templates(
    fields: Obj, *, mount_point: str, volume_id: str, volume_name: str, sub_path: str
) -> dict[str, Any]:
    """Replace ``${MOUNT_POINT}`` and its friends, by plain text over the JSON, as the driver does (§2.4).

    Only for building a Pod; the settings' hash is taken before.

    Args:
        fields: of a MergedPatch.
        mount_point: mount path in the Mount Pod, ``/jfs/<unique id>-xxxxxx``.
        volume_id: volumeHandle. volume_name: ``name`` of the Secret. sub_path: of the volume.
    """
    text = dumps(shape(fields, schema.PATCH))
    for name, value in (
        ("MOUNT_POINT", mount_point),
        ("VOLUME_ID", volume_id),
        ("VOLUME_NAME", volume_name),
        ("SUB_PATH", sub_path),
    ):
        text = text.replace(f"${{{name}}}", value)
    try:
        expanded = unmarshal(text, schema.PATCH)
    except ValueError:  # a value broke the JSON: the driver goes on with what it had
        return dict(fields)
    return dict(decoded_over(dict(fields), expanded))


@dataclass(frozen=True)
class ImageCandidate:
    """An image that some source names, and which source."""

    image: str
    provenance: str


@dataclass(frozen=True)
class ImageDecision:
    """Which image the next Mount Pod of a volume gets, and why (§2.6).

    Args:
        image: the decision.
        provenance: the source that decided.
        is_ce: community edition.
        candidates: everything that names an image, the decision first.
        certain: False when only the driver's own default is left, which its DaemonSet need not show.
    """

    image: str
    provenance: str
    is_ce: bool
    candidates: tuple[ImageCandidate, ...]
    certain: bool = True


def effective_image(
    config: DriverConfig,
    pvc: Obj | None,
    node: Obj | None,
    *,
    pv: Obj | None = None,
    env: Mapping[str, str] | None = None,
    is_ce: bool = True,
) -> ImageDecision:
    """Decide the image of a new Mount Pod by the driver's whole precedence (§2.6).

    Args:
        config: the loaded config.yaml.
        pvc, node, pv: API objects; None when not known.
        env: environment of the CSI node's container ``juicefs-plugin``, as far as known.
        is_ce: whether the volume's Secret has ``metaurl``.
    """
    env = env or {}
    merged = merge(config, pvc, node)
    key = "ceMountImage" if is_ce else "eeMountImage"
    setters = merged.setters.get(key, ())
    by_number = {entry.number: entry for entry in config.entries}
    found = [ImageCandidate(str(by_number[s.entry].fields[key]), f"{s}") for s in reversed(setters)]
    annotation = ((pvc or {}).get("metadata", {}).get("annotations") or {}).get(names.MOUNT_IMAGE, "")
    if annotation and env.get(names.UNSAFE_PVC_ANNOTATIONS) == "true":
        found.append(ImageCandidate(annotation, f"annotation {names.MOUNT_IMAGE} of the PVC"))
    csi = (pv or {}).get("spec", {}).get("csi") or {}
    attribute = (csi.get("volumeAttributes") or {}).get(names.MOUNT_IMAGE, "")
    if attribute:
        found.append(ImageCandidate(attribute, f"volumeAttributes {names.MOUNT_IMAGE} of the PV"))
    default, variable = images.env_image(env, is_ce)
    if default:
        found.append(ImageCandidate(default, f"environment variable {variable} of the CSI node"))
    certain = bool(found)
    if not default:
        found.append(ImageCandidate(images.COMPILED_IN[is_ce], "compiled into the driver (its image may override it)"))
    return ImageDecision(found[0].image, found[0].provenance, is_ce, tuple(found), certain)
