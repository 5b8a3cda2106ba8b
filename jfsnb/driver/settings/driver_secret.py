"""The Secret that the driver makes for a unique id: what is in it, and when it is written anew (reference §1.8). Pure.

It holds credentials in clear.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jfsnb.driver.settings.format_command import SESSION_TOKEN, parse_format_options
from jfsnb.driver.settings.hash import kept_text

KEPT = "jfsSettings"
#: Keys of the Secret that become environment variables, with the settings that they come from.
CREDENTIALS = {
    "metaurl": "metaurl",
    "secretkey": "secret-key",
    "secretkey2": "secret-key2",
    "token": "token",
    "passphrase": "passphrase",
}
_FILES = ("encrypt_rsa_key", "initconfig")
#: Sidecars run it; Mount Pods never do. The real driver's has another text.
_CHECK_MOUNT = {"check_mount.sh": 'until mountpoint -q "$1"; do sleep 1; done\n'}


def secret_data(settings: Mapping[str, Any], share_mode: str) -> dict[str, str]:
    """What the Secret holds.

    Args:
        settings: as hashed. share_mode: empty when the Mount Pod is not shared.
    """
    found = {key: str(settings.get(name) or "") for key, name in CREDENTIALS.items()}
    found |= {key: str(settings.get(key) or "") for key in _FILES}
    data = {KEPT: kept_text(settings, share_mode), **{k: v for k, v in found.items() if v}, **_CHECK_MOUNT}
    return data | _session_token(settings) | dict(settings.get("envs_map") or {})


def _session_token(settings: Mapping[str, Any]) -> dict[str, str]:
    try:
        options = parse_format_options(str(settings.get("format-options") or ""))
    except ValueError:
        return {}
    found = [value for name, value in options if name == SESSION_TOKEN]
    return {SESSION_TOKEN: found[-1]} if found else {}


def environment_keys(settings: Mapping[str, Any]) -> list[str]:
    """The keys that a Mount Pod has as environment variables, in their order; ``envs`` has none, so by the alphabet."""
    keys = [key for key, name in CREDENTIALS.items() if settings.get(name)]
    if SESSION_TOKEN in (settings.get("format-options") or ""):
        keys.append(SESSION_TOKEN)
    return [*keys, *sorted(settings.get("envs_map") or {})]


def is_stale(data: Mapping[str, str], existing: Mapping[str, str] | None) -> bool:
    """Whether the driver writes its Secret again."""
    return existing is None or len(data) != len(existing) or any(existing.get(k) != v for k, v in data.items())
