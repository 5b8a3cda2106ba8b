"""Getting a container's image, with the states and events that a kubelet shows meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from jfsnb.sandbox.images.image import ImageNotFound
from jfsnb.sandbox.kubelet.containers.backoff import IMAGE_INITIAL, IMAGE_LONGEST, BackOff

if TYPE_CHECKING:
    from jfsnb.sandbox.images.image import Image
    from jfsnb.sandbox.kubelet.containers.containers import Container

NEXT_LOOK = 1.0  # seconds until ErrImagePull becomes ImagePullBackOff
REMIND = 12.0  # seconds between two events of one back-off


class Puller:
    """Finds the image of one container, as often as its image pull policy and back-off say."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._backoff = BackOff(IMAGE_INITIAL, IMAGE_LONGEST)

    async def pull(self) -> Image:
        """The image; waits for ever when there is none."""
        name = str(self._container.spec["image"])
        while True:
            image = await self._try(name)
            if image is not None:
                return image

    async def _try(self, name: str) -> Image | None:
        container, images = self._container, self._container.pod.node.images
        policy = container.spec.get("imagePullPolicy") or "IfNotPresent"
        try:
            if policy != "Always":
                image = images.find(name)
                present = f'Container image "{name}" already present on machine and can be accessed by the pod'
                container.event("Normal", "Pulled", present)
                return image
        except ImageNotFound:
            if policy == "Never":
                await self._never(name)
                return None
        container.event("Normal", "Pulling", f'Pulling image "{name}"')
        begun = asyncio.get_running_loop().time()
        try:
            image = await asyncio.to_thread(images.pull, name)
        except ImageNotFound as error:
            await self._failed(name, error.what)
            return None
        took = go_milliseconds(asyncio.get_running_loop().time() - begun)
        container.event("Normal", "Pulled", f'Successfully pulled image "{name}" in {took} ({took} including waiting)')
        return image

    async def _never(self, name: str) -> None:
        message = f'Container image "{name}" is not present with pull policy of Never'
        self._container.event("Warning", "ErrImageNeverPull", message)
        self._container.event("Warning", "Failed", "Error: ErrImageNeverPull")
        self._container.wait_for("ErrImageNeverPull", message)
        await self._container.pod.resync.within(self._container.pod.node.sync_seconds)

    async def _failed(self, name: str, why: str) -> None:
        container, clock = self._container, asyncio.get_running_loop().time
        container.event("Warning", "Failed", f'Failed to pull image "{name}": {why}')
        container.event("Warning", "Failed", "Error: ErrImagePull")
        container.wait_for("ErrImagePull", why)
        failed_at = clock()
        self._backoff.next(failed_at, failed_at)
        await asyncio.sleep(NEXT_LOOK)
        while (left := self._backoff.remaining(clock(), failed_at)) > 0:
            container.event("Normal", "BackOff", f'Back-off pulling image "{name}"')
            container.event("Warning", "Failed", "Error: ImagePullBackOff")
            await container.pod.node.recorder.flush()
            container.wait_for("ImagePullBackOff", f'Back-off pulling image "{name}": ErrImagePull: {why}')
            await asyncio.sleep(min(REMIND, left))


def go_milliseconds(seconds: float) -> str:
    """As Go prints a short duration that was rounded to milliseconds: ``12ms``, ``1.25s``."""
    return f"{round(seconds * 1000)}ms" if seconds < 1 else f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
