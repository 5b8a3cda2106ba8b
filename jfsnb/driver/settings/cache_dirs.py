"""Where a Mount Pod keeps its cache: config.yaml, volumeAttributes and the cache-dir option (§1.7)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.settings import quantity
from jfsnb.errors import ConfigInvalid

CACHE_PVC = "juicefs/mount-cache-pvc"
CACHE_EMPTY_DIR = "juicefs/mount-cache-emptydir"
CACHE_INLINE = "juicefs/mount-cache-inline-volume"


@dataclass(frozen=True)
class CacheLayout:
    """The cache volumes of a Mount Pod and the mount options with ``cache-dir`` rebuilt.

    The first five are in the layout of the driver's settings (``CachePVCs`` and so on).
    """

    pvcs: tuple[Mapping[str, Any], ...]
    empty_dir: Mapping[str, Any] | None
    inline_volumes: tuple[Mapping[str, Any], ...] | None
    ephemeral: tuple[Mapping[str, Any], ...]
    dirs: tuple[str, ...]
    options: tuple[str, ...]

    def settings(self) -> dict[str, Any]:
        """As fields of the settings, for the hash."""
        return {
            "CachePVCs": [dict(p) for p in self.pvcs],
            "CacheEmptyDir": dict(self.empty_dir) if self.empty_dir else None,
            "CacheInlineVolumes": None if self.inline_volumes is None else [dict(v) for v in self.inline_volumes],
            "CacheEphemeral": [dict(e) for e in self.ephemeral],
            "CacheDirs": list(self.dirs),
            "Options": list(self.options),
        }


def cache_layout(
    cache_dirs: Iterable[Mapping[str, Any]], context: Mapping[str, str], options: Iterable[str]
) -> CacheLayout:
    """Work out the cache of a new Mount Pod.

    Args:
        cache_dirs: ``cacheDirs`` of the merged patch.
        context: volumeAttributes.
        options: mount options.

    Raises:
        ConfigInvalid: an Ephemeral entry without storage, an EmptyDir without sizeLimit, broken JSON.
    """
    entries = list(cache_dirs)
    claims = [c for c in context.get(CACHE_PVC, "").strip().split(",") if context.get(CACHE_PVC)]
    claims += [str(e.get("name", "")) for e in entries if e.get("type") == "PVC"]
    pvcs = tuple({"PVCName": c, "Path": f"{names.CACHE_DIR}-{n}"} for n, c in enumerate(claims) if c)
    empty_dir = _empty_dir(entries, context)
    ephemeral = tuple(_ephemeral(e, n) for n, e in enumerate(e for e in entries if e.get("type") == "Ephemeral"))
    inline = _inline(context)
    from_options, rest = _take_cache_dir(list(options))
    host_paths = [str(e.get("path", "")) for e in entries if e.get("type") == "HostPath"]
    volumes = [*pvcs, *([empty_dir] if empty_dir else []), *ephemeral, *(inline or ())]
    inside = _unique([*(str(v["Path"]) for v in volumes), *from_options, *host_paths])
    default = [] if inside else [names.CACHE_DIR]
    dirs = _unique([*host_paths, *(d for d in from_options if d != "memory"), *default])
    if inside:
        rest.append(f"cache-dir={':'.join(inside)}")
    return CacheLayout(pvcs, empty_dir, inline, ephemeral, tuple(dirs), tuple(rest))


def _empty_dir(entries: list[Mapping[str, Any]], context: Mapping[str, str]) -> Mapping[str, Any] | None:
    path = f"{names.CACHE_DIR}-emptyDir"
    for entry in entries:
        if entry.get("type") == "EmptyDir":
            if "sizeLimit" not in entry:
                raise ConfigInvalid(
                    "cacheDirs: EmptyDir without sizeLimit (the driver crashes on it)", "Give it a sizeLimit."
                )
            return {"Medium": entry.get("medium", ""), "SizeLimit": entry["sizeLimit"], "Path": path}
    text = context.get(CACHE_EMPTY_DIR, "").strip()
    if not text:
        return None
    medium, _, size = (part.strip() for part in text.partition(":"))
    return {"Medium": medium, "SizeLimit": quantity.canonical(size or "0"), "Path": path}


def _ephemeral(entry: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    if quantity.parse(entry.get("storage", "0")) == 0:
        raise ConfigInvalid(
            'cacheDirs: Ephemeral entry requires a non-zero "storage" value', "Give the entry a storage size."
        )
    return {
        "StorageClassName": entry.get("storageClassName"),
        "Storage": entry["storage"],
        "AccessModes": entry.get("accessModes") or ["ReadWriteOnce"],
        "Path": f"{names.CACHE_DIR}-ephemeral-{number}",
    }


def _inline(context: Mapping[str, str]) -> tuple[Mapping[str, Any], ...] | None:
    if CACHE_INLINE not in context:
        return None
    try:
        sources = json.loads(context[CACHE_INLINE])
    except ValueError as error:
        raise ConfigInvalid(f"parse cache inline volume error: {error}", f"Correct {CACHE_INLINE}.") from error
    return tuple({"CSI": s, "Path": f"{names.CACHE_DIR}-inlineVolume-{n}"} for n, s in enumerate(sources))


def _take_cache_dir(options: list[str]) -> tuple[list[str], list[str]]:
    for number, option in enumerate(options):
        parts = option.split("=")
        if option.startswith("cache-dir") and len(parts) == 2:
            return parts[1].strip().split(":"), options[:number] + options[number + 1 :]
    return [], options


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
