"""Each command, against each fault of each verb and resource that it uses: what must not be said then."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from jfsnb.checks.model import SEVERITY, Verdict
from tests.faults.proxy import FAULTS, FOR_LISTS, Cell
from tests.faults.world import CLAIM, Answer, World

#: In an answer: that something could not be seen.
TOLD = (
    *("could not", "cannot", "not known", "may not", "not seen", "does not say", "not read", "unknown", "nobody"),
    "as far as can be seen",
)
#: A cell of a table that is another each time.
VOLATILE = ("age_seconds", "since", "reason", "why")
TOO_LONG = 60.0
WRONGLY_BAD = "1: looked, and it is wrong"
#: A server that lies in due form can make things look worse than they are; what counts is that never better.
LIES = ("404", *FOR_LISTS)


@dataclass(frozen=True)
class Tried:
    """One combination. ``wrong`` says what must not be; empty when all is well."""

    command: str
    cell: Cell
    fault: str
    code: int
    seconds: float
    wrong: str = ""


@dataclass(frozen=True)
class Command:
    """A command, what is there before it, and what must not be said.

    Args:
        words: of the command line, given what ``prepare`` hands back.
        prepare: makes what the command is about; its id.
        judge: (world, id, answer without a fault, answer with one) -> what is wrong.
        tidy: undoes what is left.
    """

    name: str
    words: Callable[[World, str], tuple[str, ...]]
    judge: Callable[[World, str, Answer, Answer], str]
    prepare: Callable[[World], str] = lambda world: ""
    tidy: Callable[[World, str], None] = lambda world, run_id: None
    elsewhere: bool = False
    parts: bool = False

    def carry_out(self, world: World, run_id: str) -> Answer:
        if self.parts:
            return world.run_parts(run_id)
        return world.ask(*self.words(world, run_id), outputs=world.folder / "elsewhere" if self.elsewhere else None)


def _better(answer: Answer, truth: Answer) -> str:
    """A question must not look better than it would without the fault, nor say less without a word."""
    if answer.code != 0:
        return WRONGLY_BAD if answer.code == 1 != truth.code else ""
    now, then = (Verdict(a.data.get("verdict", "N/A")) for a in (answer, truth))
    if SEVERITY.index(now) > SEVERITY.index(then) and then is not Verdict.PASS:
        return f"{now} where the truth is {then}"
    if _rows(answer) != _rows(truth) and not any(word in answer.text for word in TOLD):
        return "0, but says something else than without the fault, and not that it could not look"
    return ""


def _rows(answer: Answer) -> list[dict[str, Any]]:
    rows = [{k: v for k, v in row.items() if k not in VOLATILE} for row in answer.data.get("rows", ())]
    return sorted(rows, key=str)


def _question(name: str, *words: str) -> Command:
    return Command(
        name,
        lambda world, _: (*(world.pod if word == "POD" else word for word in words), "-o", "json"),
        lambda world, _, truth, answer: _better(answer, truth),
    )


def _plan(world: World, _: str, truth: Answer, answer: Answer) -> str:
    if answer.code:
        return WRONGLY_BAD if answer.code == 1 else ""
    then, now = (a.text.partition("Whose next mount it changes")[2] for a in (truth, answer))
    told = any(word in now for word in TOLD)
    return "" if now == then or told else "0, but names others than without the fault, and not that it could not look"


def _run(world: World, run_id: str, truth: Answer, answer: Answer) -> str:
    """PASS needs every check of an undisturbed run, and nothing left."""
    if answer.code == 1:
        return "FAIL: a word about the client that nobody had" if "FAIL" not in truth.text else ""
    if answer.code != 0:
        return ""
    codes, looked = ([line.split(" ")[1] for line in a.text.splitlines()] for a in (truth, answer))
    missing = sorted(set(codes) - set(looked))
    left = world.left(run_id)
    return f"PASS without {missing}" if missing else f"PASS, and there is {left}" if left else ""


def _nothing_left(world: World, run_id: str, _: Answer, answer: Answer) -> str:
    left = world.left(run_id)
    if left and (answer.code == 0 or "nothing of run" in answer.text):
        return f"{answer.code}, and there is {', '.join(left)}"
    return WRONGLY_BAD if answer.code == 1 else ""


NEW = "juicedata/mount:ce-v0.14.2-03f36d6"
COMMANDS = (
    _question("mounts", "mounts"),
    _question("verify a Pod", "verify", "POD"),
    _question("verify a claim", "verify", f"pvc/{CLAIM}"),
    _question("explain", "explain", CLAIM),
    _question("doctor", "doctor"),
    Command(
        "patch, the plan", lambda world, _: ("patch", "--image", NEW, "--scope", "global", "--run-id", "plan"), _plan
    ),
    Command(
        "rollback",
        lambda world, run_id: ("rollback", run_id),
        _nothing_left,
        lambda world: world.leave_something(),
        lambda world, run_id: world.undo(run_id),
    ),
    Command(
        "rollback, from elsewhere",
        lambda world, run_id: ("rollback", run_id),
        _nothing_left,
        lambda world: world.leave_something(),
        lambda world, run_id: world.undo(run_id),
        elsewhere=True,
    ),
    Command(
        "run, its parts",
        lambda world, run_id: (),
        _run,
        lambda world: world.new_id(),
        lambda world, run_id: world.undo(run_id),
        parts=True,
    ),
)


def combinations(world: World, command: Command) -> tuple[Answer, list[tuple[Cell, str, int]]]:
    """The answer without a fault, and (cell, fault, how often) of all that the command uses."""
    world.proxy.spoil(None)
    world.proxy.recording = True
    if not command.parts:
        command.carry_out(world, "no-such-run")  # lists as they were before, for the stale ones
    world.proxy.recording = False
    run_id = command.prepare(world)
    world.proxy.used.clear()
    truth = command.carry_out(world, run_id)
    assert not truth.broken, truth.broken
    assert truth.code == 0 or not command.parts, truth.text
    used = sorted(world.proxy.used)
    command.tidy(world, run_id)
    always = [(c, f, 1 << 30) for c in used for f in FAULTS if c.verb == "list" or f not in FOR_LISTS]
    once = [(c, f, 1) for c in used for f in ("500", "reset")]
    return truth, always + once


def try_one(world: World, command: Command, truth: Answer, cell: Cell, fault: str, times: int) -> Tried:
    """Carry out the command with that fault."""
    run_id = command.prepare(world)
    world.proxy.spoil(cell, fault, times)
    answer = command.carry_out(world, run_id)
    world.proxy.spoil(None)
    wrong = f"broken: {answer.broken}" if answer.broken else command.judge(world, run_id, truth, answer)
    wrong = "" if wrong == WRONGLY_BAD and fault in LIES else wrong
    if not wrong and answer.seconds > TOO_LONG:
        wrong = f"took {answer.seconds:.0f} s"
    command.tidy(world, run_id)
    return Tried(command.name, cell, fault if times > 1 else f"{fault} once", answer.code, answer.seconds, wrong)


def everything(world: World, commands: tuple[Command, ...], sample: int = 0, seed: int = 0) -> Iterator[Tried]:
    """All combinations of these commands, or so many of each, drawn."""
    for command in commands:
        truth, chosen = combinations(world, command)
        if sample:
            chosen = random.Random(f"{seed}{command.name}").sample(chosen, min(sample, len(chosen)))
        for cell, fault, times in chosen:
            yield try_one(world, command, truth, cell, fault, times)
