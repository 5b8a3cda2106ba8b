"""config.yaml as the driver decodes it: what does not fit is refused, what it does not know is passed over (§2.1)."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jfsnb.driver.config.goyaml import Document, Path, not_loaded
from jfsnb.driver.golang.decoding import type_errors
from jfsnb.driver.golang.types import fields, is_struct, merged, resolved, shape
from jfsnb.driver.golang.yaml_json import to_json

CONFIG = "Config"
PATCH = "MountPodPatch"


@dataclass(frozen=True)
class UnknownKey:
    """A key that the driver ignores without a word.

    Args:
        path: where it stands, e.g. ``mountPodPatch[1].ceMountImages``.
        line: its line in config.yaml, from 1.
        hint: the known key that it resembles; empty when there is none.
    """

    path: str
    line: int
    hint: str = ""


def decoded(document: Document, kind: str = CONFIG) -> Any:
    """A document as the driver holds it, shaped like its Go type.

    Raises:
        ConfigInvalid: of a type that Go refuses; the text is the driver's.
    """
    try:
        value = to_json(document.value, kind)
    except ValueError as error:
        raise not_loaded(f"error converting YAML to JSON: {error}") from error
    problems = list(type_errors(value, kind))
    # A quantity that is none ends all at once; other complaints are kept until the end, and the first counts.
    ending = [p for p in problems if "Go struct field" not in p]
    for problem in ending or problems:
        raise not_loaded(f"error unmarshaling JSON: while decoding JSON: {problem}", _first_misfit(document))
    return shape(merged(value, kind), kind)


def _first_misfit(document: Document) -> str:
    """The first entry that does not fit, in words; empty when it is no entry."""
    raw = list_key(document.value)
    entries = document.value.get(raw) if isinstance(document.value, dict) else None
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        if any(type_errors(to_json(entry, PATCH), PATCH)):
            line = document.lines.get((raw, number), 0)
            return f"entry {number + 1} of mountPodPatch, line {line}"
    return ""


def list_key(value: Any) -> str:
    """How mountPodPatch is spelt in this data; the driver folds case, and of several spellings the last one counts."""
    keys = sorted(k for k in map(str, value) if k.lower() == "mountpodpatch") if isinstance(value, dict) else []
    return keys[-1] if keys else "mountPodPatch"


def unknown_keys(document: Document, kind: str = CONFIG) -> Iterator[UnknownKey]:
    """The keys of a document that its Go type does not have."""
    yield from _unknown(document.value, kind, (), document)


def _unknown(value: Any, kind: str, path: Path, document: Document) -> Iterator[UnknownKey]:
    kind = resolved(kind.lstrip("*")).lstrip("*")
    if isinstance(value, list):
        inner = kind[2:] if kind.startswith("[]") else ""
        for number, item in enumerate(value):
            yield from _unknown(item, inner, (*path, number), document)
    elif isinstance(value, dict) and is_struct(kind):
        known = {name.lower(): field for name, field in fields(kind).items()}
        for key in sorted(value, key=str):
            field, where = known.get(str(key).lower()), (*path, str(key))
            if field is None:
                yield UnknownKey(path_text(where), document.lines.get(where, 0), _hint(str(key), kind))
            else:
                yield from _unknown(value[key], field.kind, where, document)


def _hint(key: str, kind: str) -> str:
    by_folded = {name.lower(): name for name in fields(kind)}
    near = difflib.get_close_matches(key.lower(), by_folded, n=1, cutoff=0.6)
    return by_folded[near[0]] if near else ""


def path_text(path: Path) -> str:
    """A path as people write it: ``mountPodPatch[0].labels``."""
    text = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)
    return text.removeprefix(".") or "config.yaml"
