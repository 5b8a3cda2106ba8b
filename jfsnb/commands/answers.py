"""Answers on a terminal: tables as kubectl shows them for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from jfsnb.checks.model import Verdict
from jfsnb.i18n import translated, width
from jfsnb.redact import Clean, redact, redact_text
from jfsnb.views.html import show

EXIT_CODES = {Verdict.PASS: 0, Verdict.WARN: 0, Verdict.NA: 0, Verdict.FAIL: 1}
TABLE, WIDE, JSON = "table", "wide", "json"
FORMS = (TABLE, WIDE, JSON)
#: How long a cell may be where people read.
CELL = 60


def exit_code(verdict: Verdict, strict: bool = False) -> int:
    """0 PASS, WARN (1 when strict) and N/A; 1 FAIL; 3 what could not be judged."""
    return 1 if strict and verdict is Verdict.WARN else EXIT_CODES.get(verdict, 3)


def say(text: str) -> None:
    """A line for people; the last net that keeps credentials in."""
    click.echo(redact_text(text if "\n" in text.strip() else translated(text)))


def print_json(question: str, cluster: Any, finding: Any) -> None:
    """The whole answer as one JSON document on stdout."""
    answer = {"question": question, "cluster": cluster.context, "tier": cluster.tier, **finding.to_dict()}
    for number, (name, value) in enumerate(answer.items()):
        sys.stdout.write(Clean(("," if number else "{") + f"\n {json.dumps(name)}: "))
        if isinstance(value, list) and value:  # piece by piece: a big cluster's is not there twice
            for index, item in enumerate(value):
                sys.stdout.write(Clean(("," if index else "[") + "\n  " + _indented(redact(item), 2)))
            sys.stdout.write(Clean("\n ]"))
        else:
            sys.stdout.write(Clean(_indented(redact({name: value})[name], 1)))
    sys.stdout.write(Clean("\n}\n"))


def _indented(value: Any, depth: int) -> str:
    text = json.dumps(value, indent=1, ensure_ascii=False, default=str)
    return text.replace("\n", "\n" + " " * depth)


def text_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = (), cell: int | None = None) -> str:
    """Rows in columns, as kubectl shows them.

    Args:
        cell: cut longer cells, the last column's excepted.
    """
    if not rows:
        return translated("none")
    names = list(columns or rows[0])
    cells = [[name.upper().removesuffix("_SECONDS") for name in names]]
    cells += [[_cut(show(row.get(name), name), cell if name != names[-1] else None) for name in names] for row in rows]
    widths = [max(width(line[index]) for line in cells) for index in range(len(names))]
    return "\n".join(
        "   ".join(text + " " * (room - width(text)) for text, room in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _cut(text: str, limit: int | None) -> str:
    text = translated(" ".join(text.split()))
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"


def print_checks(checks: Sequence[Any]) -> None:
    """Each check with its reason and what to do next."""
    for check in checks:
        say(f"{check.verdict:9} {check.code}  {translated(check.title)}: {translated(check.reason)}")
        if check.next_action:
            say(f"          -> {translated(check.next_action)}")
