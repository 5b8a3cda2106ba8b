"""The PV that a claim gets: rules of the driver's built-in provisioner (reference §4.5). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.settings import quantity
from jfsnb.sandbox.csi.rules.templates import resolve, resolve_parameters

Obj = Mapping[str, Any]
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
FINALIZER = "juicefs.com/finalizer"
PUBLISH, EXPAND, PROVISION = (
    f"csi.storage.k8s.io/{kind}-secret" for kind in ("node-publish", "controller-expand", "provisioner")
)


class NotProvisioned(Exception):
    """The claim asks for something that the provisioner does not do; the text goes into event ProvisioningFailed."""


def pv_name_of(pvc: Obj) -> str:
    return f"pvc-{pvc['metadata']['uid']}"


def parameters_of(storage_class: Obj, pvc: Obj, node: Obj | None) -> dict[str, str]:
    """Parameters of the class with placeholders replaced, ``subPath`` and ``capacity`` added.

    Raises:
        NotProvisioned: label selectors, read-only claims without a pathPattern, unknown placeholders.
    """
    spec = pvc["spec"]
    if spec.get("selector"):
        raise NotProvisioned("claim Selector is not supported")
    try:
        parameters = resolve_parameters(storage_class.get("parameters") or {}, pvc, node, pv_name_of(pvc))
    except ValueError as error:
        raise NotProvisioned(str(error)) from error
    if "ReadOnlyMany" in (spec.get("accessModes") or ()) and not parameters.get("pathPattern"):
        raise NotProvisioned(
            "Dynamic mounting uses the sub-path named pv name as data isolation, so read-only mode cannot be used"
        )
    parameters["subPath"] = parameters.get("pathPattern") or pv_name_of(pvc)
    parameters["capacity"] = str(requested_bytes(pvc))
    return parameters


def requested_bytes(pvc: Obj) -> int:
    """Bytes that the claim asks for; 0 when it does not say."""
    text = ((pvc["spec"].get("resources") or {}).get("requests") or {}).get("storage")
    return int(quantity.parse(str(text))) if text else 0


def secret_reference(parameters: Mapping[str, str], prefix: str) -> dict[str, str] | None:
    """``{name, namespace}`` of the Secret that the class names for a purpose."""
    name, namespace = parameters.get(f"{prefix}-name", ""), parameters.get(f"{prefix}-namespace", "")
    return {"name": name, "namespace": namespace} if name and namespace else None


def volume_of(storage_class: Obj, pvc: Obj, node: Obj | None, parameters: Mapping[str, str]) -> dict[str, Any]:
    """The PersistentVolume object."""
    meta, spec = pvc["metadata"], pvc["spec"]
    options = [resolve(o, pvc, node) for o in storage_class.get("mountOptions") or ()]
    csi: dict[str, Any] = {
        "driver": names.DRIVER,
        "volumeHandle": pv_name_of(pvc),
        "fsType": "juicefs",
        "readOnly": False,
        "volumeAttributes": dict(parameters),
    }
    for key, prefix in (("nodePublishSecretRef", PUBLISH), ("controllerExpandSecretRef", EXPAND)):
        reference = secret_reference(parameters, prefix)
        csi |= {key: reference} if reference else {}
    claim = {key: meta[key] for key in ("namespace", "name", "uid", "resourceVersion") if key in meta}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": pv_name_of(pvc), "annotations": {PROVISIONED_BY: names.DRIVER}},
        "spec": {
            "capacity": {"storage": ((spec.get("resources") or {}).get("requests") or {}).get("storage", "0")},
            "accessModes": spec.get("accessModes") or [],
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy") or "Delete",
            "storageClassName": storage_class["metadata"]["name"],
            "volumeMode": spec.get("volumeMode") or "Filesystem",
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim},
            "csi": csi,
            **({"mountOptions": options} if options else {}),
        },
    }
