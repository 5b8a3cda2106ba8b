"""The sandbox's first process: makes its files, forks API server and components, ends with its owner, leaves nothing.

Forking after the imports saves each child half a second and shares their memory.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import json
import os
import secrets
import select
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from jfsnb.sandbox import metadata
from jfsnb.sandbox.lifecycle import ENDING, LIKE, RUNNING, Sandbox
from jfsnb.sandbox.pki import make_pki
from jfsnb.sandbox.world import ARTICLE_NODE, METAURL

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
STOP_SECONDS = 10.0


def main() -> None:
    args = _arguments()
    state = Path(args.state)
    nodes = tuple(args.node) or (ARTICLE_NODE,)
    supervisor = Supervisor(args.name, state, args.ready_fd, args.owner, args.tier, nodes, args.metadata)
    try:
        supervisor.run()
    finally:
        supervisor.stop()
        gone = state.with_name(f"{state.name}.{os.getpid()}")  # free its name at once
        with contextlib.suppress(FileNotFoundError):
            state.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="jfsnb.sandbox.supervisor")
    parser.add_argument("--name", required=True)
    parser.add_argument("--state", required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    parser.add_argument("--owner", type=int)
    parser.add_argument("--tier")
    parser.add_argument("--node", action="append", default=[])
    parser.add_argument("--metadata", default=metadata.ENGINES[0])
    return parser.parse_args()


class Supervisor:
    """Owns the processes and the directory of one sandbox."""

    def __init__(
        self,
        name: str,
        state: Path,
        ready_fd: int,
        owner: int | None,
        tier: str | None,
        nodes: tuple[str, ...],
        engine: str,
    ) -> None:
        self.name, self.state, self.ready_fd, self.nodes = name, state, ready_fd, nodes
        self.force_tier = tier
        self.engine = engine
        self.redis: metadata.Redis | None = None
        self.owner = os.pidfd_open(owner) if owner else None
        self.children: dict[int, tuple[int, str]] = {}  # pidfd -> pid, what it is
        self.wake, self._waker = os.pipe()
        os.set_blocking(self._waker, False)

    def run(self) -> None:
        ctypes.CDLL(None).prctl(
            PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0
        )  # node agents of a killed kubelet come to us, to be waited for
        signal.set_wakeup_fd(self._waker)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        from jfsnb.sandbox.apiserver.http.server import serve
        from jfsnb.sandbox.components import run_components
        from jfsnb.sandbox.images.images import ImageStore
        from jfsnb.sandbox.runtime.tier import detect, with_clients
        from jfsnb.sandbox.world import objects

        tier = with_clients(detect(self.force_tier))
        make_pki(self.state)
        self._make_tokens()
        self.redis = metadata.Redis(self.state) if self.engine == "redis" else None
        images = ImageStore(self.state)
        limits = f"cgroups v{tier.limits.version}" if tier.limits else ""
        about = {"tier": tier.name, "reason": tier.reason, "sandbox": self.name, "limits": limits}
        metaurl = self.redis.url if self.redis else METAURL
        world = objects(None, self.nodes, about, images.baseline, images.tested(), images.id_of, metaurl)
        if (self.state / LIKE).exists():
            from jfsnb.sandbox.world.like import poured

            world = poured(world, **json.loads((self.state / LIKE).read_text(encoding="utf-8")))
        reading, writing = os.pipe()
        self.fork("api", lambda: serve(self.state, 0, lambda port: _tell(writing, str(port)), restore=world))
        os.close(writing)
        port = _line(reading)
        if not port:
            return self.tell("the API server ended")
        server = f"https://127.0.0.1:{port}"
        for user in self.tokens:
            self._write_kubeconfig(user, server)
        Sandbox(
            self.name,
            self.state,
            self.state / "kubeconfig",
            f"jfsnb-{self.name}",
            server,
            os.getpid(),
            tier.name,
            tier.reason,
            images.baseline,
            self.engine,
        ).write()
        self.fork(
            "components", lambda: run_components(self.state, self.nodes, tier, lambda: _tell(self.ready_fd, "ready"))
        )
        os.close(self.ready_fd)
        self.ready_fd = -1
        self.wait()

    def tell(self, message: str) -> None:
        if self.ready_fd >= 0:
            _tell(self.ready_fd, message)

    def fork(self, what: str, entry: Callable[[], Any]) -> None:
        """Run a coroutine function in a child that dies with this process; its output goes to log/<what>.log."""
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self.children[os.pidfd_open(pid)] = (pid, what)
            return
        code = 1
        try:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            log = os.open(self.state / "log" / f"{what}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(log, 1)
            os.dup2(log, 2)
            asyncio.run(entry())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def wait(self) -> None:
        """Until a signal asks for the end, the owner ends, or one of the two children dies."""
        watched = [self.wake, *self.children, *([self.owner] if self.owner is not None else [])]
        select.select(watched, [], [])

    def stop(self) -> None:
        """End all children, the node agents included, and wait until none is left."""
        with contextlib.suppress(FileNotFoundError):
            (self.state / RUNNING).rename(self.state / ENDING)
        for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
            for handle in list(self.children):
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
            if self._all_ended(seconds):
                break
        if self.redis is not None:
            self.redis.stop()
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)  # adopted node agents end when their lifeline is cut

    def _all_ended(self, seconds: float) -> bool:
        for handle in list(self.children):
            if select.select([handle], [], [], seconds)[0]:
                del self.children[handle]
                os.close(handle)
        return not self.children

    def _make_tokens(self) -> None:
        users = {
            "admin": "jfsnb-admin",
            "control": "system:kube-controller-manager",
            "scheduler": "system:kube-scheduler",
        }
        users |= {f"node-{n}": f"system:node:{n}" for n in self.nodes}
        self.tokens = {file: secrets.token_urlsafe(24) for file in users}
        groups = {f: "system:nodes,system:masters" if f.startswith("node-") else "system:masters" for f in users}
        rows = [f'{self.tokens[f]},{user},{f},"{groups[f]}"\n' for f, user in users.items()]
        _private(self.state / "tokens.csv", "".join(rows))

    def _write_kubeconfig(self, user: str, server: str) -> None:
        context = f"jfsnb-{self.name}"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": context,
                    "cluster": {"server": server, "certificate-authority-data": _base64(self.state / "pki/ca.crt")},
                }
            ],
            "users": [{"name": user, "user": {"token": self.tokens[user]}}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": user, "namespace": "default"}}],
            "current-context": context,
        }
        path = self.state / "kubeconfig" if user == "admin" else self.state / "credentials" / f"{user}.kubeconfig"
        _private(path, yaml.safe_dump(config, sort_keys=False))


def _private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def _base64(path: Path) -> str:
    import base64

    return base64.b64encode(path.read_bytes()).decode()


def _tell(fd: int, message: str) -> None:
    with contextlib.suppress(OSError):
        os.write(fd, message.encode() + b"\n")


def _line(fd: int) -> str:
    """The first line that comes through a pipe; empty when its other end closes before."""
    text = os.read(fd, 64).decode().strip()
    os.close(fd)
    return text


if __name__ == "__main__":
    main()
