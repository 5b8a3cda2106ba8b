"""Base images without a registry: this machine's own programs, written as archives that every engine loads."""

import platform
import subprocess
from pathlib import Path

from jfsnb.builder import archive, minimal

BUILD_BASE, RUN_BASE = "local/build-base:with-tls", "local/run-base:1"
BUILD_PROGRAMS = (*minimal.RUN_PROGRAMS, "make", "chmod", "test", "sleep", "true", "echo", "git")
ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


def write_bases(folder: Path) -> dict[str, Path]:
    """Archives of the two base images by their names."""
    made = {}
    for name, programs in ((BUILD_BASE, BUILD_PROGRAMS), (RUN_BASE, minimal.RUN_PROGRAMS)):
        root = folder / name.partition("/")[2].partition(":")[0]
        minimal.pick(root, programs)
        if name == BUILD_BASE:
            (root / "assets/tls").mkdir(parents=True)
            (root / "assets/tls/ca.pem").write_text("a certificate\n")
        made[name] = root.with_suffix(".tar")
        architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        archive.write(made[name], root, archive.ImageConfig(architecture, "2024-01-01T00:00:00Z", env=ENV), [name])
    return made


def load(engine: str, path: Path, env: dict[str, str]) -> None:
    words = {"docker": ["docker", "load", "-qi", str(path)], "podman": ["podman", "load", "-qi", str(path)]}
    command = words.get(engine, ["buildah", "pull", "-q", f"docker-archive:{path}"])
    subprocess.run(command, check=True, capture_output=True, env=env)
