"""Where a Mount Pod keeps its cache: config.yaml, volumeAttributes and the cache-dir option (§1.7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.golang.decoding import unmarshal
from jfsnb.driver.settings.errors import DriverPanics, SettingsError
from jfsnb.driver.settings.quantity import Quantity

CACHE_PVC = "juicefs/mount-cache-pvc"
CACHE_EMPTY_DIR = "juicefs/mount-cache-emptydir"
CACHE_INLINE = "juicefs/mount-cache-inline-volume"
Json = dict[str, Any]


@dataclass(frozen=True)
class CacheLayout:
    """The cache volumes of a Mount Pod and the mount options with ``cache-dir`` rebuilt.

    The first five are in the layout of the driver's settings (``CachePVCs`` and so on).
    """

    pvcs: tuple[Json, ...]
    empty_dir: Json | None
    inline_volumes: tuple[Json, ...] | None
    ephemeral: tuple[Json, ...]
    dirs: tuple[str, ...]
    options: tuple[str, ...]

    def settings(self) -> Json:
        """As fields of the settings."""
        return {
            "CachePVCs": list(self.pvcs),
            "CacheEmptyDir": self.empty_dir,
            "CacheInlineVolumes": None if self.inline_volumes is None else list(self.inline_volumes),
            "CacheEphemeral": list(self.ephemeral),
            "CacheDirs": list(self.dirs),
            "Options": list(self.options),
        }


def cache_layout(
    cache_dirs: Sequence[Mapping[str, Any]], context: Mapping[str, str], options: Sequence[str]
) -> CacheLayout:
    """Work out the cache of a new Mount Pod.

    Args:
        cache_dirs: ``cacheDirs`` of the merged patch.
        context: volumeAttributes.
        options: mount options.

    Raises:
        SettingsError: in the driver's words; DriverPanics for an EmptyDir without sizeLimit.
    """
    pvcs = _pvcs(cache_dirs, context)
    empty_dir = _empty_dir(cache_dirs, context)
    ephemeral = tuple(_ephemeral(e, n) for n, e in enumerate(_of_type(cache_dirs, "Ephemeral")))
    inline = _inline(context)
    from_options, rest = _take_cache_dir(options)
    host_paths = [str(e.get("path", "")) for e in _of_type(cache_dirs, "HostPath")]
    volumes = [*pvcs, *([empty_dir] if empty_dir else []), *ephemeral, *(inline or ())]
    inside = _unique([*(str(v["Path"]) for v in volumes), *from_options, *host_paths])
    default = [] if inside else [names.CACHE_DIR]
    dirs = _unique([*host_paths, *(d for d in from_options if d != "memory"), *default])
    option = [f"cache-dir={':'.join(inside)}"] if inside else []
    return CacheLayout(pvcs, empty_dir, inline, ephemeral, tuple(dirs), (*rest, *option))


def _of_type(cache_dirs: Iterable[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    return [entry for entry in cache_dirs if entry.get("type") == kind]


def _pvcs(cache_dirs: Iterable[Mapping[str, Any]], context: Mapping[str, str]) -> tuple[Json, ...]:
    claims = context[CACHE_PVC].strip().split(",") if context.get(CACHE_PVC) else []
    claims += [str(e.get("name", "")) for e in _of_type(cache_dirs, "PVC")]
    return tuple({"PVCName": c, "Path": f"{names.CACHE_DIR}-{n}"} for n, c in enumerate(claims) if c)


def _empty_dir(cache_dirs: Iterable[Mapping[str, Any]], context: Mapping[str, str]) -> Json | None:
    path = f"{names.CACHE_DIR}-emptyDir"
    found: Json | None = None
    if text := context.get(CACHE_EMPTY_DIR):
        parts = [part.strip() for part in text.strip().split(":")]
        medium, size = (*parts, "")[:2] if len(parts) <= 2 else ("", "")
        try:
            found = {"Medium": medium, "SizeLimit": str(Quantity.of(size or "0")), "Path": path}
        except ValueError as error:
            raise SettingsError(str(error)) from error
    for entry in _of_type(cache_dirs, "EmptyDir")[:1]:
        if entry.get("sizeLimit") is None:
            raise DriverPanics
        found = {"Medium": entry.get("medium", ""), "SizeLimit": entry["sizeLimit"], "Path": path}
    return found


def _ephemeral(entry: Mapping[str, Any], number: int) -> Json:
    if Quantity.of(str(entry.get("storage") or "0")).number == 0:
        raise SettingsError('cacheDirs: Ephemeral entry requires a non-zero "storage" value')
    return {
        "StorageClassName": entry.get("storageClassName"),
        "Storage": entry["storage"],
        "AccessModes": entry.get("accessModes") or ["ReadWriteOnce"],
        "Path": f"{names.CACHE_DIR}-ephemeral-{number}",
    }


def _inline(context: Mapping[str, str]) -> tuple[Json, ...] | None:
    if CACHE_INLINE not in context:
        return None
    try:
        sources = unmarshal(context[CACHE_INLINE], "[]*CSIVolumeSource") or []
    except ValueError as error:
        raise SettingsError(f"parse cache inline volume error: {error}") from error
    return tuple({"CSI": s, "Path": f"{names.CACHE_DIR}-inlineVolume-{n}"} for n, s in enumerate(sources))


def _take_cache_dir(options: Sequence[str]) -> tuple[list[str], list[str]]:
    """(paths of the first option with a value that begins with ``cache-dir``, the other options)."""
    for number, option in enumerate(options):
        parts = option.split("=")
        if option.startswith("cache-dir") and len(parts) == 2:
            return parts[1].strip().split(":"), [*options[:number], *options[number + 1 :]]
    return [], list(options)


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
