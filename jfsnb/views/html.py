"""Pieces of HTML that look the same in JupyterLab (also untrusted), in the report and on paper.

Only inline styles (a sanitizer drops style sheets), every string escaped, a status always as a word, colours that are
readable on light and dark grounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape as escape
from typing import Any

from jfsnb.i18n import say, translated

#: verdict or state -> (colour of its chip, what a reader should call it)
VERDICT_COLOURS = {
    "PASS": "#1a7f45",
    "FAIL": "#c62f2f",
    "WARN": "#a15c00",
    "NOT_READY": "#6f5bb5",
    "ERROR": "#b0307a",
    "N/A": "#66707c",
}
_LINE = "1px solid rgba(128,140,155,.35)"
_MONO = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono',monospace"
_HEAD = "text-align:left;padding:5px 14px 5px 6px;border-bottom:2px solid rgba(128,140,155,.55);font-weight:600"
_TABLE = "border-collapse:collapse;table-layout:auto;font-size:13px;text-align:left"
_SOFT = "background:rgba(128,140,155,.10)"
_STATUS_WORDS = {
    "in force": "PASS",
    "undone": "PASS",
    "already gone": "PASS",
    "file only": "NOT_READY",
    "old": "NOT_READY",
    "rejected": "FAIL",
}
#: columns whose cells are read as verdicts
STATUS_COLUMNS = ("verdict", "state", "outcome")
#: columns that hold names of machines' things, best read in a fixed-width face
_CODE_COLUMNS = frozenset(
    (
        *("name", "pod", "mount_pod", "node", "object", "image", "field", "value", "code", "path", "sha256", "hash"),
        *("image_now", "image_then", "claim", "volume", "leads_to", "source", "expected", "found", "csi_node_pod"),
        *("log_line", "serves", "desired_image", "image_id", "before", "after", "in_this_pod", "NODE", "NAME", "IP"),
    )
)


#: columns that hold the words of others
_VERBATIM = frozenset(("message", "asked", "about", "parameter", "now", "choices"))


def chip(word: str, text: str = "") -> str:
    """A coloured word for one of the six verdicts (or a state that stands for one)."""
    colour = VERDICT_COLOURS.get(_STATUS_WORDS.get(word, word))
    if colour is None:
        return escape(translated(text or word))
    return (
        f'<span style="background:{colour};color:#fff;border-radius:4px;padding:1px 7px;font-size:12px;'
        f'font-weight:600;white-space:nowrap">{escape(translated(text or word))}</span>'
    )


def code(text: str) -> str:
    """Fixed-width text inside a sentence."""
    return f'<code style="{_MONO};font-size:12px">{escape(text)}</code>'


def block(text: str, label: str = "", limit: int = 400) -> str:
    """Lines of a program, in a scrollable box.

    Args:
        text: as it is; escaped here.
        label: what it is, for screen readers.
        limit: at most so many lines, the last ones.
    """
    lines = text.splitlines()
    if len(lines) > limit:
        lines = [say("… {} lines left out", len(lines) - limit), *lines[-limit:]]
    return _box("\n".join(escape(line) for line in lines), label)


def diff(text: str) -> str:
    """A unified diff: + and - lines coloured, the signs stay."""
    shown = []
    for line in text.splitlines():
        colour = {"+": "rgba(26,127,69,.20)", "-": "rgba(198,47,47,.18)"}.get(line[:1])
        if colour is None or line.startswith(("+++", "---")):
            shown.append(f'<span style="opacity:.75">{escape(line)}</span>')
        else:
            shown.append(f'<span style="background:{colour};display:inline-block;min-width:100%">{escape(line)}</span>')
    return _box("\n".join(shown), "changes, unified diff")


def _box(inner: str, label: str) -> str:
    name = f' role="region" aria-label="{escape(translated(label))}"' if label else ""
    return (
        f'<pre tabindex="0"{name} style="{_MONO};{_SOFT};font-size:12px;line-height:1.5;border-radius:6px;'
        f'padding:10px 12px;margin:6px 0;overflow:auto;max-height:420px;text-align:left">{inner}</pre>'
    )


def folded(summary: str, inner: str, opened: bool = False) -> str:
    """Details that a reader may open; ``summary`` is plain text, ``inner`` is HTML."""
    return (
        f'<details{" open" if opened else ""} style="margin:6px 0"><summary style="cursor:pointer;font-weight:600">'
        f"{escape(translated(summary))}</summary>{inner}</details>"
    )


def note(inner: str) -> str:
    """A remark; ``inner`` is HTML."""
    return f'<p style="font-size:13px;line-height:1.5;margin:6px 0;max-width:900px">{inner}</p>'


def card(title: str, inner: str) -> str:
    """Something to do for the reader, set apart from the text; ``title`` is plain text, ``inner`` is HTML."""
    return (
        f'<div style="border-left:4px solid #2f6fb3;{_SOFT};padding:8px 14px;margin:8px 0;max-width:900px;'
        f'font-size:14px;line-height:1.5"><b>{escape(title)}</b><br>{inner}</div>'
    )


def trouble(error: Exception) -> str:
    """An error inside a form, which has no other place to show it."""
    return note(f"{chip('ERROR')} <b>{escape(type(error).__name__)}</b>: {escape(str(error))}")


def heading(text: str, verdict: str = "") -> str:
    """The title of a result, with its verdict's chip where it has one."""
    badge = f" &nbsp;{chip(verdict)}" if verdict and verdict != "N/A" else ""
    return f'<div style="font-size:15px;font-weight:600;margin:2px 0 8px">{escape(translated(text))}{badge}</div>'


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = (), caption: str = "") -> str:
    """Rows as a table.

    Args:
        rows: flat mappings; values None and "" are shown as a dash.
        columns: which, in which order; empty for those of the first row.
        caption: what the table shows.
    """
    if not rows:
        return f'<p style="opacity:.75;margin:6px 0">{escape(say("{}: none.", translated(caption or "Nothing")))}</p>'
    names = list(columns or rows[0])
    head = "".join(
        f'<th scope="col" style="{_HEAD};white-space:nowrap">{escape(translated(_words(name)))}</th>' for name in names
    )
    body = "".join(f"<tr>{''.join(_cell(name, row.get(name)) for name in names)}</tr>" for row in rows)
    title = (
        f'<caption style="text-align:left;padding:4px 0;opacity:.8">{escape(translated(caption))}</caption>'
        if caption
        else ""
    )
    label = escape(translated(caption or "table"))
    return (
        f'<div style="overflow-x:auto;margin:6px 0" tabindex="0" role="region" aria-label="{label}">'
        f'<table style="{_TABLE};line-height:1.45;margin:0">{title}'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _words(column: str) -> str:
    """A column's name as its heading: ``reload_seconds`` is ``reload (s)``; an age brings its own units."""
    if column == "age_seconds":
        return "age"
    return re.sub("_seconds$", " (s)", column).replace("_", " ").strip()


def _cell(column: str, value: Any) -> str:
    style = f"padding:4px 14px 4px 6px;border-bottom:{_LINE};vertical-align:top;text-align:left"
    text = show(value, column)
    if column in STATUS_COLUMNS:
        return f'<td style="{style}">{chip(text)}</td>'
    if column in _CODE_COLUMNS:
        return f'<td style="{style};{_MONO};font-size:12px">{_breakable(text)}</td>'
    shown = text if column in _VERBATIM else translated(text)
    return f'<td style="{style}">{escape(shown)}</td>'


def _breakable(text: str) -> str:
    """A name, escaped; a long one may be broken after its separators (and every 16 characters)."""
    if len(text) <= SHORT:
        return f'<span style="white-space:nowrap">{escape(text)}</span>'
    return "<wbr>".join(escape(piece) for piece in _PIECES.findall(text))


def show(value: Any, column: str = "") -> str:
    """One value as a reader writes it: yes/no, a dash for nothing, seconds and ages with their unit."""
    if value is None or value == "" or value == []:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if column == "age_seconds":
        return age(float(value))
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    if isinstance(value, list | tuple):
        return ", ".join(show(item) for item in value)
    return str(value)


def age(seconds: float) -> str:
    """Like kubectl: 6m20s, 118m, 5d1h."""
    whole = int(seconds)
    for limit, big, small in ((120, None, 1), (600, 60, 1), (7200, None, 60), (28800, 3600, 60)):
        if whole < limit:
            return _units(whole, big, small)
    if whole < 48 * 3600:
        return f"{whole // 3600}h"
    if whole < 8 * 86400:
        return _units(whole, 86400, 3600)
    return f"{whole // 86400}d" if whole < 2 * 365 * 86400 else _units(whole, 365 * 86400, 86400)


SHORT = 20
_PIECES = re.compile(r"[^/:._=@,-]{1,16}[/:._=@,-]*|[/:._=@,-]+")
_SUFFIX = {1: "s", 60: "m", 3600: "h", 86400: "d", 365 * 86400: "y"}


def _units(whole: int, big: int | None, small: int) -> str:
    if big is None:
        return f"{whole // small}{_SUFFIX[small]}"
    rest = whole % big // small
    return f"{whole // big}{_SUFFIX[big]}" + (f"{rest}{_SUFFIX[small]}" if rest else "")


def facts(pairs: Iterable[tuple[str, Any]], named: bool = False) -> str:
    """Names and values side by side.

    Args:
        named: whether the names are those of parameters or programs, which are the same in every language.
    """
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left;font-weight:600;padding:3px 18px 3px 6px;border-bottom:{_LINE};'
        f'vertical-align:top;white-space:nowrap">{escape(name if named else translated(name))}</th>'
        f'<td style="padding:3px 6px;border-bottom:{_LINE};text-align:left;overflow-wrap:anywhere">'
        f"{escape(show(value) if named else translated(show(value)))}</td></tr>"
        for name, value in pairs
    )
    return f'<table style="border-collapse:collapse;font-size:13px;margin:6px 0"><tbody>{rows}</tbody></table>'


def checks(found: Sequence[Mapping[str, Any]], opened: bool = False) -> str:
    """Check results: verdict, code, what was asked and seen, what to do, and the evidence folded below each.

    Args:
        found: `CheckResult.to_dict()` data.
        opened: whether evidence is unfolded.
    """
    if not found:
        return ""
    style = f"padding:6px 14px 6px 6px;border-bottom:{_LINE};vertical-align:top;text-align:left"
    rows = "".join(
        f'<tr><td style="{style};width:1%">{chip(c["verdict"])}</td>'
        f'<td style="{style};width:1%;{_MONO};font-size:12px;white-space:nowrap">{escape(c["code"])}</td>'
        f'<td style="{style}"><b>{escape(translated(c["title"]))}</b><br>{escape(translated(c["reason"]))}'
        f"{_next(c)}{_evidence(c, opened)}</td>"
        "</tr>"
        for c in found
    )
    head = "".join(
        f'<th scope="col" style="{_HEAD}">{escape(translated(name))}</th>'
        for name in ("verdict", "code", "what was checked, and what was seen")
    )
    return (
        f'<table style="{_TABLE};margin:6px 0;width:100%"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    )


def _next(check: Mapping[str, Any]) -> str:
    action = check.get("next_action")
    return f'<br><span style="font-weight:600">{say("Next:")}</span> {escape(translated(action))}' if action else ""


def _evidence(check: Mapping[str, Any], opened: bool) -> str:
    evidence = check.get("evidence") or []
    if not evidence:
        return ""
    items = "".join(
        f'<li style="overflow-wrap:anywhere">{code(e["object"])} · {code(e["field"])} = '
        f"{code(e['value'] or say('(empty)'))}</li>"
        for e in evidence
    )
    count = say("evidence ({})", len(evidence))
    return (
        f'<details{" open" if opened else ""}><summary style="cursor:pointer;opacity:.8">{count}</summary>'
        f'<ul style="margin:4px 0;padding-left:18px">{items}</ul></details>'
    )
