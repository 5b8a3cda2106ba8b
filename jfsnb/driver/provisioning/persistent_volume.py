"""The PV that a claim gets, by the driver's built-in provisioner (reference §4.5). Vectors: decisions/provision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.provisioning.templates import resolve, resolve_parameters
from jfsnb.driver.settings.quantity import Quantity, canonical

Obj = Mapping[str, Any]
PUBLISH, EXPAND, PROVISION = (
    f"csi.storage.k8s.io/{kind}-secret" for kind in ("node-publish", "controller-expand", "provisioner")
)
#: volumeAttribute that tells the nodes that the controller sets the quota.
QUOTA_SET = "juicefs/controller-quota-set"


class NotProvisioned(Exception):
    """The claim asks for something that the provisioner does not do; the text goes into event ProvisioningFailed."""


def pv_name_of(pvc: Obj) -> str:
    return f"pvc-{pvc['metadata']['uid']}"


def resolved_parameters(storage_class: Obj, pvc: Obj, node: Obj | None, pv_name: str) -> dict[str, str]:
    """Parameters of the class with placeholders replaced.

    Raises:
        NotProvisioned: label selectors, read-only claims without a pathPattern.
    """
    spec, given = pvc["spec"], storage_class.get("parameters") or {}
    if spec.get("selector") is not None:
        raise NotProvisioned("claim Selector is not supported")
    if "ReadOnlyMany" in (spec.get("accessModes") or ()) and not given.get("pathPattern"):
        raise NotProvisioned(
            "rpc error: code = InvalidArgument desc = Dynamic mounting uses the sub-path named pv name as data "
            "isolation, so read-only mode cannot be used."
        )
    return resolve_parameters(given, pvc, node, pv_name)


def requested_storage(pvc: Obj) -> str:
    """What the claim asks for, in canonical form; "0" when it does not say."""
    text = ((pvc["spec"].get("resources") or {}).get("requests") or {}).get("storage")
    return canonical(str(text)) if text else "0"


def requested_bytes(pvc: Obj) -> int:
    """The same in bytes."""
    return Quantity.of(requested_storage(pvc)).value


def secret_reference(parameters: Mapping[str, str], prefix: str) -> dict[str, str] | None:
    """``{name, namespace}`` of the Secret that the class names for a purpose; None unless it names both."""
    name, namespace = parameters.get(f"{prefix}-name", ""), parameters.get(f"{prefix}-namespace", "")
    return {"name": name, "namespace": namespace} if name and namespace else None


def volume_of(
    storage_class: Obj,
    pvc: Obj,
    node: Obj | None,
    pv_name: str,
    *,
    sets_quota: bool = False,
    driver: str = names.DRIVER,
) -> dict[str, Any]:
    """The PersistentVolume as the driver makes it; its provisioner library adds the claim and its own annotation.

    Args:
        node: that the scheduler chose for the claim, if it chose one.
        sets_quota: the controller sets the volume's quota itself. driver: name of the CSI driver.

    Raises:
        NotProvisioned: what ``resolved_parameters`` refuses.
    """
    parameters, spec = resolved_parameters(storage_class, pvc, node, pv_name), pvc["spec"]
    attributes = {
        "subPath": parameters.get("pathPattern") or pv_name,
        "capacity": str(requested_bytes(pvc)),
        **parameters,
        **({QUOTA_SET: "true"} if sets_quota else {}),
    }
    publish = {"name": parameters.get(f"{PUBLISH}-name"), "namespace": parameters.get(f"{PUBLISH}-namespace")}
    expand, options = secret_reference(parameters, EXPAND), mount_options(storage_class, pvc, node)
    csi = {
        "driver": driver,
        "volumeHandle": pv_name,
        "fsType": "juicefs",
        "volumeAttributes": attributes,
        "nodePublishSecretRef": {key: value for key, value in publish.items() if value},
        **({"controllerExpandSecretRef": expand} if expand else {}),
    }
    return {
        "metadata": {"name": pv_name},
        "spec": {
            "capacity": {"storage": requested_storage(pvc)},
            "csi": csi,
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy") or "Delete",
            "storageClassName": storage_class["metadata"]["name"],
            **({"accessModes": spec["accessModes"]} if spec.get("accessModes") else {}),
            **({"mountOptions": options} if options else {}),
            **({"volumeMode": spec["volumeMode"]} if spec.get("volumeMode") else {}),
        },
    }


def mount_options(storage_class: Obj, pvc: Obj, node: Obj | None) -> list[str]:
    """mountOptions of the class with placeholders replaced; each may hold several, with commas between."""
    texts = (resolve(option, pvc, node).strip() for option in storage_class.get("mountOptions") or ())
    return [option for text in texts for option in text.split(",")]
