"""Who a request comes from: static tokens and service account tokens."""

from __future__ import annotations

import csv
from pathlib import Path

from jfsnb.sandbox.api.request import User
from jfsnb.sandbox.api.status import unauthorized

ANONYMOUS = User("system:anonymous", groups=("system:unauthenticated",))


def static_users(path: Path) -> dict[str, User]:
    """The users of a token file: ``token,user,uid,"group1,group2"`` a line."""
    found = {}
    with path.open(encoding="utf-8", newline="") as file:
        for token, name, uid, *rest in csv.reader(file):
            groups = tuple(filter(None, (rest[0] if rest else "").split(",")))
            found[token] = User(name, uid, (*groups, "system:authenticated"))
    return found


class Authenticator:
    """Knows users by their bearer tokens."""

    def __init__(self, users: dict[str, User]) -> None:
        self.users = users

    def user_of(self, authorization: str) -> User:
        """The user of an Authorization header; the anonymous one without it.

        Raises:
            Failure: 401 for a token that is not valid.
        """
        if not authorization:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        user = self.users.get(token.strip()) if scheme.lower() == "bearer" else None
        if user is None:
            raise unauthorized()
        return user
