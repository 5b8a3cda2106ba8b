"""A container's process between fork and exec: namespaces, root file system, identity, standard streams, program.

Nothing may be imported once the root has changed: the standard library is not in there.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import socket
import stat
import termios
from collections.abc import Callable, Sequence

from jfsnb.sandbox.runtime import linux, rootfs, wire

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: What is left to a container that is not privileged, as in containerd (numbers of linux/capability.h):
#: chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, net_raw, sys_chroot, mknod,
#: audit_write, setfcap.
CAPABILITIES = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31}
LAST_CAPABILITY = 40
#: Not even a privileged container gets these: without a user namespace they reach the whole machine
#: (sys_module, sys_boot, sys_time: somebody's `date -s` would set everybody's clock).
NEVER = {16, 22, 25}
PR_CAPBSET_DROP = 24
START_FAILED = 128
_libc = ctypes.CDLL(None)


class StartFailed(Exception):
    """The program cannot be started; worded as runc words it."""


def start(spec: rootfs.Spec, fds: Sequence[int]) -> None:
    """Become the container's first process. Does not return.

    Args:
        spec: see ``ContainerSpec.describe``.
        fds: status socket, then stdin, stdout and stderr unless the process gets a terminal, then the way into the
            container's cgroup if it has one.
    """

    def prepare() -> None:
        linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC)
        linux.sethostname(spec["hostname"])
        linux.change_root(rootfs.build(spec))
        if spec["read_only_root"]:
            linux.remount_read_only("/")

    _become(spec, fds, prepare)


def join(spec: rootfs.Spec, pidfd: int, fds: Sequence[int]) -> None:
    """Become a further process of a running container. Does not return."""

    def prepare() -> None:
        linux.setns(pidfd, linux.CLONE_NEWNS | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC)

    _become(spec, fds, prepare)


def _become(spec: rootfs.Spec, fds: Sequence[int], prepare: Callable[[], None]) -> None:
    status = socket.socket(fileno=fds[0])
    try:
        if spec["cgroup"]:
            *fds, cgroup = fds
            os.write(cgroup, b"0")
        os.setsid()
        prepare()
        streams = _terminal(status, spec) if spec["tty"] else list(fds[1:])
        _run(spec, streams, status.fileno())
    except StartFailed as failure:
        wire.send(status, {"error": str(failure)})
    except OSError as error:
        wire.send(
            status, {"error": error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"}
        )
    except BaseException as error:
        wire.send(status, {"error": f"{type(error).__name__}: {error}"})
    finally:
        os._exit(START_FAILED)


def _terminal(status: socket.socket, spec: rootfs.Spec) -> list[int]:
    """A pty of the container's own /dev/pts; its master side goes to the runtime."""
    master, slave = os.openpty()
    wire.send(status, {"terminal": True}, [master])
    os.close(master)
    os.fchown(slave, spec["uid"], -1)
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    return [slave, slave, slave]


def _run(spec: rootfs.Spec, streams: Sequence[int], status: int) -> None:
    os.makedirs(spec["working_dir"], exist_ok=True)
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
    os.closerange(3, status)
    os.closerange(status + 1, 1 << 20)  # the status socket closes on exec, which tells the runtime that it went well
    for number in (signal.SIGPIPE, signal.SIGTERM, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.umask(0o022)
    for number in NEVER if spec["privileged"] else set(range(LAST_CAPABILITY + 1)) - CAPABILITIES:
        _libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    _take_identity(spec["uid"], spec["gid"], spec["groups"])
    os.chdir(spec["working_dir"])
    env = {
        "PATH": DEFAULT_PATH,
        "HOSTNAME": spec["hostname"],
        **({"TERM": "xterm"} if spec["tty"] else {}),
        **spec["env"],
    }
    env.setdefault("HOME", "/root" if spec["uid"] == 0 else "/")
    program = find_program(spec["argv"][0], env["PATH"])
    try:
        os.execve(program, spec["argv"], env)
    except OSError as error:
        words = {errno.ENOEXEC: "exec format error", errno.EACCES: "permission denied"}
        reason = words.get(error.errno or 0, (error.strerror or "").lower())
        raise StartFailed(f"exec {program}: {reason}") from error


def _take_identity(uid: int, gid: int, groups: Sequence[int]) -> None:
    try:
        os.setgroups(list(groups))
    except PermissionError:  # an ordinary user's namespace has no other groups to take or drop
        if groups:
            raise
    try:
        os.setgid(gid)
        os.setuid(uid)
    except OSError as error:
        raise StartFailed(
            f"unable to setup user {uid}:{gid}: this sandbox has one user id only, as it was not started by root"
        ) from error


def find_program(name: str, path: str) -> str:
    """The file that a command names. Raises StartFailed in runc's words."""
    if "/" in name:
        return _check_program(name, name)
    denied = False
    for directory in path.split(":"):
        candidate = os.path.join(directory or ".", name)
        try:
            return _check_program(candidate, name)
        except StartFailed as failure:
            denied = denied or "permission denied" in str(failure)
    reason = "permission denied" if denied else "executable file not found in $PATH"
    raise StartFailed(f'exec: "{name}": {reason}')


def _check_program(path: str, name: str) -> str:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise StartFailed(f'exec: "{name}": stat {path}: {(error.strerror or "").lower()}') from error
    if stat.S_ISDIR(mode):
        raise StartFailed(f'exec: "{name}": is a directory')
    if not os.access(path, os.X_OK):
        raise StartFailed(f'exec: "{name}": permission denied')
    return path
