"""What the driver computes for a new Mount Pod before it builds it (reference/csi-driver.md §2.5).

Settings are plain data in the layout of ``jfsSettings`` (see settings_hash.py); functions return new data and
leave their arguments alone.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.config import goyaml, schema
from jfsnb.driver.settings import cache_dirs, quantity
from jfsnb.errors import ConfigInvalid

DEFAULT_RESOURCES = {"limits": {"cpu": "5", "memory": "5Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}
#: Keys of PVC annotations that the driver always copies over the PV's volumeAttributes.
PVC_RESOURCE_KEYS = tuple(f"juicefs/mount-{what}-{kind}" for what in ("cpu", "memory") for kind in ("limit", "request"))
#: Fields that the patch sets even when it has none, so that removing them from config.yaml resets them.
RESET_BY_PATCH = (
    *("lifecycle", "livenessProbe", "readinessProbe", "startupProbe", "terminationGracePeriodSeconds"),
    *("volumeDevices", "volumeMounts", "volumes", "env", "initContainers", "cacheDirs"),
)
_KEPT = {
    "imagePullPolicy": "imagePullPolicy",
    "hostNetwork": "HostNetwork",
    "hostPID": "HostPID",
    "dnsConfig": "DNSConfig",
    "dnsPolicy": "DNSPolicy",
    "resources": "Resources",
}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = re.compile(r"^([0-9]+(?:\.[0-9]+)?)\s*([BKMGTPE]?)(?:i?B?)$", re.IGNORECASE)


def volume_context(
    attributes: Mapping[str, str], pvc_annotations: Mapping[str, str] | None = None, unsafe: bool = False
) -> dict[str, str]:
    """volumeAttributes of the PV with the PVC's annotations copied over them (§2.5, step 3).

    Args:
        attributes: volumeAttributes.
        pvc_annotations: annotations of the PVC.
        unsafe: JUICEFS_ALLOW_UNSAFE_PVC_MOUNT_POD_ANNOTATIONS is ``true``: every key that begins with ``juicefs``.
    """
    copied = {
        k: v
        for k, v in (pvc_annotations or {}).items()
        if k in PVC_RESOURCE_KEYS or (unsafe and k.startswith("juicefs"))
    }
    return {**attributes, **copied}


def base_attr(csi_pod_spec: Mapping[str, Any], *, namespace: str, image: str, priority_class: str) -> dict[str, Any]:
    """What a Mount Pod inherits from the live CSI node Pod, and built-ins (§1.5, §2.5 step 1).

    Args:
        csi_pod_spec: ``spec`` of the CSI node Pod of the node.
        namespace: of the Mount Pods. image: default image. priority_class: of the Mount Pods.
    """
    return {
        "Namespace": namespace,
        "MountPointPath": names.HOST_MOUNT_ROOT,
        "JFSConfigPath": "/var/lib/juicefs/config",
        "JFSMountPriorityName": priority_class,
        "ServiceAccountName": csi_pod_spec.get("serviceAccountName", ""),
        "Resources": copy.deepcopy(DEFAULT_RESOURCES),
        "labels": {},
        "annotations": {},
        "Image": image,
        "HostNetwork": bool(csi_pod_spec.get("hostNetwork")),
        "HostAliases": csi_pod_spec.get("hostAliases"),
        "HostPID": bool(csi_pod_spec.get("hostPID")),
        "HostIPC": bool(csi_pod_spec.get("hostIPC")),
        "DNSConfig": csi_pod_spec.get("dnsConfig"),
        "DNSPolicy": csi_pod_spec.get("dnsPolicy", ""),
        "ImagePullSecrets": csi_pod_spec.get("imagePullSecrets") or [],
        "PreemptionPolicy": csi_pod_spec.get("preemptionPolicy"),
        "Tolerations": csi_pod_spec.get("tolerations") or [],
    }


def apply_volume_context(attr: Mapping[str, Any], context: Mapping[str, str]) -> dict[str, Any]:
    """Overlay what the PV (and PVC) say on the attributes (§2.5 step 2, §5.3).

    Raises:
        ConfigInvalid: a quantity or a map that cannot be parsed.
    """
    result = copy.deepcopy(dict(attr))
    result["Image"] = context.get(names.MOUNT_IMAGE) or result["Image"]
    result["ServiceAccountName"] = context.get("juicefs/mount-service-account") or result["ServiceAccountName"]
    result["Resources"] = pod_resources(context)
    for key, name in (("juicefs/mount-labels", "labels"), ("juicefs/mount-annotations", "annotations")):
        if context.get(key):
            result[name] = {**result[name], **string_map(context[key])}
    return result


def pod_resources(context: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Resources from volumeAttributes: a limit of 0 or less is dropped, a request only below 0 (§5.3).

    Raises:
        ConfigInvalid: not a quantity.
    """
    result = copy.deepcopy(DEFAULT_RESOURCES)
    for what in ("cpu", "memory"):
        for kind in ("limit", "request"):
            key = f"juicefs/mount-{what}-{kind}"
            text = context.get(key, "")
            if not text:
                continue
            try:
                value = quantity.parse(text)
            except ValueError as error:
                raise ConfigInvalid(f"{key}: {error}", "Write a quantity such as 500m or 1Gi.") from error
            result[f"{kind}s"][what] = quantity.canonical(text)
            if value < 0 or (value == 0 and kind == "limit"):
                del result[f"{kind}s"][what]
    return result


def string_map(text: str) -> dict[str, str]:
    """A YAML or JSON map of strings, as Secrets and volumeAttributes carry them.

    Raises:
        ConfigInvalid: something else.
    """
    document = goyaml.parse(text)
    fitted = schema.Fitter(document).fit(document.value, schema.STRING_MAP)
    return {k: v or "" for k, v in (fitted or {}).items()}


def apply_patch(settings: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Overlay the merged patch of config.yaml on settings, field by field (§2.5 step 4).

    Args:
        settings: with ``IsCe``, ``Options``, ``Attr``.
        patch: ``MergedPatch.fields`` (expanded or not).
    """
    result = copy.deepcopy(dict(settings))
    attr = result["Attr"] = result.get("Attr") or {}
    attr["Image"] = patch.get("ceMountImage" if result.get("IsCe") else "eeMountImage") or attr.get("Image", "")
    for ours, theirs in _KEPT.items():
        if ours in patch:
            attr[theirs] = copy.deepcopy(patch[ours])
    for name in ("labels", "annotations"):
        overlay = {k: v or "" for k, v in patch.get(name, {}).items()}
        attr[name] = {**(attr.get(name) or {}), **overlay}
    for name in RESET_BY_PATCH:
        attr.pop(name, None)
        if name in patch:
            attr[name] = copy.deepcopy(patch[name])
    memory = ((attr.get("Resources") or {}).get("limits") or {}).get("memory", "0")
    merged = merge_options(patch.get("mountOptions", ()), result.get("Options") or ())
    result["Options"] = [o for o in (cap_buffer_size(o, memory) for o in merged) if o]
    _take_switches(result, attr["annotations"])
    return result


def with_patch(settings: Mapping[str, Any], patch: Mapping[str, Any], context: Mapping[str, str]) -> dict[str, Any]:
    """Settings with the merged patch as the highest layer, cache directories and options worked out from both.

    Args:
        settings, patch: as for ``apply_patch``. context: volumeAttributes (``volume_context``).

    Raises:
        ConfigInvalid: an option, cache directory or quantity that the driver refuses.
    """
    result = apply_patch(settings, patch)
    result.update(cache_dirs.cache_layout(patch.get("cacheDirs") or (), context, result["Options"]).settings())
    result["Options"] = [checked_option(o) for o in result["Options"]]
    return result


def checked_option(option: str) -> str:
    """An option without blanks around its parts.

    Raises:
        ConfigInvalid: two equal signs, or no name.
    """
    parts = [p.strip() for p in option.strip().split("=")]
    if len(parts) > 2 or not parts[0]:
        raise ConfigInvalid(f"genAndValidOptions error: invalid mount option: {option.strip()}", "Correct the option.")
    return "=".join(parts)


def mount_options(context: Mapping[str, str], flags: Iterable[str], read_only: bool) -> list[str]:
    """volumeAttributes.mountOptions, then ``ro``, then the PV's mountOptions (§4.2 step 4)."""
    own = [o.strip() for o in context.get("mountOptions", "").split(",") if o.strip()]
    return [*own, *(["ro"] if read_only else []), *flags]


def volume_switches(context: Mapping[str, str]) -> dict[str, Any]:
    """What volumeAttributes say about the end and the host paths of a Mount Pod (§5.3)."""
    return {
        "deleted_delay": context.get("juicefs/mount-delete-delay", ""),
        "clean_cache": context.get("juicefs/clean-cache") == "true",
        "host_path": [p.strip() for p in context.get("juicefs/host-path", "").split(",") if p.strip()],
    }


def inherited_attr(
    csi_pod_spec: Mapping[str, Any], env: Mapping[str, str], *, namespace: str, image: str
) -> dict[str, Any]:
    """``base_attr`` with what the CSI node's environment decides (§0.3)."""
    priority = env.get("JUICEFS_MOUNT_PRIORITY_NAME", "system-node-critical")
    attr = base_attr(csi_pod_spec, namespace=namespace, image=image, priority_class=priority)
    return {**attr, "PreemptionPolicy": env.get("JUICEFS_MOUNT_PREEMPTION_POLICY") or attr["PreemptionPolicy"]}


def _take_switches(settings: dict[str, Any], annotations: dict[str, str]) -> None:
    delay = annotations.pop(names.DELETE_DELAY, None)
    if delay is not None and parse_duration(delay) is not None:
        settings["deleted_delay"] = delay
    clean = annotations.pop("juicefs/clean-cache", None)
    if clean is not None:
        settings["clean_cache"] = clean == "true"


def merge_options(patch: Iterable[str], options: Iterable[str]) -> list[str]:
    """The patch's mount options first, then those whose key (before ``=``) the patch does not have."""
    first = [o or "" for o in patch]
    keys = {o.split("=")[0] for o in first}
    return first + [o for o in options if o.split("=")[0] not in keys]


def cap_buffer_size(option: str, memory_limit: str) -> str:
    """A buffer-size above the memory limit is lowered to it; ``%`` is of the limit; nonsense is dropped (empty).

    Args:
        option: one mount option; others than buffer-size come back unchanged.
        memory_limit: quantity; "0" when there is none.
    """
    key, separator, value = option.partition("=")
    limit = int(quantity.parse(memory_limit))
    if key != "buffer-size" or not separator or "=" in value or limit <= 0:
        return option
    mebi = 1024 * 1024
    if value.strip().endswith("%"):
        try:
            percent = min(float(value.strip()[:-1]), 100.0)
        except ValueError:
            return ""
        return f"buffer-size={(math.ceil(limit * percent / 100) + mebi - 1) // mebi}"
    match = _BYTES.match(value.strip())
    if match is None:
        return ""
    unit = match[2].upper() or "M"
    size = Decimal(match[1]) * Decimal(1024 ** "BKMGTPE".index(unit))
    return option if size <= limit else f"buffer-size={limit // mebi}"


def parse_duration(text: str) -> timedelta | None:
    """A Go duration (``30m``, ``1h30m``, ``1.5s``); None when it is none, as for the driver: no delay (§1.11)."""
    sign = -1 if text.startswith("-") else 1
    rest = text.lstrip("+-") if text[:1] in ("+", "-") else text
    if rest == "0":
        return timedelta()
    parts = _DURATION.findall(rest)
    if not parts or "".join(n + u for n, u in parts) != rest:
        return None
    return timedelta(seconds=sign * sum(float(n) * _SECONDS[u] for n, u in parts))
