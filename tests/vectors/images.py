"""Images: what the driver reads from a tag, and from what a client says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jfsnb.driver import client_support, images
from jfsnb.driver.client_support import BINARY_UPGRADE, FUSE_PASSING
from tests.vectors.comparing import NoCounterpart


def answer(given: Mapping[str, Any]) -> Any:
    """One question of the family, in the driver's shape."""
    if given["function"] == "image":
        return _image(given["image"], given.get("texts") or ())
    if given["function"] == "version":
        return _version(given["text"], given.get("ce", False))
    raise NoCounterpart(given["function"])


def _image(image: str, pre_stop: tuple[str, ...]) -> dict[str, Any]:
    editions, version = images.editions_of(image), client_support.version_of_image(image)
    return {
        "ce": True in editions,
        "ee": False in editions,
        "fusePassing": client_support.supports_fuse_passing(image, " ".join(pre_stop)),
        "binaryUpgrade": client_support.supports_binary_upgrade(image),
        "configEncrypt": client_support.supports_config_encryption(image),
        "version": {
            "ce": version.is_ce,
            "nightly": version.nightly,
            "dev": version.dev,
            "number": list(version.number),
        },
    }


def _version(text: str, is_ce: bool) -> dict[str, Any]:
    version = client_support.version_of_text(text, is_ce)
    return {
        "number": list(version.number),
        "dev": version.dev,
        "recreateUpgrade": version.reaches(FUSE_PASSING[is_ce]),
        "binaryUpgrade": version.reaches(BINARY_UPGRADE[is_ce]),
        "quotaPathCreate": client_support.sets_quota_on_new_paths(text, is_ce),
    }
