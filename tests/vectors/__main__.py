"""``python -m tests.vectors DIR [--all] [--family NAME]``: does the project decide as the driver did?

Prints for each family and kind how many answers agree, differ, differ on purpose (deliberate.yaml) or have no
counterpart. With ``--all`` each difference, the driver's answer beside ours. Exit code 1 when any differ, 2 when there
is nothing to read.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import click

from tests.vectors.comparing import AGREE, DELIBERATE, DIFFER, NO_COUNTERPART, Verdict, compare, family_of

OUTCOMES = (AGREE, DIFFER, DELIBERATE, NO_COUNTERPART)
WIDTH = 2000


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Each difference, side by side.")
@click.option("--family", "only", multiple=True, help="Only this family; may be given several times.")
def main(folder: Path, everything: bool, only: tuple[str, ...]) -> None:
    """Compare the project's functions with the driver's decisions in FOLDER."""
    files = [f for f in sorted(folder.glob("*.jsonl.gz")) if not only or family_of(f) in only]
    if not files:
        raise click.UsageError(f"{folder} has no file NAME.jsonl.gz to compare with")
    total: Counter[str] = Counter()
    print(_row("family", "kind", *OUTCOMES))
    for file in files:
        verdicts = list(compare(file))
        kinds = Counter((v.vector["kind"], v.outcome) for v in verdicts)
        sums = Counter(v.outcome for v in verdicts)
        for kind in dict.fromkeys(v.vector["kind"] for v in verdicts):
            print(_row(family_of(file), kind, *(kinds[kind, o] for o in OUTCOMES)))
        print(_row(family_of(file), "= all", *(sums[o] for o in OUTCOMES)))
        total += sums
        if everything:
            for verdict in verdicts:
                _show(verdict)
    print(_row("= all", "", *(total[o] for o in OUTCOMES)))
    raise SystemExit(1 if total[DIFFER] else 0)


def _row(family: str, kind: str, *counts: Any) -> str:
    return f"{family:10} {kind:24}" + "".join(f"{count!s:>16}" for count in counts)


def _show(verdict: Verdict) -> None:
    if verdict.outcome not in (DIFFER, DELIBERATE):
        return
    vector = verdict.vector
    print(f"\n{vector['id']} {vector['kind']}: {verdict.outcome} {verdict.reason}")
    print(f"  in      {_short(vector['in'])}")
    for place in verdict.differences:
        print(f"  {place.path}\n    driver  {_short(place.driver)}\n    ours    {_short(place.ours)}")


def _short(value: Any) -> str:
    text = "(absent)" if value is ... else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= WIDTH else text[:WIDTH] + "…"


if __name__ == "__main__":
    main()
