"""The Mount Pod's command line: made and quoted as the driver does it, and read back (§1.3, §1.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.golang import paths
from jfsnb.driver.mountpods.mount_path import DriverPanics, internal_file, read_mount_path, read_options

DEFAULT_METRICS_PORT = 9567
_RSA_KEY = "/root/.rsa/rsa-key.pem"
_ACL = "/root/.acl"


@dataclass(frozen=True)
class MountCommand:
    """What a Mount Pod's command says.

    Args:
        client: the mount program, e.g. ``/bin/mount.juicefs``.
        source: metadata address or file system name (usually the placeholder ``${metaurl}``).
        mount_path: inside the Mount Pod; "" when the driver could not read it either.
        options: the ``-o`` options.
        is_ce: community edition, by the driver's own test.
    """

    client: str
    source: str
    mount_path: str
    options: tuple[str, ...]
    is_ce: bool

    @classmethod
    def parse(cls, command: Sequence[str]) -> MountCommand:
        """Read ``spec.containers[0].command`` as the driver does (last line, field 2)."""
        is_ce = any("metaurl" in part for part in command)
        fields = command[2].split("\n")[-1].split() if len(command) >= 3 else []
        fields = [*(fields[1:] if fields[:1] == ["exec"] else fields), "", ""]
        try:
            path, _ = read_mount_path(command)
        except (ValueError, DriverPanics):
            path = ""
        return cls(fields[0], fields[1], path, tuple(o for o in read_options(command) or () if o), is_ce)

    @property
    def config_file(self) -> str:
        """Path inside the Mount Pod of the file that tells the running client's version."""
        return f"{self.mount_path}/{internal_file('.config', self.options)}"

    @property
    def access_log(self) -> str:
        """Path inside the Mount Pod of the client's access log."""
        return f"{self.mount_path}/{internal_file('.accesslog', self.options)}"


def escape(text: str) -> str:
    """Make one word safe for the shell, as the driver does: only words with special characters become ``$'…'``."""
    if not set(text) & set("$`&;>|()"):
        return text
    inner = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{inner}'"


def quote_line(line: str) -> str:
    """Escape parentheses over a whole command line, as the driver does."""
    return line.replace("(", "\\(").replace(")", "\\)")


def pod_command(settings: Mapping[str, Any], mount_path: str, sharing: bool) -> str:
    """The init line (format or auth) and the mount line, joined by a newline and nothing else (§1.6)."""
    lines = (_init_line(settings), _mount_line(settings, mount_path, sharing))
    return "\n".join(line for line in lines if line)


def _init_line(settings: Mapping[str, Any]) -> str:
    line = str(settings.get("FormatCmd") or "")
    if settings.get("encrypt_rsa_key") and settings["IsCe"]:
        line += f" --encrypt-rsa-key={_RSA_KEY}"
    if settings.get("initconfig"):
        line = f"cp {paths.join('/etc/juicefs', settings['name'] + '.conf')} /root/.juicefs"
    accounts = [path for _, path in sorted((settings.get("configs_map") or {}).items()) if _ACL in path]
    if accounts and not settings["IsCe"]:
        group, users = paths.join(accounts[0], "group"), paths.join(accounts[0], "passwd")
        line += f" && ln -sf {group} /etc/group && ln -sf {users} /etc/passwd"
    return line


def _mount_line(settings: Mapping[str, Any], mount_path: str, sharing: bool) -> str:
    options = list(settings["Options"]) if sharing else _with_sub_path(settings["Options"], settings.get("SubPath", ""))
    if settings["IsCe"]:
        client, source = names.CE_MOUNT, "${metaurl}"
        if not any(option.startswith("metrics=") for option in options):
            options.append(f"metrics=0.0.0.0:{0 if settings['Attr']['HostNetwork'] else DEFAULT_METRICS_PORT}")
    else:
        client, source = names.EE_MOUNT, escape(settings.get("source", ""))
        rsa = [f"rsa-key={_RSA_KEY}"] if settings.get("encrypt_rsa_key") else []
        options = ["foreground", "no-update", *rsa, *options]
    return quote_line(f"exec {client} {source} {escape(mount_path)} -o {escape(','.join(options))}")


def _with_sub_path(options: Iterable[str], sub_path: str) -> list[str]:
    """The volume's directory below the one that option ``subdir`` names, as the last option (§1.9)."""
    kept, directory = [], sub_path
    for option in options:
        value = option.removeprefix("subdir=")
        if not option.startswith("subdir="):
            kept.append(option)
        elif "=" not in value:
            directory = paths.join(value, sub_path)
    return [*kept, f"subdir={directory}"] if directory else kept


def metrics_port(options: Iterable[str]) -> int:
    """The port that option ``metrics`` names."""
    found = [re.search(r"metrics=.*:([0-9]{1,6})", o) for o in options if o.startswith("metrics=")]
    ports = [int(match[1]) for match in found if match]
    return ports[-1] if ports else DEFAULT_METRICS_PORT
