"""What a builder's lines mean: which step of how many, and which lines belong to the step that failed."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

#: Docker's classic builder ("Step 3/8 : RUN make"), podman and buildah ("[1/2] STEP 3/5: RUN make", "STEP 3: RUN make")
_CLASSIC = re.compile(r"^Step (?P<number>\d+)/(?P<total>\d+) : (?P<text>.+)$")
_BUILDAH = re.compile(
    r"^(?:\[(?P<stage>\d+)/(?P<stages>\d+)\] )?STEP (?P<number>\d+)(?:/(?P<total>\d+))?: (?P<text>.+)$"
)
#: BuildKit, --progress=plain: "#9 [builder 3/5] COPY . .", "#9 0.123 what the step writes", "#9 ERROR: …"
_BUILDKIT = re.compile(r"^#(?P<vertex>\d+) (?P<rest>.*)$")
_VERTEX = re.compile(r"^\[(?:(?P<stage>[^\]\s]+) +)?(?P<number>\d+)/(?P<total>\d+)\] (?P<text>.+)$")
_INTERNAL = re.compile(r"^\[(?:internal|auth)\]")
_CLOCK = re.compile(r"^\d+\.\d+ ")
_ERROR = re.compile(r"^(?:ERROR|Error|error)[: ]")
#: What builders write between and below the steps' own lines.
_ITS_OWN = (
    "--->",
    " --->",
    "-->",
    "Removing intermediate",
    "Error: ",
    "Error response",
    "subprocess exited",
    "The command '",
    "Successfully ",
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_KEPT = 400


@dataclass(frozen=True)
class Step:
    """A step of a build.

    Args:
        number, total: within its stage; total is 0 where it is not told.
        text: the instruction.
        stage: name or number of the stage; empty where it is not told.
    """

    number: int
    total: int
    text: str
    stage: str = ""

    def __str__(self) -> str:
        of = f"{self.number}/{self.total}" if self.total else str(self.number)
        return f"[{self.stage} {of}] {self.text}" if self.stage else f"[{of}] {self.text}"


class StepReader:
    """Reads a builder's lines as they come."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._output: dict[str, list[str]] = defaultdict(list)
        self._by_key: dict[str, Step] = {}
        self._current = ""
        self._failed = ""
        self.noise = False

    def feed(self, line: str) -> Step | None:
        """Take note of a line; the step that begins with it, if one does. ``noise`` then tells whether it matters."""
        self.noise = False
        line = _COLOUR.sub("", line)
        buildkit = _BUILDKIT.match(line)
        if buildkit:
            return self._buildkit(buildkit["vertex"], buildkit["rest"])
        if match := _CLASSIC.match(line) or _BUILDAH.match(line):
            found = match.groupdict()
            step = Step(int(match["number"]), int(match["total"] or 0), match["text"], found.get("stage") or "")
            return self._begin(f"step {len(self.steps)}", step)
        if self._current and line.strip() and not self._current.startswith("#") and not line.startswith(_ITS_OWN):
            self._keep(self._current, line)
        elif line.startswith(("--->", " --->", "-->", "Removing intermediate")) or not line.strip():
            self.noise = True
        return None

    @property
    def failed(self) -> Step | None:
        """The step at which it ended, supposing that it failed; None when no step had begun."""
        return self._by_key.get(self._failed or self._current)

    @property
    def failed_output(self) -> tuple[str, ...]:
        """What that step wrote itself, without the builder's own words."""
        key = self._failed or self._current
        if not key.startswith("#") and not self._output.get(key) and self._output:
            key = list(self._output)[-1]  # buildah hands on a step's output beside its heading, which can come later
        return tuple(self._output.get(key, ()))

    def _begin(self, key: str, step: Step) -> Step:
        self.steps.append(step)
        self._by_key[key] = step
        self._current = key
        return step

    def _buildkit(self, vertex: str, rest: str) -> Step | None:
        key = f"#{vertex}"
        if _INTERNAL.match(rest):
            self.noise = True
            return None
        if match := _VERTEX.match(rest):
            if key in self._by_key:
                return None
            return self._begin(
                key, Step(int(match["number"]), int(match["total"]), match["text"], match["stage"] or "")
            )
        if rest.startswith("ERROR"):
            self._failed = key
        elif key in self._by_key and not rest.startswith(("DONE", "CACHED", "CANCELED", "sha256:", "transferring")):
            self._keep(key, _CLOCK.sub("", rest))
        else:
            self.noise = True
        return None

    def _keep(self, key: str, line: str) -> None:
        lines = self._output[key]
        lines.append(line)
        del lines[:-_KEPT]


#: What a failed step wrote -> what to do about it; first match wins.
_HINTS = (
    (r"No rule to make target", "the Makefile has no such target: choose another target"),
    (
        r"cannot stat '?/assets/tls|/assets/tls'?: No such file",
        "the build base has no TLS assets there: set tls to where they are, or to '' for none",
    ),
    (
        r"(make|go|gcc|git|cc|sed): (command )?not found|executable file not found|make: \S+: No such file",
        "the build base lacks a tool: use a base image that has it",
    ),
    (
        r"dial tcp|no such host|i/o timeout|TLS handshake|proxyconnect|connection refused",
        "the build could not reach the network: network='host', a GOPROXY argument, or a base that has the modules",
    ),
    (r"no space left on device", "the disk is full: free some space (docker system df)"),
    (
        r"signal: killed|Killed|out of memory|cannot allocate memory",
        "the compiler ran out of memory: give the engine more, or build with GOFLAGS=-p=1",
    ),
    (r"exec format error", "the base image is for another processor: give the platform of the nodes"),
    (
        r"error while loading shared libraries|/usr/local/bin/juicefs: (not found|No such file)",
        "the run base lacks a library that the client needs: build statically, or use the base that it was linked for",
    ),
    (r"network bridge not found", "this engine has no network of its own: give network='none' or 'host'"),
    (
        r"pull access denied|manifest unknown|not found: manifest|repository does not exist|failed to resolve|"
        r"authentication required|unauthorized|no such image|image not known",
        "the base image is not here and cannot be pulled: name one that is, or log in to its registry",
    ),
    (
        r"undefined:|cannot find package|syntax error|\.go:\d+:\d+:",
        "the source does not compile: correct it, the compiler's words are above",
    ),
)


def what_next(lines: tuple[str, ...]) -> str:
    """What to do about a failed step, from what it wrote."""
    text = "\n".join(lines)
    return next((hint for pattern, hint in _HINTS if re.search(pattern, text)), "read the output of the step above")
