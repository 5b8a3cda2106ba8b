"""``python -m tests.faults [--sample N] [--seed N] [COMMAND …]``: the matrix, and its table for docs/faults.md.

Ends with 1 when something was said that must not be.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import click

from jfsnb.sandbox import lifecycle
from tests.faults.matrix import COMMANDS, Tried, everything
from tests.faults.proxy import FAULTS
from tests.faults.world import world


@click.command()
@click.argument("names", nargs=-1)
@click.option("--sample", default=0, help="So many combinations of each command; 0: all.")
@click.option("--seed", default=0)
@click.option("-v", "--verbose", is_flag=True, help="Say each combination.")
@click.option("--table", type=click.Path(dir_okay=False, path_type=Path), help="Write the table there.")
def main(names: tuple[str, ...], sample: int, seed: int, verbose: bool, table: Path | None) -> None:
    commands = tuple(c for c in COMMANDS if not names or c.name in names)
    running = lifecycle.up(f"faults-{os.getpid()}", owner_pid=os.getpid())
    tried = []
    try:
        with (
            tempfile.TemporaryDirectory(prefix="jfsnb-faults-") as folder,
            world(running.kubeconfig, running.context, Path(folder)) as where,
        ):
            for one in everything(where, commands, sample, seed):
                tried.append(one)
                if verbose:
                    click.echo(f"{one.seconds:5.1f} s  {one.command}: {one.fault} on {' '.join(one.cell)}: {one.code}")
                if one.wrong:
                    click.echo(f"{one.command}: {one.fault} on {one.cell.verb} {one.cell.resource}: {one.wrong}")
    finally:
        lifecycle.down(running.name)
    text = table_of(tried)
    click.echo(text)
    if table:
        table.write_text(text + "\n", encoding="utf-8")
    sys.exit(1 if any(one.wrong for one in tried) else 0)


def table_of(tried: Iterable[Tried]) -> str:
    """Markdown: a row for each verb and resource of a command, a column for each fault; the cells are exit codes."""
    faults = [*FAULTS, "500 once", "reset once"]
    rows: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    codes: Counter[str] = Counter()
    for one in tried:
        rows[one.command, f"{one.cell.verb} {one.cell.resource}"][one.fault] = (
            f"{one.code}{' **!**' if one.wrong else ''}"
        )
        codes["wrong" if one.wrong else str(one.code)] += 1
    lines = ["| command | verb and resource | " + " | ".join(faults) + " |", "|---" * (len(faults) + 2) + "|"]
    for (command, cell), found in rows.items():
        lines.append(f"| {command} | {cell} | " + " | ".join(found.get(fault, "") for fault in faults) + " |")
    told = ", ".join(f"{count} ended with {code}" for code, count in sorted(codes.items()))
    return "\n".join([f"{sum(codes.values())} combinations: {told}.", "", *lines])


if __name__ == "__main__":
    main()
