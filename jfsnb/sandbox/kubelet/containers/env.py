"""A container's environment and command line, as the kubelet puts them together. Pure: objects come as arguments."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jfsnb.sandbox.apimachinery.client import Obj
from jfsnb.sandbox.kubelet.containers import downward

REFERENCE = re.compile(r"\$(?:(\$)|\(([^)]*)\))")


class ConfigError(Exception):
    """A container cannot be configured: what ``CreateContainerConfigError`` shows as its message."""


@dataclass(frozen=True)
class Sources:
    """What variables are taken from.

    Args:
        config_maps: by name; a name that is missing here is not in the cluster.
        secrets: the same of Secrets.
        allocatable: the node's resources, for limits that a container does not set.
    """

    config_maps: Mapping[str, Obj] = field(default_factory=dict)
    secrets: Mapping[str, Obj] = field(default_factory=dict)
    allocatable: Mapping[str, str] = field(default_factory=dict)


def references(container: Obj) -> tuple[set[str], set[str]]:
    """Names of the ConfigMaps and of the Secrets that a container's environment needs."""
    maps, secrets = set(), set()
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        maps |= {source["configMapKeyRef"]["name"]} if "configMapKeyRef" in source else set()
        secrets |= {source["secretKeyRef"]["name"]} if "secretKeyRef" in source else set()
    for whole in container.get("envFrom") or ():
        maps |= {whole["configMapRef"]["name"]} if "configMapRef" in whole else set()
        secrets |= {whole["secretRef"]["name"]} if "secretRef" in whole else set()
    return maps, secrets


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` of known variables and ``$$`` by ``$``; anything else stays as it is."""

    def replace(match: re.Match[str]) -> str:
        return "$" if match[1] else known.get(match[2], match[0])

    return REFERENCE.sub(replace, text)


def environment(pod: Obj, container: Obj, sources: Sources, base: Mapping[str, str]) -> dict[str, str]:
    """The variables of a container.

    Args:
        pod: with ``status.podIP`` and ``hostIP`` filled in.
        container: its spec.
        sources: ConfigMaps and Secrets that it names.
        base: variables that are always there (the API server's address); ``env`` may refer to them.

    Raises:
        ConfigError: something that it names, and that is not optional, is missing.
    """
    result = {}
    for whole in container.get("envFrom") or ():
        prefix = whole.get("prefix") or ""
        result.update({prefix + key: value for key, value in _whole(whole, sources).items()})
    known = {**base, **result}
    for variable in container.get("env") or ():
        name = variable["name"]
        if variable.get("valueFrom"):
            value = _value_from(pod, container, variable["valueFrom"], sources)
            if value is None:
                continue
        else:
            value = expand(variable.get("value") or "", known)
        result[name] = known[name] = value
    return {**base, **result}


def _whole(entry: Obj, sources: Sources) -> dict[str, str]:
    secret = "secretRef" in entry
    ref = entry["secretRef" if secret else "configMapRef"]
    obj = (sources.secrets if secret else sources.config_maps).get(ref["name"])
    if obj is None:
        if ref.get("optional"):
            return {}
        raise ConfigError(f'{"secret" if secret else "configmap"} "{ref["name"]}" not found')
    return _data(obj, secret)


def _value_from(pod: Obj, container: Obj, source: Obj, sources: Sources) -> str | None:
    if "fieldRef" in source:
        return _downward(lambda: downward.field(pod, source["fieldRef"]["fieldPath"]))
    if "resourceFieldRef" in source:
        ref = source["resourceFieldRef"]
        owner = _container_named(pod, ref.get("containerName") or container["name"])
        return _downward(lambda: downward.resource(owner, ref, sources.allocatable))
    secret = "secretKeyRef" in source
    ref = source["secretKeyRef" if secret else "configMapKeyRef"]
    obj = (sources.secrets if secret else sources.config_maps).get(ref["name"])
    optional = bool(ref.get("optional"))
    if obj is None:
        if optional:
            return None
        raise ConfigError(f'{"secret" if secret else "configmap"} "{ref["name"]}" not found')
    value = _data(obj, secret).get(ref["key"])
    if value is None and not optional:
        where = f"{pod['metadata'].get('namespace', '')}/{ref['name']}"
        raise ConfigError(f"couldn't find key {ref['key']} in {'Secret' if secret else 'ConfigMap'} {where}")
    return value


def _downward(read: Any) -> str:
    try:
        return str(read())
    except downward.UnknownField as error:
        raise ConfigError(str(error)) from None


def _container_named(pod: Obj, name: str) -> Obj:
    everyone = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    return next((c for c in everyone if c["name"] == name), {})


def _data(obj: Obj, secret: bool) -> dict[str, str]:
    data = obj.get("data") or {}
    if not secret:
        return {key: str(value) for key, value in data.items()}
    return {key: base64.b64decode(value or "").decode("utf-8", "surrogateescape") for key, value in data.items()}


def command_line(
    container: Obj, known: Mapping[str, str], entrypoint: Sequence[str], command: Sequence[str]
) -> tuple[str, ...]:
    """What a container runs: its command and args before the image's entrypoint and command.

    Raises:
        ConfigError: neither the container nor its image says what to run.
    """
    own = [expand(word, known) for word in container.get("command") or ()]
    args = [expand(word, known) for word in container.get("args") or ()]
    if own:
        words = own + args
    else:
        words = [*entrypoint, *(args or command)]
    if not words:
        raise ConfigError("no command specified")
    return tuple(words)
