"""Settings: one publish call, from volumeAttributes to the created objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.config.merging import DriverConfig, load, merge
from jfsnb.driver.mountpods.building import Identity, build, placed_by_selector
from jfsnb.driver.settings.attr import volume_context
from jfsnb.driver.settings.driver_secret import KEPT, secret_data
from jfsnb.driver.settings.errors import DriverPanics, SettingsError
from jfsnb.driver.settings.hash import settings_hash
from jfsnb.driver.settings.host import Host
from jfsnb.driver.settings.mount_options import requested
from jfsnb.driver.settings.publication import Volume, settings_of
from jfsnb.driver.sharing import class_that_shares, unique_id
from jfsnb.errors import ConfigInvalid
from tests.vectors.comparing import Refused

Obj = Mapping[str, Any]
SWITCHES = {
    "ShareByClass": "STORAGE_CLASS_SHARE_MOUNT",
    "ShareByFS": "FS_SHARE_MOUNT",
    "Immutable": "JUICEFS_IMMUTABLE",
    "DisableGrace": "DISABLE_GRACE_UPGRADE",
    "Unsafe": names.UNSAFE_PVC_ANNOTATIONS,
    "Priority": "JUICEFS_MOUNT_PRIORITY_NAME",
    "Preemption": "JUICEFS_MOUNT_PREEMPTION_POLICY",
    "CeImage": "JUICEFS_CE_MOUNT_IMAGE",
    "EeImage": "JUICEFS_EE_MOUNT_IMAGE",
}
READER = "ReadOnlyMany"


def answer(given: Obj) -> Any:
    """One question of the family, in the driver's shape."""
    config = config_of(given)
    target = given.get("target", "")
    if not target:
        raise Refused("rpc error: code = InvalidArgument desc = Target path not provided")
    host = host_of(given)
    try:
        if problem := names.target_problem(target, _kubelet_root(given)):
            raise SettingsError(problem)
        if given.get("secret") is None:  # the kubelet handed none on; ours refuses it as an empty one
            raise DriverPanics
        return _published(given, config, host, target)
    except DriverPanics as error:
        raise Refused(error.what) from error
    except SettingsError as error:
        raise Refused(f"rpc error: code = Internal desc = Could not mount juicefs: {error.what}") from error


def config_of(given: Obj) -> DriverConfig:
    """The loaded config.yaml."""
    try:
        return load(given.get("config", ""))
    except ConfigInvalid as error:
        raise Refused(f"config: {error.what}") from error


def host_of(given: Obj) -> Host:
    """The driver, with the switches of its environment."""
    switches = given.get("switches") or {}
    env = {SWITCHES[name]: value if isinstance(value, str) else "true" for name, value in switches.items() if value}
    pod = {"spec": given.get("csiPod") or {}}
    return Host(given.get("nodeName", "node-1"), given.get("namespace", "kube-system"), pod, env)


def _kubelet_root(given: Obj) -> str:
    found = [v for v in given["csiPod"].get("volumes") or () if v["name"] == "kubelet-dir"]
    if found and "hostPath" not in found[0]:
        raise DriverPanics
    return str(found[0]["hostPath"]["path"]) if found else "/var/lib/kubelet"


def _published(given: Obj, config: DriverConfig, host: Host, target: str) -> dict[str, Any]:
    csi = given["pv"]["spec"]["csi"]
    volume_id, secret = csi.get("volumeHandle", ""), given.get("secret") or {}
    named = given["pv"] if given["pv"]["metadata"]["name"] == volume_id else None
    shared = _shared(given, host, volume_id, named)
    pv, pvc = claim_of(given)
    patch = merge(config, pvc, given.get("node")).fields
    notes = ((pvc or {}).get("metadata") or {}).get("annotations") or {}
    context = volume_context(csi.get("volumeAttributes") or {}, notes, host.unsafe_annotations)
    read_only = bool(given.get("readOnly")) or READER in (given["pv"]["spec"].get("accessModes") or ())
    options = requested(context, given["pv"]["spec"].get("mountOptions") or (), read_only)
    volume = Volume(volume_id, shared.unique_id, secret, context, options, given.get("uuid", ""))
    settings = settings_of(volume, host, patch)
    name = names.mount_pod_name(host.node, shared.unique_id, given["suffix"])
    path = names.first_mount_path(shared.unique_id, name)
    mark = settings_hash(settings)
    pod = build(settings, patch, Identity(name, path, mark, given["upgradeUUID"], (target,), host.share_mode), host)
    if config.enable_node_selector and _is_selectable(given.get("node"), host.node):
        pod = placed_by_selector(pod, given.get("appPod"))
    data = secret_data(settings, host.share_mode)
    owner = ("StorageClass", shared.storage_class) if shared.storage_class else ("PersistentVolume", pv)
    return {
        "options": options,
        "uniqueId": shared.unique_id,
        "shareMode": host.share_mode,
        "hash": mark,
        "settings": json.loads(data[KEPT]),
        "secretName": settings["SecretName"],
        "secretKeys": sorted(data),
        **({"secretOwner": f"{owner[0]}/{owner[1]['metadata']['name']}"} if owner[1] else {}),
        "pod": as_recorded(pod),
    }


def _shared(given: Obj, host: Host, volume_id: str, named: Obj | None) -> Any:
    class_name = class_that_shares(named) if host.share_by_class else ""
    if class_name and given.get("sc") is None:
        raise SettingsError(f'storageclasses.storage.k8s.io "{class_name}" not found')
    secret = given.get("secret") or {}
    is_asked = given.get("driverSecretName") == names.secret_name(secret.get("name", ""))
    return unique_id(
        volume_id,
        secret,
        storage_class=given["sc"] if class_name else None,
        by_file_system=host.share_by_file_system,
        made=given.get("driverSecret") if is_asked else None,
    )


def claim_of(given: Obj) -> tuple[Obj | None, Obj | None]:
    """(PV, PVC) as the driver finds them."""
    pvc, named = given.get("pvc"), given["pv"]
    if named["metadata"]["name"] != named["spec"]["csi"].get("volumeHandle", ""):
        named = None
    if named is not None:
        ref = named["spec"].get("claimRef")
        if not ref:
            return named, None
        return named, pvc if _is_named(pvc, ref["name"], ref["namespace"]) else {"metadata": dict(ref)}
    app = given.get("appPod") or {}
    for volume in (app.get("spec") or {}).get("volumes") or ():
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if not claim:
            continue
        if not _is_named(pvc, claim, app["metadata"].get("namespace", "")):
            return None, None
        csi = given["pv"]["spec"]["csi"]
        is_bound = pvc["spec"].get("volumeName") == given["pv"]["metadata"]["name"]
        if is_bound and csi.get("driver") == names.DRIVER:
            return given["pv"], pvc
    return None, None


def _is_named(obj: Any, name: str, namespace: str) -> bool:
    meta = (obj or {}).get("metadata") or {}
    return (meta.get("name"), meta.get("namespace", "")) == (name, namespace)


def _is_selectable(node: Obj | None, name: str) -> bool:
    meta = (node or {}).get("metadata") or {}
    return meta.get("name") == name and (meta.get("labels") or {}).get("kubernetes.io/hostname") == name


def as_recorded(pod: Obj) -> dict[str, Any]:
    """A Pod without what tells its kind."""
    return {"metadata": pod["metadata"], "spec": pod["spec"]}
