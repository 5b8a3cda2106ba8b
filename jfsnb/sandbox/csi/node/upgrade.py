"""``juicefs-csi-driver upgrade`` in the CSI node Pod: asks the driver that runs there (§3.8, §3.9).

juicefs-csi-driver upgrade MOUNT-POD [--recreate]
juicefs-csi-driver upgrade BATCH --batchConfig CONFIG-MAP --batchIndex NUMBER
juicefs-csi-driver upgrade list
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from datetime import datetime

from jfsnb.sandbox.csi.klog import Logger

log = Logger("main")
SOCKET = "/tmp/juicefs-csi-shutdown.sock"
LAST_WORDS, LAST_OF_BATCH = ("POD-SUCCESS", "POD-FAIL"), ("CRT-BATCH",)
BATCH = "BATCH"


def ask(request: str, path: str = SOCKET) -> None:
    """Hand a request to the driver and print what it says, each line with its time.

    Args:
        request: see ``Upgrader.serve``.

    Raises:
        OSError: no driver listens.
    """
    last = LAST_OF_BATCH if request.startswith(f"{BATCH} ") else LAST_WORDS
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(request.encode())
        with connection.makefile("r", encoding="utf-8") as answers:
            for line in answers:
                print(f"{datetime.now():%Y-%m-%d %H:%M:%S} {line.rstrip()}", flush=True)
                if line.startswith(last):
                    return


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="juicefs-csi-driver", description="The sandbox's JuiceFS CSI driver")
    commands = parser.add_subparsers(dest="command", required=True)
    upgrade = commands.add_parser("upgrade", help="upgrade mount pod smoothly")
    upgrade.add_argument("name", nargs="?", default="")
    upgrade.add_argument("--recreate", action="store_true", help="smoothly upgrade the mount pod with recreate")
    upgrade.add_argument("--batchConfig", default="", help="batch config name")
    upgrade.add_argument("--batchIndex", type=int, default=1, help="current batch index")
    given = parser.parse_args(argv)
    if os.environ.get("DISABLE_GRACE_UPGRADE", "").lower() == "true":
        log.info("smooth upgrade is disabled by environment variable", env="DISABLE_GRACE_UPGRADE")
        return 1
    if not given.name:
        node = os.environ.get("NODE_NAME", "")
        log.info("please specify the name of the mount pod which you want to upgrade", node=node)
        return 1
    try:
        if given.name == BATCH:  # a batch is always upgraded by re-creation
            ask(f"{BATCH} RECREATE batchConfig={given.batchConfig},batchIndex={given.batchIndex}")
        else:
            ask(f"{given.name} {'RECREATE' if given.recreate else 'NORECREATE'}")
    except OSError as error:
        log.error(error, "failed to upgrade mount pod")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
