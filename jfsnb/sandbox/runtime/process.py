"""A process in a container, as the kubelet holds it: output, input, signals, exit code."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import signal
import socket
import struct
import termios
from collections.abc import Callable

from jfsnb.sandbox.runtime import isolation, waiting, wire

OnOutput = Callable[[str, bytes], None]
CHUNK = 65536


class Process:
    """Made by ``Runtime.run`` and ``Runtime.exec``.

    Args:
        pid: process id on this machine; -1 when it ended at once.
        exited: its exit code; 128 + N when signal N ended it. Everything that it wrote was handed over before.
        oom_killed: the kernel had to end something in the container, which went over its memory limit.
        agent_fds: what the agent passes on to the process; closed here once it has.
    """

    def __init__(self, on_output: OnOutput, stdin: bool, tty: bool, identity: tuple[int, int]) -> None:
        self.pid = 0
        self.oom_killed = False
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._on_output = on_output
        self._tty, self._wants_input = tty, stdin
        self._outputs: dict[int, str] = {}
        self._input = -1
        self._pidfd = -1
        self._status, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._status.setblocking(False)
        self.agent_fds = [theirs.detach()]
        if not tty:
            self._open_pipes(identity)

    async def started(self, pidfd: int) -> str:
        """Wait until the program runs; the reason when it cannot be started."""
        self.pid = _pid_of(pidfd)
        self._pidfd = pidfd
        self._close_agent_fds()
        if self.exited.done():  # it was faster than the agent's answer was read
            self._close_pidfd()
        reason = ""
        while message := await self._next_status():
            reason = message.get("error", reason)
        self._status.close()
        return reason

    async def signal(self, number: int) -> None:
        """Send a signal; nothing happens when the process has ended."""
        self._signal(number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self._pidfd >= 0:
                signal.pidfd_send_signal(self._pidfd, number)

    async def write_stdin(self, data: bytes) -> None:
        """Hand over input, and wait while the process is slow to read it. Raises BrokenPipeError."""
        left = memoryview(data)
        while left:
            if self._input < 0:
                raise BrokenPipeError("the process has no open standard input")
            try:
                left = left[os.write(self._input, left) :]
            except BlockingIOError:
                await waiting.writable(self._input)

    async def close_stdin(self) -> None:
        """The process reads the end of its input (in a terminal: as after Ctrl-D)."""
        if self._input < 0:
            return
        if self._tty:
            await self.write_stdin(b"\x04")
            return
        os.close(self._input)
        self._input = -1

    def resize(self, rows: int, columns: int) -> None:
        """Tell the process the size of its terminal."""
        if self._tty and self._input >= 0:
            fcntl.ioctl(self._input, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def pause(self) -> None:
        """Stop taking its output: it blocks as soon as its pipe is full."""
        for fd in self._outputs:
            asyncio.get_running_loop().remove_reader(fd)

    def resume(self) -> None:
        """Take its output again."""
        for fd in self._outputs:
            asyncio.get_running_loop().add_reader(fd, self._read, fd)

    def ended(self, code: int) -> None:
        """The agent has reaped the process: hand over the rest of its output, then its exit code."""
        for fd in list(self._outputs):
            self._read(fd, to_the_end=True)
        if not self._tty and self._input >= 0:
            os.close(self._input)
            self._input = -1
        self._close_pidfd()
        if not self.exited.done():
            self.exited.set_result(code)

    def abandon(self) -> None:
        """It was never forked."""
        self._close_agent_fds()
        self._status.close()
        self.ended(128)
        for fd in list(self._outputs):
            self._close_output(fd)

    def _open_pipes(self, identity: tuple[int, int]) -> None:
        """Pipes, not files or sockets: a process must be able to open /proc/1/fd/1 and write behind what is there."""
        if self._wants_input:
            theirs, self._input = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(self._input, False)
        else:
            theirs = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self.agent_fds.append(theirs)
        for stream in ("stdout", "stderr"):
            ours, theirs = os.pipe2(os.O_CLOEXEC)
            first = isolation.ids().first
            with contextlib.suppress(PermissionError):  # an ordinary user's node has one id only, and the pipe has it
                os.fchown(theirs, *(first + id_ for id_ in identity))
            self.agent_fds.append(theirs)
            self._watch(ours, stream)

    def _watch(self, fd: int, stream: str) -> None:
        os.set_blocking(fd, False)
        self._outputs[fd] = stream
        asyncio.get_running_loop().add_reader(fd, self._read, fd)

    def _read(self, fd: int, to_the_end: bool = False) -> None:
        while True:
            try:
                data = os.read(fd, CHUNK)
            except BlockingIOError:
                return
            except OSError:  # EIO: the other side of the terminal is closed
                data = b""
            if not data:
                return self._close_output(fd)
            self._on_output(self._outputs[fd], data)
            if not to_the_end:
                return

    def _close_output(self, fd: int) -> None:
        asyncio.get_running_loop().remove_reader(fd)
        del self._outputs[fd]
        os.close(fd)
        if fd == self._input:
            self._input = -1

    def _close_pidfd(self) -> None:
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def _close_agent_fds(self) -> None:
        for fd in self.agent_fds:
            os.close(fd)
        self.agent_fds = []

    async def _next_status(self) -> wire.Message | None:
        """A message of the process before it became the program; None once it has."""
        await waiting.readable(self._status.fileno())
        try:
            received = wire.receive(self._status)
        except OSError:
            return None
        if received is None:
            return None
        message, fds = received
        for fd in fds:
            self._input = fd
            self._watch(fd, "stdout")
        return message


def _pid_of(pidfd: int) -> int:
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as file:
        found = re.search(r"^Pid:\s*(-?\d+)$", file.read(), re.MULTILINE)
    return int(found[1]) if found else 0
