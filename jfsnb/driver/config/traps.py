"""Traps in a config.yaml: what the driver passes over in silence, what its dashboard refuses, what fails later."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.config.merging import RESERVED_VOLUMES, DriverConfig, PatchEntry
from jfsnb.driver.config.validation import problems
from jfsnb.driver.golang.duration import parse_duration
from jfsnb.driver.golang.sizes import parse_percentage
from jfsnb.driver.golang.types import dumps
from jfsnb.driver.settings.host import Host
from jfsnb.driver.settings.mount_options import option_key
from jfsnb.driver.settings.refusals import Wanted, refusal

_TEMPLATES = ("MOUNT_POINT", "VOLUME_ID", "VOLUME_NAME", "SUB_PATH")
_PLACEHOLDER = re.compile(r"\$\{([A-Z_]+)\}")


def config_warnings(config: DriverConfig) -> tuple[str, ...]:
    """What to correct in a config.yaml, one sentence each (§2.3, §2.4, §8; vectors: config/validate)."""
    found = []
    for key in config.unknown:
        hint = f"; did you mean {key.hint}?" if key.hint else ""
        found.append(f"the driver ignores {key.path} (line {key.line}){hint}")
    found += [f"{path} stands there twice; only the last one counts" for path in config.repeated]
    found += [f"the driver's dashboard refuses {text}" for text in problems(config)]
    for entry in config.entries:
        found += [f"{entry.label}: {text}" for text in _of_entry(entry)]
    return tuple(found)


def _of_entry(entry: PatchEntry) -> Iterator[str]:
    fields = entry.fields
    if entry.selector.pvc and entry.selector.pvc.ignores_labels:
        yield "beside matchStorageClassName the driver never looks at the labels"
    if "startupProbe" in fields:
        yield "the driver never applies startupProbe"
    reserved = [v["name"] for v in fields.get("volumes") or () if v["name"].startswith(RESERVED_VOLUMES)]
    lost = [*_lost(fields, "volumeMounts"), *_lost(fields, "volumeDevices")]
    yield from (f"volume {name} is dropped, the driver keeps that name for itself" for name in reserved)
    yield from (f"volumeMount {name} is dropped, its volume is not in the same entry" for name in lost)
    yield from _of_options(fields)
    delay = (fields.get("annotations") or {}).get(names.DELETE_DELAY)
    if delay is not None and parse_duration(delay) is None:
        yield f"the driver ignores {names.DELETE_DELAY} {delay}, it is no Go duration such as 30m or 24h"
    yield from (f"the driver ignores the percentage {text} of {name}" for name, text in _percentages(fields))
    unknown = sorted({name for name in _PLACEHOLDER.findall(dumps(dict(fields))) if name not in _TEMPLATES})
    yield from (f"${{{name}}} is no template of the driver" for name in unknown)
    refused = refusal(Wanted({}), fields, Host("", ""))
    if refused and not any(problems(DriverConfig(entries=(entry,)))):
        yield f"mounts would fail: {refused}"


def _lost(fields: Mapping[str, Any], kind: str) -> Iterable[str]:
    volumes = {v["name"] for v in fields.get("volumes") or ()}
    return [m["name"] for m in fields.get(kind) or () if m["name"] not in volumes]


def _of_options(fields: Mapping[str, Any]) -> Iterator[str]:
    options = fields.get("mountOptions") or ()
    for option in options:
        if option != option.strip() or " " in option or re.search(r"\s", option):
            yield f"mountOption {option!r} has blanks, at which the shell splits it"
    own = [c.get("type") for c in fields.get("cacheDirs") or ()]
    if own and any(option_key(option).strip() == "cache-dir" for option in options):
        yield "mountOption cache-dir replaces the paths of cacheDirs, which are mounted and never used"


def _percentages(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    given = fields.get("resourcePercentages") or {}
    for kind in ("limits", "requests"):
        for name, text in (given.get(kind) or {}).items():
            try:
                parse_percentage(text)
            except ValueError:
                yield f"{kind}.{name}", text
