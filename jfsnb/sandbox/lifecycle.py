"""Start, find and stop sandboxes: the part that a command or a notebook calls."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jfsnb.errors import SandboxError, UsageError
from jfsnb.sandbox import metadata as engines

START_SECONDS, END_SECONDS = 60.0, 30.0
#: In a sandbox's state: what it is to be like (world/like.py).
LIKE = "like.json"
RUNNING, ENDING = "sandbox.json", "ending.json"  #: the same facts: its supervisor renames the file before all else


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox.

    Args:
        name: its name; ``default`` unless another was given.
        state_dir: its directory (see docs/architecture.md).
        kubeconfig: admin kubeconfig, mode 0600.
        context: the kubeconfig's context name.
        server: address of the API server.
        pid: process id of its supervisor.
        tier: ``full``, ``namespaces`` or ``recorded``.
        tier_reason: one sentence: what is real in this tier, and why it is not a higher one.
        baseline: the client image that serves everybody there.
        metadata: engine of its file system's metadata: ``sqlite`` or ``redis``.
    """

    name: str
    state_dir: Path
    kubeconfig: Path
    context: str
    server: str
    pid: int
    tier: str
    tier_reason: str
    baseline: str
    metadata: str

    @classmethod
    def read(cls, state: Path, file: str = RUNNING) -> Sandbox:
        raw = json.loads((state / file).read_text(encoding="utf-8"))
        return cls(**{**raw, "state_dir": Path(raw["state_dir"]), "kubeconfig": Path(raw["kubeconfig"])})

    def write(self) -> None:
        raw = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}
        new = self.state_dir / "sandbox.json.new"
        new.write_text(json.dumps(raw, indent=1), encoding="utf-8")
        new.rename(self.state_dir / RUNNING)  # whoever reads finds all of it, or nothing


def home() -> Path:
    """Where sandboxes live: short, because the path of a unix socket must fit into 108 bytes."""
    root = os.environ.get("JFSNB_STATE_HOME") or f"{tempfile.gettempdir()}/jfsnb-{os.getuid()}"
    path = Path(root)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        raise SandboxError(f"{path} belongs to somebody else", "set JFSNB_STATE_HOME to a directory of your own")
    return path


def up(
    name: str = "default",
    owner_pid: int | None = None,
    tier: str | None = None,
    nodes: tuple[str, ...] = (),
    baseline: str = "",
    metadata: str = "",
    tested: str = "",
    like: Mapping[str, Any] | None = None,
) -> Sandbox:
    """Start a sandbox and wait until its world is ready.

    Args:
        name: several sandboxes can run beside each other under different names.
        owner_pid: when this process ends, the sandbox goes too; None keeps it until ``down``.
        tier: at most this tier; None for the best that the machine can do.
        nodes: live nodes; empty for the article's node.
        baseline: the client image that serves everybody (a tag of juicedata/mount, or a reference); empty: the usual.
        metadata: ``sqlite`` or ``redis``; empty: what JFSNB_METADATA says, or sqlite.
        tested: the image that will be tested, so that its client is here in time; empty: the usual.
        like: the arguments of ``world.like.poured``: another cluster's recorded part.

    Raises:
        UsageError: the name is taken or unusable, there is no such image, or no program for the metadata engine.
        SandboxError: it did not start; the message ends with its log.
    """
    if not name.replace("-", "").replace("_", "").isalnum():
        raise UsageError(f"{name!r} is not a sandbox name", "use letters, digits and dashes")
    engine = engines.choose(metadata)
    sweep()
    state = home() / name
    if find(name) is not None:
        raise UsageError(
            f"sandbox {name!r} is running already", f"use it, or stop it: jfsnb sandbox down --name {name}"
        )
    _wait_for_end(state)
    shutil.rmtree(state, ignore_errors=True)
    for part in ("log", "credentials", "store/meta", "store/objects", "nodes", "images"):
        (state / part).mkdir(mode=0o700, parents=True)
    try:
        if baseline:
            _choose_baseline(state, baseline)
        _fetch_clients(state, tier, tested)
        if like is not None:
            (state / LIKE).write_text(json.dumps(like), encoding="utf-8")
    except BaseException:
        shutil.rmtree(state, ignore_errors=True)
        raise
    return _launch(name, state, owner_pid, tier, nodes, engine)


def _choose_baseline(state: Path, tag: str) -> None:
    from jfsnb.sandbox.images.image import ImageNotFound, full_name
    from jfsnb.sandbox.images.images import ImageStore
    from jfsnb.sandbox.images.progress import on_stderr

    store = ImageStore(state)
    try:
        image = store.pull(full_name(tag), on_stderr)
    except ImageNotFound as error:
        raise UsageError(
            f"there is no image {full_name(tag)}: {error.what}",
            error.next_step
            or "jfsnb sandbox images list shows them; add one: jfsnb sandbox images add TAG --client PATH",
        ) from error
    if not image.client_version:
        raise UsageError(f"{image.reference} has no client in it", "the baseline serves volumes; choose a client image")
    store.baseline = image.reference


def _fetch_clients(state: Path, tier: str | None, tested: str) -> None:
    """Once on each machine: the clients of a run, baseline and tested. Without any, the sandbox has a lower tier."""
    from jfsnb.sandbox.images.catalogue import CATALOGUE
    from jfsnb.sandbox.images.image import short_name
    from jfsnb.sandbox.images.images import ImageStore
    from jfsnb.sandbox.images.progress import on_stderr
    from jfsnb.sandbox.images.wheels import fetch_clients, missing_clients

    store = ImageStore(state)
    needed = (store.baseline, short_name(tested) if tested else store.wanted())
    missing = missing_clients(CATALOGUE[name] for name in needed if name in CATALOGUE)
    if not missing:
        return
    trial = [sys.executable, "-m", "jfsnb.sandbox.runtime.tier", *([tier] if tier else [])]  # it forks: not in a kernel
    if subprocess.run(trial, capture_output=True, text=True, cwd="/").stdout.strip() != "full":
        return
    try:
        fetch_clients(missing, on_stderr)
    except SandboxError as error:
        print(error, file=sys.stderr)


def _launch(
    name: str, state: Path, owner_pid: int | None, tier: str | None, nodes: tuple[str, ...], engine: str
) -> Sandbox:
    log = state / "log" / "supervisor.log"
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "jfsnb.sandbox.supervisor", "--name", name, "--state", str(state)]
    command += ["--ready-fd", str(writing), "--metadata", engine]
    command += ["--owner", str(owner_pid)] if owner_pid else []
    command += ["--tier", tier] if tier else []
    command += [word for node in nodes for word in ("--node", node)]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            pass_fds=[writing],
            start_new_session=True,
            cwd="/",
        )
    os.close(writing)
    try:
        answer = _read_line(reading, START_SECONDS)
    except BaseException:
        process.send_signal(signal.SIGTERM)  # Ctrl-C while it starts: take it away again
        raise
    finally:
        os.close(reading)
    if answer == "ready":
        return Sandbox.read(state)
    tail = _tail(state / "log")
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    shutil.rmtree(state, ignore_errors=True)
    why = answer or f"its world was not ready after {START_SECONDS:.0f} s"
    raise SandboxError(
        f"sandbox {name!r} did not start: {why}\n{tail}".rstrip(),
        "jfsnb sandbox status --probe shows what this machine can do",
    )


def _read_line(fd: int, seconds: float) -> str:
    """One line from a pipe; empty at its end or after the deadline."""
    ready, _, _ = select.select([fd], [], [], seconds)
    return os.read(fd, 4096).decode().strip() if ready else ""


def _tail(logs: Path) -> str:
    lines = [
        f"  {log.name}: {line}"
        for log in sorted(logs.glob("*.log"))
        for line in log.read_text(errors="replace").splitlines()[-6:]
    ]
    return "\n".join(lines)


def find(name: str = "default") -> Sandbox | None:
    """The running sandbox of that name, or None; one that is about to end does not count."""
    return _alive(home() / name, RUNNING)


def _alive(state: Path, *files: str) -> Sandbox | None:
    """The sandbox of a directory, if its supervisor runs and is as far as one of these files says."""
    for file in files:
        try:
            sandbox = Sandbox.read(state, file)
        except (FileNotFoundError, json.JSONDecodeError, TypeError):
            continue
        if _is_supervisor(sandbox.pid, sandbox.state_dir):
            return sandbox
    return None


def _wait_for_end(state: Path, seconds: float = END_SECONDS) -> None:
    """Wait for a supervisor that is taking its sandbox away, directory included."""
    ending = _alive(state, ENDING)
    with contextlib.suppress(ProcessLookupError):
        if ending is not None:
            handle = os.pidfd_open(ending.pid)
            select.select([handle], [], [], seconds)
            os.close(handle)


def running() -> list[Sandbox]:
    """All running sandboxes of this user."""
    found = (find(path.name) for path in sorted(home().iterdir()) if path.is_dir())
    return [sandbox for sandbox in found if sandbox is not None]


def ensure(name: str = "default", owner_pid: int | None = None, tier: str | None = None) -> Sandbox:
    """The running sandbox of that name; started when there is none."""
    return find(name) or up(name, owner_pid=owner_pid, tier=tier)


def down(name: str = "default", seconds: float = END_SECONDS) -> bool:
    """Stop a sandbox and remove its directory; False when none of that name runs."""
    sandbox = _alive(home() / name, RUNNING, ENDING)
    if sandbox is None:
        return False
    handle = os.pidfd_open(sandbox.pid)
    try:
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        ended, _, _ = select.select([handle], [], [], seconds)
        if not ended:
            signal.pidfd_send_signal(handle, signal.SIGKILL)  # its children die with it (PDEATHSIG)
            select.select([handle], [], [], seconds)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(sandbox.pid, 0)  # reap it where it was our own child
    shutil.rmtree(sandbox.state_dir, ignore_errors=True)
    return True


def sweep() -> None:
    """Remove the directories of sandboxes whose supervisor was killed."""
    for path in home().iterdir():
        known = (path / RUNNING).exists() or (path / ENDING).exists()
        if known and _alive(path, RUNNING, ENDING) is None:
            shutil.rmtree(path, ignore_errors=True)


def _is_supervisor(pid: int, state: Path) -> bool:
    """Whether that process is the supervisor of that directory; a pid alone could be another program's by now."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"jfsnb.sandbox.supervisor" in words and str(state).encode() in words
