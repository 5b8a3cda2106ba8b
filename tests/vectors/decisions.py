"""Decisions: a Mount Pod's state, its delay, placeholders, the PV of a claim, which Mount Pod is used again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from jfsnb.driver import names
from jfsnb.driver.config.merging import load
from jfsnb.driver.mountpods import pod_state
from jfsnb.driver.mountpods.deletion import delete_at
from jfsnb.driver.mountpods.mount_pods import MountPod, losing_reference, would_reuse
from jfsnb.driver.provisioning import templates
from jfsnb.driver.provisioning.persistent_volume import EXPAND, NotProvisioned, volume_of
from tests.vectors.comparing import NoCounterpart, Refused


def answer(given: Mapping[str, Any]) -> Any:
    """One question of the family, in the driver's shape."""
    function = FUNCTIONS.get(given["function"])
    if function is None:
        raise NoCounterpart(given["function"])
    return function(given)


def _pod_state(given: Mapping[str, Any]) -> dict[str, Any]:
    pod, disabled = given["pod"], bool((given.get("switches") or {}).get("DisableGrace"))
    binary = pod_state.why_not_upgradable(pod, False, disabled)
    recreate = pod_state.why_not_upgradable(pod, True, disabled)
    return {
        "state": pod_state.state_of(pod).value,
        "complete": pod_state.is_complete(pod),
        "error": pod_state.is_error(pod),
        "ready": pod_state.is_ready(pod),
        "resourceError": pod_state.is_resource_error(pod),
        "reason": pod_state.reason_of(pod),
        "hasRequests": pod_state.has_requests(pod),
        "binaryUpgrade": not binary,
        "binaryWhyNot": binary,
        "recreateUpgrade": not recreate,
        "recreateWhyNot": recreate,
    }


def _delay(given: Mapping[str, Any]) -> dict[str, Any]:
    now = datetime.now(UTC).replace(microsecond=0)
    moment = delete_at(given["map"], now, ZoneInfo(given["tz"]))
    stays = moment is not None and now < moment
    if moment is None or not stays or names.DELETE_AT in given["map"]:
        return {"stays": stays}
    return {"stays": stays, "stampWrittenSecondsAhead": round((moment - now).total_seconds())}


def _template(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "parameter": templates.resolve(given["text"], given["pvc"], given.get("node")),
        "secretParameter": templates.resolve_secret(given["text"], given["pvc"], given["pvName"]),
    }


def _provision(given: Mapping[str, Any]) -> dict[str, Any]:
    switches = load(given.get("config", "")).switches
    sets_quota = all(switches.get(s, True) for s in ("enableSetQuota", "enableControllerSetQuota"))
    known = given.get("secret") is not None and f"{EXPAND}-name" in (given["sc"].get("parameters") or {})
    try:
        pv = volume_of(given["sc"], given["pvc"], given.get("node"), given["pvName"], sets_quota=sets_quota and known)
    except NotProvisioned as error:
        raise Refused(str(error)) from error
    return {"metadata": {**pv["metadata"], "creationTimestamp": None}, "spec": pv["spec"], "status": {}}


def _reuse(given: Mapping[str, Any]) -> dict[str, Any]:
    pods = [MountPod.from_object(pod) for pod in given["pods"]]
    unique_id, node = given["uniqueId"], given.get("nodeName", "node-1")
    mine = [pod for pod in pods if pod.unique_id == unique_id]
    chosen = would_reuse(mine, unique_id=unique_id, node=node, settings_hash=given["hash"])
    losers = losing_reference(mine, node=node, settings_hash=given["hash"], target=given.get("target", ""))
    return {"pod": chosen.name if chosen else "", "referenceTakenFrom": [pod.name for pod in losers]}


FUNCTIONS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "podstate": _pod_state,
    "delay": _delay,
    "template": _template,
    "provision": _provision,
    "reuse": _reuse,
}
