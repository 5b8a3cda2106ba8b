"""Ask a program that nobody vouches for what it is: in a container of a node that is made for it, never on the machine.

    python -m jfsnb.sandbox.runtime.ask PROGRAM [ARGUMENT...]

Prints what it says; ends with its exit code, or with 125 where no container can be made.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

from jfsnb.errors import JfsnbError
from jfsnb.sandbox.images.catalogue import HOST_IMAGE
from jfsnb.sandbox.images.clients import NOT_ASKED
from jfsnb.sandbox.images.image import host_image
from jfsnb.sandbox.runtime.runtime import BindMount, ContainerSpec, Runtime, StartError
from jfsnb.sandbox.runtime.tier import detect

SECONDS, MOST_BYTES, MEMORY = 30.0, 1 << 16, 1 << 30
PLACE = "var/tmp/asked"


async def ask(program: Path, arguments: tuple[str, ...]) -> tuple[int, str]:
    """Run a program of this machine with nothing of this machine but its userland.

    Returns:
        Exit code and what it wrote, the first 64 KiB.

    Raises:
        JfsnbError: this machine does not allow containers, or the program cannot be started or does not end.
    """
    tier = detect()
    if tier.name == "recorded":
        raise JfsnbError(f"no container can be made for it: {tier.reason}", "ask on a machine with user namespaces")
    said = bytearray()
    with tempfile.TemporaryDirectory(prefix="jfsnb-a-", ignore_cleanup_errors=True) as folder:
        runtime = await Runtime.start(Path(folder), "asked", tier)
        try:
            inside = runtime.node_root / PLACE
            await asyncio.to_thread(shutil.copyfile, program, inside)
            inside.chmod(0o755 if os.access(program, os.X_OK) else 0o644)
            spec = ContainerSpec(
                id="asked",
                hostname="asked",
                image=host_image(HOST_IMAGE),
                argv=(f"/{PLACE}", *arguments),
                env={},
                mounts=(BindMount(f"/{PLACE}", f"/{PLACE}", read_only=True),),
                memory=MEMORY,
            )
            process = await runtime.run(spec, lambda stream, data: said.extend(data[: MOST_BYTES - len(said)]))
            code = await asyncio.wait_for(process.exited, SECONDS)
        except TimeoutError:
            raise JfsnbError(f"{program} did not answer within {SECONDS:.0f} s", "is it a client?") from None
        finally:
            await runtime.close()
    return code, said.decode(errors="replace")


def main() -> None:
    try:
        code, said = asyncio.run(ask(Path(sys.argv[1]), tuple(sys.argv[2:])))
    except (JfsnbError, StartError, OSError) as error:
        print(getattr(error, "what", error), file=sys.stderr)
        sys.exit(NOT_ASKED)
    sys.stdout.write(said)
    sys.exit(code)


if __name__ == "__main__":
    main()
