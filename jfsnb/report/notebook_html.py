"""An executed notebook as a piece of HTML for the report.

nbconvert makes whole pages with 280 kB of style sheets each; a report wants five notebooks in one small file, and shows
only what our notebooks hold: Markdown, code, text, HTML and pictures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def render_notebook(path: Path) -> str:
    """The cells and outputs of a notebook as HTML; empty when there is no such file."""
    if not path.exists():
        return ""
    markdown = _markdown()
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return "\n".join(_cell(cell, markdown) for cell in notebook["cells"] if not _is_hidden(cell))


def code_style() -> str:
    """Style sheet of highlighted source, for light and dark."""
    from pygments.formatters import HtmlFormatter

    light = HtmlFormatter(style="default").get_style_defs(".source")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".source")
    both = f"{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}"
    return both + "\n.source { background: var(--soft) !important; }"


def _markdown() -> Callable[[str], Any]:
    import mistune

    return mistune.create_markdown(escape=True, plugins=["table", "strikethrough"])


def _is_hidden(cell: dict[str, Any]) -> bool:
    """papermill's own cell of parameters repeats what the run shows as its effective parameters."""
    return bool({"remove-cell", "injected-parameters"} & set(cell.get("metadata", {}).get("tags", [])))


def _cell(cell: dict[str, Any], markdown: Callable[[str], Any]) -> str:
    source = _text(cell["source"])
    if cell["cell_type"] == "markdown":
        return f'<div class="cell">{markdown(source)}</div>'
    if cell["cell_type"] != "code" or not source.strip():
        return ""
    outputs = "".join(_output(output) for output in cell.get("outputs", []))
    return f'<div class="cell"><pre class="source" tabindex="0">{_highlight(source)}</pre>{outputs}</div>'


def _highlight(source: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return str(highlight(source, PythonLexer(), HtmlFormatter(nowrap=True))).rstrip()


def _output(output: dict[str, Any]) -> str:
    kind = output["output_type"]
    if kind == "stream":
        return f'<pre class="out" tabindex="0">{escape(_ESCAPES.sub("", _text(output["text"])))}</pre>'
    if kind == "error":
        return f'<pre class="err" tabindex="0">{escape(output["ename"])}: {escape(output["evalue"])}</pre>'
    data = output.get("data", {})
    if "text/html" in data:
        markup = _text(data["text/html"])
        return f"<div>{markup}</div>" if markup else ""
    if "image/png" in data:
        return f'<img alt="output" src="data:image/png;base64,{_text(data["image/png"]).strip()}">'
    return f'<pre class="out">{escape(_text(data["text/plain"]))}</pre>' if "text/plain" in data else ""


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)
