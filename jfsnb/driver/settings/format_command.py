"""The init line of a Mount Pod: format (CE), auth (EE) or nothing (reference §1.6; vectors: values/formatcommand)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jfsnb.driver import names
from jfsnb.driver.mountpods.command import escape
from jfsnb.driver.settings.errors import SettingsError, invalid_argument

CONF_DIR = "/root/.juicefs"
SESSION_TOKEN = "session-token"
_FORMAT_KEYS = (
    *("storage", "bucket", "access-key", "block-size", "compress", "trash-days", "capacity", "inodes", "shards"),
)
_AUTH_KEYS = ("access-key", "access-key2", "bucket", "bucket2", "subdir")
#: Secrets among the arguments, with the environment variables that stand for them.
_STRIPPED_AUTH = {
    "token": "token",
    "secret-key": "secretkey",
    "secret-key2": "secretkey2",
    "passphrase": "passphrase",
}
_OTHER_SPELLINGS = {
    "accesskey": "access-key",
    "accesskey2": "access-key2",
    "secretkey": "secret-key",
    "secretkey2": "secret-key2",
}


def with_known_keys(secret: Mapping[str, str]) -> dict[str, str]:
    """The user's Secret with the other spelling of four keys in place of the usual one, even when it is empty."""
    result = {key: value for key, value in secret.items() if key not in _OTHER_SPELLINGS}
    return result | {usual: secret[other] for other, usual in _OTHER_SPELLINGS.items() if other in secret}


def parse_format_options(text: str) -> list[tuple[str, str]]:
    """``format-options`` of the Secret as (name, value); the value is empty for a name alone.

    Raises:
        ValueError: an equal sign with nothing after it; the text is the driver's.
    """
    found = []
    for option in text.split(","):
        name, equals, value = option.strip().partition("=")
        if equals and not value:
            raise ValueError(f"invalid format options: {text}")
        if name.strip():
            found.append((name.strip(), value.strip()))
    return found


def format_words(options: Iterable[tuple[str, str]]) -> list[str]:
    """Format options as words of a command; a session token is a reference to the environment."""
    return [f"--{escape(name)}" + (f"={_value(name, value)}" if value else "") for name, value in options]


def _value(name: str, value: str) -> str:
    return f"${{{name}}}" if name == SESSION_TOKEN else escape(value)


def init_command(secret: Mapping[str, str], is_ce: bool, format_options: str, *, no_update: bool = False) -> str:
    """The command before anything else of the settings changes it; empty for EE without a token.

    Args:
        secret: the user's. format_options: as the settings hold them.
        no_update: JFS_NO_UPDATE_CONFIG of the driver is ``enabled``.

    Raises:
        SettingsError: in the driver's words.
    """
    if is_ce:
        return _format_command(secret, format_options)
    return _auth_command(with_known_keys(secret), format_options, no_update) if secret.get("token") else ""


def _format_command(secret: Mapping[str, str], format_options: str) -> str:
    if not secret.get("name"):
        raise invalid_argument("Empty name")
    if not secret.get("metaurl"):
        raise invalid_argument("Empty metaurl")
    words = [names.CE_CLIENT, "format"]
    if not (secret.get("storage") and secret.get("bucket")):
        words.append("--no-update")
    words += [f"--{key}={escape(secret[key])}" for key in _FORMAT_KEYS if secret.get(key)]
    if secret.get("secret-key"):
        words.append("--secret-key=${secretkey}")
    return " ".join([*words, "${metaurl}", secret["name"], *_checked_words(format_options)])


def _auth_command(secret: Mapping[str, str], format_options: str, no_update: bool) -> str:
    if not secret.get("name"):
        raise invalid_argument("Empty name")
    words = [names.EE_CLIENT, "auth", escape(secret["name"])]
    words += [f"--{key}={escape(secret[key])}" for key in _AUTH_KEYS if secret.get(key)]
    words += [f"--{key}=${{{env}}}" for key, env in _STRIPPED_AUTH.items() if secret.get(key)]
    if no_update:
        if not secret.get("bucket"):
            raise SettingsError("bucket argument is required when --no-update option is provided")
        words.append("--no-update")
    return " ".join([*words, *_checked_words(format_options), f"--conf-dir={CONF_DIR}"])


def _checked_words(format_options: str) -> list[str]:
    try:
        return format_words(parse_format_options(format_options)) if format_options else []
    except ValueError as error:
        raise invalid_argument(f"Parse format options error: {error}") from error
