"""Rules of single kinds: what an object must have, and what may not change once it exists.

Only rules that clients run into; everything else that the schema allows is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from jfsnb.driver.settings.quantity import value_of
from jfsnb.sandbox.apiserver.rules.names import metadata_causes
from jfsnb.sandbox.apiserver.rules.pod_rules import pod_causes, required, unsupported, wrong
from jfsnb.sandbox.apiserver.rules.status import Cause, Failure, bad_request, invalid
from jfsnb.sandbox.apiserver.schema.resources import Resource

Obj = dict[str, Any]
DATA_KEY = re.compile(r"[-._a-zA-Z0-9]+\Z")
LARGEST_DATA = 1 << 20
DATA_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
NEEDED_KEYS = {
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
NO_SOURCE = {
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
}
MUTABLE_POD_FIELDS = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
CLAIM_TEXT = (
    "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName "
    "for bound claims"
)


def check_spec(resource: Resource, obj: Obj) -> None:
    """What a kind demands of an object.

    Raises:
        Failure: 422 with a cause for each fault.
    """
    rule = RULES.get(resource.storage)
    causes = rule(obj) if rule is not None else []
    if causes:
        raise invalid(resource.kind, resource.group, obj["metadata"].get("name", ""), causes)


def strict(errors: list[str]) -> Failure:
    """The refusal of strict field validation."""
    return bad_request("strict decoding error: " + ", ".join(errors))


def _pod(obj: Obj) -> list[Cause]:
    return pod_causes(obj.get("spec") or {}, "spec")


def _workload(obj: Obj) -> list[Cause]:
    spec = obj.get("spec") or {}
    template, selector = spec.get("template") or {}, spec.get("selector")
    pod = template.get("spec") or {}
    claims = [t["metadata"].get("name", "") for t in spec.get("volumeClaimTemplates") or ()]
    causes = pod_causes(pod, "spec.template.spec", claims)
    if pod.get("restartPolicy") != "Always":
        causes.append(unsupported("spec.template.spec.restartPolicy", pod.get("restartPolicy", ""), "Always"))
    if spec.get("replicas", 0) < 0:
        causes.append(wrong("spec.replicas", spec["replicas"], "must be greater than or equal to 0"))
    if not selector:
        return [*causes, required("spec.selector")]
    labels = (template.get("metadata") or {}).get("labels") or {}
    if any(labels.get(k) != v for k, v in (selector.get("matchLabels") or {}).items()):
        text = f"Invalid value: {_json(labels)}: `selector` does not match template `labels`"
        causes.append(Cause("FieldValueInvalid", text, "spec.template.metadata.labels"))
    return causes


def _job(obj: Obj) -> list[Cause]:
    spec = obj.get("spec") or {}
    pod = (spec.get("template") or {}).get("spec") or {}
    causes = pod_causes(pod, "spec.template.spec")
    field, policy = "spec.template.spec.restartPolicy", pod.get("restartPolicy", "")
    if policy in ("", "Always"):
        text = 'Required value: valid values: "OnFailure", "Never"'
        causes.append(Cause("FieldValueRequired", text, field))
    elif policy not in ("OnFailure", "Never"):
        causes.append(unsupported(field, policy, "OnFailure", "Never"))
    return causes


def _cron_job(obj: Obj) -> list[Cause]:
    spec = obj.get("spec") or {}
    inner = (spec.get("jobTemplate") or {}).get("spec") or {}
    causes = pod_causes((inner.get("template") or {}).get("spec") or {}, "spec.jobTemplate.spec.template.spec")
    return causes if spec.get("schedule") else [*causes, required("spec.schedule")]


def _claim(obj: Obj) -> list[Cause]:
    spec = obj.get("spec") or {}
    causes = []
    if not spec.get("accessModes"):
        causes.append(required("spec.accessModes", "at least 1 access mode is required"))
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if size is None:
        causes.append(required("spec.resources[storage]"))
    elif (value_of(size) or 0) <= 0:
        causes.append(wrong("spec.resources[storage]", size, "must be greater than zero"))
    return causes


def _volume(obj: Obj) -> list[Cause]:
    spec = obj.get("spec") or {}
    causes = []
    if not spec.get("accessModes"):
        causes.append(required("spec.accessModes"))
    if not spec.get("capacity"):
        causes.append(required("spec.capacity"))
    elif set(spec["capacity"]) != {"storage"}:
        causes.append(unsupported("spec.capacity", _json(spec["capacity"]), "storage"))
    sources = [k for k in spec if k not in NO_SOURCE]
    if not sources:
        causes.append(required("spec", "must specify a volume type"))
    for extra in sources[1:]:
        text = "Forbidden: may not specify more than 1 volume type"
        causes.append(Cause("FieldValueForbidden", text, f"spec.{extra}"))
    if "csi" in spec:
        causes += [required(f"spec.csi.{k}") for k in ("driver", "volumeHandle") if not spec["csi"].get(k)]
    return causes


def _storage_class(obj: Obj) -> list[Cause]:
    return [] if obj.get("provisioner") else [required("provisioner")]


def _data(obj: Obj) -> list[Cause]:
    """ConfigMaps and Secrets: keys that can be file names, and a limit to the whole."""
    causes, size = [], 0
    for field in ("data", "binaryData"):
        for key, text in (obj.get(field) or {}).items():
            fault = _key_fault(key)
            if not fault and field == "binaryData" and key in (obj.get("data") or {}):
                fault = "duplicate of key present in data"
            if fault:
                causes.append(wrong(f"{field}[{key}]", key, fault))
            size += len(text)
    if size > LARGEST_DATA:
        causes.append(Cause("FieldValueTooLong", f"Too long: may not be more than {LARGEST_DATA} bytes", "[]"))
    return causes


def _key_fault(key: str) -> str:
    if len(key) > 253:
        return "must be no more than 253 bytes"
    if not DATA_KEY.match(key):
        return DATA_KEY_TEXT
    if key == ".":
        return "must not be '.'"
    return "must not start with '..'" if key.startswith("..") else ""


def _secret(obj: Obj) -> list[Cause]:
    causes = _data(obj)
    field = NEEDED_KEYS.get(obj.get("type", ""))
    data = obj.get("data") or {}
    for key in field or ():
        if key not in data:
            causes.append(required(f"data[{key}]"))
    return causes


def _service(obj: Obj) -> list[Cause]:
    spec = obj.get("spec") or {}
    ports = spec.get("ports") or []
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        return [required("spec.ports")]
    causes = []
    for number, port in enumerate(ports):
        if len(ports) > 1 and not port.get("name"):
            causes.append(required(f"spec.ports[{number}].name"))
        if not 0 < port.get("port", 0) < 65536:
            text = "must be between 1 and 65535, inclusive"
            causes.append(
                Cause(
                    "FieldValueInvalid", f"Invalid value: {port.get('port', 0)}: {text}", f"spec.ports[{number}].port"
                )
            )
    return causes


RULES: dict[str, Callable[[Obj], list[Cause]]] = {
    "/pods": _pod,
    "/persistentvolumeclaims": _claim,
    "/persistentvolumes": _volume,
    "/configmaps": _data,
    "/secrets": _secret,
    "/services": _service,
    "apps/daemonsets": _workload,
    "apps/deployments": _workload,
    "apps/replicasets": _workload,
    "apps/statefulsets": _workload,
    "batch/jobs": _job,
    "batch/cronjobs": _cron_job,
    "storage.k8s.io/storageclasses": _storage_class,
}


def check_update(resource: Resource, new: Obj, old: Obj) -> None:
    """What may not change once an object exists.

    Raises:
        Failure: 422.
    """
    rule = CHANGES.get(resource.storage)
    causes = rule(new, old) if rule is not None else []
    if old["metadata"].get("deletionTimestamp"):
        causes += _no_new_finalizers(new["metadata"], old["metadata"])
    causes += metadata_causes(new["metadata"])
    if causes:
        raise invalid(resource.kind, resource.group, new["metadata"].get("name", ""), causes)


def _no_new_finalizers(new: Obj, old: Obj) -> list[Cause]:
    added = set(new.get("finalizers") or ()) - set(old.get("finalizers") or ())
    if not added:
        return []
    text = "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
    shown = "[]string{" + ", ".join(f'"{a}"' for a in sorted(added)) + "}"
    return [Cause("FieldValueForbidden", text + shown, "metadata.finalizers")]


def _pod_change(new: Obj, old: Obj) -> list[Cause]:
    now, then = new["spec"], old["spec"]
    causes = [] if _frozen(now) == _frozen(then) else [Cause("FieldValueForbidden", MUTABLE_POD_FIELDS, "spec")]
    deadline, before = now.get("activeDeadlineSeconds"), then.get("activeDeadlineSeconds")
    if before is not None and deadline is None:
        text = "Invalid value: null: must not update from a positive integer to nil value"
        causes.append(Cause("FieldValueInvalid", text, "spec.activeDeadlineSeconds"))
    elif before is not None and deadline > before:
        why = "must be less than or equal to previous value"
        causes.append(wrong("spec.activeDeadlineSeconds", deadline, why))
    kept = [{k: v for k, v in t.items() if k != "tolerationSeconds"} for t in now.get("tolerations") or ()]
    if any({k: v for k, v in t.items() if k != "tolerationSeconds"} not in kept for t in then.get("tolerations") or ()):
        text = "Forbidden: existing toleration can not be modified except its tolerationSeconds"
        causes.append(Cause("FieldValueForbidden", text, "spec.tolerations"))
    return causes


def _frozen(spec: Obj) -> Obj:
    """A Pod's spec without what may change."""
    free = ("activeDeadlineSeconds", "tolerations")
    frozen = {k: v for k, v in spec.items() if k not in free}
    for field in ("containers", "initContainers"):
        if field in frozen:
            frozen[field] = [{k: v for k, v in c.items() if k != "image"} for c in frozen[field]]
    return frozen


def _data_change(new: Obj, old: Obj) -> list[Cause]:
    if not old.get("immutable"):
        return []
    text = "Forbidden: field is immutable when `immutable` is set"
    fields = [f for f in ("immutable", "data", "binaryData") if new.get(f) != old.get(f)]
    return [Cause("FieldValueForbidden", text, f) for f in fields]


def _secret_change(new: Obj, old: Obj) -> list[Cause]:
    causes = _data_change(new, old)
    if new.get("type") != old.get("type"):
        causes.append(wrong("type", new.get("type", ""), "field is immutable"))
    return causes


def requested(claim: Obj) -> int:
    """Bytes that a claim asks for; 0 where it does not say."""
    asked = (claim["spec"].get("resources") or {}).get("requests") or {}
    return int(value_of(str(asked.get("storage", "0"))) or 0)


def _claim_change(new: Obj, old: Obj) -> list[Cause]:
    """A claim's spec is immutable after creation, except binding it and asking for more."""
    free = ("resources", "volumeName", "volumeAttributesClassName")
    before, after = ({k: v for k, v in o["spec"].items() if k not in free} for o in (old, new))
    if not before.get("storageClassName"):
        before["storageClassName"] = after.get("storageClassName")
        after.setdefault("storageClassName", None)
    bound = old["spec"].get("volumeName")
    if before != after or (bound and bound != new["spec"].get("volumeName")):
        return [Cause("FieldValueForbidden", CLAIM_TEXT, "spec")]
    sizes = [requested(o) for o in (old, new)]
    status = value_of(((old.get("status") or {}).get("capacity") or {}).get("storage", "")) or sizes[0]
    if sizes[1] < sizes[0] and sizes[1] < status:
        text = "Forbidden: field can not be less than status.capacity"
        return [Cause("FieldValueForbidden", text, "spec.resources.requests.storage")]
    return []


def _volume_change(new: Obj, old: Obj) -> list[Cause]:
    sources = [{k: v for k, v in o["spec"].items() if k not in NO_SOURCE} for o in (new, old)]
    if sources[0] == sources[1]:
        return []
    text = "Forbidden: spec.persistentvolumesource is immutable after creation"
    return [Cause("FieldValueForbidden", text, "spec.persistentvolumesource")]


def _selector_change(new: Obj, old: Obj) -> list[Cause]:
    selectors = [(o.get("spec") or {}).get("selector") for o in (new, old)]
    if selectors[0] == selectors[1]:
        return []
    return [Cause("FieldValueInvalid", f"Invalid value: {_json(selectors[0])}: field is immutable", "spec.selector")]


def _class_change(new: Obj, old: Obj) -> list[Cause]:
    fields = ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")
    changed = [f for f in fields if new.get(f) != old.get(f)]
    return [Cause("FieldValueInvalid", f"Invalid value: {_json(new.get(f))}: field is immutable", f) for f in changed]


def _role_change(new: Obj, old: Obj) -> list[Cause]:
    if new.get("roleRef") == old.get("roleRef"):
        return []
    return [Cause("FieldValueInvalid", f"Invalid value: {_json(new.get('roleRef'))}: cannot change roleRef", "roleRef")]


def _job_change(new: Obj, old: Obj) -> list[Cause]:
    """Which Pods a Job runs is fixed; while it is suspended and has not begun, the template may still change."""
    fields = ["selector", "completionMode", "template"]
    if (old.get("spec") or {}).get("suspend") and not (old.get("status") or {}).get("startTime"):
        fields.remove("template")
    if (old.get("spec") or {}).get("completionMode") != "Indexed":
        fields.append("completions")
    causes = []
    for field in fields:
        value = new["spec"].get(field)
        if value != old["spec"].get(field):
            text = f"Invalid value: {_json(value)}: field is immutable"
            causes.append(Cause("FieldValueInvalid", text, f"spec.{field}"))
    return causes


def _service_change(new: Obj, old: Obj) -> list[Cause]:
    kept, asked = old["spec"].get("clusterIP"), new["spec"].get("clusterIP")
    if not kept or asked == kept or "ExternalName" in (old["spec"].get("type"), new["spec"].get("type")):
        return []
    text = f"Invalid value: {_json([asked] if asked else [])}: may not change once set"
    return [Cause("FieldValueInvalid", text, "spec.clusterIPs[0]")]


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


CHANGES: dict[str, Callable[[Obj, Obj], list[Cause]]] = {
    "/pods": _pod_change,
    "/configmaps": _data_change,
    "/secrets": _secret_change,
    "/services": _service_change,
    "/persistentvolumeclaims": _claim_change,
    "/persistentvolumes": _volume_change,
    "apps/daemonsets": _selector_change,
    "apps/deployments": _selector_change,
    "apps/replicasets": _selector_change,
    "apps/statefulsets": _selector_change,
    "batch/jobs": _job_change,
    "storage.k8s.io/storageclasses": _class_change,
    "rbac.authorization.k8s.io/rolebindings": _role_change,
    "rbac.authorization.k8s.io/clusterrolebindings": _role_change,
}
