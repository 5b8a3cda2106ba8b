"""Paths of a node: where the kubelet keeps things, and a node's path seen from outside the node."""

from __future__ import annotations

import os
from pathlib import Path

KUBELET = "/var/lib/kubelet"
LONGEST_CHAIN = 40  # symbolic links

DIRECTORIES = {
    "configMap": "kubernetes.io~configmap",
    "secret": "kubernetes.io~secret",
    "projected": "kubernetes.io~projected",
    "downwardAPI": "kubernetes.io~downward-api",
    "emptyDir": "kubernetes.io~empty-dir",
    "csi": "kubernetes.io~csi",
}


def pod_directory(uid: str) -> str:
    """Where the kubelet keeps everything of a Pod (path on the node)."""
    return f"{KUBELET}/pods/{uid}"


def volume_directory(uid: str, kind: str, name: str) -> str:
    """A volume's directory; for csi the one that holds ``mount`` (reference/csi-driver.md 1.10)."""
    return f"{pod_directory(uid)}/volumes/{DIRECTORIES[kind]}/{name}"


def log_directory(pod_name: str, namespace: str, uid: str) -> str:
    return f"/var/log/pods/{namespace}_{pod_name}_{uid}"


def outside(root: Path, path: str) -> Path:
    """A node's path as this process sees it; symbolic links are followed inside the node's root, never out of it.

    Args:
        root: the node's root directory.
        path: absolute path on the node; need not exist.

    Raises:
        OSError: too many symbolic links.
    """
    done, todo, links = root, [p for p in path.split("/") if p not in ("", ".")], 0
    while todo:
        part = todo.pop(0)
        if part == "..":
            done = done.parent if done != root else root
            continue
        step = done / part
        if step.is_symlink():
            links += 1
            if links > LONGEST_CHAIN:
                raise OSError(f"too many levels of symbolic links: {path}")
            target = os.readlink(step)
            done = root if target.startswith("/") else done
            todo = [p for p in target.split("/") if p not in ("", ".")] + todo
        else:
            done = step
    return done
