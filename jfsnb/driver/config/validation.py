"""What the driver's dashboard refuses in a config.yaml; the driver itself loads it and fails later (§2.2, §8).

Vectors: config/validate. The messages are the dashboard's, those about names Kubernetes's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jfsnb.driver.config.merging import DriverConfig
from jfsnb.driver.golang.quoting import go_quoted

Fields = Mapping[str, Any]
CACHE_TYPES = ("HostPath", "PVC", "EmptyDir", "Ephemeral")
DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_NAME_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_NAME_PROBLEM = f"{_NAME_RULE} (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME}')"
_VALUE_PROBLEM = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'({_NAME})?')"
)
_SUBDOMAIN_PROBLEM = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_ENV_PROBLEM = "a valid environment variable name must consist only of printable ASCII characters other than '='"
_LONGEST_NAME, _LONGEST_SUBDOMAIN = 63, 253


def problems(config: DriverConfig) -> Iterator[str]:
    """Everything that the dashboard would refuse, in the order in which it looks; it tells only the first."""
    for entry in config.entries:
        for check in _CHECKS:
            for text in check(entry.fields):
                yield f"mountPodPatch[{entry.number - 1}].{text}"


def _env(fields: Fields) -> Iterator[str]:
    for variable in fields.get("env") or ():
        found = env_name_problems(variable["name"])
        if found:
            yield f"env: invalid environment variable name {go_quoted(variable['name'])}: {'; '.join(found)}"


def _labels(fields: Fields) -> Iterator[str]:
    for key, value in (fields.get("labels") or {}).items():
        yield from _key_problem("labels", key)
        found = label_value_problems(value)
        if found:
            yield f"labels: invalid value {go_quoted(value)} for key {go_quoted(key)}: {'; '.join(found)}"


def _annotations(fields: Fields) -> Iterator[str]:
    for key in fields.get("annotations") or ():
        yield from _key_problem("annotations", key)


def _key_problem(field: str, key: str) -> Iterator[str]:
    found = qualified_name_problems(key)
    if found:
        yield f"{field}: invalid key {go_quoted(key)}: {'; '.join(found)}"


def _volumes(fields: Fields) -> Iterator[str]:
    volumes = [v["name"] for v in fields.get("volumes") or ()]
    used = set()
    for kind in ("volumeMounts", "volumeDevices"):
        for number, mount in enumerate(fields.get(kind) or ()):
            used.add(mount["name"])
            if mount["name"] not in volumes:
                yield f"{kind}[{number}]: volume {go_quoted(mount['name'])} not found in volumes"
    for number, name in enumerate(volumes):
        if name not in used:
            yield f"volumes[{number}]: volume {go_quoted(name)} not found in volumeMounts or volumeDevices"


def _cache_dirs(fields: Fields) -> Iterator[str]:
    for number, cache in enumerate(fields.get("cacheDirs") or ()):
        kind = cache.get("type", "")
        if kind not in CACHE_TYPES:
            yield f"cacheDirs[{number}]: invalid type {go_quoted(kind)}, must be one of {', '.join(CACHE_TYPES)}"
        for needed, of in (("path", "HostPath"), ("name", "PVC")):
            if kind == of and not cache.get(needed):
                yield f"cacheDirs[{number}]: {needed} is required for {of} type"


def _dns_policy(fields: Fields) -> Iterator[str]:
    policy = fields.get("dnsPolicy", "")
    if policy and policy not in DNS_POLICIES:
        yield f"dnsPolicy: invalid value {go_quoted(policy)}, must be one of {', '.join(DNS_POLICIES)}"


_CHECKS: tuple[Callable[[Fields], Iterator[str]], ...] = (
    _env,
    _labels,
    _annotations,
    _volumes,
    _cache_dirs,
    _dns_policy,
)


def env_name_problems(name: str) -> list[str]:
    """Why Kubernetes refuses the name of an environment variable; empty when it does not."""
    found = [] if name else ["environment variable name must be non-empty"]
    return found if all(" " <= char <= "~" and char != "=" for char in name) else [*found, _ENV_PROBLEM]


def label_value_problems(value: str) -> list[str]:
    """Why Kubernetes refuses the value of a label; empty when it does not."""
    found = _too_long(value, _LONGEST_NAME)
    return found if re.fullmatch(f"({_NAME})?", value) else [*found, _VALUE_PROBLEM]


def qualified_name_problems(key: str) -> list[str]:
    """Why Kubernetes refuses the key of a label or annotation; empty when it does not."""
    *prefixes, name = key.split("/")
    if len(prefixes) > 1:
        optional = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return [f"a qualified name {_NAME_PROBLEM} {optional}"]
    found = [f"prefix part {text}" for prefix in prefixes for text in _subdomain_problems(prefix)]
    in_name = _too_long(name, _LONGEST_NAME) if name else ["must be non-empty"]
    in_name += [] if re.fullmatch(_NAME, name) else [_NAME_PROBLEM]
    return [*found, *(f"name part {text}" for text in in_name)]


def _subdomain_problems(text: str) -> list[str]:
    if not text:
        return ["must be non-empty"]
    found = _too_long(text, _LONGEST_SUBDOMAIN)
    return found if re.fullmatch(_SUBDOMAIN, text) else [*found, _SUBDOMAIN_PROBLEM]


def _too_long(text: str, longest: int) -> list[str]:
    return [f"must be no more than {longest} characters"] if len(text.encode()) > longest else []
