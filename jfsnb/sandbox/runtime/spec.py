"""What a container is made of, as the kubelet says it and as the node agent takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jfsnb.sandbox.images.image import Image

HOSTNAME_LENGTH = 64  # the kernel's limit


@dataclass(frozen=True)
class BindMount:
    """A directory or file of the node in a container.

    Args:
        source: path as the node sees it; it must be there.
        target: path in the container; made when it is not there.
        read_only: the container cannot write through it.
        propagation: ``None`` (later mounts below the source stay invisible), ``HostToContainer`` or ``Bidirectional``.
    """

    source: str
    target: str
    read_only: bool = False
    propagation: str = "None"


@dataclass(frozen=True)
class ContainerSpec:
    """What to run.

    Args:
        id: unique on the node.
        hostname: at most 64 characters.
        image: from the image store.
        argv: program and arguments.
        env: added to the image's environment.
        working_dir: made when it is not there.
        uid, gid, groups: identity of the process.
        privileged: all capabilities and /dev/fuse.
        mounts: made in the order of their depth.
        root: a directory of the node that is the whole root file system, and keeps what is written (for building
            images); empty: the machine's userland with the image's files.
        share_pid_with: id of a running container whose processes this one sees and is seen by.
        read_only_root: only mounts can be written to.
        stdin: the process gets a pipe to read from; without, /dev/null.
        tty: the process gets a terminal; its output then comes as ``stdout``.
        memory: bytes that its processes may take together, where the machine lets limits hold; 0 for no limit.
    """

    id: str
    hostname: str
    image: Image
    argv: tuple[str, ...]
    env: Mapping[str, str]
    working_dir: str = "/"
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    privileged: bool = False
    mounts: tuple[BindMount, ...] = ()
    root: str = ""
    share_pid_with: str | None = None
    read_only_root: bool = False
    stdin: bool = False
    tty: bool = False
    memory: int = 0

    def describe(self) -> dict[str, Any]:
        """As plain data for the agent, with the image's share of it worked in."""
        return {
            "id": self.id,
            "hostname": self.hostname[:HOSTNAME_LENGTH],
            "image": self.image.id,
            "files": [asdict(file) for file in self.image.files],
            "argv": list(self.argv),
            "env": {**self.image.env, **self.env},
            "working_dir": self.working_dir or "/",
            "uid": self.uid,
            "gid": self.gid,
            "groups": list(self.groups),
            "privileged": self.privileged,
            "mounts": [asdict(mount) for mount in self.mounts],
            "root": self.root,
            "image_root": self.image.root,
            "share_pid_with": self.share_pid_with,
            "read_only_root": self.read_only_root,
            "tty": self.tty,
        }
