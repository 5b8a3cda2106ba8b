"""A Mount Pod made anew: same path, upgrade UUID and references, the configuration of today (reference §3.4).

Pure. Vectors: family recreate.
"""

from __future__ import annotations

import json
import random
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.golang.types import shape
from jfsnb.driver.mountpods import volumes
from jfsnb.driver.mountpods.building import (
    FUSE_FD_SOCKET,
    FUSE_FD_VARIABLE,
    Identity,
    build,
    metadata_of,
)
from jfsnb.driver.mountpods.identity import upgrade_uuid_of
from jfsnb.driver.mountpods.mount_path import read_mount_path, read_options
from jfsnb.driver.mountpods.pod_state import passes_fuse
from jfsnb.driver.settings.driver_secret import is_stale, secret_data
from jfsnb.driver.settings.errors import DriverPanics, SettingsError
from jfsnb.driver.settings.hash import settings_hash
from jfsnb.driver.settings.host import Host
from jfsnb.driver.settings.renewal import DRIVER_VARIABLES, Sources, renewed

Json = dict[str, Any]
#: Mount options that the driver adds itself.
_DRIVER_OPTIONS = ("no-update", "foreground", "metrics", "rsa-key")
_PLACEMENT = ("affinity", "schedulerName", "tolerations", "nodeSelector")


@dataclass(frozen=True)
class Replacement:
    """What takes the place of a Mount Pod.

    Args:
        pod: the new Pod object.
        settings: as hashed; None when they could not be worked out and the old spec is used again.
        secret: data of the driver's Secret, when that is written anew. problem: why there are no settings.
    """

    pod: Json
    settings: Json | None = None
    secret: Mapping[str, str] | None = None
    problem: SettingsError | None = None


def random_suffix() -> str:
    return "".join(random.choices(string.ascii_lowercase, k=6))


def replacement(sources: Sources, host: Host, name: str) -> Replacement:
    """The successor of a Mount Pod.

    Args:
        name: of the new Pod.

    Raises:
        ValueError: the old Pod's command tells no mount path.
        DriverPanics: the driver crashes on what it finds.
    """
    read_mount_path(_container(sources.old).get("command") or ())
    old = _renamed(sources.old, name)
    try:
        settings = renewed(sources, host)
    except DriverPanics:
        raise
    except SettingsError as error:
        return Replacement(_finished(old, sources.old, host), problem=error)
    who = _identity(sources, settings, host, name)
    settings["SecretName"] = names.secret_name((old["metadata"].get("labels") or {}).get(names.VOLUME_ID, ""))
    data = secret_data(settings, who.share_mode)
    if sources.has_kept:
        pod = _placed_as(build(settings, sources.patch, who, host), sources.old["spec"])
        is_written = who.settings_hash != (old["metadata"].get("labels") or {}).get(names.HASH, "")
    else:
        pod = _overlaid(old, settings, who)
        is_written = sources.secret is not None
    is_written = is_written and is_stale(data, sources.made)
    return Replacement(_finished(pod, sources.old, host), settings, data if is_written else None)


def _identity(sources: Sources, settings: Mapping[str, Any], host: Host, name: str) -> Identity:
    meta = sources.old["metadata"]
    notes = meta.get("annotations") or {}
    return Identity(
        name=name,
        mount_path=read_mount_path(_container(sources.old)["command"])[0],
        settings_hash=settings_hash(settings),
        upgrade_uuid=upgrade_uuid_of(sources.old),
        references=tuple(value for key, value in notes.items() if names.is_reference(key, value)),
        share_mode=notes.get(names.SHARE_MODE) or host.share_mode,
    )


def _container(pod: Mapping[str, Any]) -> Json:
    found: Json = next(iter(pod["spec"].get("containers") or ()), {})
    return found


def _renamed(old: Mapping[str, Any], name: str) -> Json:
    """The old Pod under a new name, with its labels and annotations, and with nothing that the cluster added to it."""
    meta = old["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": meta.get("namespace", ""),
            "labels": dict(meta.get("labels") or {}),
            "annotations": dict(meta.get("annotations") or {}),
            "finalizers": [names.FINALIZER],
        },
        "spec": json.loads(json.dumps(old["spec"])),
    }


def same_again(old: Mapping[str, Any]) -> Json:
    """The old Pod under its own name, for a redeployment after a resource rejection."""
    return _renamed(old, old["metadata"]["name"])


def _placed_as(pod: Json, old_spec: Mapping[str, Any]) -> Json:
    """Placement survives from the old Pod."""
    spec = {k: v for k, v in pod["spec"].items() if k not in _PLACEMENT}
    return {**pod, "spec": spec | {k: old_spec[k] for k in _PLACEMENT if old_spec.get(k)}}


# ---------------------------------------------------------------- Mount Pods without kept settings


def _overlaid(pod: Json, settings: Mapping[str, Any], who: Identity) -> Json:
    """The old spec with the few fields of today that the driver lays over it."""
    attr, spec, container = settings["Attr"], dict(pod["spec"]), dict(_container(pod))
    spec |= {
        "hostAliases": attr["HostAliases"],
        "hostNetwork": attr["HostNetwork"],
        "hostPID": attr["HostPID"],
        "hostIPC": attr["HostIPC"],
        "dnsConfig": attr["DNSConfig"],
        "dnsPolicy": attr["DNSPolicy"],
    }
    if attr.get("terminationGracePeriodSeconds") is not None:
        spec["terminationGracePeriodSeconds"] = attr["terminationGracePeriodSeconds"]
    container |= {name: attr.get(name) for name in ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle")}
    container |= {"image": attr["Image"], "resources": attr["Resources"]}
    container["env"] = _merged_environment(container.get("env") or (), attr.get("env") or ())
    container["command"] = _with_options(container["command"], settings["Options"])
    _merge_volumes(spec, container, settings)
    spec["containers"] = [container, *spec["containers"][1:]]
    labels, annotations = metadata_of(settings, who)
    return {**pod, "metadata": {**pod["metadata"], "labels": labels, "annotations": annotations}, "spec": spec}


def _merged_environment(old: Iterable[Json], new: Iterable[Json]) -> list[Json]:
    new = list(new)
    given = {e["name"] for e in new}
    return [*(e for e in old if e["name"] in DRIVER_VARIABLES and e["name"] not in given), *new]


def _with_options(command: list[str], options: Iterable[str]) -> list[str]:
    """The command with other mount options; only those that the driver adds itself stay."""
    options = list(options)
    kept = [
        option
        for option in read_options(command) or ()
        if (key := option.partition("=")[0]) in _DRIVER_OPTIONS and not any(o.startswith(key) for o in options)
    ]
    if len(command) < 3:
        return command
    *before, last = command[2].split("\n")
    words = last.split()
    if len(words) < 3 or words[-2] != "-o":
        return command
    line = " ".join([*words[:-1], ",".join([*kept, *options])])
    return [*command[:2], "\n".join([*before, line]), *command[3:]]


def _merge_volumes(spec: Json, container: Json, settings: Mapping[str, Any]) -> None:
    """Caches first, then what the old Pod had besides, then config.yaml's."""
    attr, caches = settings["Attr"], volumes.of_cache_directories(settings)
    own = {name: attr.get(name) or [] for name in ("volumes", "volumeMounts", "volumeDevices")}
    for holder, name, first in (
        (spec, "volumes", [v for v, _ in caches]),
        (container, "volumeMounts", [m for _, m in caches]),
        (container, "volumeDevices", []),
    ):
        given = {item["name"] for item in own[name]}
        old = [v for v in holder.get(name) or () if v["name"] not in given]
        if name != "volumeDevices":
            old = [v for v in old if not v["name"].startswith(volumes.CACHE_PREFIX)]
        holder[name] = [*first, *old, *own[name]]


# ---------------------------------------------------------------- the last touches


def _finished(pod: Json, old: Mapping[str, Any], host: Host) -> Json:
    """The FUSE descriptor's place, where only the new client hands it on; no token of a service account."""
    spec, container = dict(pod["spec"]), dict(_container(pod))
    if passes_fuse(pod, host.no_grace_upgrade) and not passes_fuse(old, host.no_grace_upgrade):
        volume, mount = volumes.fuse_fd(upgrade_uuid_of(old))
        container["env"] = [
            *(e for e in container.get("env") or () if e["name"] != FUSE_FD_VARIABLE),
            {"name": FUSE_FD_VARIABLE, "value": FUSE_FD_SOCKET},
        ]
        container["volumeMounts"] = [*_without(container.get("volumeMounts"), volumes.FUSE_FD), mount]
        spec["volumes"] = [*_without(spec.get("volumes"), volumes.FUSE_FD), volume]
    account = spec.get("serviceAccountName", "")
    spec["volumes"] = _without_token(spec.get("volumes"), account)
    container["volumeMounts"] = _without_token(container.get("volumeMounts"), account)
    spec["containers"] = [container, *spec["containers"][1:]]
    return {**pod, "spec": shape(spec, "PodSpec")}


def _without(items: Iterable[Json] | None, name: str) -> list[Json]:
    return [item for item in items or () if item["name"] != name]


def _without_token(items: Iterable[Json] | None, account: str) -> list[Json]:
    """Before Kubernetes 1.22 the cluster added a volume with the service account's token."""
    return [i for i in items or () if i["name"] != account and not i["name"].startswith(f"{account}-token")]
