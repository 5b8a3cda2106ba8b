"""Which form of an answer a client accepts: the object, a table for people, or its metadata only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from jfsnb.sandbox.apiserver.rules.status import Failure, not_acceptable

JSON, YAML = "application/json", "application/yaml"
SERVED = [JSON, YAML]
WILD = {"*/*", "application/*", "*"}


@dataclass(frozen=True)
class View:
    """How to answer.

    Args:
        media_type: ``application/json`` or ``application/yaml``.
        form: empty for the object itself, ``Table``, ``PartialObjectMetadata``, ``PartialObjectMetadataList`` or a
            discovery form.
        version: of the form's API version, for example ``v1``.
    """

    media_type: str = JSON
    form: str = ""
    version: str = ""

    @property
    def is_table(self) -> bool:
        return self.form == "Table"

    @property
    def is_partial(self) -> bool:
        return self.form.startswith("PartialObjectMetadata")


@lru_cache(512)
def accepted(header: str, forms: tuple[str, ...] = ()) -> View:
    """The first acceptable view of an Accept header.

    Args:
        header: the header's text; empty accepts everything.
        forms: what ``as=`` may name here.

    Raises:
        Failure: 406, when nothing that is served is acceptable.
    """
    if not header:
        return View()
    for clause in header.split(","):
        media, *parameters = (part.strip() for part in clause.split(";"))
        options = dict(p.split("=", 1) for p in parameters if "=" in p)
        media = media.lower()
        if media not in SERVED and media not in WILD:
            continue
        form = options.get("as", "")
        if form and (form not in forms or options.get("v") not in ("v1", "v1beta1", "v2", "v2beta1")):
            continue
        return View(YAML if media == YAML else JSON, form, options.get("v", ""))
    raise _refused()


def _refused() -> Failure:
    return not_acceptable([*SERVED, "application/vnd.kubernetes.protobuf"][:2])
