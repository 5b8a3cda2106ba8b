"""What a Pod's spec must fulfil beyond its schema, also inside a template; findings in a real server's words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from jfsnb.driver.settings.quantity import value_of
from jfsnb.sandbox.apiserver.rules.names import LABEL_TEXT, is_label
from jfsnb.sandbox.apiserver.rules.status import Cause

Obj = dict[str, Any]
DOWNWARD_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
DOWNWARD_KEY = re.compile(r"metadata\.(labels|annotations)\['[^']+'\]\Z")
HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")


def required(field: str, why: str = "") -> Cause:
    return Cause("FieldValueRequired", f"Required value: {why}" if why else "Required value", field)


def wrong(field: str, value: Any, why: str) -> Cause:
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return Cause("FieldValueInvalid", f"Invalid value: {shown}: {why}", field)


def twice(field: str, value: str) -> Cause:
    return Cause("FieldValueDuplicate", f'Duplicate value: "{value}"', field)


def unsupported(field: str, value: str, *supported: str) -> Cause:
    known = ", ".join(f'"{s}"' for s in supported)
    return Cause("FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {known}', field)


def pod_causes(spec: Obj, path: str, claims: Iterable[str] = ()) -> list[Cause]:
    """All that is wrong with a Pod's spec.

    Args:
        spec: the spec.
        path: where it stands, such as ``spec`` or ``spec.template.spec``.
        claims: volumes that a StatefulSet adds to it later.
    """
    volumes = spec.get("volumes") or []
    causes = list(_volumes(volumes, f"{path}.volumes"))
    names = {v.get("name") for v in volumes} | set(claims)
    if not spec.get("containers"):
        causes.append(required(f"{path}.containers"))
    seen: set[str] = set()
    for field in ("initContainers", "containers"):
        for number, container in enumerate(spec.get(field) or ()):
            causes += _container(container, f"{path}.{field}[{number}]", names, seen)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline < 1 << 31:
        causes.append(wrong(f"{path}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive"))
    return causes


def _volumes(volumes: list[Obj], path: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for number, volume in enumerate(volumes):
        name, at = volume.get("name") or "", f"{path}[{number}]"
        if not name:
            yield required(f"{at}.name")
        elif not is_label(name):
            yield wrong(f"{at}.name", name, LABEL_TEXT)
        elif name in seen:
            yield twice(f"{at}.name", name)
        seen.add(name)
        kinds = [k for k in volume if k != "name"]
        for kind in kinds[1:]:
            yield Cause("FieldValueForbidden", "Forbidden: may not specify more than 1 volume type", f"{at}.{kind}")
        if "persistentVolumeClaim" in volume and not volume["persistentVolumeClaim"].get("claimName"):
            yield required(f"{at}.persistentVolumeClaim.claimName")
        if "hostPath" in volume and not volume["hostPath"].get("path"):
            yield required(f"{at}.hostPath.path")
        if "csi" in volume and not volume["csi"].get("driver"):
            yield required(f"{at}.csi.driver")


def _container(container: Obj, at: str, volumes: set[Any], seen: set[str]) -> Iterator[Cause]:
    name = container.get("name") or ""
    if not name:
        yield required(f"{at}.name")
    elif not is_label(name):
        yield wrong(f"{at}.name", name, LABEL_TEXT)
    elif name in seen:
        yield twice(f"{at}.name", name)
    seen.add(name)
    if not container.get("image"):
        yield required(f"{at}.image")
    yield from _ports(container, at)
    yield from _environment(container, at)
    yield from _mounts(container, at, volumes)
    yield from _probes(container, at)
    yield from _resources(container.get("resources") or {}, f"{at}.resources")


def _ports(container: Obj, at: str) -> Iterator[Cause]:
    for number, port in enumerate(container.get("ports") or ()):
        field, value = f"{at}.ports[{number}].containerPort", port.get("containerPort", 0)
        if value == 0:
            yield required(field)
        elif not 0 < value < 65536:
            yield wrong(field, value, "must be between 1 and 65535, inclusive")


def _environment(container: Obj, at: str) -> Iterator[Cause]:
    for number, variable in enumerate(container.get("env") or ()):
        field, name = f"{at}.env[{number}]", variable.get("name") or ""
        if not name:
            yield required(f"{field}.name")
        elif "=" in name or not name.isprintable() or not name.isascii():
            yield wrong(
                f"{field}.name",
                name,
                "a valid environment variable name must consist only of printable ASCII characters other than '='",
            )
        if variable.get("value") and variable.get("valueFrom"):
            why = "may not be specified when `value` is not empty"
            yield Cause("FieldValueInvalid", f'Invalid value: "": {why}', f"{field}.valueFrom")
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            yield from _field_path(reference.get("fieldPath") or "", f"{field}.valueFrom.fieldRef")


def _field_path(path: str, at: str) -> Iterator[Cause]:
    """The field that a variable shows must be one that the downward API has."""
    if not path:
        yield required(f"{at}.fieldPath")
    elif not (path in DOWNWARD_FIELDS or DOWNWARD_KEY.match(path)):
        if path in ("status.phase", "spec.restartPolicy", "spec.schedulerName"):
            yield unsupported(f"{at}.fieldPath", path, *sorted(DOWNWARD_FIELDS))
        else:
            why = f"error converting fieldPath: field label not supported: {path}"
            yield wrong(f"{at}.fieldPath", path, why)


def _mounts(container: Obj, at: str, volumes: set[Any]) -> Iterator[Cause]:
    seen: set[str] = set()
    for number, mount in enumerate(container.get("volumeMounts") or ()):
        field, name, target = f"{at}.volumeMounts[{number}]", mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            yield required(f"{field}.name")
        if name not in volumes:
            yield Cause("FieldValueNotFound", f'Not found: "{name}"', f"{field}.name")
        if not target:
            yield required(f"{field}.mountPath")
        elif target in seen:
            yield wrong(f"{field}.mountPath", target, "must be unique")
        seen.add(target)
        if ".." in (mount.get("subPath") or "").split("/"):
            yield wrong(f"{field}.subPath", mount["subPath"], "must not contain '..'")
        privileged = (container.get("securityContext") or {}).get("privileged")
        if mount.get("mountPropagation") == "Bidirectional" and not privileged:
            why = "Forbidden: Bidirectional mount propagation is available only to privileged containers"
            yield Cause("FieldValueForbidden", why, f"{field}.mountPropagation")


def _probes(container: Obj, at: str) -> Iterator[Cause]:
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(kind)
        if probe is None:
            continue
        field, given = f"{at}.{kind}", [h for h in HANDLERS if probe.get(h) is not None]
        if not given:
            yield required(field, "must specify a handler type")
        for extra in given[1:]:
            text = "Forbidden: may not specify more than 1 handler type"
            yield Cause("FieldValueForbidden", text, f"{field}.{extra}")
        if kind != "readinessProbe" and probe.get("successThreshold", 1) != 1:
            yield wrong(f"{field}.successThreshold", probe["successThreshold"], "must be 1")
        for number in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "failureThreshold"):
            if probe.get(number, 0) < 0:
                yield wrong(f"{field}.{number}", probe[number], "must be greater than or equal to 0")


def _resources(resources: Obj, at: str) -> Iterator[Cause]:
    limits = resources.get("limits") or {}
    for name, text in (resources.get("requests") or {}).items():
        request, limit = value_of(text), value_of(limits.get(name, ""))
        if request is not None and request < 0:
            yield wrong(f"{at}.requests[{name}]", text, "must be greater than or equal to 0")
        elif request is not None and limit is not None and request > limit:
            why = f"must be less than or equal to {name} limit of {limits[name]}"
            yield wrong(f"{at}.requests", text, why)
