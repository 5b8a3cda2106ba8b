"""Reading a Dockerfile: instructions and stages, as far as a builder without a daemon needs them.

Own code: the parsers on PyPI split lines, but know neither stages nor the JSON form.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from jfsnb.errors import UsageError

KNOWN = frozenset(
    (
        *("FROM", "RUN", "COPY", "ADD", "WORKDIR", "ENV", "ARG", "LABEL", "CMD", "ENTRYPOINT", "USER", "EXPOSE"),
        *("VOLUME", "MAINTAINER", "STOPSIGNAL", "SHELL"),
    )
)
_VARIABLE = re.compile(r"\\\$|\$(?:\{(\w+)(?:(:[-+])([^}]*))?\}|(\w+))")


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Args:
        line: its first line in the file, from 1.
        name: in capitals.
        flags: ``--from=builder`` → ``{"from": "builder"}``.
        rest: what follows, continued lines joined.
    """

    line: int
    name: str
    rest: str
    flags: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """As it stands in the file, on one line."""
        return " ".join([self.name, *(f"--{k}={v}" for k, v in self.flags.items()), self.rest])

    @property
    def argv(self) -> tuple[str, ...]:
        """A command: its JSON form as it is, its shell form for /bin/sh."""
        return json_form(self.rest) or ("/bin/sh", "-c", self.rest)

    @property
    def words(self) -> tuple[str, ...]:
        """Sources and target of COPY and ADD, or any words; quotes taken away."""
        return json_form(self.rest) or tuple(shlex.split(self.rest))

    @property
    def pairs(self) -> dict[str, str]:
        """``NAME=value …`` of ENV, LABEL and ARG, and the old form ``ENV NAME value``."""
        if "=" not in self.rest.split(None, 1)[0]:
            name, _, value = self.rest.partition(" ")
            return {name: value.strip()}
        return {k: v for k, _, v in (word.partition("=") for word in shlex.split(self.rest))}


@dataclass(frozen=True)
class Stage:
    """What begins with a FROM.

    Args:
        name: after AS; its number when it has none.
        base: image, or name of an earlier stage.
    """

    name: str
    base: str
    instructions: tuple[Instruction, ...]


def parse(text: str, arguments: Mapping[str, str] | None = None) -> tuple[Stage, ...]:
    """Stages of a Dockerfile.

    Args:
        text: the file.
        arguments: values for ARGs that stand before the first FROM.

    Raises:
        UsageError: not a Dockerfile, or an instruction that is not known.
    """
    stages: list[Stage] = []
    current: list[Instruction] = []
    outer: dict[str, str] = {}
    for instruction in instructions(text):
        if instruction.name == "FROM":
            stages.append(_stage(instruction, len(stages), outer))
            current = []
        elif stages:
            current.append(instruction)
            stages[-1] = Stage(stages[-1].name, stages[-1].base, tuple(current))
        elif instruction.name == "ARG":
            outer |= {k: (arguments or {}).get(k, v) for k, v in instruction.pairs.items()}
        else:
            raise UsageError(f"line {instruction.line}: {instruction.name} before FROM", "begin with FROM")
    if not stages:
        raise UsageError("the Dockerfile has no FROM", "begin with FROM image")
    return tuple(stages)


def instructions(text: str) -> tuple[Instruction, ...]:
    """Every instruction of a file, in order. Raises UsageError."""
    found = []
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        first, joined = number + 1, ""
        while number < len(lines):
            line = lines[number]
            number += 1
            if line.lstrip().startswith("#") or (joined and not line.strip()):
                if not joined:
                    break
                continue
            joined += line.rstrip().removesuffix("\\") if line.rstrip().endswith("\\") else line
            if not line.rstrip().endswith("\\"):
                break
            joined += " "
        if joined.strip():
            found.append(_instruction(joined.strip(), first))
    return tuple(found)


def json_form(text: str) -> tuple[str, ...] | None:
    """``["a", "b"]`` as words; None when it is no such list."""
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text)
    except json.JSONDecodeError:
        return None
    return tuple(words) if all(isinstance(word, str) for word in words) else None


def expand(text: str, values: Mapping[str, str]) -> str:
    """``$NAME``, ``${NAME}``, ``${NAME:-default}`` and ``${NAME:+instead}`` replaced."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "\\$":
            return "$"
        found = values.get(match[1] or match[4], "")
        if match[2] == ":-":
            return found or match[3]
        return (match[3] if found else "") if match[2] == ":+" else found

    return _VARIABLE.sub(value, text)


def _instruction(text: str, line: int) -> Instruction:
    name, _, rest = text.partition(" ")
    name, rest = name.upper(), rest.strip()
    if name not in KNOWN:
        raise UsageError(f"line {line}: {name} is not an instruction that is known here", "use Docker or BuildKit")
    flags = {}
    while (match := re.match(r"--([a-z]+)=(\S+)\s+", rest)) and name in ("COPY", "ADD", "FROM", "RUN"):
        flags[match[1]] = match[2]
        rest = rest[match.end() :]
    if "<<" in rest and name in ("RUN", "COPY") and re.search(r"<<-?['\"]?[A-Za-z]\w*['\"]?\s*$", rest):
        raise UsageError(f"line {line}: here-documents are not known here", "use BuildKit")
    return Instruction(line, name, rest, flags)


def _stage(instruction: Instruction, number: int, values: Mapping[str, str]) -> Stage:
    words = expand(instruction.rest, values).split()
    if len(words) == 3 and words[1].upper() == "AS":
        return Stage(words[2], words[0], ())
    if len(words) != 1:
        raise UsageError(f"line {instruction.line}: FROM names no image", "write FROM image [AS name]")
    return Stage(str(number), words[0], ())
