"""Which user a container runs as, from the security contexts of Pod and container."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jfsnb.sandbox.apimachinery.client import Obj
from jfsnb.sandbox.kubelet.containers.env import ConfigError


@dataclass(frozen=True)
class Identity:
    """User, group and further groups of a container's processes. The sandbox's images all run as root by default."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()


def identity(pod: Obj, container: Obj) -> Identity:
    """What the container's security context says, or else the Pod's.

    Raises:
        ConfigError: it must not run as root, but would.
    """
    whole, own = pod["spec"].get("securityContext") or {}, container.get("securityContext") or {}
    uid = int(_first(own.get("runAsUser"), whole.get("runAsUser"), 0))
    gid = int(_first(own.get("runAsGroup"), whole.get("runAsGroup"), 0))
    if uid == 0 and _first(own.get("runAsNonRoot"), whole.get("runAsNonRoot"), False):
        meta = pod["metadata"]
        which = f'(pod: "{meta["name"]}_{meta["namespace"]}({meta["uid"]})", container: {container["name"]})'
        if own.get("runAsUser") == 0 or whole.get("runAsUser") == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {which}")
        raise ConfigError(f"container has runAsNonRoot and image will run as root {which}")
    groups = {int(g) for g in whole.get("supplementalGroups") or ()}
    groups |= {int(whole["fsGroup"])} if whole.get("fsGroup") is not None else set()
    return Identity(uid, gid, tuple(sorted(groups)))


def _first(*values: Any) -> Any:
    return next((v for v in values if v is not None), None)
