"""Failures as a Kubernetes API server words them: Status objects with reason, details and causes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Obj = dict[str, Any]


@dataclass(frozen=True)
class Cause:
    """One reason why an object is invalid: machine readable reason, message, and the field it is about."""

    reason: str
    message: str
    field: str = ""

    def to_dict(self) -> Obj:
        return {k: v for k, v in (("reason", self.reason), ("message", self.message), ("field", self.field)) if v}


class Failure(Exception):
    """An answer that is not a success; becomes a Status object."""

    def __init__(self, code: int, reason: str, message: str, details: Obj | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details
        self.meta: Obj = {}

    def status(self) -> Obj:
        body: Obj = {"kind": "Status", "apiVersion": "v1", "metadata": self.meta, "status": "Failure"}
        body["message"] = self.message
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        body["code"] = self.code
        return body


def qualified(plural: str, group: str) -> str:
    return f"{plural}.{group}" if group else plural


def _details(name: str, group: str, kind: str, causes: list[Cause] | None = None) -> Obj:
    details: Obj = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    details["kind"] = kind
    if causes:
        details["causes"] = [c.to_dict() for c in causes]
    return details


def not_found(plural: str, group: str, name: str) -> Failure:
    return Failure(404, "NotFound", f'{qualified(plural, group)} "{name}" not found', _details(name, group, plural))


def no_such_resource() -> Failure:
    return Failure(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(plural: str, group: str, name: str) -> Failure:
    message = f'{qualified(plural, group)} "{name}" already exists'
    return Failure(409, "AlreadyExists", message, _details(name, group, plural))


def being_deleted(plural: str, group: str, name: str) -> Failure:
    message = f'object is being deleted: {qualified(plural, group)} "{name}" already exists'
    return Failure(409, "AlreadyExists", message, _details(name, group, plural))


def conflict(plural: str, group: str, name: str, why: str) -> Failure:
    message = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}'
    return Failure(409, "Conflict", message, _details(name, group, plural))


STALE = "the object has been modified; please apply your changes to the latest version and try again"


def stale(plural: str, group: str, name: str) -> Failure:
    return conflict(plural, group, name, STALE)


def invalid(kind: str, group: str, name: str, causes: list[Cause]) -> Failure:
    texts = [f"{c.field}: {c.message}" if c.field else c.message for c in causes]
    joined = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    shown = f"{kind}.{group}" if group else kind
    return Failure(422, "Invalid", f'{shown} "{name}" is invalid: {joined}', _details(name, group, kind, causes))


def bad_request(message: str) -> Failure:
    return Failure(400, "BadRequest", message)


def forbidden(
    message: str, name: str = "", group: str = "", plural: str = "", causes: list[Cause] | None = None
) -> Failure:
    return Failure(403, "Forbidden", message, _details(name, group, plural, causes))


def unauthorized() -> Failure:
    return Failure(401, "Unauthorized", "Unauthorized")


def expired(message: str) -> Failure:
    return Failure(410, "Expired", message)


def method_not_allowed() -> Failure:
    message = "the server does not allow this method on the requested resource"
    return Failure(405, "MethodNotAllowed", message, {})


def unsupported_media_type(accepted: list[str]) -> Failure:
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return Failure(415, "UnsupportedMediaType", message, {})


def not_acceptable(accepted: list[str]) -> Failure:
    message = "only the following media types are accepted: " + ", ".join(accepted)
    return Failure(406, "NotAcceptable", message)


def success(plural: str, group: str, name: str, uid: str) -> Obj:
    details: Obj = {"name": name}
    if group:
        details["group"] = group
    details |= {"kind": plural, "uid": uid}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
