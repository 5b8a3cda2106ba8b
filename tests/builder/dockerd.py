"""A Docker engine of one's own: its own data, socket, mount and pid namespace; no bridge, no firewall rules."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

READY = "API listen on"
SECONDS = 30


def why_not() -> str:
    """Why no engine can be started here; empty when one can."""
    if os.geteuid() != 0:
        return "a private dockerd needs root"
    missing = [name for name in ("dockerd", "docker", "unshare") if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


@contextmanager
def private_dockerd(folder: Path | None = None) -> Iterator[str]:
    """Start one; the address for DOCKER_HOST. It ends with the block (and with this process)."""
    short = tempfile.mkdtemp(prefix="jfsnb-dk-", dir=folder)  # a socket's path may be 108 bytes long
    home = Path(short)
    socket = f"unix://{home}/d.sock"
    command = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--propagation", "private"]
    command += ["dockerd", "--data-root", f"{home}/data", "--exec-root", f"{home}/exec", "-H", socket]
    command += ["--pidfile", f"{home}/pid", "--bridge=none", "--iptables=false", "--ip-masq=false"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if READY in line:
                break
        else:
            raise RuntimeError("dockerd ended: " + "".join(said[-5:]))
        drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
        try:
            yield socket
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(SECONDS)
            drain.wait(SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(SECONDS)
        process.stderr.close()
        shutil.rmtree(home, ignore_errors=True)
