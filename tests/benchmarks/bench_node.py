"""How fast a live node starts containers. Prints figures; asserts nothing.

python tests/benchmarks/bench_node.py [rounds]
"""

from __future__ import annotations

import asyncio
import functools
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from jfsnb.sandbox.images.catalogue import BASELINE, CATALOGUE, TESTED
from jfsnb.sandbox.images.images import ImageStore
from jfsnb.sandbox.images.progress import on_stderr
from jfsnb.sandbox.images.wheels import fetch_clients
from jfsnb.sandbox.runtime.runtime import BindMount, ContainerSpec, Runtime
from jfsnb.sandbox.runtime.tier import detect

META = "sqlite3:///var/lib/jfsnb-store/m.db"
FORMAT = f"juicefs --no-agent -q format --storage=file --bucket=/var/lib/jfsnb-store/objects/ {META} myfs"


async def measure(what: str, rounds: int, once: Callable[[int], Awaitable[float]]) -> None:
    times = sorted([await once(n) * 1000 for n in range(rounds)])
    print(f"{what:45} median {statistics.median(times):6.1f} ms   max {times[-1]:6.1f} ms   ({rounds} times)")


async def main(rounds: int) -> None:
    begun = time.perf_counter()
    tier = detect()
    print(f"{tier.name}: {tier.reason}\n{'detect':45} {(time.perf_counter() - begun) * 1000:13.1f} ms")
    with tempfile.TemporaryDirectory() as directory:
        begun = time.perf_counter()
        runtime = await Runtime.start(Path(directory), "node1", tier)
        print(f"{'node start':45} {(time.perf_counter() - begun) * 1000:13.1f} ms")
        try:
            await _containers(runtime, ImageStore(Path(directory)), rounds)
            if tier.name == "full":
                fetch_clients([CATALOGUE[BASELINE], CATALOGUE[TESTED]], on_stderr)
                await _mount_pods(runtime, ImageStore(Path(directory)), rounds)
        finally:
            begun = time.perf_counter()
            await runtime.close()
            print(f"{'node end':45} {(time.perf_counter() - begun) * 1000:13.1f} ms")


async def _containers(runtime: Runtime, images: ImageStore, rounds: int) -> None:
    image = images.find("local/debian:bookworm")

    async def first_output(name: str, argv: tuple[str, ...]) -> float:
        begun, seen = time.perf_counter(), asyncio.Event()
        process = await runtime.run(ContainerSpec(name, "pod", image, argv, {}), lambda stream, data: seen.set())
        await seen.wait()
        took = time.perf_counter() - begun
        await process.exited
        return took

    async def execute(number: int) -> float:
        begun = time.perf_counter()
        await (await runtime.exec("long", ["true"])).exited
        return time.perf_counter() - begun

    async def fifty(number: int) -> float:
        begun = time.perf_counter()
        await asyncio.gather(*(first_output(f"p{number}-{n}", ("echo", "x")) for n in range(50)))
        return time.perf_counter() - begun

    await measure("container: first output", rounds, lambda n: first_output(f"c{n}", ("echo", "x")))
    process = await runtime.run(ContainerSpec("long", "pod", image, ("sleep", "1000"), {}), lambda stream, data: None)
    await measure("exec of true: exit code", rounds, execute)
    await measure("50 containers at once: all done", 3, fifty)
    process.kill()
    await process.exited


async def _mount_pods(runtime: Runtime, images: ImageStore, rounds: int) -> None:
    mounts = (
        BindMount("/var/lib/juicefs/volume", "/jfs", propagation="Bidirectional"),
        BindMount("/var/lib/jfsnb-store", "/var/lib/jfsnb-store"),
    )

    async def mounted(image: str, number: int) -> float:
        name = f"m{number}-{image[-7:]}"
        argv = ("sh", "-c", f"JFS_FOREGROUND=1 exec mount.juicefs {META} /jfs/{name}")
        spec = ContainerSpec(name, name, images.find(image), argv, {}, privileged=True, mounts=mounts)
        begun = time.perf_counter()
        process = await runtime.run(spec, lambda stream, data: None)
        while not any(m.mount_point.endswith(name) for m in await runtime.mounts()):
            await asyncio.sleep(0.002)
        took = time.perf_counter() - begun
        process.kill()
        await process.exited
        await runtime.unmount(f"/var/lib/juicefs/volume/{name}", lazy=True)
        return took

    spec = ContainerSpec("f", "f", images.find(BASELINE), ("sh", "-c", FORMAT), {}, mounts=mounts)
    await (await runtime.run(spec, lambda stream, data: None)).exited
    for image in (BASELINE, TESTED):
        await measure(
            f"mount in the node, {image.rpartition(':')[2]}", min(rounds, 10), functools.partial(mounted, image)
        )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 30))
