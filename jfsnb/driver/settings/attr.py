"""``Attr`` of the settings: what a Mount Pod inherits, what the volume says, what config.yaml says (reference §2.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.golang.duration import parse_duration
from jfsnb.driver.settings import mount_options
from jfsnb.driver.settings.errors import SettingsError
from jfsnb.driver.settings.host import Host
from jfsnb.driver.settings.quantity import Quantity
from jfsnb.driver.settings.user_secret import string_map

Json = dict[str, Any]
DEFAULT_RESOURCES = {"limits": {"cpu": "5", "memory": "5Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}
#: Keys of PVC annotations that the driver always copies over the PV's volumeAttributes.
PVC_RESOURCE_KEYS = tuple(f"juicefs/mount-{what}-{kind}" for what in ("cpu", "memory") for kind in ("limit", "request"))
#: Fields that a patch sets even when it has none, so that removing them from config.yaml resets them.
RESET_BY_PATCH = (
    *("lifecycle", "livenessProbe", "readinessProbe", "startupProbe", "terminationGracePeriodSeconds"),
    *("volumeDevices", "volumeMounts", "volumes", "env", "initContainers", "cacheDirs"),
)
#: Fields that a patch sets only when it has them, by their names in the settings.
KEPT_WITHOUT_PATCH = {
    "imagePullPolicy": "imagePullPolicy",
    "hostNetwork": "HostNetwork",
    "hostPID": "HostPID",
    "dnsConfig": "DNSConfig",
    "dnsPolicy": "DNSPolicy",
    "resources": "Resources",
    "hostnameKey": "hostnameKey",
}


def inherited(host: Host, image: str) -> Json:
    """What a Mount Pod inherits from the live CSI node Pod and its environment, and built-ins (§1.5, §2.5 step 1)."""
    spec = host.pod.get("spec") or {}
    return {
        "Namespace": host.namespace,
        "MountPointPath": host.mount_root,
        "JFSConfigPath": host.config_root,
        "JFSMountPriorityName": host.priority_class,
        "ServiceAccountName": spec.get("serviceAccountName", ""),
        "Resources": DEFAULT_RESOURCES,
        "labels": {},
        "annotations": {},
        "Image": image,
        "HostNetwork": bool(spec.get("hostNetwork")),
        "HostAliases": spec.get("hostAliases"),
        "HostPID": bool(spec.get("hostPID")),
        "HostIPC": bool(spec.get("hostIPC")),
        "DNSConfig": spec.get("dnsConfig"),
        "DNSPolicy": spec.get("dnsPolicy", ""),
        "ImagePullSecrets": spec.get("imagePullSecrets") or None,
        "PreemptionPolicy": host.preemption_policy or spec.get("preemptionPolicy"),
        "Tolerations": spec.get("tolerations") or None,
    }


def with_context(attr: Mapping[str, Any], context: Mapping[str, str]) -> Json:
    """Overlay what the PV (and PVC) say (§2.5 step 2, §5.3).

    Raises:
        SettingsError: a quantity or a map that cannot be parsed.
    """
    result = dict(attr)
    result["Image"] = context.get(names.MOUNT_IMAGE) or result["Image"]
    result["ServiceAccountName"] = context.get("juicefs/mount-service-account") or result["ServiceAccountName"]
    result["Resources"] = pod_resources(context)
    for key, name in (("juicefs/mount-labels", "labels"), ("juicefs/mount-annotations", "annotations")):
        result[name] = {**result[name], **string_map(context.get(key, ""))}
    return result


def pod_resources(texts: Mapping[str, str], default: Mapping[str, Any] = DEFAULT_RESOURCES) -> Json:
    """Resources from volumeAttributes or annotations: a limit of 0 or less is dropped, a request only below 0 (§5.3).

    Args:
        texts: with keys ``juicefs/mount-cpu-limit`` and its like. default: cpu and memory that it lacks are 0.

    Raises:
        SettingsError: not a quantity.
    """
    result: Json = {"limits": {}, "requests": {}}
    for what in ("cpu", "memory"):
        for kind in ("limit", "request"):
            text = texts.get(f"juicefs/mount-{what}-{kind}", "")
            try:
                quantity = Quantity.of(text or str((default.get(f"{kind}s") or {}).get(what, "0")))
            except ValueError as error:
                raise SettingsError(str(error)) from error
            if not text or quantity.number > 0 or (quantity.number == 0 and kind == "request"):
                result[f"{kind}s"][what] = str(quantity)
    return result


def with_patch(settings: Mapping[str, Any], patch: Mapping[str, Any]) -> Json:
    """Overlay the merged patch of config.yaml on settings, field by field (§2.5 step 4).

    Args:
        settings: with ``IsCe``, ``Options``, ``Attr``. patch: shaped as ``MountPodPatch`` (expanded or not).
    """
    result = {**settings, "Attr": dict(settings["Attr"])}
    attr = result["Attr"]
    attr["Image"] = patch.get("ceMountImage" if result.get("IsCe") else "eeMountImage") or attr.get("Image", "")
    attr |= {theirs: patch[ours] for ours, theirs in KEPT_WITHOUT_PATCH.items() if ours in patch}
    for name in ("labels", "annotations"):
        attr[name] = {**(attr.get(name) or {}), **patch.get(name, {})}
    attr |= {name: patch.get(name) for name in RESET_BY_PATCH}
    memory = mount_options.memory_limit(attr.get("Resources"))
    result["Options"] = mount_options.merged(patch.get("mountOptions") or (), result.get("Options") or (), memory)
    _take_switches(result, attr["annotations"])
    return result


def _take_switches(settings: Json, annotations: dict[str, str]) -> None:
    """Two annotations are settings of their own."""
    delay = annotations.pop(names.DELETE_DELAY, None)
    if delay is not None and parse_duration(delay) is not None:
        settings["deleted_delay"] = delay
    clean = annotations.pop("juicefs/clean-cache", None)
    if clean is not None:
        settings["clean_cache"] = clean == "true"


def volume_context(attributes: Mapping[str, str], annotations: Mapping[str, str], unsafe: bool) -> dict[str, str]:
    """volumeAttributes of the PV with the PVC's annotations copied over them (§2.5, step 3).

    Args:
        annotations: of the PVC. unsafe: every annotation that begins with ``juicefs``, not only those for resources.
    """
    copied = {k for k in annotations if k in PVC_RESOURCE_KEYS or (unsafe and k.startswith("juicefs"))}
    return {**attributes, **{k: annotations[k] for k in copied}}
