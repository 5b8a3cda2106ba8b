"""Settings of a volume from its Secret, attributes, PVC and the CSI node Pod (reference §1.6, §2.5, §5.2, §5.3).

Settings are plain data in the layout of ``jfsSettings``, as in jfsnb.driver.settings.hash. Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jfsnb.driver import images, names
from jfsnb.driver.mountpods.command import escape
from jfsnb.driver.settings import options as rules
from jfsnb.errors import JfsnbError

Json = dict[str, Any]
FORMAT_KEYS = (
    "storage",
    "bucket",
    "access-key",
    "block-size",
    "compress",
    "trash-days",
    "capacity",
    "inodes",
    "shards",
)


class SettingsError(Exception):
    """A volume's Secret, attributes or configuration cannot be used; the text is the driver's.

    Args:
        message: what the caller reads.
        invalid: InvalidArgument for the caller rather than Internal.
    """

    def __init__(self, message: str, invalid: bool = False) -> None:
        super().__init__(message)
        self.invalid = invalid


@dataclass(frozen=True)
class Host:
    """What the driver knows of itself: its node, namespace, Pod and environment."""

    node: str
    namespace: str
    pod: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Volume:
    """What a publish call says about a volume, before any rule is applied.

    Args:
        volume_id: volumeHandle. unique_id: see jfsnb.driver.names.unique_id.
        secrets: the node-publish Secret's data.
        context: volumeAttributes with the PVC's annotations over them (jfsnb.driver.settings.options.volume_context).
        options: mount options in the order of §4.2 step 4.
        uuid: of the file system; empty when it is not formatted yet.
    """

    volume_id: str
    unique_id: str
    secrets: Mapping[str, str]
    context: Mapping[str, str]
    options: Sequence[str] = ()
    uuid: str = ""


def settings_of(volume: Volume, host: Host, patch: Mapping[str, Any]) -> Json:
    """All layers: built-ins, CSI node Pod, volume, then the ConfigMap's merged patch (§2.5).

    Raises:
        SettingsError: in the driver's words.
    """
    secrets = volume.secrets
    name, is_ce = secrets.get("name", ""), "metaurl" in secrets
    if not name:
        raise SettingsError("Empty name", invalid=True)
    metaurl = with_scheme(secrets["metaurl"]) if is_ce else ""
    try:
        attr = rules.apply_volume_context(_inherited(host, is_ce), volume.context)
        settings: Json = {
            "IsCe": is_ce,
            "UsePod": True,
            "UUID": volume.uuid,
            "name": name,
            "metaurl": metaurl,
            "source": metaurl if is_ce else name,
            "storage": secrets.get("storage", ""),
            "format-options": secrets.get("format-options", ""),
            "secret-key": first_of(secrets, "secret-key", "secretkey"),
            "secret-key2": first_of(secrets, "secret-key2", "secretkey2"),
            "token": secrets.get("token", ""),
            "passphrase": secrets.get("passphrase", ""),
            "envs_map": rules.string_map(secrets.get("envs", "")),
            "encrypt_rsa_key": secrets.get("encrypt_rsa_key", ""),
            "initconfig": secrets.get("initconfig", ""),
            "configs_map": rules.string_map(secrets.get("configs", "")),
            **rules.volume_switches(volume.context),
            "VolumeId": volume.volume_id,
            "UniqueId": volume.unique_id,
            "Options": list(volume.options),
            "FormatCmd": format_command(secrets, name, is_ce),
            "SubPath": volume.context.get("subPath", ""),
            "SecretName": names.secret_name(volume.unique_id),
            "Attr": attr,
        }
        return patched(settings, patch, volume.context)
    except JfsnbError as error:
        raise SettingsError(error.what) from error


def with_scheme(metaurl: str) -> str:
    """A metadata address as the driver passes it on: redis when it names no other engine (§5.2)."""
    address = metaurl.strip()
    return address if "://" in address else f"redis://{address}"


def patched(settings: Json, patch: Mapping[str, Any], context: Mapping[str, str]) -> Json:
    """``with_patch``, with the error that the driver gives.

    Raises:
        SettingsError: ``genAndValidOptions error: invalid mount option: …``.
    """
    try:
        return rules.with_patch(settings, patch, context)
    except JfsnbError as error:
        raise SettingsError(error.what) from error


def secret_data(settings: Mapping[str, Any], session_token: str = "") -> dict[str, str]:
    """Keys of the driver-made Secret besides ``jfsSettings`` (§1.8); which of them exist decides the environment."""
    data = {
        "metaurl": settings["metaurl"],
        "secretkey": settings["secret-key"],
        "secretkey2": settings["secret-key2"],
        "token": settings["token"],
        "passphrase": settings["passphrase"],
        "encrypt_rsa_key": settings["encrypt_rsa_key"],
        "initconfig": settings["initconfig"],
        "session-token": session_token,
        **settings["envs_map"],
    }
    return {key: value for key, value in data.items() if value}


def _inherited(host: Host, is_ce: bool) -> Json:
    image = images.env_image(host.env, is_ce)[0] or images.COMPILED_IN[is_ce]
    return rules.inherited_attr(host.pod.get("spec") or {}, host.env, namespace=host.namespace, image=image)


# ---------------------------------------------------------------- the init line


def format_command(secrets: Mapping[str, str], name: str, is_ce: bool) -> str:
    """The first line of the Mount Pod's command: format (CE), auth (EE) or nothing (§1.6)."""
    if not is_ce:
        return _auth_command(secrets, name) if secrets.get("token") else ""
    words = [names.CE_CLIENT, "format"]
    if not (secrets.get("storage") and secrets.get("bucket")):
        words.append("--no-update")
    for key in FORMAT_KEYS:
        value = first_of(secrets, key, key.replace("-", "") if key == "access-key" else key)
        words += [f"--{key}={escape(value)}"] if value else []
    if first_of(secrets, "secret-key", "secretkey"):
        words.append("--secret-key=${secretkey}")
    if secrets.get("session-token"):
        words.append("--session-token=${session-token}")
    words += ["${metaurl}", name, *_format_options(secrets.get("format-options", ""))]
    if secrets.get("encrypt_rsa_key"):
        words.append("--encrypt-rsa-key=/root/.rsa/rsa-key.pem")
    return " ".join(words)


def _auth_command(secrets: Mapping[str, str], name: str) -> str:
    words = [names.EE_CLIENT, "auth", name]
    for key in ("access-key", "access-key2", "bucket", "bucket2", "subdir"):
        value = first_of(secrets, key, key.replace("-", ""))
        words += [f"--{key}={escape(value)}"] if value else []
    words.append("--token=${token}")
    for key, variable in (("secret-key", "secretkey"), ("secret-key2", "secretkey2")):
        words += [f"--{key}=${{{variable}}}"] if first_of(secrets, key, variable) else []
    words += ["--passphrase=${passphrase}"] if secrets.get("passphrase") else []
    return " ".join([*words, *_format_options(secrets.get("format-options", "")), "--conf-dir=/root/.juicefs"])


def _format_options(text: str) -> list[str]:
    words = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        key, equals, value = (p.strip() for p in part.partition("="))
        if equals and not value:
            raise SettingsError(f"invalid format options: {part}")
        words.append(f"--{key}={escape(value)}" if equals else f"--{key}")
    return words


def first_of(secrets: Mapping[str, str], *keys: str) -> str:
    """The first non-empty value: some keys of the Secret have two spellings (§5.2)."""
    return next((secrets[k] for k in keys if secrets.get(k)), "")
