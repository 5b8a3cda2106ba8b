"""A cluster into a file, and two of these side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jfsnb.commands.answers import JSON, print_json, say, text_table
from jfsnb.commands.run import connected
from jfsnb.commands.source import of
from jfsnb.errors import UsageError
from jfsnb.settings import Settings


def collect(options: Mapping[str, Any], file: Path | None, dry_run: bool, everyone: bool) -> int:
    """Read, write, and say what was read and what was not; 3 when something could not be read."""
    from jfsnb.bundle import plan
    from jfsnb.bundle.write import write
    from jfsnb.queries import collect as reading
    from jfsnb.queries import more

    settings = Settings.from_mapping(options)
    cluster = connected(settings)
    say(text_table(plan.rows(everyone), ("what", "how", "why")))
    if dry_run:
        say("\nnothing was read")
        return 0
    if file is not None and file.is_dir():
        raise UsageError(f"{file} is a folder", "name a file: -o FILE")
    snapshot = reading.for_file(cluster, settings.driver_namespace, everyone)
    path = file or Path(f"jfsnb-{_plain(snapshot.source)}-{snapshot.now:%Y%m%d-%H%M%S}.zip")
    manifest = write(snapshot, path, more.logs(cluster, snapshot, everyone))
    _say_written(path, manifest)
    return 3 if plan.blind(manifest) else 0


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name)[:60] or "cluster"


def _say_written(path: Path, manifest: Mapping[str, Any]) -> None:
    from jfsnb.bundle import plan

    members = manifest["members"]
    hidden = {name: told["hidden"] for name, told in members.items() if told["hidden"]}
    say(f"\n{path}: {len(members)} members, {path.stat().st_size / 1e6:.1f} MB")
    say(f"hidden: {sum(hidden.values())} values in {len(hidden)} members" if hidden else "hidden: nothing had to be")
    rows = plan.unread_rows(manifest)
    if rows:
        say("\nWhat is not in it, and why:")
        say(text_table(rows))
    say(f"\nask it: jfsnb doctor --from {path}")


def diff(before: Path, after: Path, form: str) -> int:
    """Print what changed between two collections."""
    from jfsnb.bundle.compare import compare
    from jfsnb.bundle.read import read

    one, other = read(before), read(after)
    found = compare(one, other)
    if form == JSON:
        print_json("diff", other, found)
        return 0
    say(f"before: {of(one)}\nafter:  {of(other)}\n")
    say(text_table(found.rows, ("what", "object", "field", "before", "after"), None if form == "wide" else 60))
    changed = found.tables["configuration"]
    if changed:
        say("\nconfig.yaml:")
        say("\n".join(str(row["line"]) for row in changed))
    return 0
