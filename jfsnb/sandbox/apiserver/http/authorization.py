"""Who may do what: RBAC over the stored roles and bindings; members of system:masters may do everything."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jfsnb.sandbox.apiserver.http.request import Target, User
from jfsnb.sandbox.apiserver.rules.status import Failure, forbidden, qualified
from jfsnb.sandbox.apiserver.storage.store import Change, Store

Obj = dict[str, Any]
RBAC = "rbac.authorization.k8s.io/"
ALLOWED_REASON = 'RBAC: allowed by {kind} "{name}" of {role_kind} "{role}" to {subject_kind} "{subject}"'


@dataclass(frozen=True)
class Attributes:
    """What a request does: a verb on a resource, or on a path that is no resource."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True)
class Grant:
    """Rules that a binding gives to one subject; in all namespaces when ``namespace`` is empty."""

    namespace: str
    rules: tuple[Obj, ...]
    reason: str


@dataclass
class Authorizer:
    """Answers from an index of the bindings, which is made anew after a role or binding changed."""

    store: Store
    _index: dict[tuple[str, str], list[Grant]] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        for plural in ("roles", "clusterroles", "rolebindings", "clusterrolebindings"):
            self.store.listen(RBAC + plural, self._forget)

    def _forget(self, _: Change) -> None:
        self._index = None

    def reason(self, user: User, wanted: Attributes) -> str | None:
        """Why a user may do something; None when nothing allows it."""
        if "system:masters" in user.groups:
            return ""
        for grant in self.grants(user):
            if grant.namespace in ("", wanted.namespace) and any(_allows(rule, wanted) for rule in grant.rules):
                return grant.reason
        return None

    def check(self, user: User, wanted: Attributes) -> None:
        """Raises Failure 403 in the words of a real server, when nothing allows it."""
        if self.reason(user, wanted) is None:
            raise _refusal(user, wanted)

    def grants(self, user: User) -> list[Grant]:
        """All that is granted to a user, by name or through a group."""
        if self._index is None:
            self._index = _build(self.store)
        subjects = [("User", user.name), *(("Group", g) for g in user.groups)]
        return [grant for subject in subjects for grant in self._index.get(subject, ())]


def attributes(target: Target, method: str, watching: bool) -> Attributes:
    """What a request on a resource does."""
    resource = target.resource
    if method == "GET":
        verb = "watch" if watching else "get" if target.name else "list"
    elif method == "DELETE":
        verb = "delete" if target.name else "deletecollection"
    else:
        verb = {"POST": "create", "PUT": "update", "PATCH": "patch"}.get(method, method.lower())
    namespace = target.name if resource.storage == "/namespaces" else target.namespace
    return Attributes(verb, resource.group, resource.plural, target.subresource, namespace, target.name)


def _build(store: Store) -> dict[tuple[str, str], list[Grant]]:
    index: dict[tuple[str, str], list[Grant]] = {}
    for plural in ("clusterrolebindings", "rolebindings"):
        for entry in store.shelf(RBAC + plural).range(""):
            _add(index, store, entry.obj)
    return index


def _add(index: dict[tuple[str, str], list[Grant]], store: Store, binding: Obj) -> None:
    namespace, role = binding["metadata"].get("namespace", ""), binding.get("roleRef") or {}
    if role.get("kind") == "ClusterRole":
        found = store.get(RBAC + "clusterroles", "", role.get("name", ""))
    else:
        found = store.get(RBAC + "roles", namespace, role.get("name", ""))
    if found is None:
        return
    rules = tuple(found.obj.get("rules") or ())
    for subject in binding.get("subjects") or ():
        kind, name = subject.get("kind", ""), subject.get("name", "")
        key = (kind, name)
        if kind == "ServiceAccount":
            key = ("User", f"system:serviceaccount:{subject.get('namespace') or namespace}:{name}")
        reason = ALLOWED_REASON.format(
            kind="RoleBinding" if namespace else "ClusterRoleBinding",
            name=f"{binding['metadata']['name']}/{namespace}" if namespace else binding["metadata"]["name"],
            role_kind=role.get("kind"),
            role=role.get("name"),
            subject_kind=kind,
            subject=name if kind != "ServiceAccount" else f"{name}/{subject.get('namespace') or namespace}",
        )
        index.setdefault(key, []).append(Grant(namespace, rules, reason))


def _allows(rule: Obj, wanted: Attributes) -> bool:
    verbs = rule.get("verbs") or ()
    if "*" not in verbs and wanted.verb not in verbs:
        return False
    if wanted.path:
        urls = rule.get("nonResourceURLs") or ()
        return any(u == wanted.path or (u.endswith("*") and wanted.path.startswith(u[:-1])) for u in urls)
    groups, resources, names = rule.get("apiGroups") or (), rule.get("resources") or (), rule.get("resourceNames")
    if "*" not in groups and wanted.group not in groups:
        return False
    spelled = {"*", wanted.full_resource, f"*/{wanted.subresource}" if wanted.subresource else "*"}
    if not spelled & set(resources):
        return False
    return not names or wanted.name in names


def _refusal(user: User, wanted: Attributes) -> Failure:
    who = f'User "{user.name}" cannot {wanted.verb}'
    if wanted.path:
        return forbidden(f'forbidden: {who} path "{wanted.path}"')
    where = f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
    if wanted.resource == "namespaces" and wanted.name:
        where = f'in the namespace "{wanted.name}"'
    shown = qualified(wanted.resource, wanted.group) + (f' "{wanted.name}"' if wanted.name else "")
    text = f'{shown} is forbidden: {who} resource "{wanted.full_resource}" in API group "{wanted.group}" {where}'
    return forbidden(text, wanted.name, wanted.group, wanted.resource)
