"""A live node's root file system: the plain files of it, and what is mounted into it."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from jfsnb.sandbox.runtime import isolation, linux

#: The machine's programs, seen read-only in the node and in every container.
USERLAND = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "opt")
ETC_FILES = (
    *("passwd", "group", "nsswitch.conf", "ld.so.cache", "ld.so.conf", "localtime", "timezone", "profile"),
    *("bash.bashrc", "os-release", "debian_version", "services", "protocols", "resolv.conf"),
)
ETC_DIRECTORIES = ("alternatives", "ssl", "pki", "ld.so.conf.d")
#: What a real node has, and the driver's manifests name (reference/csi-driver.md sections 0 and 5.1).
DIRECTORIES = (
    *("var/lib/kubelet/pods", "var/lib/kubelet/plugins", "var/lib/kubelet/plugins_registry"),
    *("var/lib/juicefs/volume", "var/lib/juicefs/config", "var/jfsCache", "var/lib/jfsnb-store", "var/log/pods"),
    *("run/juicefs-csi", "run/jfsnb", "etc", "proc", "sys", "dev", "root", "home", "mnt", "srv", "var/tmp", "tmp"),
)
UPDATEDB = 'PRUNE_BIND_MOUNTS="yes"\nPRUNEFS="NFS nfs nfs4 rpc_pipefs proc sysfs tmpfs"\nPRUNEPATHS="/tmp /var/spool"\n'
#: The runtime's own corner of the node: private, so that nothing mounted here shows anywhere else.
PRIVATE = "/run/jfsnb"
HOST, CONTAINER, LAYER = f"{PRIVATE}/host", f"{PRIVATE}/container", f"{PRIVATE}/layer"
PROC_FLAGS = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "fuse")


def write_plain_files(root: Path) -> None:
    """Make the directories and files of the node that are no mounts; those that are there already stay."""
    for name in DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)
    links = {"var/run": "../run", "etc/mtab": "../proc/self/mounts"}
    links |= {name: os.readlink(f"/{name}").lstrip("/") for name in USERLAND if os.path.islink(f"/{name}")}
    for name, points_to in links.items():
        with contextlib.suppress(FileExistsError):
            (root / name).symlink_to(points_to)
    for name in userland_directories():
        (root / name).mkdir(exist_ok=True)
    for name in ETC_FILES:
        if os.path.exists(f"/etc/{name}"):
            shutil.copyfile(f"/etc/{name}", root / "etc" / name)
    for name in ETC_DIRECTORIES:
        if os.path.isdir(f"/etc/{name}"):
            (root / "etc" / name).mkdir(exist_ok=True)
    if not (root / "etc/updatedb.conf").exists():
        (root / "etc/updatedb.conf").write_text(UPDATEDB, encoding="utf-8")


def mount_from_outside(
    stage: isolation.Stage, root: str, store: str, host_directories: Iterable[str], fuse: bool
) -> None:
    """Mount what the node sees of the machine, then make the node's root this process's root.

    Args:
        stage: what this process may still do.
        root: the node's plain files, as the machine sees them.
        store: shown at /var/lib/jfsnb-store.
        host_directories: shown read-only below HOST, for images.
        fuse: privileged containers get /dev/fuse.
    """
    stage.bind_own(root, root)
    for name in userland_directories():
        linux.bind(f"/{name}", f"{root}/{name}", read_only=True)
    for name in ETC_DIRECTORIES:
        if os.path.isdir(f"/etc/{name}"):
            linux.bind(f"/etc/{name}", f"{root}/etc/{name}", read_only=True)
    stage.bind_own(store, f"{root}/var/lib/jfsnb-store")
    isolation.bind_sys(f"{root}/sys")
    if stage.userns is not None:  # the kernel lets the node mount its own only where it sees one, which shows nobody
        linux.mount("proc", f"{root}/proc", "proc", PROC_FLAGS, "hidepid=2")
    stage.tmpfs(f"{root}/dev", linux.MS_NOSUID)
    for name in DEVICES:
        if os.path.exists(f"/dev/{name}") and (fuse or name != "fuse"):
            stage.device(f"/dev/{name}", f"{root}/dev/{name}")
    stage.tmpfs(root + PRIVATE)
    for path in _outermost(host_directories):
        os.makedirs(root + HOST + path)
        stage.bind_readable(path, root + HOST + path)
    os.makedirs(root + CONTAINER)
    os.makedirs(root + LAYER)
    if stage.userns is not None:
        linux.change_root(root)


def mount_from_inside(root: str | None) -> None:
    """The rest, as PID 1 of the node.

    Args:
        root: where the node's root is still to be changed to; None when it is the root already.
    """
    linux.mount("proc", f"{root or ''}/proc", "proc", PROC_FLAGS)
    _complete_devices(f"{root or ''}/dev")
    if root is not None:
        linux.change_root(root)
    linux.set_propagation("/", linux.MS_SHARED, recursive=False)
    linux.set_propagation("/var/lib/jfsnb-store", linux.MS_SHARED, recursive=False)


def mount_devices(target: str, fuse: bool) -> None:
    """A container's /dev: the node's harmless devices, ptys and shared memory of its own; ``fuse`` adds /dev/fuse."""
    linux.mount("dev", target, "tmpfs", linux.MS_NOSUID, "mode=755")
    for name in DEVICES:
        if os.path.exists(f"/dev/{name}") and (fuse or name != "fuse"):
            touch(f"{target}/{name}")
            linux.bind(f"/dev/{name}", f"{target}/{name}", recursive=False)
    _complete_devices(target)


def _complete_devices(target: str) -> None:
    links = (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"), ("ptmx", "pts/ptmx"))
    for name, points_to in links:
        os.symlink(points_to, f"{target}/{name}")
    os.mkdir(f"{target}/shm")
    linux.mount("shm", f"{target}/shm", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=1777")
    os.mkdir(f"{target}/pts")
    linux.mount(
        "devpts", f"{target}/pts", "devpts", linux.MS_NOSUID | linux.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620"
    )


def userland_directories() -> Iterator[str]:
    """Names of USERLAND that are directories here, and not links into /usr."""
    return (name for name in USERLAND if os.path.isdir(f"/{name}") and not os.path.islink(f"/{name}"))


def touch(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def _outermost(paths: Iterable[str]) -> list[str]:
    """Without those that are inside another one, and without the userland, which is there anyway."""
    result: list[str] = []
    for path in sorted(paths):
        if not any(f"{path}/".startswith(f"{other}/") for other in [*result, "/usr", "/opt"]):
            result.append(path)
    return result
