"""What a client's ``.config``, in the root of its mount, says of its processes (fuse-handover §4, §10)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jfsnb.driver.mountpods.mount_pods import MountPod


class UpgradeFailed(Exception):
    """Told as POD-FAIL; the text is the driver's."""


@dataclass(frozen=True)
class RunningClient:
    """A client that serves a mount.

    Args:
        pid: of the worker, as its own container counts. parent: of its supervisor; 0 when it does not tell.
        comm_path: socket of the supervisor. state_path: where the worker writes down its open files.
        session: its id in the metadata engine.
    """

    pid: int
    parent: int
    comm_path: str
    state_path: str
    session: int

    @classmethod
    def from_config(cls, told: Mapping[str, Any]) -> RunningClient:
        session = (told.get("Meta") or {}).get("Sid", 0)
        paths = str(told.get("CommPath", "")), str(told.get("StatePath", ""))
        return cls(int(told.get("Pid", 1)), int(told.get("PPid", 0)), *paths, int(session))

    def supervisor(self, pod: MountPod, host_pid: bool) -> int:
        """Process id of the supervisor.

        Raises:
            UpgradeFailed: it is not told, and the Pod has no process 1 of its own.
        """
        suffix = self.comm_path.rpartition(".")[2]
        if self.parent or suffix.isdigit():
            return self.parent or int(suffix)
        if host_pid:
            told = f'(PPid=0, CommPath="{self.comm_path}")'
            raise UpgradeFailed(f"mount pod {pod.namespace}/{pod.name}: unable to determine ppid {told}")
        return 1


def running_client(pod: MountPod) -> RunningClient:
    """The client that serves a Mount Pod's mount. May hang on a dead one.

    Raises:
        UpgradeFailed: the mount has no ``.config`` (clients before 1.0), or it cannot be understood.
    """
    path = pod.command.config_file
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UpgradeFailed(f"fail to read config file {path}: open {path}: {reason}") from error
    except ValueError as error:
        raise UpgradeFailed(f"fail to parse config file: {error}") from error
    return RunningClient.from_config(told)
