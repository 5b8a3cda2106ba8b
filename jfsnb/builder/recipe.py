"""The Dockerfile of a Mount Pod image, in two ways: the article's two stages, and upstream's ready-made binary."""

from __future__ import annotations

from dataclasses import dataclass

from jfsnb.errors import UsageError

TWO_STAGE, BINARY = "two-stage", "binary"
WAYS = (TWO_STAGE, BINARY)
BUILD_BASE = "xxx/juicedata/build-base:with-tls"
RUN_BASE = "xxx/juicedata/run-base:latest"
MOUNT_BASE = "juicedata/mount:ce-nightly"
CLIENT, MOUNT = "/usr/local/bin/juicefs", "/bin/mount.juicefs"

#: Targets of upstream's Makefile whose binary has a name of its own.
_OWN_BINARY = tuple(f"juicefs.{kind}" for kind in ("cover", "lite", "ceph", "fdb", "fdb.cover", "gluster", "all"))

_FIRST_STAGE = """\
FROM {build_base} AS builder
{arguments}WORKDIR /build
COPY . .
{tls}RUN make {target}

"""
_SECOND_STAGE = """\
FROM {run_base}
{copy}
RUN rm -rf /bin/mount.juicefs && ln -s /usr/local/bin/juicefs /bin/mount.juicefs && /usr/local/bin/juicefs --version
"""
#: What never belongs into the context. `.git` stays: the Makefile asks it for the commit, which the client reports.
_IGNORED = (
    *("docs", "rfcs", "integration", ".github", ".agents", "**/node_modules", "sdk/java/**/target"),
    *("**/*.tar", "**/*.tar.gz", "**/*.log", "**/.DS_Store", "**/.venv", "**/__pycache__"),
)


@dataclass(frozen=True)
class Recipe:
    """What a Dockerfile is made of.

    Args:
        way: ``two-stage`` (compile in the first stage, as in the article) or ``binary`` (put a binary that is in the
            source tree on a base image, as JuiceFS's own ``docker/dev`` files do).
        build_base: image with compiler and make; only for two stages.
        run_base: image that the client is put on.
        target: the Makefile's target; only for two stages.
        tls: directory of TLS assets in ``build_base`` that goes into the build; empty for none.
        binary: the client in the build directory: what the target makes, or what is there already; empty: as upstream's
            Makefile calls it.
        arguments: names that the build may be given values for (``GOPROXY``); each becomes an ARG of the first stage.
    """

    way: str = TWO_STAGE
    build_base: str = BUILD_BASE
    run_base: str = ""
    target: str = "juicefs.linux"
    tls: str = "/assets/tls"
    binary: str = ""
    arguments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise UsageError(f"there is no way {self.way!r} to build", f"use one of: {', '.join(WAYS)}")
        if not self.run_base:
            object.__setattr__(self, "run_base", RUN_BASE if self.way == TWO_STAGE else MOUNT_BASE)
        if wrong := [name for name in self.arguments if not name.isidentifier()]:
            raise UsageError(f"{wrong[0]!r} is no name of a build argument", "use letters, digits and _")
        if not self.binary:
            object.__setattr__(self, "binary", self.target if self.target in _OWN_BINARY else "juicefs")
        for name in ("build_base", "run_base", "target", "tls", "binary"):
            value = getattr(self, name)
            if any(c.isspace() or c in "$`\\;&|<>'\"#" for c in value) or (not value and name != "tls"):
                raise UsageError(f"{name}={value!r} cannot stand in a Dockerfile", f"give {name} as one plain word")

    @property
    def bases(self) -> tuple[str, ...]:
        """The images that it begins with."""
        return (self.build_base, self.run_base) if self.way == TWO_STAGE else (self.run_base,)

    def dockerfile(self) -> str:
        """The Dockerfile's text."""
        if self.way == BINARY:
            return _SECOND_STAGE.format(run_base=self.run_base, copy=f"COPY {self.binary} {CLIENT}")
        tls = f"RUN cp -r {self.tls} ./tls\n" if self.tls else ""
        given = "".join(f"ARG {name}\n" for name in self.arguments)
        first = _FIRST_STAGE.format(build_base=self.build_base, arguments=given, tls=tls, target=self.target)
        target = "/usr/local/bin/" if self.binary == "juicefs" else CLIENT
        copy = f"COPY --from=builder /build/{self.binary} {target}"
        return first + _SECOND_STAGE.format(run_base=self.run_base, copy=copy)

    def dockerignore(self) -> str:
        """A .dockerignore for a tree that has none; no earlier client may be taken for the new one."""
        stale = (self.binary,) if self.way == TWO_STAGE else ()
        return "\n".join((*stale, *_IGNORED)) + "\n"
