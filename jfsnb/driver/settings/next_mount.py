"""The exact answer to "would the next mount use this Mount Pod": the hash that the driver would compute (§3.1, §9).

It needs the settings that the driver keeps in its Secret, which hold credentials: they come in, only a hash goes out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.config.merging import ImageDecision, MergedPatch
from jfsnb.driver.settings import options as settings
from jfsnb.driver.settings.hash import settings_hash
from jfsnb.errors import ConfigInvalid

Obj = Mapping[str, Any]


@dataclass(frozen=True)
class NextMount:
    """What the next publish of a volume on a node starts from, besides the kept settings.

    Args:
        pv: of the volume. pvc: its claim; None when not known.
        csi_pod: CSI node Pod of the node. namespace: of the Mount Pods. env: of the CSI node, as far as known.
        merged: config.yaml's entries for the PVC and node. decision: the image.
        read_only: the app Pod asks for a read-only mount.
        fs_uuid: of the file system, where a Mount Pod's annotation tells it: the first publication knew none yet.
    """

    pv: Obj
    pvc: Obj | None
    csi_pod: Obj
    namespace: str
    merged: MergedPatch
    decision: ImageDecision
    env: Mapping[str, str] = field(default_factory=dict)
    read_only: bool = False
    fs_uuid: str = ""


def next_hash(kept: str, mount: NextMount) -> str:
    """Label ``juicefs-hash`` of a Mount Pod that fits the next mount.

    Args:
        kept: ``jfsSettings`` of the driver-made Secret: what no other object tells (credentials, format command).

    Raises:
        ConfigInvalid: the settings cannot be worked out; says nothing of their content.
    """
    try:
        return settings_hash(_settings(json.loads(kept), mount))
    except (ValueError, TypeError, AttributeError, KeyError):
        raise ConfigInvalid("the driver's Secret does not hold what this driver version should keep there") from None


def _settings(kept: dict[str, Any], mount: NextMount) -> dict[str, Any]:
    """Everything anew but what only the Secret knows: a fresh publication does not build on the kept Attr (§2.5)."""
    spec = mount.pv.get("spec") or {}
    attributes = (spec.get("csi") or {}).get("volumeAttributes") or {}
    annotations = ((mount.pvc or {}).get("metadata") or {}).get("annotations") or {}
    unsafe = mount.env.get(names.UNSAFE_PVC_ANNOTATIONS) == "true"
    context = settings.volume_context(attributes, annotations, unsafe)
    inherited = settings.inherited_attr(
        mount.csi_pod.get("spec") or {}, mount.env, namespace=mount.namespace, image=mount.decision.image
    )
    fresh = {
        **kept,
        **settings.volume_switches(context),
        "UUID": kept.get("UUID") or mount.fs_uuid,
        "Options": settings.mount_options(context, spec.get("mountOptions") or (), mount.read_only),
        "Attr": settings.apply_volume_context(inherited, context),
    }
    result = settings.with_patch(fresh, mount.merged.fields, context)
    if mount.decision.certain:
        result["Attr"]["Image"] = mount.decision.image
    return result
