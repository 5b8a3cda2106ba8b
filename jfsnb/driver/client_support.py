"""What the driver believes that a client can do, by its image's tag or its own version text (§1.6, §3.8).

A tag that tells no version is believed to be new. Vectors: family images.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CE_TAG = re.compile(r"ce-v([0-9]+)\.([0-9]+)\.([0-9]+)")
_EE_TAG = re.compile(r"ee-([0-9]+)\.([0-9]+)\.([0-9]+)")
_CE_TEXT = re.compile(r"version ([0-9]+)\.([0-9]+)\.([0-9]+)")
_CE_DEV_TEXT = re.compile(r"version ([0-9]+)\.([0-9]+)\.([0-9]+)-dev")
_EE_TEXT = re.compile(r"version ([0-9]+)\.([0-9]+)\.([0-9]+) ")
_LARGEST = (1 << 63) - 1
_NO_TAG = ((1 << 31) - 1, 0, 0)
#: The first clients (CE, EE) whose FUSE file descriptor can be handed on, so that no umount preStop is needed.
FUSE_PASSING = {True: (1, 2, 1), False: (5, 1, 0)}
#: The first ones that go on with another binary after SIGHUP.
BINARY_UPGRADE = {True: (1, 2, 0), False: (5, 0, 0)}
#: The first ones that set a quota on a directory that is not there yet.
QUOTA_CREATES_PATH = {True: (1, 3, 0), False: (5, 2, 0)}
#: The first one that encrypts its configuration; the driver looks at no edition here.
CONFIG_ENCRYPTION = (5, 1, 0)


@dataclass(frozen=True)
class BelievedVersion:
    """A client's version as the driver read it.

    Args:
        is_ce: community edition. number: zeros when it read none.
        nightly: the tag says so. dev: newer than any number, because nothing else is known.
    """

    is_ce: bool
    number: tuple[int, int, int] = (0, 0, 0)
    nightly: bool = False
    dev: bool = False

    def reaches(self, first: tuple[int, int, int]) -> bool:
        """Whether it counts as this version or a later one."""
        return self.dev or self.number >= first


def tag_of(image: str) -> str:
    """The tag as the driver finds it: digest stripped, a registry's port no tag; empty when there is none (§1.6)."""
    return _tag(image)[0]


def _tag(image: str) -> tuple[str, bool]:
    """(tag, whether there is one)."""
    without_digest = image[: image.rindex("@")] if "@" in image else image
    _, separator, tag = without_digest.rpartition("/")[2].partition(":")
    return tag, bool(separator)


def version_of_image(image: str) -> BelievedVersion:
    """The version that the driver reads from an image's tag; no tag is newer than any number."""
    if not image:
        return BelievedVersion(False)
    tag, has_tag = _tag(image)
    if not has_tag:
        return BelievedVersion(True, _NO_TAG)
    is_ce = tag.startswith("ce-")
    if "nightly" in tag:
        return BelievedVersion(is_ce, nightly=True, dev=True)
    form = _CE_TAG if is_ce else _EE_TAG if tag.startswith("ee-") else None
    match = form.search(tag) if form else None
    return BelievedVersion(is_ce, _number(match), dev=match is None)


def version_of_text(text: str, is_ce: bool) -> BelievedVersion:
    """The version that the driver reads from what a client says of itself (``juicefs version``).

    Args:
        is_ce: of which edition the client is known to be; the text decides nothing.
    """
    is_dev = is_ce and "dev" in text
    form = _CE_DEV_TEXT if is_dev else _CE_TEXT if is_ce else _EE_TEXT
    return BelievedVersion(is_ce, _number(form.search(text)), dev=is_dev)


def _number(match: re.Match[str] | None) -> tuple[int, int, int]:
    if match is None:
        return (0, 0, 0)
    major, minor, patch = (min(int(part), _LARGEST) for part in match.groups())
    return major, minor, patch


def supports_fuse_passing(image: str, pre_stop: str = "", grace_upgrade_disabled: bool = False) -> bool:
    """Whether the driver believes that this image hands on its FUSE file descriptor (§1.6).

    Args:
        image: reference.
        pre_stop: text of the preStop command, if there is one.
        grace_upgrade_disabled: DISABLE_GRACE_UPGRADE of the driver.
    """
    if grace_upgrade_disabled or "umount" in pre_stop:
        return False
    version = version_of_image(image)
    return version.reaches(FUSE_PASSING[version.is_ce])


def supports_binary_upgrade(image: str) -> bool:
    """Whether the driver believes that a client of this image can be exchanged while it runs (§3.8)."""
    version = version_of_image(image)
    return version.reaches(BINARY_UPGRADE[version.is_ce])


def supports_config_encryption(image: str) -> bool:
    """Whether the driver hands this client its configuration encrypted (Enterprise Edition)."""
    return not image or "nightly" in image or version_of_image(image).reaches(CONFIG_ENCRYPTION)


def sets_quota_on_new_paths(text: str, is_ce: bool) -> bool:
    """Whether a client with this version text sets a quota on a directory that is not there yet (§4.5)."""
    if not text or "nightly" in text:
        return True
    return version_of_text(text, is_ce).reaches(QUOTA_CREATES_PATH[is_ce])
