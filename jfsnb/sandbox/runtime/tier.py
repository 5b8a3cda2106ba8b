"""What this machine can do for a sandbox, found out by trying it in a throw-away child: never by version numbers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from jfsnb.errors import UsageError
from jfsnb.sandbox.images.clients import cache_directory, have_any
from jfsnb.sandbox.runtime import cgroups, linux

TIERS = ("full", "namespaces", "recorded")


@dataclass(frozen=True)
class Tier:
    """What is real in a sandbox.

    Args:
        name: ``full`` (containers and FUSE mounts are real), ``namespaces`` (containers are real, but no client can
            mount) or ``recorded`` (nothing is executed).
        userns: containers run in a user namespace of their own.
        reason: what is real, why it is not a higher tier, and whether memory limits hold.
        limits: where the node makes cgroups for memory limits; None where it cannot.
    """

    name: str
    userns: bool
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
        return Tier("recorded", False, "Nothing is executed: tier 'recorded' was asked for.")
    if sys.platform != "linux":
        return Tier("recorded", False, f"Nothing is executed: containers need Linux, this is {sys.platform}.")
    results = {True: _try_containers(userns=True)}
    if results[True].fuse != "ok":
        results[False] = _try_containers(userns=False)
    return with_limits(choose(results, cap), cgroups.find_place())


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


def choose(results: dict[bool, Trial], cap: str) -> Tier:
    """The best tier that the trials allow.

    Args:
        results: by whether they were made in a user namespace; the better way first.
        cap: at most this tier.
    """
    how = {True: "in a user namespace", False: "as root of this machine"}
    no_fuse = next((t.fuse for t in results.values() if t.containers == "ok"), "")
    if cap == "full":
        for userns, trial in results.items():
            if trial.containers == trial.fuse == "ok":
                return Tier("full", userns, f"Containers and FUSE mounts are real Linux processes {how[userns]}.")
    else:
        no_fuse = f"tier {cap!r} was asked for"
    for userns, trial in results.items():
        if trial.containers == "ok":
            return Tier("namespaces", userns, f"Containers are real {how[userns]}, but no client can mount: {no_fuse}.")
    why = "; ".join(f"{how[userns]}: {trial.containers}" for userns, trial in results.items())
    return Tier("recorded", False, f"Nothing is executed: this machine does not allow containers ({why}).")


def _try_containers(userns: bool) -> Trial:
    """Make namespaces as the node agent does, then mount a FUSE file system as a client does."""
    report = _in_child(lambda say: _make_namespaces(userns, say))
    containers, _, fuse = report.partition("\n")
    return Trial(containers or "the trial ended without a word", fuse or "not tried")


def _make_namespaces(userns: bool, say: Callable[[str], None]) -> None:
    if userns:
        linux.enter_user_namespace()
    linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWPID | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC)
    say(_in_child(_mount_inside))


def _mount_inside(say: Callable[[str], None]) -> None:
    """PID 1 of the new namespace: a /proc of its own, then FUSE on top of /tmp (visible to this process only)."""
    linux.set_propagation("/", linux.MS_PRIVATE)
    linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
    linux.mount("trial", "/tmp", "tmpfs")
    say("ok\n")
    fuse = os.open("/dev/fuse", os.O_RDWR)
    linux.mount("trial", "/tmp", "fuse.trial", 0, f"fd={fuse},rootmode=40000,user_id=0,group_id=0,allow_other")
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
