"""Why a mount would fail before any client runs: what the driver refuses to publish, or the API server to create.

Worked out without the volume's Secret, so it sees what objects say and nothing that credentials would (§2.5, §4.2, §6).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jfsnb.driver.config.validation import env_name_problems, label_value_problems, qualified_name_problems
from jfsnb.driver.mountpods.volumes import volumes_of
from jfsnb.driver.settings.attr import volume_context
from jfsnb.driver.settings.errors import DriverPanics, SettingsError
from jfsnb.driver.settings.host import Host
from jfsnb.driver.settings.mount_options import requested
from jfsnb.driver.settings.publication import laid_over
from jfsnb.driver.settings.quantity import value_of

PULL_POLICIES = ("", "Always", "IfNotPresent", "Never")


@dataclass(frozen=True)
class Wanted:
    """What a volume asks for, from its PV (or its StorageClass) and its PVC.

    Args:
        attributes: volumeAttributes. options: mountOptions. annotations: of the PVC.
        is_ce: community edition.
    """

    attributes: Mapping[str, str]
    options: Sequence[str] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    is_ce: bool = True

    @classmethod
    def by_objects(cls, pv: Mapping[str, Any], pvc: Mapping[str, Any] | None, is_ce: bool) -> Wanted:
        """Of a PV and its claim, if that is known."""
        spec = pv.get("spec") or {}
        attributes = (spec.get("csi") or {}).get("volumeAttributes") or {}
        annotations = ((pvc or {}).get("metadata") or {}).get("annotations") or {}
        return cls(attributes, tuple(spec.get("mountOptions") or ()), annotations, is_ce)


def refusal(wanted: Wanted, patch: Mapping[str, Any], host: Host) -> str:
    """Why the mount would fail, in the driver's or the API server's words; empty when nothing seen speaks against it.

    Args:
        patch: ``MergedPatch.fields`` for the PVC and node. host: the driver on that node, as far as known.
    """
    context = volume_context(wanted.attributes, wanted.annotations, host.unsafe_annotations)
    told = {"IsCe": wanted.is_ce, "Options": requested(context, wanted.options, False)}
    try:
        settings = laid_over(told, context, host, patch, host.default_image(wanted.is_ce))
    except DriverPanics:
        return "the driver crashes: an EmptyDir cache without sizeLimit"
    except SettingsError as error:
        return error.what
    return next(_pod_problems(settings, host), "")


def _pod_problems(settings: Mapping[str, Any], host: Host) -> Iterator[str]:
    """What the API server would refuse in the Mount Pod."""
    attr = settings["Attr"]
    for key, value in (attr.get("labels") or {}).items():
        if "${" not in value:
            yield from (
                f"label {key}: {text}" for text in (*qualified_name_problems(key), *label_value_problems(value))
            )
    for key in attr.get("annotations") or ():
        yield from (f"annotation {key}: {text}" for text in qualified_name_problems(key))
    for variable in attr.get("env") or ():
        yield from (f"env {variable['name']}: {text}" for text in env_name_problems(variable["name"]))
    volumes, mounts = volumes_of(settings, "", host, str)
    yield from (f"volume name {name}: must be unique" for name in _repeated([v["name"] for v in volumes]))
    yield from (f"mountPath {path}: must be unique" for path in _repeated([m["mountPath"] for m in mounts]))
    if attr.get("imagePullPolicy", "") not in PULL_POLICIES:
        yield f"imagePullPolicy {attr['imagePullPolicy']}: supported values: Always, IfNotPresent, Never"
    yield from _over_limits(attr.get("Resources") or {})


def _repeated(items: Sequence[str]) -> list[str]:
    return [item for number, item in enumerate(items) if item in items[:number]]


def _over_limits(resources: Mapping[str, Any]) -> Iterator[str]:
    limits = resources.get("limits") or {}
    for name, text in (resources.get("requests") or {}).items():
        request, limit = value_of(str(text)), value_of(str(limits.get(name, "")))
        if request is not None and limit is not None and request > limit:
            yield f"request of {name} {text}: must be less than or equal to its limit {limits[name]}"
