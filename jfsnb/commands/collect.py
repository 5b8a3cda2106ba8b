"""A cluster into a file, and two of these side by side."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

from jfsnb.commands.answers import JSON, print_json, say, text_table
from jfsnb.commands.run import connected
from jfsnb.commands.source import of
from jfsnb.errors import UsageError
from jfsnb.settings import Settings


def collect(
    options: Mapping[str, Any],
    file: Path | None,
    dry_run: bool,
    everyone: bool,
    times: tuple[str, str] | None = None,
) -> int:
    """Read, write, and say what was read and what was not; 3 when something could not be read.

    Args:
        times: for a history: how often, and how long.
    """
    from jfsnb.bundle import plan
    from jfsnb.bundle.write import write
    from jfsnb.queries import collect as reading
    from jfsnb.queries import more

    settings = Settings.from_mapping(options)
    every, long = _durations(times) if times else (0.0, 0.0)
    cluster = connected(settings)
    say(text_table(plan.rows(everyone), ("what", "how", "why")))
    if dry_run:
        say("\nnothing was read")
        return 0
    if file is not None and file.is_dir():
        raise UsageError(f"{file} is a folder", "name a file: -o FILE")
    path = file or Path(f"jfsnb-{_plain(cluster.context)}-{datetime.now(UTC):%Y%m%d-%H%M%S}.zip")

    def once(keep: Callable[..., dict[str, Any]]) -> dict[str, Any]:
        snapshot = reading.for_file(cluster, settings.driver_namespace, everyone)
        return keep(snapshot, path, more.texts(cluster, snapshot, everyone))

    manifest = _history(path, once, every, long) if times else once(write)
    _say_written(path, manifest)
    return 3 if plan.blind(manifest) else 0


def _durations(times: tuple[str, str]) -> tuple[float, float]:
    """Seconds between moments, and seconds in all (without end when not given)."""
    from jfsnb.driver.golang.duration import parse_duration

    found = [parse_duration(text) if text else None for text in times]
    for name, text, one in zip(("--every", "--for"), times, found, strict=True):
        if text and (one is None or one.total_seconds() <= 0):
            raise UsageError(f"{name} {text!r} is no duration", "write it as 30s, 5m or 2h")
    every, long = found
    return (every.total_seconds() if every else 300.0), (long.total_seconds() if long else inf)


def _history(path: Path, once: Callable[..., dict[str, Any]], every: float, long: float) -> dict[str, Any]:
    """A moment each time, until the time is over or somebody presses Ctrl-C; the last one's manifest."""
    from jfsnb.bundle.write import append

    if path.exists():
        raise UsageError(f"{path} is there already", "name another file: -o FILE")
    begun, number, waiting = monotonic(), 0, Event()
    manifest = once(append)
    try:
        while (number := number + 1) * every <= long:
            waiting.wait(max(0.0, begun + number * every - monotonic()))
            manifest = once(append)
            say(f"{manifest['taken'][:19]}: {path.stat().st_size / 1e6:.1f} MB")
    except KeyboardInterrupt:
        say("stopped; what was read is in the file")
    return manifest


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


def diff(before: str, after: str, form: str) -> int:
    """Print what changed between two collections, or two moments of a history (FILE#TIME)."""
    from jfsnb.bundle.compare import compare
    from jfsnb.bundle.read import named

    one, other = named(before), named(after)
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


#: Part of a snapshot → kind of its objects, of what a sandbox can be like.
_POURED = {
    "nodes": "Node",
    "csi_nodes": "CSINode",
    "storage_classes": "StorageClass",
    "pvs": "PersistentVolume",
    "pvcs": "PersistentVolumeClaim",
    "csi_pods": "Pod",
    "mount_pods": "Pod",
    "app_pods": "Pod",
}


def like(file: str) -> dict[str, Any]:
    """What a sandbox needs to be like a collected cluster. Raises BundleInvalid, NotRead."""
    from jfsnb.bundle.read import named

    known = named(file)
    told = [{**obj, "kind": kind} for part, kind in _POURED.items() for obj in getattr(known, part)]
    return {"told": told, "config": known.config_text or "{}", "namespace": known.deployment.namespace}


def not_the_same(told: Mapping[str, Any]) -> str:
    """What of it a sandbox does not have."""
    counted = Counter(obj["kind"] for obj in told["told"])
    listed = ", ".join(f"{number} {kind}s" for kind, number in sorted(counted.items()))
    return (
        f"like the file: {listed}, and config.yaml\n"
        "not the same: all of these are recorded, nothing of them runs; what runs is one node with its driver and the\n"
        f"              volume songlin-test-pv. The driver's namespace {told['namespace']} is juicefs-system here.\n"
        "              Images that the configuration names are pulled only where the sandbox has them (sandbox images)."
    )
