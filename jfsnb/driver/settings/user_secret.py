"""The user's Secret as the driver reads it: settings, their names in any case, and maps in two of them (§5.2)."""

from __future__ import annotations

from collections.abc import Mapping

from jfsnb.driver.config import goyaml
from jfsnb.driver.golang.decoding import type_errors, unmarshal
from jfsnb.driver.golang.types import by_field
from jfsnb.driver.golang.yaml_json import to_json
from jfsnb.driver.settings.errors import invalid_argument
from jfsnb.errors import ConfigInvalid

SETTINGS = "JfsSetting"


def parsed(secret: Mapping[str, str]) -> dict[str, str]:
    """The settings that keys of a Secret name, by the settings' own names in JSON.

    Raises:
        SettingsError: a key names a setting that is no text.
    """
    ordered = {key: secret[key] for key in sorted(secret)}
    for problem in type_errors(ordered, SETTINGS):
        raise invalid_argument(f"Parse yaml or json error: {problem}")
    return by_field(ordered, SETTINGS)


def string_map(text: str) -> dict[str, str]:
    """A YAML or JSON map of strings, as Secrets and volumeAttributes carry them; empty for no text.

    Raises:
        SettingsError: something else.
    """
    if not text:
        return {}
    try:
        found = to_json(goyaml.parse(text).value, "map[string]string")
    except (ConfigInvalid, ValueError):
        found = text
    if found is None:
        return {}
    if isinstance(found, dict) and not any(isinstance(item, dict | list) for item in found.values()):
        return {key: "" if item is None else str(item) for key, item in found.items()}
    try:
        unmarshal(text, "map[string]string")
    except ValueError as error:
        raise invalid_argument(f"Parse yaml or json error: {error}") from error
    return {}
