"""One container of a Pod: its image is found, it is started, watched, started again, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from jfsnb.sandbox.apimachinery.client import ApiError, Obj
from jfsnb.sandbox.kubelet.containers import env
from jfsnb.sandbox.kubelet.containers.backoff import (
    CONTAINER_INITIAL,
    CONTAINER_LONGEST,
    BackOff,
    go_duration,
    restarts,
)
from jfsnb.sandbox.kubelet.containers.configure import container_spec
from jfsnb.sandbox.kubelet.containers.grace import Grace
from jfsnb.sandbox.kubelet.containers.handlers import Target, act
from jfsnb.sandbox.kubelet.containers.image_pull import Puller
from jfsnb.sandbox.kubelet.containers.probes import KINDS, Prober
from jfsnb.sandbox.kubelet.containers.security import Identity
from jfsnb.sandbox.kubelet.context import RUNTIME_NAME
from jfsnb.sandbox.kubelet.status import NEVER_STARTED, ContainerRecord, stamp
from jfsnb.sandbox.kubelet.volumes.content import VolumeError
from jfsnb.sandbox.kubelet.volumes.paths import outside, pod_directory
from jfsnb.sandbox.runtime.logs import ContainerLog
from jfsnb.sandbox.runtime.process import Process
from jfsnb.sandbox.runtime.runtime import ContainerSpec, StartError

if TYPE_CHECKING:
    from jfsnb.sandbox.images.image import Image
    from jfsnb.sandbox.kubelet.pod_worker import PodWorker

NEXT_LOOK = 1.0  # seconds between an exit and the kubelet noticing that it has to wait
REMIND = 12.0  # seconds between two events of one back-off
SHORTEST_STOP = 2.0  # seconds that a container gets after its preStop hook, whatever is left
LONGEST_MESSAGE = 4096  # bytes of a termination message
HOOK_SECONDS = 600.0
TROUBLE = (ApiError, aiohttp.ClientError, OSError, TimeoutError)
EPOCH = "1970-01-01T00:00:00Z"


class Container:
    """A container over all its starts.

    Args:
        pod: the Pod's worker.
        spec: entry of ``spec.containers`` or ``spec.initContainers``.
        kind: ``init``, ``sidecar`` or ``main``.
    """

    def __init__(self, pod: PodWorker, spec: Obj, kind: str) -> None:
        self.pod, self.spec, self.kind = pod, spec, kind
        waiting = {"waiting": {"reason": "PodInitializing" if pod.has_inits else "ContainerCreating"}}
        self.record = ContainerRecord(spec["name"], kind, spec["image"], waiting)
        self.process: Process | None = None
        self.id = ""
        self.env: dict[str, str] = {}
        self.identity = Identity()
        self.log: ContainerLog | None = None
        self.previous_log: Path | None = None
        self.up = asyncio.Event()  # started for the first time, startup probe included
        self._puller = Puller(self)
        self._redefined = False
        self._backoff = BackOff(CONTAINER_INITIAL, CONTAINER_LONGEST)
        self._ended_at = 0.0
        self._watch: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()  # probes, and a kill that a probe asked for

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def policy(self) -> str:
        if self.kind == "sidecar":
            return "Always"
        policy = str(self.pod.obj["spec"].get("restartPolicy", "Always"))
        return "OnFailure" if self.kind == "init" and policy == "Always" else policy

    def event(self, kind: str, reason: str, message: str) -> None:
        self.pod.node.event(self.pod.obj, kind, reason, message, self.name, init=self.kind != "main")

    def set(self, **changes: Any) -> None:
        """Change the record; the Pod's status follows."""
        self.record = replace(self.record, **changes)
        self.pod.changed()

    def wait_for(self, reason: str, message: str = "") -> None:
        """Show the container as waiting; what it was before stays visible as its last state."""
        waiting = {"reason": reason, **({"message": message} if message else {})}
        last = self.record.state if "terminated" in self.record.state else self.record.last_state
        self.set(state={"waiting": waiting}, last_state=last, ready=False, started=False)

    # ------------------------------------------------------------ life

    async def supervise(self) -> None:
        """Start it, and start it again, until it has ended for good."""
        while True:
            await self._start()
            if self._watch is not None:
                await asyncio.shield(self._watch)
            if self._redefined:
                self._redefined = False
                continue
            if not restarts(self.policy, self.record.exit_code or 0):
                return
            await self._back_off()

    def redefine(self, spec: Obj) -> None:
        """Another image (all that may be changed of a container): a running one is started anew with it."""
        old, self.spec = self.spec, spec
        if old["image"] != spec["image"] and self.process is not None and self.kind != "init":
            self._redefined = True
            self.event("Normal", "Killing", f"Container {self.name} definition changed, will be restarted")
            self._spawn(self.stop(Grace(self.pod.grace_seconds)))
        if old["image"] != spec["image"]:
            self.set(image=spec["image"])

    async def _start(self) -> None:
        image, spec = await self._configured()
        starting = asyncio.ensure_future(self._launch(image, spec))
        try:
            started = await asyncio.shield(starting)
        except asyncio.CancelledError:
            await starting  # a process that runs must be known, so that it can be stopped
            raise
        if started:
            await self._after_start()

    async def _configured(self) -> tuple[Image, ContainerSpec]:
        """Image and settings; tried again until all that the container names is there."""
        while True:
            resync = self.pod.resync.next
            image = await self._puller.pull()
            try:
                return image, await container_spec(self, image)
            except (env.ConfigError, VolumeError) as error:
                self.event("Warning", "Failed", f"Error: {error}")
                self.wait_for("CreateContainerConfigError", str(error))
            except TROUBLE:  # the API server cannot be reached
                await asyncio.sleep(NEXT_LOOK)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(resync.wait(), self.pod.node.sync_seconds)

    async def _launch(self, image: Image, spec: ContainerSpec) -> bool:
        """Run the process; whether it runs."""
        again = bool(self.record.container_id)
        count = self.record.restart_count + (1 if again else 0)
        if self.log is not None:
            if self.previous_log is not None:
                self.previous_log.unlink(missing_ok=True)
            self.previous_log = self.log.path
        self.log = ContainerLog(self.pod.log_directory / self.name / f"{count}.log")
        last = self.record.state if "terminated" in self.record.state else self.record.last_state
        begun = {"image_id": image.id, "restart_count": count, "last_state": last}
        self.id, container_id = spec.id, f"{RUNTIME_NAME}://{spec.id}"
        self.event("Normal", "Created", "Container created")
        try:
            self.process = await self.pod.node.runtime.run(spec, self.log.write)
        except StartError as error:
            self.log.close()
            self.event("Warning", "Failed", f"Error: {error}")
            ended = {"exitCode": 128, "reason": "StartError", "message": str(error)}
            times = {"startedAt": EPOCH, "finishedAt": stamp(), "containerID": container_id}
            self._ended_at, self._watch = self._now(), None
            self.set(state={"terminated": {**ended, **times}}, container_id=container_id, **begun)
            return False
        self.event("Normal", "Started", "Container started")
        self._begun = {**begun, "container_id": container_id}
        self._started_at = stamp()
        self._watch = asyncio.create_task(self._until_exit(self.process))
        return True

    async def _until_exit(self, process: Process) -> None:
        code = await asyncio.shield(process.exited)
        self._ended_at = self._now()
        self._stop_probes()
        if self.log is not None:
            self.log.close()
        reason = "OOMKilled" if process.oom_killed else "Completed" if code == 0 else "Error"
        ended: Obj = {"exitCode": code, "reason": reason}
        message = self._termination_message(code)
        if message:
            ended["message"] = message
        ended |= {"startedAt": self._started_at, "finishedAt": stamp(), "containerID": self._begun["container_id"]}
        self.process = None
        self.set(state={"terminated": ended}, ready=False, started=False, **self._begun)

    async def _after_start(self) -> None:
        """The postStart hook, then "running"; a container whose hook failed is killed."""
        hook = (self.spec.get("lifecycle") or {}).get("postStart")
        if hook:
            outcome = await act(hook, self.target(), HOOK_SECONDS)
            if not outcome.ok:
                self.event("Warning", "FailedPostStartHook", "PostStartHook failed")
                self.event("Normal", "Killing", "FailedPostStartHook")
                await self.stop(Grace(self.pod.grace_seconds))
                return
        if self.process is None:
            return
        started, ready = "startupProbe" not in self.spec, "readinessProbe" not in self.spec
        running = {"running": {"startedAt": self._started_at}}
        self.set(state=running, started=started, ready=started and ready, **self._begun)
        if started:
            self.up.set()
        self._probe("startup" if not started else "")

    async def _back_off(self) -> None:
        """Wait until the next start is due; the first restart is due at once."""
        remaining = self._backoff.remaining(self._now(), self._ended_at)
        if remaining > 0:
            meta = self.pod.obj["metadata"]
            where = f"{meta['name']}_{meta['namespace']}({meta['uid']})"
            await asyncio.sleep(min(NEXT_LOOK, remaining))
            delay = go_duration(self._backoff.delay)
            self.wait_for("CrashLoopBackOff", f"back-off {delay} restarting failed container={self.name} pod={where}")
        while (remaining := self._backoff.remaining(self._now(), self._ended_at)) > 0:
            self.event("Warning", "BackOff", f"Back-off restarting failed container {self.name} in pod {where}")
            await asyncio.sleep(min(REMIND, remaining))
        self._backoff.next(self._now(), self._ended_at)

    # ------------------------------------------------------------ stopping

    async def stop(self, grace: Grace) -> None:
        """preStop hook, SIGTERM, and SIGKILL when the time is up. Returns when the process is gone."""
        process, watch = self.process, self._watch
        if process is None or watch is None:
            return
        self._stop_probes(but=asyncio.current_task())
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if hook and grace.left > 0:
            await self._pre_stop(hook, grace)
            if grace.left < SHORTEST_STOP:
                grace = Grace(SHORTEST_STOP)
        with contextlib.suppress(ProcessLookupError):
            await process.signal(self._stop_signal())
        if not await grace.wait(watch):
            with contextlib.suppress(ProcessLookupError):
                await process.signal(signal.SIGKILL)
        await asyncio.shield(watch)

    async def _pre_stop(self, hook: Obj, grace: Grace) -> None:
        running = asyncio.ensure_future(act(hook, self.target(), HOOK_SECONDS))
        exited = asyncio.ensure_future(grace.wait(running))
        assert self._watch is not None
        await asyncio.wait([exited, self._watch], return_when=asyncio.FIRST_COMPLETED)
        exited.cancel()
        if not running.done():
            running.cancel()
            await asyncio.wait([running])
        elif not running.result().ok:
            self.event("Warning", "FailedPreStopHook", "PreStopHook failed")

    def _stop_signal(self) -> int:
        name = str((self.spec.get("lifecycle") or {}).get("stopSignal"))
        return int(signal.Signals[name]) if name in signal.Signals.__members__ else int(signal.SIGTERM)

    def never_started(self) -> None:
        """The Pod ended before this container began."""
        if "waiting" in self.record.state and not self.record.last_state:
            self.set(state={"terminated": dict(NEVER_STARTED)}, ready=False, started=False)
        elif "waiting" in self.record.state:
            self.set(state=self.record.last_state)

    # ------------------------------------------------------------ probes and commands

    def _probe(self, kind: str) -> None:
        """Start the startup probe alone, or the other two."""
        for each in ("startup",) if kind else ("readiness", "liveness"):
            probe = self.spec.get(f"{each}Probe")
            if probe:
                prober = Prober(each, probe, self.target(), self._verdict, self._complain)
                self._spawn(prober.run())

    def _complain(self, text: str) -> None:
        self.event("Warning", "Unhealthy", text)

    def _verdict(self, kind: str, good: bool) -> None:
        if kind == "readiness" and self.record.ready != good:
            self.set(ready=good)
        elif kind == "startup" and good:
            self.set(started=True, ready="readinessProbe" not in self.spec)
            self.up.set()
            self._probe("")
        elif kind != "readiness" and not good:
            again = ", will be restarted" if restarts(self.policy, 1) else ""
            self.event("Normal", "Killing", f"Container {self.name} failed {KINDS[kind].lower()} probe{again}")
            own = (self.spec.get(f"{kind}Probe") or {}).get("terminationGracePeriodSeconds")
            self._stop_probes()
            self._spawn(self.stop(Grace(float(own or self.pod.grace_seconds))))

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _stop_probes(self, but: asyncio.Task[Any] | None = None) -> None:
        for task in self._tasks - {but}:
            task.cancel()

    def target(self) -> Target:
        return Target(self.spec, self.pod.ip, self.output_of)

    async def output_of(self, command: Sequence[str]) -> tuple[int, bytes]:
        """Run a command in the container; exit code and everything that it printed.

        Raises:
            OSError: it cannot be started.
        """
        output: list[bytes] = []
        try:
            process = await self.exec(command, on_output=lambda _stream, data: output.append(data))
        except StartError as error:
            raise OSError(str(error)) from None
        try:
            return await asyncio.shield(process.exited), b"".join(output)
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                await process.signal(signal.SIGKILL)
            raise

    async def exec(self, command: Sequence[str], **options: Any) -> Process:
        """Start a command in the container, as its user and with its environment.

        Raises:
            StartError: it cannot be started, or the container does not run.
        """
        if self.process is None:
            raise StartError(f"container not running ({self.id})")
        known = {"env": self.env, "uid": self.identity.uid}
        return await self.pod.node.runtime.exec(self.id, tuple(command), **{**known, **options})

    def _termination_message(self, code: int) -> str:
        path = outside(self.pod.node.root, self.termination_file)
        try:
            text = path.read_bytes()[:LONGEST_MESSAGE]
        except OSError:
            text = b""
        if not text and code and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError" and self.log:
            entries = [line.split(b" ", 3) for line in self.log.path.read_bytes().splitlines()[-80:]]
            text = b"".join(line + (b"\n" if tag == b"F" else b"") for _, _, tag, line in entries)[-2048:]
        return text.decode("utf-8", "replace")

    @property
    def termination_file(self) -> str:
        """The node's path of what the container sees at its terminationMessagePath."""
        return f"{pod_directory(self.pod.uid)}/containers/{self.name}/termination-log"

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
