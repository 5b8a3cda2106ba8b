"""What an exercise is: a question about the cluster at hand, and a judge that tells right from wrong.

Without an answer it shows the question, so a headless run never stops at one; in JupyterLab it is a small form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jfsnb.i18n import say
from jfsnb.notebook.forms import form, text
from jfsnb.notebook.session import is_interactive
from jfsnb.notebook.show import Shown
from jfsnb.views import html


@dataclass(frozen=True)
class Exercise:
    """A question with its answer.

    Args:
        question: what is asked.
        hint: where to look.
        why: what the right answer teaches.
        solution: what this cluster says; empty when it cannot be asked here.
        not_here: why it cannot be asked here.
    """

    question: str
    hint: str
    why: str
    solution: str = ""
    not_here: str = ""


def is_right(exercise: Exercise, answer: str) -> bool:
    """Whether an answer means the solution: case, quotes, and a prefix such as ``pod/`` or ``namespace/`` do not count.

    An image's repository path counts; it is part of the name.
    """
    given, wanted = _bare(answer), _bare(exercise.solution)
    return bool(given) and (given == wanted or (":" not in wanted and given.rpartition("/")[2] == wanted))


def _bare(answer: str) -> str:
    return answer.strip().strip("\"'`").strip().casefold()


def ask(make: Callable[[], Exercise], answer: str | int = "") -> object:
    """Show the question, or judge the answer.

    Args:
        make: reads the cluster; called anew for each answer, because the cluster may have changed since.
        answer: empty: show the question.
    """
    given = str(answer)
    exercise = make()
    if given or exercise.not_here or not is_interactive():
        return Shown(_told(exercise, given), _plainly(exercise, given))
    line = text("your answer", "write it here")
    return form([line], "check", lambda: judged(make(), line.value), above=_question(exercise))


def judged(exercise: Exercise, answer: str) -> str:
    """HTML that tells whether the answer is right, and why."""
    if not _bare(answer):
        return html.note(say("Write an answer first."))
    if is_right(exercise, answer):
        return html.note(html.chip("PASS", say("right")) + " " + html.escape(say(exercise.why)))
    said = say("{} is not it.", answer.strip())
    return html.note(f"{html.chip('WARN', say('not yet'))} {html.escape(said)} {html.escape(say(exercise.hint))}")


def _told(exercise: Exercise, answer: str) -> str:
    if exercise.not_here:
        return _question(exercise) + html.note(html.escape(say(exercise.not_here)))
    below = judged(exercise, answer) if answer else html.folded("hint", html.note(html.escape(say(exercise.hint))))
    solution = html.note(f"{html.code(exercise.solution)}: {html.escape(say(exercise.why))}")
    return _question(exercise) + below + html.folded("solution", solution)


def _question(exercise: Exercise) -> str:
    return html.card(say("Exercise"), html.escape(say(exercise.question)))


def _plainly(exercise: Exercise, answer: str) -> str:
    if exercise.not_here or not answer:
        return f"{say('Exercise')}: {say(exercise.question)}"
    return f"{say('right') if is_right(exercise, answer) else say('not yet')}: {answer}"
