"""Checking bodies against the schemas: unknown fields, wrong types, names, and what may not change.

Own code: a JSON Schema library would neither drop unknown fields nor word its findings as the API server does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from jfsnb.sandbox.api.resources import Resource
from jfsnb.sandbox.api.status import Cause, Failure, bad_request, invalid

Obj = dict[str, Any]
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\Z")
PATH_SEGMENT_KINDS = {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


def check_name(resource: Resource, meta: Obj) -> None:
    """Names, labels and annotations of an object that is created.

    Raises:
        Failure: 422 with a cause for each.
    """
    name = meta.get("name") or ""
    causes = []
    if not name:
        causes.append(Cause("FieldValueRequired", "Required value: name or generateName is required", "metadata.name"))
    elif resource.kind in PATH_SEGMENT_KINDS:
        if "/" in name or "%" in name or name in (".", ".."):
            causes.append(
                Cause("FieldValueInvalid", f"Invalid value: \"{name}\": may not contain '/'", "metadata.name")
            )
    elif resource.kind in ("Namespace", "Service"):
        if not LABEL.match(name) or len(name) > 63:
            causes.append(Cause("FieldValueInvalid", f'Invalid value: "{name}": {LABEL_TEXT}', "metadata.name"))
    elif not SUBDOMAIN.match(name) or len(name) > 253:
        text = SUBDOMAIN_TEXT if len(name) <= 253 else "must be no more than 253 characters"
        causes.append(Cause("FieldValueInvalid", f'Invalid value: "{name}": {text}', "metadata.name"))
    causes += label_causes(meta)
    if causes:
        raise invalid(resource.kind, resource.group, name, causes)


def label_causes(meta: Obj) -> list[Cause]:
    causes = []
    for key, value in (meta.get("labels") or {}).items():
        value = value or ""
        if len(value) > 63:
            causes.append(
                Cause(
                    "FieldValueTooLong", f'Invalid value: "{value}": must be no more than 63 bytes', "metadata.labels"
                )
            )
        elif value and not QUALIFIED.match(value):
            text = (
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
                "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', "
                "regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            )
            causes.append(Cause("FieldValueInvalid", f'Invalid value: "{value}": {text}', "metadata.labels"))
        if not _qualified_name(key):
            causes.append(Cause("FieldValueInvalid", f'Invalid value: "{key}": {KEY_TEXT}', "metadata.labels"))
    for key in meta.get("annotations") or {}:
        if not _qualified_name(key):
            causes.append(Cause("FieldValueInvalid", f'Invalid value: "{key}": {KEY_TEXT}', "metadata.annotations"))
    return causes


KEY_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def _qualified_name(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    return bool(QUALIFIED.match(name)) and len(name) <= 63 and (not slash or bool(SUBDOMAIN.match(prefix.lower())))


def check_spec(resource: Resource, obj: Obj) -> None:
    """The few semantic rules that clients run into; everything else that the schema allows is accepted.

    Raises:
        Failure: 422 with a cause for each.
    """
    causes: list[Cause] = []
    if resource.kind == "Pod":
        causes += _pod_causes(obj.get("spec") or {}, "spec")
    elif resource.plural in ("daemonsets", "deployments", "statefulsets", "replicasets"):
        causes += _workload_causes(obj.get("spec") or {})
    elif resource.kind == "PersistentVolumeClaim":
        spec = obj.get("spec") or {}
        if not spec.get("accessModes"):
            causes.append(
                Cause("FieldValueRequired", "Required value: at least 1 access mode is required", "spec.accessModes")
            )
        if "storage" not in ((spec.get("resources") or {}).get("requests") or {}):
            causes.append(Cause("FieldValueRequired", "Required value", "spec.resources[storage]"))
    elif resource.kind == "PersistentVolume":
        spec = obj.get("spec") or {}
        if not spec.get("accessModes"):
            causes.append(Cause("FieldValueRequired", "Required value", "spec.accessModes"))
        if not spec.get("capacity"):
            causes.append(Cause("FieldValueRequired", "Required value", "spec.capacity"))
    elif resource.kind == "StorageClass" and not obj.get("provisioner"):
        causes.append(Cause("FieldValueRequired", "Required value", "provisioner"))
    if causes:
        raise invalid(resource.kind, resource.group, obj["metadata"].get("name", ""), causes)


def _workload_causes(spec: Obj) -> list[Cause]:
    template = spec.get("template") or {}
    selector = spec.get("selector")
    claims = [t["metadata"].get("name") for t in spec.get("volumeClaimTemplates") or ()]
    causes = _pod_causes(template.get("spec") or {}, "spec.template.spec", claims)
    if not selector:
        causes.append(Cause("FieldValueRequired", "Required value", "spec.selector"))
        return causes
    labels = (template.get("metadata") or {}).get("labels") or {}
    if any(labels.get(k) != v for k, v in (selector.get("matchLabels") or {}).items()):
        text = "Invalid value: `selector` does not match template `labels`"
        causes.append(Cause("FieldValueInvalid", text, "spec.template.metadata.labels"))
    return causes


def _pod_causes(spec: Obj, path: str, claims: Iterable[str] = ()) -> list[Cause]:
    """What is wrong with a Pod's spec; ``claims`` are volumes that a StatefulSet adds to it later."""
    causes = []
    containers = spec.get("containers") or []
    if not containers:
        causes.append(Cause("FieldValueRequired", "Required value", f"{path}.containers"))
    volumes = [v.get("name") for v in spec.get("volumes") or ()]
    for number, name in enumerate(volumes):
        if name in volumes[:number]:
            causes.append(Cause("FieldValueDuplicate", f'Duplicate value: "{name}"', f"{path}.volumes[{number}].name"))
    seen: set[str] = set()
    for field, group in (("initContainers", spec.get("initContainers") or []), ("containers", containers)):
        for number, container in enumerate(group):
            at = f"{path}.{field}[{number}]"
            causes += _container_causes(container, at, [*volumes, *claims], seen)
    return causes


def _container_causes(container: Obj, at: str, volumes: list[Any], seen: set[str]) -> list[Cause]:
    causes = []
    name = container.get("name") or ""
    if not name:
        causes.append(Cause("FieldValueRequired", "Required value", f"{at}.name"))
    elif not LABEL.match(name) or len(name) > 63:
        causes.append(Cause("FieldValueInvalid", f'Invalid value: "{name}": {LABEL_TEXT}', f"{at}.name"))
    elif name in seen:
        causes.append(Cause("FieldValueDuplicate", f'Duplicate value: "{name}"', f"{at}.name"))
    seen.add(name)
    if not container.get("image"):
        causes.append(Cause("FieldValueRequired", "Required value", f"{at}.image"))
    for number, mount in enumerate(container.get("volumeMounts") or ()):
        if mount.get("name") not in volumes:
            causes.append(
                Cause("FieldValueNotFound", f'Not found: "{mount.get("name")}"', f"{at}.volumeMounts[{number}].name")
            )
    for number, variable in enumerate(container.get("env") or ()):
        if not variable.get("name"):
            causes.append(Cause("FieldValueRequired", "Required value", f"{at}.env[{number}].name"))
    return causes


MUTABLE_POD_FIELDS = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def check_update(resource: Resource, new: Obj, old: Obj) -> None:
    """What may not change once an object exists.

    Raises:
        Failure: 422.
    """
    name = new["metadata"].get("name", "")
    cause: Cause | None = None
    if resource.kind == "Pod" and _frozen_pod(new["spec"]) != _frozen_pod(old["spec"]):
        cause = Cause("FieldValueForbidden", MUTABLE_POD_FIELDS, "spec")
    elif resource.kind in ("ConfigMap", "Secret") and old.get("immutable"):
        for field in ("data", "binaryData", "immutable"):
            if new.get(field) != old.get(field):
                cause = Cause("FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set", field)
                break
    elif resource.kind == "PersistentVolumeClaim":
        cause = _claim_change(new["spec"], old["spec"])
    elif resource.plural in ("daemonsets", "deployments", "replicasets", "jobs"):
        if (new.get("spec") or {}).get("selector") != (old.get("spec") or {}).get("selector"):
            cause = Cause("FieldValueInvalid", "Invalid value: field is immutable", "spec.selector")
    elif resource.kind == "StorageClass":
        for field in ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"):
            if new.get(field) != old.get(field):
                cause = Cause("FieldValueForbidden", "Forbidden: updates to " + field + " are forbidden.", field)
    if cause:
        raise invalid(resource.kind, resource.group, name, [cause])
    if old["metadata"].get("deletionTimestamp"):
        _no_new_finalizers(resource, new, old)
    causes = label_causes(new["metadata"])
    if causes:
        raise invalid(resource.kind, resource.group, name, causes)


def _no_new_finalizers(resource: Resource, new: Obj, old: Obj) -> None:
    added = set(new["metadata"].get("finalizers") or ()) - set(old["metadata"].get("finalizers") or ())
    if added:
        text = "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
        text += str(sorted(added))
        cause = Cause("FieldValueForbidden", text.replace("'", '"'), "metadata.finalizers")
        raise invalid(resource.kind, resource.group, new["metadata"]["name"], [cause])


def _frozen_pod(spec: Obj) -> Obj:
    frozen = {
        k: v
        for k, v in spec.items()
        if k not in ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds")
    }
    for field in ("containers", "initContainers"):
        if field in frozen:
            frozen[field] = [{k: v for k, v in c.items() if k != "image"} for c in frozen[field]]
    return frozen


def _claim_change(new: Obj, old: Obj) -> Cause | None:
    """A claim's spec is immutable after creation, except binding it and asking for more."""
    fixed = {k: v for k, v in old.items() if k not in ("resources", "volumeName", "volumeAttributesClassName")}
    after = {k: v for k, v in new.items() if k not in ("resources", "volumeName", "volumeAttributesClassName")}
    bound = bool(old.get("volumeName"))
    if fixed != after and not (
        not fixed.get("storageClassName") and {**fixed, "storageClassName": after.get("storageClassName")} == after
    ):
        return Cause("FieldValueForbidden", CLAIM_TEXT, "spec")
    if bound and old.get("volumeName") != new.get("volumeName"):
        return Cause("FieldValueForbidden", CLAIM_TEXT, "spec")
    return None


CLAIM_TEXT = (
    "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName "
    "for bound claims"
)


def strict(errors: list[str]) -> Failure:
    return bad_request("strict decoding error: " + ", ".join(errors))
