"""Settings of a volume from its Secret, attributes, PVC and the CSI node Pod (reference §1.6, §2.5, §5.2, §5.3).

Settings are plain data in the layout of ``jfsSettings`` (settings.hash). Pure: no I/O. Vectors: family settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.golang.duration import parse_duration
from jfsnb.driver.golang.types import shape
from jfsnb.driver.settings import attr as attributes
from jfsnb.driver.settings import mount_options
from jfsnb.driver.settings.cache_dirs import cache_layout
from jfsnb.driver.settings.errors import DriverPanics, SettingsError, invalid_argument
from jfsnb.driver.settings.format_command import init_command
from jfsnb.driver.settings.hash import with_sorted_lists
from jfsnb.driver.settings.host import Host
from jfsnb.driver.settings.user_secret import parsed, string_map

Json = dict[str, Any]


@dataclass(frozen=True)
class Volume:
    """What a publish call says about a volume, before any rule is applied.

    Args:
        volume_id: volumeHandle. unique_id: see driver.sharing.
        secrets: the node-publish Secret's data.
        context: volumeAttributes with the PVC's annotations over them (settings.attr.volume_context).
        options: mount options as asked for (settings.mount_options.requested).
        uuid: of the file system (CE); empty when it is not formatted yet.
    """

    volume_id: str
    unique_id: str
    secrets: Mapping[str, str]
    context: Mapping[str, str]
    options: Sequence[str] = ()
    uuid: str = ""


def settings_of(volume: Volume, host: Host, patch: Mapping[str, Any], image: str = "") -> Json:
    """All layers: built-ins, CSI node Pod, volume, then config.yaml's merged patch (§2.5).

    Args:
        patch: ``MergedPatch.fields``.
        image: the driver's default, where it is known from elsewhere than its environment.

    Raises:
        SettingsError: in the driver's words.
    """
    told = {**_from_secret(volume), "Options": list(volume.options)}
    is_ce = told["IsCe"]
    settings = laid_over(told, volume.context, host, patch, image or host.default_image(is_ce))
    command = init_command(volume.secrets, is_ce, told.get("format-options", ""), no_update=host.no_update_config)
    settings["FormatCmd"] = command or told.get("FormatCmd", "")
    settings |= {"UUID": volume.uuid} if is_ce else {"UUID": told["name"]}
    if not is_ce:
        settings["initconfig"] = volume.secrets.get("initconfig", "")
    return with_sorted_lists(settings)


def laid_over(
    told: Mapping[str, Any], context: Mapping[str, str], host: Host, patch: Mapping[str, Any], image: str
) -> Json:
    """What volumeAttributes, the CSI node Pod and config.yaml lay over settings from a Secret, lists not sorted yet.

    Args:
        told: with ``Options`` as asked for. image: the driver's default.

    Raises:
        SettingsError: in the driver's words.
    """
    settings = {**told, **_switches(context)}
    with _said_by("GenPodAttrWithCfg"):
        settings["Attr"] = attributes.with_context(attributes.inherited(host, image), context)
    settings = attributes.with_patch(settings, shape(dict(patch), "MountPodPatch"))
    memory = mount_options.memory_limit(settings["Attr"]["Resources"])
    with _said_by("genAndValidOptions"):
        settings["Options"] = mount_options.checked(settings["Options"], memory)
    with _said_by("genCacheDirs"):
        settings |= cache_layout(settings["Attr"]["cacheDirs"] or (), context, settings["Options"]).settings()
    return settings


def _from_secret(volume: Volume) -> Json:
    """What the user's Secret says, and the volume's names."""
    secrets = volume.secrets
    told = parsed(secrets)
    if not secrets.get("name"):
        raise invalid_argument("Empty name")
    is_ce = "metaurl" in secrets
    return {
        **told,
        "IsCe": is_ce,
        "UsePod": True,
        "name": secrets["name"],
        "source": with_scheme(secrets["metaurl"]) if is_ce else secrets["name"],
        "storage": secrets.get("storage", ""),
        "secret-key": secrets.get("secretkey") or told.get("secret-key", ""),
        "secret-key2": secrets.get("secretkey2") or told.get("secret-key2", ""),
        "configs_map": string_map(secrets.get("configs", "")),
        "envs_map": string_map(secrets.get("envs", "")),
        "VolumeId": volume.volume_id,
        "UniqueId": volume.unique_id,
        "SecretName": names.secret_name(volume.unique_id),
    }


def _switches(context: Mapping[str, str]) -> Json:
    """What volumeAttributes say about the directory, the end and the host paths of a Mount Pod (§5.3)."""
    found: Json = {"SubPath": context["subPath"]} if context.get("subPath") else {}
    found["clean_cache"] = context.get("juicefs/clean-cache") == "true"
    if delay := context.get("juicefs/mount-delete-delay"):
        if parse_duration(delay) is None:
            raise SettingsError(f"can't parse delay time {delay}")
        found["deleted_delay"] = delay
    paths = [p.strip() for p in context.get("juicefs/host-path", "").split(",")]
    return {**found, "host_path": [p for p in paths if p] or None}


def with_scheme(metaurl: str) -> str:
    """A metadata address as the client gets it: redis when it names no other engine (§5.2)."""
    return metaurl if "://" in metaurl else f"redis://{metaurl}"


class _said_by:
    """Puts the name of the driver's function before its refusal."""

    def __init__(self, function: str) -> None:
        self.function = function

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        if isinstance(error, SettingsError) and not isinstance(error, DriverPanics):
            raise SettingsError(f"{self.function} error: {error.what}") from error
