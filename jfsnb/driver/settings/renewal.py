"""Settings of a Mount Pod that is made anew: what the driver kept, with today's Secret, PV and configuration (§3.4).

Pure. Vectors: family recreate.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.golang.decoding import unmarshal
from jfsnb.driver.golang.types import shape
from jfsnb.driver.mountpods.command import MountCommand
from jfsnb.driver.mountpods.mount_path import read_mount_path
from jfsnb.driver.settings import attr as attributes
from jfsnb.driver.settings.cache_dirs import cache_layout
from jfsnb.driver.settings.driver_secret import KEPT
from jfsnb.driver.settings.errors import DriverPanics, SettingsError
from jfsnb.driver.settings.format_command import init_command, with_known_keys
from jfsnb.driver.settings.hash import with_sorted_lists
from jfsnb.driver.settings.host import Host
from jfsnb.driver.settings.publication import Volume, settings_of, with_scheme
from jfsnb.driver.settings.user_secret import parsed, string_map

Json = dict[str, Any]
Obj = Mapping[str, Any]
#: Environment variables of a Mount Pod that the driver sets; the others are the user's.
DRIVER_VARIABLES = (
    *("_JFS_META_SID", "_FUSE_STATE_PATH", "JFS_FOREGROUND", "JFS_INSIDE_CONTAINER", "JFS_NO_CHECK_OBJECT_STORAGE"),
    *("JFS_NO_UMOUNT", "JFS_NO_UPDATE", "JFS_SUPER_COMM", "JUICEFS_CLIENT_PATH", "JUICEFS_CLIENT_SIDERCAR_CONTAINER"),
)


@dataclass(frozen=True)
class Sources:
    """What is known when a Mount Pod has to be made anew.

    Args:
        old: the Pod object.
        made: data of the driver's Secret for its unique id; None when there is none.
        pv: found by ``pv_name_of``; None when that finds none. pvc: its claim.
        secret: the user's; None when the PV is not known or bound to nothing.
        patch: merged fields of config.yaml in force for that claim and the node.
    """

    old: Obj
    made: Mapping[str, str] | None
    pv: Obj | None
    pvc: Obj | None
    secret: Mapping[str, str] | None
    patch: Mapping[str, Any]

    @property
    def has_kept(self) -> bool:
        """Whether the driver kept the settings; Mount Pods of old versions have none."""
        return bool((self.made or {}).get(KEPT))


def pv_name_of(old: Obj, host: Host) -> str:
    """The name by which the driver looks for the PV: the unique id; where mounts are shared, of a user (§3.4)."""
    notes = old["metadata"].get("annotations") or {}
    if host.share_mode:
        found = (names.target_pv_name(value) for value in notes.values())
        return next(filter(None, found), notes.get(names.UNIQUE_ID, ""))
    return str(notes.get(names.UNIQUE_ID, ""))


def renewed(sources: Sources, host: Host) -> Json:
    """The settings as of today, as hashed.

    Raises:
        SettingsError: in the driver's words; it then uses the old Pod's spec again.
    """
    settings = _kept(sources, host)
    if sources.secret is not None:
        settings |= _from_secret(settings, sources.secret, host)
    if sources.pv is not None:
        settings["Options"] = list(sources.pv["spec"].get("mountOptions") or ())
    if settings.get("Attr") is None:
        raise DriverPanics
    try:
        read_mount_path(_container(sources.old).get("command") or ())
    except ValueError as error:
        raise SettingsError(str(error)) from error
    settings = attributes.with_patch(settings, shape(dict(sources.patch), "MountPodPatch"))
    layout = cache_layout(settings["Attr"]["cacheDirs"] or (), {}, settings["Options"])
    return with_sorted_lists({**settings, **layout.settings()})


def _kept(sources: Sources, host: Host) -> Json:
    """The settings that the driver kept; else from PV and Secret; else from the Pod itself."""
    if sources.has_kept:
        try:
            found = unmarshal((sources.made or {})[KEPT], "JfsSetting")
        except ValueError as error:
            raise SettingsError(str(error)) from error
        kept: Json = shape(found, "JfsSetting")
        return kept
    if sources.pv is not None and sources.pvc is not None and sources.secret is not None:
        return _from_volume(sources.old, sources.pv, sources.secret, sources.patch, host)
    return _from_pod(sources, host)


def _from_volume(old: Obj, pv: Obj, secret: Mapping[str, str], patch: Mapping[str, Any], host: Host) -> Json:
    csi, meta = pv["spec"]["csi"], old["metadata"]
    volume = Volume(
        volume_id=csi.get("volumeHandle", ""),
        unique_id=(meta.get("labels") or {}).get(names.VOLUME_ID, ""),
        secrets=secret,
        context=csi.get("volumeAttributes") or {},
        options=tuple(pv["spec"].get("mountOptions") or ()),
        uuid=(meta.get("annotations") or {}).get(names.FS_UUID, ""),
    )
    return settings_of(volume, host, patch)


def _from_pod(sources: Sources, host: Host) -> Json:
    """As far as a Mount Pod's own object tells."""
    old, spec, container = sources.old, sources.old["spec"], _container(sources.old)
    notes = old["metadata"].get("annotations") or {}
    pv_spec = (sources.pv or {}).get("spec") or {}
    attr = {
        **attributes.inherited(host, container.get("image", "")),
        "Namespace": old["metadata"].get("namespace", ""),
        "ServiceAccountName": spec.get("serviceAccountName", ""),
        "Resources": copy.deepcopy(container.get("resources") or {}),
        "HostNetwork": bool(spec.get("hostNetwork")),
        "HostAliases": spec.get("hostAliases"),
        "HostPID": bool(spec.get("hostPID")),
        "HostIPC": bool(spec.get("hostIPC")),
        "DNSConfig": spec.get("dnsConfig"),
        "DNSPolicy": spec.get("dnsPolicy", ""),
        "ImagePullSecrets": spec.get("imagePullSecrets") or None,
        "Tolerations": spec.get("tolerations") or None,
        "PreemptionPolicy": spec.get("preemptionPolicy"),
        "env": [e for e in container.get("env") or () if e["name"] not in DRIVER_VARIABLES],
    }
    if sources.pv is not None and sources.pvc is not None:
        asked = sources.pvc["metadata"].get("annotations") or {}
        try:
            attr["Resources"] = attributes.pod_resources(asked, attr["Resources"])
        except SettingsError as error:
            raise SettingsError(f"parse pvc resources error: {error.what}") from error
    return {
        "IsCe": MountCommand.parse(container.get("command") or ()).is_ce,
        "UsePod": True,
        "name": notes.get(names.FS_UUID, ""),
        "UUID": notes.get(names.FS_UUID, ""),
        "VolumeId": notes.get(names.UNIQUE_ID, ""),
        "UniqueId": notes.get(names.UNIQUE_ID, ""),
        "Options": list(pv_spec.get("mountOptions") or ()),
        "SubPath": ((pv_spec.get("csi") or {}).get("volumeAttributes") or {}).get("subPath", ""),
        "Attr": attr,
    }


def _from_secret(kept: Json, secret: Mapping[str, str], host: Host) -> Json:
    """What today's Secret of the user says; what it does not say stays, also among its maps."""
    known = with_known_keys(secret)
    try:
        told = parsed(known)
    except SettingsError:
        return {}  # the driver logs it and goes on with what it has
    result: Json = {"source": told.get("name", "")}
    for key, field in (("configs", "configs_map"), ("envs", "envs_map")):
        result[field] = {**(kept.get(field) or {}), **_map_or_nothing(known.get(key, ""))}
    for field in ("name", "passphrase", "token", "encrypt_rsa_key", "initconfig", "format-options", "storage"):
        result[field] = told.get(field) or kept.get(field, "")
    for field in ("secret-key", "secret-key2"):
        result[field] = known.get(field) or kept.get(field, "")
    if told.get("metaurl"):
        result |= {"metaurl": told["metaurl"], "IsCe": True, "source": with_scheme(told["metaurl"])}
    return result | _init(known, bool(result.get("IsCe", kept.get("IsCe"))), result["format-options"], host)


def _map_or_nothing(text: str) -> dict[str, str]:
    try:
        return string_map(text)
    except SettingsError:
        return {}


def _init(secret: Mapping[str, str], is_ce: bool, format_options: str, host: Host) -> Json:
    try:
        command = init_command(secret, is_ce, format_options, no_update=host.no_update_config)
    except SettingsError:
        return {}
    found: Json = {"FormatCmd": command} if command else {}
    return found if is_ce else {**found, "UUID": secret.get("name", ""), "initconfig": secret.get("initconfig", "")}


def _container(pod: Obj) -> Obj:
    return next(iter(pod["spec"].get("containers") or ()), {})
