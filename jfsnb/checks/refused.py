"""Whether a volume's next mount would fail before any client runs, from what a snapshot shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jfsnb.checks.snapshot import Snapshot
from jfsnb.driver.config.merging import DriverConfig, merge
from jfsnb.driver.settings.host import Host
from jfsnb.driver.settings.refusals import Wanted, refusal

#: Attributes that differ from volume to volume and that nobody refuses.
OWN_ATTRIBUTES = ("subPath", "capacity", "pathPattern", "storage.kubernetes.io/csiProvisionerIdentity")


def why_refused(known: Snapshot, pv_name: str, node: str, is_ce: bool) -> str:
    """The driver's or the API server's words; empty when nothing that is seen speaks against the mount.

    Args:
        node: where it would be mounted; counts by the configuration that it has loaded.
    """
    pv, pod = known.pv_by_name.get(pv_name) or {}, known.csi_pod_by_node.get(node) or {}
    host = Host(node, known.deployment.namespace, pod, known.deployment.env)
    return refusal(Wanted.by_objects(pv, known.claim_of(pv_name), is_ce), known.merged(pv_name, node).fields, host)


def refused_volumes(known: Snapshot) -> list[tuple[Mapping[str, Any], str]]:
    """Bound PVs of the driver whose next mount would fail, whatever the node, and why."""
    host = Host("", known.deployment.namespace, {}, known.deployment.env)
    answers: dict[tuple[Any, ...], str] = {}
    found: list[tuple[Mapping[str, Any], str]] = []
    for pv in known.pvs:
        claim = known.claim_of(pv["metadata"]["name"])
        if (pv["spec"].get("csi") or {}).get("driver") != known.driver_name or claim is None:
            continue
        # of which edition it is only its Secret tells, and nothing that is looked at here depends on it
        wanted, fields = Wanted.by_objects(pv, claim, is_ce=True), _fields(known.config, claim)
        told = {key: value for key, value in wanted.attributes.items() if key not in OWN_ATTRIBUTES}
        key = (str(sorted(told.items())), wanted.options, str(wanted.annotations), str(fields))
        if key not in answers:
            answers[key] = refusal(wanted, fields, host)
        if answers[key]:
            found.append((pv, answers[key]))
    return found


def refused_classes(known: Snapshot) -> list[tuple[Mapping[str, Any], str]]:
    """StorageClasses of the driver whose volumes could not be mounted, and why; templates are passed over."""
    host = Host("", known.deployment.namespace, {}, known.deployment.env)
    found: list[tuple[Mapping[str, Any], str]] = []
    for storage_class in known.storage_classes:
        if storage_class.get("provisioner") != known.driver_name:
            continue
        parameters = {k: v for k, v in (storage_class.get("parameters") or {}).items() if "${" not in v}
        options = tuple(o for o in storage_class.get("mountOptions") or () if "${" not in o)
        why = refusal(Wanted(parameters, options), {}, host)
        if why:
            found.append((storage_class, why))
    return found


def _fields(config: DriverConfig | None, claim: Mapping[str, Any]) -> Mapping[str, Any]:
    return merge(config or DriverConfig(), claim, None).fields
