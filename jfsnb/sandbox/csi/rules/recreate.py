"""A Mount Pod made anew: same path, upgrade UUID and references, the configuration of today (reference §3.4). Pure."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.driver.settings.hash import settings_hash
from jfsnb.sandbox.csi.rules.mount_pod import Identity, build
from jfsnb.sandbox.csi.rules.settings import Host, Json, Volume, patched, settings_of

#: What the user's Secret renews in the settings that the driver kept.
FROM_SECRET = (
    *("name", "metaurl", "source", "storage", "format-options", "secret-key", "secret-key2", "token", "passphrase"),
    *("envs_map", "encrypt_rsa_key", "initconfig", "configs_map", "FormatCmd"),
)
#: Placement that survives from the old Pod.
KEPT_PLACEMENT = ("affinity", "schedulerName", "tolerations", "nodeSelector")


@dataclass(frozen=True)
class Sources:
    """What is known when a Mount Pod has to be made anew.

    Args:
        old: the Pod object. kept: ``jfsSettings`` of the driver-made Secret, or None.
        pv: its PV, found by the unique id; None when PV name and volumeHandle differ.
        secrets: the user's Secret; None when the PV is not known.
        patch: merged fields of the ConfigMap in force.
    """

    old: Mapping[str, Any]
    kept: Json | None
    pv: Mapping[str, Any] | None
    secrets: Mapping[str, str] | None
    patch: Mapping[str, Any]


def random_suffix() -> str:
    return "".join(random.choices(string.ascii_lowercase, k=6))


def replacement(sources: Sources, host: Host) -> tuple[Json, Json | None]:
    """(new Pod, its settings). Without kept settings the old spec is used again as it is.

    Raises:
        SettingsError: the configuration of today does not fit; the caller may fall back to ``copy_of``.
    """
    if sources.kept is None:
        return copy_of(sources.old), None
    settings = renewed(sources, host)
    old = MountPod.from_object(sources.old)
    who = Identity(
        name=names.mount_pod_name(old.node, old.unique_id, random_suffix()),
        node=old.node,
        mount_path=old.command.mount_path,
        settings_hash=settings_hash(settings),
        upgrade_uuid=old.upgrade_uuid,
        references=tuple(r.target for r in old.references),
        share_mode=old.share_mode,
    )
    pod = build(settings, sources.patch, who, host.env)
    old_spec = sources.old["spec"]
    spec = {k: v for k, v in pod["spec"].items() if k not in KEPT_PLACEMENT}
    spec |= {k: old_spec[k] for k in KEPT_PLACEMENT if old_spec.get(k)}
    return {**pod, "spec": spec}, settings


def renewed(sources: Sources, host: Host) -> Json:
    """Kept settings with the user's Secret, the PV's mount options and the patch of today over them."""
    old = MountPod.from_object(sources.old)
    spec = (sources.pv or {}).get("spec") or {}
    csi = spec.get("csi") or {}
    context = csi.get("volumeAttributes") or {}
    settings = {**(sources.kept or {})}
    settings["VolumeId"] = csi.get("volumeHandle") or old.unique_id
    settings["SubPath"] = context.get("subPath", "")
    if sources.pv is not None:
        settings["Options"] = list(spec.get("mountOptions") or ())
    if sources.secrets is not None:
        fresh = settings_of(Volume(settings["VolumeId"], old.unique_id, sources.secrets, context), host, {})
        settings |= {key: fresh[key] for key in FROM_SECRET}
    for key in ("envs_map", "configs_map", *FROM_SECRET):
        settings.setdefault(key, {} if key.endswith("_map") else "")
    return patched(settings, sources.patch, {})


def copy_of(old: Mapping[str, Any]) -> Json:
    """The old Pod under a new name, with nothing that the cluster added to it."""
    pod = MountPod.from_object(old)
    meta = old["metadata"]
    notes = {k: v for k, v in (meta.get("annotations") or {}).items() if k.startswith("juicefs")}
    notes = {k: v for k, v in notes.items() if k not in (names.DELETE_AT, names.IMMEDIATE_RECONCILE)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": names.mount_pod_name(pod.node, pod.unique_id, random_suffix()),
            "namespace": pod.namespace,
            "labels": dict(meta.get("labels") or {}),
            "annotations": notes,
            "finalizers": [names.FINALIZER],
        },
        "spec": json.loads(json.dumps(old["spec"])),
    }


def same_again(old: Mapping[str, Any]) -> Json:
    """The old Pod under its own name, for a redeployment after a resource rejection."""
    pod = copy_of(old)
    return {**pod, "metadata": {**pod["metadata"], "name": old["metadata"]["name"]}}
