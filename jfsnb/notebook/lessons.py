"""The lessons in another language: the cells of the English notebooks, with the texts of ``notebooks/<language>/``.

Code exists once, so lessons in two languages cannot drift apart. A text file holds one piece per Markdown cell, each
below a line ``<!-- cell-id fingerprint -->``; the fingerprint is that of the English text it was translated from, so
that a test can tell which are behind. ``python -m jfsnb.notebook.lessons`` sets them, after a look at each.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from jfsnb.i18n import LANGUAGES, language

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
_MARK = re.compile(r"^<!-- (?P<cell>\S+)(?: (?P<print>[0-9a-f]{8}))? -->\n", re.MULTILINE)


def localized(source: Path, into: Path) -> Path:
    """The notebook in the language in use.

    Args:
        source: an English notebook.
        into: folder for a composed one. One that somebody has worked in is kept as long as its sources are the same.

    Returns:
        ``source`` itself in English.
    """
    if language() == "en":
        return source
    composed = compose(source, language())
    text = json.dumps(composed, indent=1, ensure_ascii=False) + "\n"
    made_from = fingerprint(text)
    target = into / source.name
    if target.exists() and json.loads(target.read_text(encoding="utf-8"))["metadata"].get("jfsnb_source") == made_from:
        return target
    composed["metadata"]["jfsnb_source"] = made_from
    into.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(composed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return target


def compose(source: Path, into: str) -> dict[str, Any]:
    """A notebook's data with its Markdown cells in a language; a cell without a translation stays English."""
    notebook: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    texts = translations(source, into)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" and cell["id"] in texts:
            cell["source"] = texts[cell["id"]][1].splitlines(keepends=True)
    return notebook


def translations(source: Path, into: str) -> dict[str, tuple[str, str]]:
    """Cell id -> (fingerprint of the English text, text in that language), for a notebook."""
    path = texts_of(source, into)
    pieces = _MARK.split(path.read_text(encoding="utf-8")) if path.exists() else [""]
    found = zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True)
    return {cell: (mark or "", text.strip("\n")) for cell, mark, text in found}


def texts_of(source: Path, into: str) -> Path:
    """Where a notebook's texts in a language are."""
    return source.parent / into / f"{source.stem}.md"


def english(source: Path) -> dict[str, str]:
    """Cell id -> English text."""
    cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
    return {cell["id"]: "".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"}


def fingerprint(text: str) -> str:
    """Eight letters that change with the text."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def set_fingerprints(source: Path, into: str) -> None:
    """Note that every translation of a notebook is up to date."""
    now, path = english(source), texts_of(source, into)

    def mark(match: re.Match[str]) -> str:
        cell = match["cell"]
        return f"<!-- {cell} {fingerprint(now[cell])} -->\n" if cell in now else match[0]

    path.write_text(_MARK.sub(mark, path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    for notebook in sorted(NOTEBOOKS.glob("*.ipynb")):
        for tongue in LANGUAGES:
            if texts_of(notebook, tongue).exists():
                set_fingerprints(notebook, tongue)
