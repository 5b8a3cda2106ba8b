"""Running an engine's command: line by line as it writes, and stopped with everything it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

GRACE_SECONDS = 10.0
ANSWER_SECONDS = 20.0

Say = Callable[[str], None]


def stream(command: Sequence[str], say: Say, env: Mapping[str, str] | None = None, stdin: int | None = None) -> int:
    """Run a command to its end.

    Args:
        command: program and arguments.
        say: called with each line of its output, standard error included.
        env: added to this process's environment.
        stdin: file descriptor; nothing to read when not given.

    Returns:
        Its exit code. Any exception, KeyboardInterrupt too, stops the command with its whole process group.
    """
    with subprocess.Popen(
        list(command),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        env={**os.environ, **(env or {})},
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                say(line.rstrip("\r\n"))
            return process.wait()
        except BaseException:
            stop(process)
            raise


def stop(process: subprocess.Popen[str]) -> None:
    """Interrupt a process group as Ctrl-C does; kill what does not listen, and what it leaves (podman does)."""
    started = _descendants(process.pid)
    try:
        for number in (signal.SIGINT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)
                break
        for handle in started:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        for handle in started:
            os.close(handle)


def _descendants(pid: int) -> list[int]:
    """Handles (pidfds) of everything that a process has started, directly or not; Linux only, else none."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                for child in map(int, task.read_text(encoding="ascii").split()):
                    found.append(os.pidfd_open(child))
                    waiting.append(child)
    return found


def ask(command: Sequence[str], seconds: float = ANSWER_SECONDS, env: Mapping[str, str] | None = None) -> str | None:
    """What a command prints; None when it fails, hangs or is not there."""
    try:
        done = subprocess.run(
            list(command),
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
