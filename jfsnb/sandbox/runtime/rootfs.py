"""A container's root file system: the machine's userland, the image's files, a /dev, /proc and /etc of its own, mounts.

Runs in the forked child, in the container's new namespaces, before it lets go of the node's tree.
"""

from __future__ import annotations

import os
import stat
from typing import Any

from jfsnb.sandbox.images.paths import resolve
from jfsnb.sandbox.runtime import isolation, linux, noderoot

PROPAGATION = {"None": linux.MS_PRIVATE, "HostToContainer": linux.MS_SLAVE, "Bidirectional": linux.MS_SHARED}
HOSTS = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
#: Where a shadowed directory's own content stays reachable (see ``shadow``).
ORIGINAL = ".host"
DIRECTORIES = ("proc", "sys", "dev", "tmp", "etc", "run", "root", "home", "mnt", "srv", "media", "boot")

Spec = dict[str, Any]


def build(spec: Spec) -> str:
    """Mount everything below one directory of the node.

    Args:
        spec: see ``ContainerSpec.describe``.

    Returns:
        The directory that is to become the container's root.
    """
    root = noderoot.CONTAINER
    if spec["root"]:
        _mount_own_root(root, spec["root"])
    elif spec["image_root"]:
        _mount_image(root, spec)
    else:
        _make_root(root, spec)
    for mount in sorted(spec["mounts"], key=lambda m: m["target"].rstrip("/").count("/")):
        _mount(root, mount)
    return root


def _mount_own_root(root: str, directory: str) -> None:
    """The directory itself; nothing is put into it but the mount points of /proc, /sys and /dev."""
    linux.bind(directory, root)
    linux.set_propagation(root, linux.MS_PRIVATE)  # the node's / is shared, and no shared mount can become a root
    for name in ("proc", "sys", "dev"):
        os.makedirs(f"{root}/{name}", exist_ok=True)
    _mount_system(root, fuse=False)
    if os.path.isfile(f"{root}/etc/resolv.conf"):
        linux.bind("/etc/resolv.conf", f"{root}/etc/resolv.conf")


def _mount_image(root: str, spec: Spec) -> None:
    """An unpacked image below a writable layer that goes with the container; and the image's own files of ours."""
    layer = noderoot.LAYER
    linux.mount("layer", layer, "tmpfs", 0, "mode=755")
    for name in ("upper", "work"):
        os.mkdir(f"{layer}/{name}")
    lower = seen_in_node(spec["image_root"])
    linux.mount("image", root, "overlay", 0, f"lowerdir={lower},upperdir={layer}/upper,workdir={layer}/work")
    for name in (*DIRECTORIES, "var/tmp"):
        os.makedirs(f"{root}/{name}", exist_ok=True)
    _mount_system(root, fuse=spec["privileged"])
    for name, text in (("hostname", f"{spec['hostname']}\n"), ("hosts", HOSTS)):
        with open(f"{root}/etc/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    _copy("/etc/resolv.conf", f"{root}/etc/resolv.conf")
    for file_ in spec["files"]:
        target = resolve(root, os.path.dirname(file_["target"])) + "/" + os.path.basename(file_["target"])
        if os.path.lexists(target):
            os.unlink(target)
        place({**file_, "target": target.removeprefix(root)}, root)


def _mount_system(root: str, fuse: bool) -> None:
    linux.mount("proc", f"{root}/proc", "proc", noderoot.PROC_FLAGS)
    isolation.guard_proc(f"{root}/proc")
    isolation.bind_sys(f"{root}/sys")
    noderoot.mount_devices(f"{root}/dev", fuse=fuse)


def _make_root(root: str, spec: Spec) -> None:
    """The machine's userland, read-only, on a tmpfs, and the image's files."""
    linux.mount("root", root, "tmpfs", 0, "mode=755")
    shadows = needs_shadow(spec["files"])
    _mount_userland(root, shadows)
    for name in DIRECTORIES:
        os.makedirs(f"{root}/{name}", exist_ok=True)
    for name in ("var/tmp", "var/log", "var/lib", "var/cache", "run/lock"):
        os.makedirs(f"{root}/{name}", exist_ok=True)
    for name in ("tmp", "var/tmp"):
        os.chmod(f"{root}/{name}", 0o1777)
    os.symlink("../run", f"{root}/var/run")
    _mount_system(root, fuse=spec["privileged"])
    _write_etc(root, spec["hostname"])
    for file in spec["files"]:
        if os.path.dirname(file["target"]) not in shadows:
            place(file, root)


def needs_shadow(files: list[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    """Directories of the read-only userland that files are added to -> those files."""
    found: dict[str, list[dict[str, str]]] = {}
    for file in files:
        parent = os.path.dirname(file["target"])
        if parent.split("/")[1] in noderoot.USERLAND:
            found.setdefault(parent, []).append(file)
    return found


def shadow(directory: str, files: list[dict[str, str]], target: str) -> None:
    """Make a directory that looks like one of the userland plus some files.

    The original is bound at ``.host`` inside it, and each of its entries becomes a link there; so no overlay is needed,
    which not every kernel allows in a user namespace. Each container has its own: it may replace what is in there.
    """
    os.makedirs(f"{target}/{ORIGINAL}")
    linux.bind(os.path.realpath(directory), f"{target}/{ORIGINAL}")
    added = {os.path.basename(file["target"]) for file in files}
    for entry in os.scandir(directory):
        if entry.name not in added:
            links_inside = entry.is_symlink() and directory == os.path.realpath(directory)
            os.symlink(os.readlink(entry) if links_inside else f"{ORIGINAL}/{entry.name}", f"{target}/{entry.name}")
    for file in files:
        place({**file, "target": f"/{os.path.basename(file['target'])}"}, target)


def place(file: dict[str, str], root: str) -> None:
    """Put one file, directory or link of an image at its target below ``root``."""
    target = root + file["target"]
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if file["link"]:
        os.symlink(file["link"], target)
        return
    source = seen_in_node(file["source"])
    make_mount_point(target, os.path.isdir(source))
    linux.bind(source, target)


def seen_in_node(path: str) -> str:
    """Where a node sees a path of the machine."""
    in_userland = path.split("/")[1] in noderoot.USERLAND
    return path if in_userland else noderoot.HOST + path


def make_mount_point(target: str, directory: bool) -> None:
    """Make what a mount can be put on; what is there stays: it may be a dead mount, which cannot be looked at."""
    if os.path.lexists(target):
        return
    try:
        os.makedirs(target if directory else os.path.dirname(target), exist_ok=True)
        if not directory:
            noderoot.touch(target)
    except FileExistsError:
        pass


def _mount_userland(root: str, shadows: dict[str, list[dict[str, str]]]) -> None:
    for name in noderoot.USERLAND:
        if f"/{name}" in shadows:
            os.mkdir(f"{root}/{name}")
        elif os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
        elif os.path.isdir(f"/{name}"):
            os.mkdir(f"{root}/{name}")
            linux.bind(f"/{name}", f"{root}/{name}")
    for directory, files in shadows.items():
        linux.mount("shadow", root + directory, "tmpfs", 0, "mode=755")
        shadow(directory, files, root + directory)


def _write_etc(root: str, hostname: str) -> None:
    for name in noderoot.ETC_FILES:
        _copy(f"/etc/{name}", f"{root}/etc/{name}")
    for name in noderoot.ETC_DIRECTORIES:
        if os.path.isdir(f"/etc/{name}"):
            os.mkdir(f"{root}/etc/{name}")
            linux.bind(f"/etc/{name}", f"{root}/etc/{name}")
    for name, text in (("hostname", f"{hostname}\n"), ("hosts", HOSTS)):
        with open(f"{root}/etc/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    os.symlink("../proc/self/mounts", f"{root}/etc/mtab")


def _copy(source: str, target: str) -> None:
    try:
        with open(source, "rb") as reading, open(target, "wb") as writing:
            writing.write(reading.read())
    except FileNotFoundError:
        pass


def _mount(root: str, mount: dict[str, Any]) -> None:
    try:
        directory = stat.S_ISDIR(os.stat(mount["source"]).st_mode)
        target = resolve(root, mount["target"])
        make_mount_point(target, directory)
        linux.bind(mount["source"], target)
        linux.set_propagation(target, PROPAGATION[mount["propagation"]])
        if mount["read_only"]:
            linux.remount_read_only(target)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OSError(
            error.errno, f'error mounting "{mount["source"]}" to rootfs at "{mount["target"]}": {reason}'
        ) from error
