"""What the driver hides of addresses, Secrets and settings before it writes them to its log (vectors: values/mask…).

It hides less than our own redaction does: keys in ``format-options`` stay, and what stands behind a second ``@``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from jfsnb.driver.golang.types import dumps, shape
from jfsnb.driver.mountpods.mount_path import DriverPanics

HIDDEN = "***"
_STRIPPED = (
    *("token", "accesskey", "access-key", "accesskey2", "access-key2", "secretkey", "secret-key"),
    *("secretkey2", "secret-key2", "passphrase", "password"),
)
_SETTINGS_HIDDEN = ("token", "secret-key", "secret-key2", "passphrase", "encrypt_rsa_key", "metaurl")
_SETTINGS_LEFT_OUT = ("VolumeId", "SubPath", "initconfig", "MountPath")
_ESCAPED_BYTE = re.compile(r"\\x[0-9a-fA-F]{2}")
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]")


def strip_password(address: str) -> str:
    """A metadata address with its password hidden; what stands behind a second ``@`` stays.

    Raises:
        DriverPanics: an address of one byte.
    """
    data = address.encode()
    at = data.find(b"@")
    if at < 0:
        return address
    start = data.find(b"://") + 3
    if start > len(data):
        raise DriverPanics(f"runtime error: slice bounds out of range [{start}:{len(data)}]")
    colon = data.find(b":", start)
    if colon < 0 or colon > at:
        return address
    return (data[:colon] + b":****" + data[at:]).decode()


def strip_secret(secret: Mapping[str, str]) -> dict[str, str]:
    """A Secret's data with the values of known keys hidden, in its ``initconfig`` too."""
    result = {key: HIDDEN if key in _STRIPPED else value for key, value in secret.items()}
    if "initconfig" in result:
        found = strip_secret(_string_map(result["initconfig"]))
        result["initconfig"] = dumps({key: found[key] for key in sorted(found)})
    return result


def _string_map(text: str) -> dict[str, str]:
    """JSON as a Go map of strings: empty for something else, and empty for a value that is no string."""
    try:
        data = json.loads(text)
    except ValueError:
        return {}
    items = data.items() if isinstance(data, dict) else ()
    return {key: value if isinstance(value, str) else "" for key, value in items}


def safe_settings(settings: Mapping[str, Any]) -> str:
    """Settings (``jfsSettings``) as JSON for a log: credentials hidden, what differs for each mount left out."""
    hidden = {key: HIDDEN for key in _SETTINGS_HIDDEN if settings.get(key)}
    return dumps(shape({**settings, **hidden, **dict.fromkeys(_SETTINGS_LEFT_OUT, "")}, "JfsSetting"))


def clean_text(text: str) -> str:
    """Printable ASCII only: the driver cleans keys of tolerations so before it makes a Pod."""
    return _NOT_PRINTABLE.sub("", _ESCAPED_BYTE.sub("", text)).strip()
