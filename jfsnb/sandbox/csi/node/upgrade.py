"""``juicefs-csi-driver upgrade MOUNT-POD [--recreate]`` in the CSI node Pod: asks the driver that runs there (§3.8)."""

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
LAST_WORDS = ("POD-SUCCESS", "POD-FAIL")


def ask(name: str, recreate: bool, path: str = SOCKET) -> None:
    """Have a Mount Pod upgraded and print what the driver says, each line with its time.

    Raises:
        OSError: no driver listens.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(f"{name} {'RECREATE' if recreate else 'NORECREATE'}".encode())
        with connection.makefile("r", encoding="utf-8") as answers:
            for line in answers:
                print(f"{datetime.now():%Y-%m-%d %H:%M:%S} {line.rstrip()}", flush=True)
                if line.startswith(LAST_WORDS):
                    return


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="juicefs-csi-driver", description="The sandbox's JuiceFS CSI driver")
    commands = parser.add_subparsers(dest="command", required=True)
    upgrade = commands.add_parser("upgrade", help="upgrade mount pod smoothly")
    upgrade.add_argument("name", nargs="?", default="")
    upgrade.add_argument("--recreate", action="store_true", help="smoothly upgrade the mount pod with recreate")
    given = parser.parse_args(argv)
    if os.environ.get("DISABLE_GRACE_UPGRADE", "").lower() == "true":
        log.info("smooth upgrade is disabled by environment variable", env="DISABLE_GRACE_UPGRADE")
        return 1
    if not given.name:
        node = os.environ.get("NODE_NAME", "")
        log.info("please specify the name of the mount pod which you want to upgrade", node=node)
        return 1
    try:
        ask(given.name, given.recreate)
    except OSError as error:
        log.error(error, "failed to upgrade mount pod")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
