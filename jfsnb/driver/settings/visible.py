"""In what a running Mount Pod differs, as far as can be seen, from the one that the next mount would make (§9).

The driver compares hashes of settings that hold credentials (§3.1); this compares what objects show. What the volume's
Secret says cannot be seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.config.merging import ImageDecision, MergedPatch
from jfsnb.driver.golang.duration import parse_duration
from jfsnb.driver.images import same_image
from jfsnb.driver.mountpods.building import DEFAULT_GRACE_SECONDS
from jfsnb.driver.mountpods.mount_pods import MountPod, mount_container
from jfsnb.driver.settings.mount_options import option_key
from jfsnb.driver.settings.quantity import value_of

Obj = Mapping[str, Any]
CLEAN_CACHE_SWITCH = "juicefs/clean-cache"
INHERITED = "the PV, its PVC, or the CSI node Pod"
#: Options that the driver adds itself, or works out from others.
_OWN_OPTIONS = ("metrics", "subdir", "foreground", "no-update", "rsa-key", "cache-dir", "buffer-size")
#: Labels and annotations of the driver's own, which nobody else sets.
_INTERNAL = (
    *(names.HASH, names.UPGRADE_UUID, names.APP_NAME, names.VOLUME_ID),
    *(names.FS_UUID, names.UNIQUE_ID, names.SHARE_MODE, names.UPGRADE_PROCESS),
)
#: What is quoted in a command line, or splits it.
_QUOTED = set("$`&;>|()'\"\\ \t,")
#: Fields by their names in config.yaml and in the settings; what nothing sets is left to the API server.
_INHERITED_FIELDS = {"hostNetwork": "HostNetwork", "hostPID": "HostPID", "dnsPolicy": "DNSPolicy"}
_INHERITED_FIELDS |= {"resources": "Resources", "serviceAccountName": "ServiceAccountName"}


@dataclass(frozen=True)
class Difference:
    """A field in which the running Mount Pod is not what a new one would be."""

    field: str
    running: str
    wanted: str
    provenance: str


def differences(
    pod: Obj, merged: MergedPatch, decision: ImageDecision, facts: MountPod, settings: Obj = MappingProxyType({})
) -> tuple[Difference, ...]:
    """What differs.

    Args:
        merged: config.yaml's entries for the PVC and node. decision: the image for it. facts: the Mount Pod's own.
        settings: of the next mount (settings.next_mount.expected); empty: only what config.yaml sets is compared.
    """
    container = mount_container(pod) or {}
    found = []
    image = container.get("image", "")
    if decision.certain and not (image and same_image(image, decision.image)):
        found.append(Difference("image", image, decision.image, decision.provenance))
    wanted = _wanted_fields(merged, settings)
    for name, value in _running_fields(pod, container).items():
        if name in wanted and not _same(name, value, wanted[name]):
            found.append(Difference(name, str(value), str(wanted[name]), merged.provenance(name) or INHERITED))
    for name in ("labels", "annotations"):
        asked = {**((settings.get("Attr") or {}).get(name) or {}), **merged.fields.get(name, {})}
        own = (*_INTERNAL, names.DELETE_DELAY) if settings else _INTERNAL  # _delay compares the delay
        asked = {key: value for key, value in asked.items() if key not in own}
        missing = _missing(asked, (pod.get("metadata") or {}).get(name) or {})
        found += [Difference(f"{name} {k}", h, w, merged.provenance(name) or INHERITED) for k, h, w in missing]
    return (*found, *_delay(facts, merged, settings), *_env(container, merged), *_options(facts, merged, settings))


def _wanted_fields(merged: MergedPatch, settings: Obj) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    if attr := settings.get("Attr"):
        wanted = {ours: attr[theirs] for ours, theirs in _INHERITED_FIELDS.items() if attr.get(theirs) is not None}
        wanted["terminationGracePeriodSeconds"] = DEFAULT_GRACE_SECONDS
    wanted = {name: value for name, value in wanted.items() if value != ""}
    return wanted | {name: value for name, value in merged.fields.items() if name in (*_INHERITED_FIELDS, *_MERGED)}


_MERGED = ("imagePullPolicy", "terminationGracePeriodSeconds")


def _running_fields(pod: Obj, container: Obj) -> dict[str, Any]:
    spec = pod.get("spec", {})
    return {
        "hostNetwork": bool(spec.get("hostNetwork")),
        "hostPID": bool(spec.get("hostPID")),
        "imagePullPolicy": container.get("imagePullPolicy"),
        "dnsPolicy": spec.get("dnsPolicy"),
        "serviceAccountName": spec.get("serviceAccountName"),
        "terminationGracePeriodSeconds": spec.get("terminationGracePeriodSeconds"),
        "resources": container.get("resources") or {},
    }


def _same(name: str, running: Any, wanted: Any) -> bool:
    return _same_resources(running, wanted) if name == "resources" else bool(running == wanted)


def _same_resources(running: Obj, wanted: Obj) -> bool:
    """By numbers. Requests of 0 are the driver's own doing after a node rejected the Pod; its hash stays (§3.3)."""
    kinds = ["limits"] if has_no_requests(running) else ["limits", "requests"]
    return all(_numbers(running.get(kind)) == _numbers(wanted.get(kind)) for kind in kinds)


def has_no_requests(resources: Obj) -> bool:
    """Whether a Mount Pod was made again after its node had rejected it for its requests."""
    return _numbers(resources.get("requests")) == {"cpu": 0, "memory": 0}


def _numbers(quantities: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value_of(str(text)) for name, text in (quantities or {}).items()}


def _missing(wanted: Mapping[str, str], actual: Mapping[str, str]) -> list[tuple[str, str, str]]:
    found = []
    for key, value in wanted.items():
        if key == names.DELETE_DELAY and parse_duration(value) is None:
            continue
        theirs = names.CLEAN_CACHE if key == CLEAN_CACHE_SWITCH else key
        if key == CLEAN_CACHE_SWITCH and value != "true":
            continue
        if "${" not in value and actual.get(theirs) != value:
            found.append((key, actual.get(theirs, ""), value))
    return found


def _delay(facts: MountPod, merged: MergedPatch, settings: Obj) -> list[Difference]:
    """The delete delay that volume or configuration ask for, or that nothing asks for any more."""
    running, wanted = facts.annotations.get(names.DELETE_DELAY, ""), settings.get("deleted_delay") or ""
    if not settings or running == wanted:
        return []
    asked_here = names.DELETE_DELAY in merged.fields.get("annotations", {})
    who = merged.provenance("annotations") if asked_here else INHERITED
    return [Difference(f"annotations {names.DELETE_DELAY}", running, wanted, who)]


def _env(container: Obj, merged: MergedPatch) -> list[Difference]:
    actual = [(e.get("name"), e.get("value") or "") for e in container.get("env") or ()]
    found = []
    for item in merged.fields.get("env", ()):
        name, value = item.get("name"), item.get("value") or ""
        is_there = any(name == n and (value == v or "${" in value) for n, v in actual)  # a name may come twice
        if not is_there:
            found.append(Difference(f"env {name}", "another value", "set", merged.provenance("env")))
    return found


def _options(facts: MountPod, merged: MergedPatch, settings: Obj) -> list[Difference]:
    """Mount options that are asked for and that the command line lacks, or that it has and nobody asks for."""
    actual = [o.strip() for o in facts.command.options]
    wanted = [(o or "").strip() for o in settings.get("Options") or merged.fields.get("mountOptions", ())]
    if not actual or any(set(option) & _QUOTED for option in (*actual, *wanted, settings.get("SubPath") or "")):
        return []  # a quoted command line is not taken apart again
    missing = [o for o in wanted if o and o not in actual and option_key(o) not in _OWN_OPTIONS]
    extra = [o for o in actual if settings and o not in wanted and option_key(o) not in _OWN_OPTIONS]
    have, want = ({option_key(o): o for o in options} for options in (actual, wanted))
    keys = dict.fromkeys(option_key(o) for o in (*missing, *extra))
    who = merged.provenance("mountOptions") or INHERITED
    return [Difference(f"mountOptions {key}", have.get(key, ""), want.get(key, ""), who) for key in keys]
