"""What this machine can do for a sandbox, found out by trying it in a throw-away child: never by version numbers."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace

from jfsnb.errors import UsageError
from jfsnb.sandbox.images.clients import cache_directory, have_any
from jfsnb.sandbox.runtime import cgroups, isolation, linux

TIERS = ("full", "namespaces", "recorded")


@dataclass(frozen=True)
class Tier:
    """What is real in a sandbox.

    Args:
        name: ``full`` (containers and FUSE mounts are real), ``namespaces`` (containers are real, but no client can
            mount) or ``recorded`` (nothing is executed).
        reason: what is real, why it is not a higher tier, and whether memory limits hold.
        limits: where the node makes cgroups for memory limits; None where it cannot.
    """

    name: str
    reason: str
    limits: cgroups.Place | None = None


def detect(force: str | None = None) -> Tier:
    """The best tier that this machine can do.

    Args:
        force: at most this tier; None reads JFSNB_TIER from the environment.

    Raises:
        UsageError: no such tier.
    """
    cap = force or os.environ.get("JFSNB_TIER") or "full"
    if cap not in TIERS:
        raise UsageError(f"{cap!r} is not a tier", f"use one of {', '.join(TIERS)}")
    if cap == "recorded":
        return Tier("recorded", "Nothing is executed: tier 'recorded' was asked for.")
    if sys.platform != "linux":
        return Tier("recorded", f"Nothing is executed: containers need Linux, this is {sys.platform}.")
    return with_limits(choose(_try_containers(), cap), cgroups.find_place())


def with_limits(tier: Tier, place: cgroups.Place | str) -> Tier:
    """A tier that says whether memory limits hold. Args: place: where cgroups can be made, or why nowhere."""
    if tier.name == "recorded":
        return tier
    if isinstance(place, str):
        return replace(tier, reason=f"{tier.reason} Memory limits do not hold: {place}.")
    return replace(tier, reason=f"{tier.reason} Memory limits hold (cgroups v{place.version}).", limits=place)


def with_clients(tier: Tier) -> Tier:
    """What is left of a tier with the clients that are there: without any, nothing can mount."""
    if tier.name != "full" or have_any():
        return tier
    why = f"there is no JuiceFS client in {cache_directory()}, and none could be fetched"
    return replace(tier, name="namespaces", reason=f"Containers are real, but nothing can mount: {why}.")


@dataclass(frozen=True)
class Trial:
    """``ok`` or what went wrong."""

    containers: str
    fuse: str


def choose(trial: Trial, cap: str) -> Tier:
    """The best tier that a trial allows; cap: at most this one."""
    if trial.containers != "ok":
        why = f"this machine does not allow containers in a user namespace: {trial.containers}"
        return Tier("recorded", f"Nothing is executed: {why}.")
    if cap == "full" and trial.fuse == "ok":
        return Tier("full", "Containers and FUSE mounts are real Linux processes in a user namespace.")
    no_fuse = trial.fuse if cap == "full" else f"tier {cap!r} was asked for"
    return Tier("namespaces", f"Containers are real in a user namespace, but no client can mount: {no_fuse}.")


def _try_containers() -> Trial:
    """Leave the machine's ids as the node agent does, then mount a FUSE file system as a client does."""
    report = _in_child(_make_namespaces)
    containers, _, fuse = report.partition("\n")
    return Trial(containers or "the trial ended without a word", fuse or "not tried")


def _make_namespaces(say: Callable[[str], None]) -> None:
    place = os.environ.get("JFSNB_STATE_HOME") or tempfile.gettempdir()
    try:
        isolation.leave(lambda stage: _stage_trial(stage, place), namespaces=linux.CLONE_NEWUTS | linux.CLONE_NEWIPC)
    except IdsNotTranslated as error:
        say(
            f"{place} is on a file system that cannot translate ids ({error.strerror}); set JFSNB_STATE_HOME to a "
            "directory on ext4, xfs, btrfs or a tmpfs, or start the sandbox as an ordinary user"
        )
        return
    say(_in_child(_mount_inside))


class IdsNotTranslated(OSError):
    """The sandbox's own files cannot be shown to a node whose ids are not the machine's."""


def _stage_trial(stage: isolation.Stage, place: str) -> None:
    """What the node's stage does, on top of a directory that there is everywhere (visible to this process only)."""
    try:
        stage.bind_own(place, "/mnt")
    except OSError as error:
        raise IdsNotTranslated(error.errno, error.strerror) from error
    stage.tmpfs("/mnt")
    if os.path.exists("/dev/fuse"):
        stage.device("/dev/fuse", "/mnt/fuse")


def _mount_inside(say: Callable[[str], None]) -> None:
    """PID 1 of the new namespace: a /proc of its own, then FUSE."""
    linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
    say("ok\n")
    fuse = os.open("/mnt/fuse", os.O_RDWR)
    linux.mount("trial", "/mnt", "fuse.trial", 0, f"fd={fuse},rootmode=40000,user_id=0,group_id=0,allow_other")
    say("ok")


def _in_child(work: Callable[[Callable[[str], None]], None]) -> str:
    """Run something in a forked child; everything that it says, and the error that ended it."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work(lambda text: _say(writing, text))
        except OSError as error:
            _say(writing, f"{error.filename or 'open'}: {error.strerror}")
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read().decode()
    os.waitpid(pid, 0)
    return text


def _say(fd: int, text: str) -> None:
    os.write(fd, text.encode())


if __name__ == "__main__":
    print(detect(*sys.argv[1:]).name)
