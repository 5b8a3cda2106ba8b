"""Control loops and kubelets in one event loop, each a client of the API of its own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jfsnb.sandbox.apimachinery.client import ApiClient, Informer
from jfsnb.sandbox.controllers import run_control
from jfsnb.sandbox.kubelet.kubelet import run_kubelet

if TYPE_CHECKING:
    from jfsnb.sandbox.runtime.tier import Tier

DRIVER = "csi.juicefs.com"


async def run_components(state: Path, nodes: Iterable[str], tier: Tier, ready: Callable[[], None]) -> None:
    """Run until SIGTERM; call ``ready`` once the CSI driver is registered on every live node."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    credentials = state / "credentials"
    work = [run_control(credentials / "control.kubeconfig", stop)]
    work += [run_kubelet(credentials / f"node-{n}.kubeconfig", n, state, tier, stop) for n in nodes]
    tasks = [asyncio.ensure_future(w) for w in work]
    announcing = asyncio.ensure_future(_announce(credentials / "control.kubeconfig", set(nodes), tier, ready))
    ended = asyncio.ensure_future(stop.wait())
    await asyncio.wait([*tasks, ended], return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    announcing.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    with contextlib.suppress(asyncio.CancelledError):
        await announcing
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def _announce(kubeconfig: Path, nodes: set[str], tier: Tier, ready: Callable[[], None]) -> None:
    """Wait for the world: the CSI driver on each live node, or nothing where no process can run."""
    if tier.name == "recorded":
        return ready()
    registered: set[str] = set()
    done = asyncio.Event()

    def see(_kind: str, csi_node: dict[str, Any], _old: dict[str, Any] | None) -> None:
        name = csi_node["metadata"]["name"]
        drivers = {d["name"] for d in (csi_node.get("spec") or {}).get("drivers") or ()}
        (registered.add if DRIVER in drivers else registered.discard)(name)
        if nodes <= registered:
            done.set()

    async with ApiClient.from_kubeconfig(kubeconfig) as api:
        watching = asyncio.ensure_future(Informer(api, "/apis/storage.k8s.io/v1/csinodes").run(see))
        await done.wait()
        watching.cancel()
    ready()
