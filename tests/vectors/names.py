"""Names: of targets, of what is made from a unique id, unique ids, what a Mount Pod's command says, references."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.mountpods import identity, mount_path
from jfsnb.driver.mountpods.command import MountCommand
from jfsnb.driver.sharing import class_that_shares, unique_id
from tests.vectors.comparing import NoCounterpart, Refused


def answer(given: Mapping[str, Any]) -> Any:
    """One question of the family, in the driver's shape."""
    function = FUNCTIONS.get(given["function"])
    if function is None:
        raise NoCounterpart(given["function"])
    try:
        return function(given)
    except mount_path.DriverPanics as error:
        raise Refused(f"panic: {error}") from error


def _target(given: Mapping[str, Any]) -> dict[str, Any]:
    target = given["text"]
    return {
        "referenceKey": names.reference_key(target),
        "podUid": names.target_pod_uid(target),
        "podUidForMetrics": names.target_metrics_pod_uid(target),
        "pvName": names.target_pv_name(target),
        "pvNameForSettings": names.target_pv_name(target),
        "refused": names.target_problem(target) or None,
    }


def _ids(given: Mapping[str, Any]) -> dict[str, Any]:
    unique, node = given["text"], given["nodeName"]
    return {
        "canaryJobName": names.canary_job_name(unique, node),
        "dynamic": names.is_provisioned(unique),
        "jobName": names.job_stem(unique),
        "podNameWithoutSuffix": names.mount_pod_name(node, unique, "").removesuffix("-"),
        "secretName": names.secret_name(unique),
    }


def _unique_id(given: Mapping[str, Any]) -> dict[str, Any]:
    switches, pv, storage_class = given["switches"], given.get("pv"), given.get("sc")
    is_named = pv is not None and pv["metadata"]["name"] == given["volumeId"]
    class_name = class_that_shares(pv) if switches.get("ShareByClass") and is_named else ""
    if class_name and storage_class is None:
        raise Refused(f'storageclasses.storage.k8s.io "{class_name}" not found')
    shared = unique_id(
        given["volumeId"],
        given.get("secret") or {},
        storage_class=storage_class if class_name else None,
        by_file_system=bool(switches.get("ShareByFS")),
        made=given.get("driverSecret"),
    )
    return {"uniqueId": shared.unique_id, "ownedByClass": shared.storage_class is not None}


def _command(given: Mapping[str, Any]) -> dict[str, Any]:
    command = given["texts"]
    options, problem, path, volume = mount_path.read_options(command), None, "", ""
    try:
        path, volume = mount_path.read_mount_path(command)
    except ValueError as error:
        problem = str(error)
    return {
        "ce": MountCommand.parse(command).is_ce,
        "mountPath": path,
        "volumeId": volume,
        "options": options,
        "error": problem,
        "accessLog": mount_path.internal_file(".accesslog", options),
    }


def _references(given: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in given["map"].items() if names.is_reference(key, value)}
    return {"count": len(names.references(given["map"])), "references": found}


def _pod_ids(given: Mapping[str, Any]) -> dict[str, Any]:
    pod = given["pod"]
    if not identity.unique_id_of(pod):
        raise Refused("panic: runtime error: index out of range [1] with length 1")
    return {
        "upgradeUUID": identity.upgrade_uuid_of(pod),
        "uniqueId": identity.unique_id_of(pod),
        "lockKey": identity.lock_key_of(pod),
    }


FUNCTIONS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "target": _target,
    "ids": _ids,
    "uniqueid": _unique_id,
    "command": _command,
    "refs": _references,
    "podids": _pod_ids,
}
