"""Names, labels and other metadata: what they may look like, and how a real server says that they do not."""

from __future__ import annotations

import re
from typing import Any

from jfsnb.sandbox.apiserver.rules.status import Cause, invalid
from jfsnb.sandbox.apiserver.schema.resources import Resource

Obj = dict[str, Any]
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\Z")
PATH_SEGMENT_KINDS = {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
LARGEST_ANNOTATIONS = 256 * 1024
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
KEY_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
    "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def is_label(text: str) -> bool:
    """Whether a text is an RFC 1123 label."""
    return bool(LABEL.match(text)) and len(text) <= 63


def check_name(resource: Resource, meta: Obj) -> None:
    """Name, labels and annotations of an object that is created.

    Raises:
        Failure: 422 with a cause for each.
    """
    name = meta.get("name") or ""
    causes = [] if name else [_required_name()]
    text = _name_fault(resource, name) if name else ""
    if text:
        causes.append(Cause("FieldValueInvalid", f'Invalid value: "{name}": {text}', "metadata.name"))
    causes += metadata_causes(meta) + _finalizers(meta.get("finalizers") or [])
    if causes:
        raise invalid(resource.kind, resource.group, name, causes)


def _finalizers(names: list[str]) -> list[Cause]:
    """A finalizer is one of Kubernetes' own, or a name with a domain."""
    causes = []
    for number, name in enumerate(names):
        text = "" if is_qualified(name) else KEY_TEXT
        if not text and "/" not in name and name not in STANDARD_FINALIZERS:
            text = "name is neither a standard finalizer name nor is it fully qualified"
        if text:
            causes.append(
                Cause("FieldValueInvalid", f'Invalid value: "{name}": {text}', f"metadata.finalizers[{number}]")
            )
    return causes


def _required_name() -> Cause:
    return Cause("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")


def _name_fault(resource: Resource, name: str) -> str:
    """What is wrong with a name; empty when nothing is."""
    if resource.kind in PATH_SEGMENT_KINDS:
        return "may not contain '/'" if "/" in name or "%" in name or name in (".", "..") else ""
    if resource.kind in ("Namespace", "Service"):
        return "" if is_label(name) else LABEL_TEXT if len(name) <= 63 else "must be no more than 63 bytes"
    if len(name) > 253:
        return "must be no more than 253 bytes"
    return "" if SUBDOMAIN.match(name) else SUBDOMAIN_TEXT


def metadata_causes(meta: Obj) -> list[Cause]:
    """What is wrong with labels, annotations and owner references."""
    causes = [cause for key, value in (meta.get("labels") or {}).items() for cause in _label(key, value)]
    notes = meta.get("annotations") or {}
    for key in notes:
        if not is_qualified(key.lower()):
            causes.append(Cause("FieldValueInvalid", f'Invalid value: "{key}": {KEY_TEXT}', "metadata.annotations"))
    if sum(len(k.encode()) + len(v.encode()) for k, v in notes.items()) > LARGEST_ANNOTATIONS:
        text = f"Too long: may not be more than {LARGEST_ANNOTATIONS} bytes"
        causes.append(Cause("FieldValueTooLong", text, "metadata.annotations"))
    return causes + _owners(meta.get("ownerReferences") or [])


def _label(key: str, value: str) -> list[Cause]:
    causes = []
    if not is_qualified(key):
        causes.append(Cause("FieldValueInvalid", f'Invalid value: "{key}": {KEY_TEXT}', "metadata.labels"))
    if len(value) > 63:
        text = "must be no more than 63 bytes"
        causes.append(Cause("FieldValueInvalid", f'Invalid value: "{value}": {text}', "metadata.labels"))
    elif value and not QUALIFIED.match(value):
        causes.append(Cause("FieldValueInvalid", f'Invalid value: "{value}": {VALUE_TEXT}', "metadata.labels"))
    return causes


def is_qualified(key: str) -> bool:
    """Whether a text is a label's or annotation's key: a name, with a domain before it or without."""
    prefix, slash, name = key.rpartition("/")
    return bool(QUALIFIED.match(name)) and len(name) <= 63 and (not slash or bool(SUBDOMAIN.match(prefix)))


def _owners(references: list[Obj]) -> list[Cause]:
    causes = []
    for number, reference in enumerate(references):
        for key in ("apiVersion", "kind", "name", "uid"):
            if not reference.get(key):
                where = f"metadata.ownerReferences[{number}].{key}"
                causes.append(Cause("FieldValueInvalid", 'Invalid value: "": must not be empty', where))
    if sum(bool(r.get("controller")) for r in references) > 1:
        text = "Invalid value: Only one reference can have Controller set to true."
        causes.append(Cause("FieldValueInvalid", text, "metadata.ownerReferences"))
    return causes
