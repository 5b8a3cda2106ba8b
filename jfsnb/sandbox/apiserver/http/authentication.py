"""Who a request comes from: static tokens, service account tokens, impersonation."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jfsnb.sandbox.apiserver.http.authorization import Attributes, Authorizer
from jfsnb.sandbox.apiserver.http.request import User
from jfsnb.sandbox.apiserver.http.tokens import ISSUER, TokenSigner
from jfsnb.sandbox.apiserver.rules.status import bad_request, unauthorized
from jfsnb.sandbox.apiserver.storage.store import Store

Obj = dict[str, Any]
ANONYMOUS = User("system:anonymous", groups=("system:unauthenticated",))
AUTHENTICATED = "system:authenticated"
ACCOUNT_PREFIX = "system:serviceaccount:"


def static_users(path: Path) -> dict[str, User]:
    """The users of a token file: ``token,user,uid,"group1,group2"`` a line."""
    found = {}
    with path.open(encoding="utf-8", newline="") as file:
        for token, name, uid, *rest in csv.reader(file):
            groups = tuple(filter(None, (rest[0] if rest else "").split(",")))
            found[token] = User(name, uid, (*groups, AUTHENTICATED))
    return found


def account_groups(namespace: str) -> tuple[str, ...]:
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)


@dataclass(frozen=True)
class Authenticator:
    """Knows users by their bearer tokens."""

    users: Mapping[str, User]
    signer: TokenSigner
    store: Store

    def user_of(self, authorization: str) -> User:
        """The user of an Authorization header; the anonymous one without it.

        Raises:
            Failure: 401 for a token that is not valid.
        """
        if not authorization:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        user = self.by_token(token.strip(), [ISSUER]) if scheme.lower() == "bearer" else None
        if user is None:
            raise unauthorized()
        return user

    def by_token(self, token: str, audiences: list[str]) -> User | None:
        """The user of a token for one of the audiences; None when it is not valid."""
        known = self.users.get(token)
        if known is not None:
            return known
        claims = self.signer.read(token) if token.count(".") == 2 else None
        if claims is None or not set(claims["aud"]) & set(audiences):
            return None
        return self._account(claims)

    def _account(self, claims: Obj) -> User | None:
        """The service account of a token, if it and the Pod that the token is bound to still exist."""
        facts = claims["kubernetes.io"]
        namespace, account = facts["namespace"], facts["serviceaccount"]
        extra = {"authentication.kubernetes.io/credential-id": (f"JTI={claims['jti']}",)}
        if not self._exists("/serviceaccounts", namespace, account):
            return None
        pod = facts.get("pod")
        if pod is not None:
            if not self._exists("/pods", namespace, pod):
                return None
            extra["authentication.kubernetes.io/pod-name"] = (pod["name"],)
            extra["authentication.kubernetes.io/pod-uid"] = (pod["uid"],)
        return User(claims["sub"], account["uid"], account_groups(namespace), extra)

    def _exists(self, storage: str, namespace: str, reference: Obj) -> bool:
        entry = self.store.get(storage, namespace, reference["name"])
        return entry is not None and entry.uid == reference["uid"]


def impersonated(user: User, headers: Mapping[str, str], groups: list[str], authorizer: Authorizer) -> User:
    """The user whom a request acts as (``kubectl --as``), when the one who sent it may do that.

    Raises:
        Failure: 403, when it may not.
    """
    name = headers.get("Impersonate-User")
    if name is None:
        if groups or "Impersonate-Uid" in headers:
            raise bad_request("requested impersonation without impersonating a user")
        return user
    if name.startswith(ACCOUNT_PREFIX) and name.count(":") == 3:
        namespace, account = name.split(":")[2:]
        authorizer.check(user, Attributes("impersonate", "", "serviceaccounts", "", namespace, account))
        return User(name, "", tuple(groups) or account_groups(namespace))
    authorizer.check(user, Attributes("impersonate", "", "users", name=name))
    for group in groups:
        authorizer.check(user, Attributes("impersonate", "", "groups", name=group))
    if name == ANONYMOUS.name:
        return ANONYMOUS
    return User(name, headers.get("Impersonate-Uid", ""), tuple(dict.fromkeys([*groups, AUTHENTICATED])))
