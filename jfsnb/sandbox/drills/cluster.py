"""The cluster as a drill uses it: objects by kind, waiting, commands in containers, log lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from jfsnb.driver import names
from jfsnb.errors import ConflictError, SandboxError, WaitTimeout
from jfsnb.sandbox.apimachinery import remote_exec
from jfsnb.sandbox.apimachinery.client import ApiClient, ApiError, Informer, Obj

NAMESPACE = "juicefs-system"
ABOUT = "/api/v1/namespaces/kube-system/configmaps/jfsnb-sandbox"
RECORDED = "sandbox.jfsnb.io/recorded"
SECONDS = 60.0
#: kind → path before the namespace, plural, whether it is in a namespace.
KINDS = {
    "Pod": ("/api/v1", "pods", True),
    "Secret": ("/api/v1", "secrets", True),
    "ConfigMap": ("/api/v1", "configmaps", True),
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims", True),
    "PersistentVolume": ("/api/v1", "persistentvolumes", False),
    "Node": ("/api/v1", "nodes", False),
    "CSINode": ("/apis/storage.k8s.io/v1", "csinodes", False),
    "StorageClass": ("/apis/storage.k8s.io/v1", "storageclasses", False),
    "DaemonSet": ("/apis/apps/v1", "daemonsets", True),
    "Job": ("/apis/batch/v1", "jobs", True),
}
OF_THE_SERVER = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink")


def path_of(kind: str, name: str = "", namespace: str = NAMESPACE) -> str:
    prefix, plural, namespaced = KINDS[kind]
    place = f"/namespaces/{namespace}" if namespaced else ""
    return f"{prefix}{place}/{plural}" + (f"/{name}" if name else "")


class Cluster(ApiClient):
    """The API server of a sandbox, with what drills need beyond plain requests."""

    async def find(self, kind: str, name: str, namespace: str = NAMESPACE) -> Obj | None:
        """An object, or None when there is none."""
        try:
            return await self.get(path_of(kind, name, namespace))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def make(self, obj: Obj) -> None:
        """Create an object, its status too, where it has one.

        Raises:
            ConflictError: it is there already.
        """
        kind, meta = obj["kind"], obj["metadata"]
        namespace = meta.get("namespace", NAMESPACE)
        try:
            await self.create(path_of(kind, "", namespace), obj)
        except ApiError as error:
            if error.status == 409:
                what = f"{kind} {meta['name']} is there already"
                raise ConflictError(what, "mend the drill that made it: jfsnb sandbox mend NAME") from error
            raise
        if "status" in obj:
            await self.patch(path_of(kind, meta["name"], namespace) + "/status", {"status": obj["status"]})

    async def remove(self, kind: str, name: str, namespace: str = NAMESPACE, now: bool = False) -> None:
        """Delete an object and wait until it is gone; fine when there is none."""
        try:
            await self.delete(path_of(kind, name, namespace), gracePeriodSeconds=0 if now else None)
        except ApiError as error:
            if error.status != 404:
                raise
        await self.gone(kind, f"{kind} {name}", namespace, fieldSelector=f"metadata.name={name}")

    async def gone(self, kind: str, what: str, namespace: str = NAMESPACE, **selectors: Any) -> None:
        await self.until(path_of(kind, "", namespace), lambda found: not found, f"{what} to go away", **selectors)

    async def until(
        self, path: str, condition: Callable[[list[Obj]], Any], what: str, seconds: float = SECONDS, **selectors: Any
    ) -> Any:
        """Watch a list until something is true of it; returns what the condition returned.

        Raises:
            WaitTimeout: it did not become true in time.
        """
        changed = asyncio.Event()
        informer = Informer(self, path, **selectors)
        informer.add_handler(lambda *_: changed.set())
        running = asyncio.create_task(informer.run())
        try:
            async with asyncio.timeout(seconds):
                await informer.synced.wait()
                while not (found := condition(list(informer.store.values()))):
                    changed.clear()
                    await changed.wait()
                return found
        except TimeoutError:
            raise WaitTimeout(
                f"waited {seconds:.0f} s for {what}", "look at the events: kubectl get events -A"
            ) from None
        finally:
            running.cancel()

    # ---------------------------------------------------------------- the driver's Pods

    async def live_node(self) -> str:
        """A node that runs what is bound to it."""
        nodes = (await self.list(path_of("Node")))["items"]
        return next(str(n["metadata"]["name"]) for n in nodes if not is_recorded(n))

    async def csi_node_pod(self) -> str:
        """The CSI node Pod of the live node."""
        field = f"spec.nodeName={await self.live_node()}"
        path, what, label = path_of("Pod"), "the CSI node Pod", "app=juicefs-csi-node"
        return str(await self.until(path, _first_ready, what, labelSelector=label, fieldSelector=field))

    async def registered(self) -> None:
        """Wait until the live node's kubelet knows the driver."""
        node = f"metadata.name={await self.live_node()}"

        def listed(found: list[Obj]) -> bool:
            return any(d["name"] == names.DRIVER for n in found for d in n["spec"].get("drivers") or ())

        await self.until(path_of("CSINode"), listed, "the driver's registration", fieldSelector=node)

    async def mount_pod(self, volume: str, condition: Callable[[Obj], bool] = lambda _: True) -> Obj:
        """The newest Mount Pod of a volume that meets a condition; waited for."""
        selector = f"{names.MOUNT_POD_SELECTOR},volume-id={volume}"

        def newest(found: list[Obj]) -> Obj | None:
            kept = [p for p in found if "deletionTimestamp" not in p["metadata"] and condition(p)]
            return max(kept, key=lambda p: int(p["metadata"]["resourceVersion"]), default=None)

        pod: Obj = await self.until(path_of("Pod"), newest, f"a Mount Pod of {volume}", labelSelector=selector)
        return pod

    # ---------------------------------------------------------------- containers

    async def execute(self, pod: str, command: str, container: str) -> str:
        """What a shell command writes in a container.

        Raises:
            SandboxError: it ended with another exit code than 0.
        """
        try:
            return await remote_exec.run(self, path_of("Pod", pod), container, ["sh", "-c", command])
        except remote_exec.ExecFailed as error:
            raise SandboxError(f"{command!r} in {pod}: {error}") from error

    async def lines(self, pod: str, container: str, follow: bool = False) -> AsyncIterator[str]:
        """A container's log from its beginning; with ``follow`` it goes on with what comes."""
        assert self._session is not None
        query = {"container": container, "follow": str(follow).lower()}
        address = self.server + path_of("Pod", pod) + "/log"
        async with self._session.get(address, headers=self._headers(), params=query) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                yield line.decode("utf-8", "replace").rstrip("\n")


def is_recorded(obj: Mapping[str, Any]) -> bool:
    return (obj["metadata"].get("annotations") or {}).get(RECORDED) == "true"


def is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _first_ready(pods: list[Obj]) -> str:
    return next((p["metadata"]["name"] for p in pods if is_ready(p) and "deletionTimestamp" not in p["metadata"]), "")


def bare(obj: Obj) -> Obj:
    """An object as it could be created again."""
    meta = {k: v for k, v in obj["metadata"].items() if k not in OF_THE_SERVER}
    return {**{k: v for k, v in obj.items() if k != "status"}, "metadata": meta}
