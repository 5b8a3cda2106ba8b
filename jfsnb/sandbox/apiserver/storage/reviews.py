"""Kinds that answer a question instead of being stored: token, access and rules reviews."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jfsnb.sandbox.apiserver.http.authentication import Authenticator
from jfsnb.sandbox.apiserver.http.authorization import Attributes, Authorizer
from jfsnb.sandbox.apiserver.http.bodies import decoded
from jfsnb.sandbox.apiserver.http.request import Options, Target, User
from jfsnb.sandbox.apiserver.http.tokens import ISSUER
from jfsnb.sandbox.apiserver.rules.status import Cause, Failure, invalid, method_not_allowed

Obj = dict[str, Any]
EVERYTHING: list[Obj] = [
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
]


@dataclass(frozen=True)
class Reviewer:
    """Answers reviews."""

    authenticator: Authenticator
    authorizer: Authorizer

    def review(self, target: Target, body: Obj, user: User) -> Obj:
        """The review with its status filled in.

        Raises:
            Failure: 422, when the question is not complete; 400 for wrong types.
        """
        answers: dict[str, Callable[[Target, Obj, User], Obj]] = {
            "tokenreviews": self._token,
            "selfsubjectreviews": lambda _t, _s, u: {"userInfo": _user_info(u)},
            "selfsubjectaccessreviews": lambda _t, spec, u: self._access(spec, u),
            "subjectaccessreviews": self._of_subject,
            "localsubjectaccessreviews": self._of_subject,
            "selfsubjectrulesreviews": self._rules,
        }
        answer = answers.get(target.resource.plural)
        if answer is None:
            raise method_not_allowed()
        resource = target.resource
        body, _warnings = decoded(resource, body, Options(field_validation="Ignore"))
        spec = body.get("spec") or {}
        head = {"kind": resource.kind, "apiVersion": resource.group_version, "metadata": body.get("metadata") or {}}
        shown = {} if resource.plural == "selfsubjectreviews" else {"spec": spec}
        return {**head, **shown, "status": answer(target, spec, user)}

    def _token(self, target: Target, spec: Obj, _: User) -> Obj:
        token = spec.get("token") or ""
        if not token:
            raise _required(target, "spec.token", "")
        audiences = spec.get("audiences") or [ISSUER]
        found = self.authenticator.by_token(token, audiences)
        if found is None:
            return {"user": {}, "error": "[invalid bearer token, token lookup failed]"}
        return {"authenticated": True, "user": _user_info(found), "audiences": audiences}

    def _of_subject(self, target: Target, spec: Obj, _: User) -> Obj:
        groups = tuple(spec.get("groups") or ())
        if not spec.get("user") and not groups:
            raise _required(target, "spec.user", "at least one of user or group must be specified")
        asked = (spec.get("resourceAttributes") or {}).get("namespace", "")
        if target.namespace and asked != target.namespace:
            raise _required(target, "spec.resourceAttributes.namespace", "must match metadata.namespace")
        return self._access(spec, User(spec.get("user", ""), spec.get("uid", ""), groups))

    def _access(self, spec: Obj, user: User) -> Obj:
        resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if (resource is None) == (path is None):
            text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
            cause = Cause("FieldValueInvalid", f"Invalid value: null: {text}", "spec.resourceAttributes")
            raise invalid("SelfSubjectAccessReview", "authorization.k8s.io", "", [cause])
        if resource is not None:
            names = ("verb", "group", "resource", "subresource", "namespace", "name")
            wanted = Attributes(**{n: resource.get(n) or "" for n in names})
        else:
            wanted = Attributes((path or {}).get("verb") or "", path=(path or {}).get("path") or "/")
        reason = self.authorizer.reason(user, wanted)
        if reason is None:
            return {"allowed": False}
        return {"allowed": True, "reason": reason} if reason else {"allowed": True}

    def _rules(self, target: Target, spec: Obj, user: User) -> Obj:
        namespace = spec.get("namespace") or ""
        if not namespace:
            raise _required(target, "spec.namespace", "")
        rules = [r for g in self.authorizer.grants(user) if g.namespace in ("", namespace) for r in g.rules]
        if "system:masters" in user.groups:
            rules = [
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
                {"verbs": ["*"], "nonResourceURLs": ["*"]},
            ]
        keys = ("verbs", "apiGroups", "resources", "resourceNames")
        return {
            "resourceRules": [{k: r[k] for k in keys if k in r} for r in rules if r.get("resources")],
            "nonResourceRules": [
                {k: r[k] for k in ("verbs", "nonResourceURLs")} for r in rules if r.get("nonResourceURLs")
            ],
            "incomplete": False,
        }


def _user_info(user: User) -> Obj:
    info: Obj = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {k: list(v) for k, v in user.extra.items()}
    return info


def _required(target: Target, field: str, why: str) -> Failure:
    text = f"Required value: {why}" if why else "Required value"
    return invalid(target.resource.kind, target.resource.group, "", [Cause("FieldValueRequired", text, field)])
