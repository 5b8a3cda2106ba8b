"""One page of a collection: of the right kind, and not older than what was seen before it was asked for."""

from __future__ import annotations

from typing import Any

from jfsnb.cluster.answers import checked_list, unexpected
from jfsnb.cluster.resources import path_of, title_of
from jfsnb.cluster.transport import Query, Transport
from jfsnb.cluster.versions import number_of
from jfsnb.errors import JfsnbError, UnexpectedAnswer

Obj = dict[str, Any]


def read_page(
    transport: Transport,
    plural: str,
    namespace: str,
    query: Query,
    *,
    accept: str = "application/json",
    metadata_only: bool = False,
) -> tuple[list[Obj], Obj]:
    """Items and the list's metadata.

    Raises:
        UnexpectedAnswer: it is no such list, or an old one. JfsnbError: it cannot be read.
    """
    path, what = path_of(plural, namespace), title_of(plural, namespace)
    newest = transport.newest

    def read(query: Query) -> tuple[list[Obj], Obj]:
        answer = transport.call("GET", path, query, accept=accept, what=what)
        return checked_list(answer, plural, what, metadata_only=metadata_only), answer["metadata"]

    at_least = newest.of(plural)
    items, meta = read(query)
    if query.get("continue"):
        return items, meta  # as old as its first page, rightly
    if 0 < number_of(meta) < at_least:
        # An honest server that keeps this kind in another store does not know so high a version, and says so.
        asked = {**query, "resourceVersion": str(at_least), "resourceVersionMatch": "NotOlderThan"}
        try:
            items, meta = read(asked)
            if number_of(meta) < at_least:
                raise unexpected(what, f"it is of {meta['resourceVersion']}, older than what was seen ({at_least})")
        except UnexpectedAnswer:
            raise
        except JfsnbError as error:
            if "Too large resource version" not in error.what:
                raise
            newest.has_own_store(plural)
    newest.see(plural, meta)
    return items, meta
