"""What an app saw of an exchange, over time: which client answered it, when it waited, and what the driver said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jfsnb.i18n import say
from jfsnb.views.svg import Drawing

LEFT, WIDTH, RIGHT = 150.0, 940.0, 30.0
#: Seconds shown before the exchange, and after the last thing that happened.
BEFORE, AFTER = 2.0, 2.0
#: Lines of the tool that are worth a mark: what is left of them.
MARKS = {"POD-START": "start", "SIGHUP": "SIGHUP", "POD-SUCCESS": "success told", "POD-FAIL": "failure told"}


def stalls(data: Mapping[str, Any]) -> str:
    """A picture of the data of part ``upgrade_proof``; empty where nothing was seen."""
    clients = [row for row in data["clients"] if row["at_seconds"] is not None]
    if not clients:
        return ""
    said = [(row["at_seconds"], name) for row in data["said"] for word, name in MARKS.items() if word in row["line"]]
    moments = [at for at, _ in said if at is not None]
    moments += [row["at_seconds"] for row in clients] + [row["at_seconds"] + row["seconds"] for row in data["stalls"]]
    last = max([*moments, 1.0]) + AFTER
    scale = (WIDTH - LEFT - RIGHT) / (last + BEFORE)
    drawing = Drawing(WIDTH, 190)

    def x(seconds: float) -> float:
        return float(LEFT + scale * (max(-BEFORE, min(last, seconds)) + BEFORE))

    for y, label in ((50, "client"), (92, "the app waits"), (134, "the driver says")):
        drawing.text(12, y + 5, say(label), "t", room=LEFT - 16)
    for number, row in enumerate(clients):
        end = clients[number + 1]["at_seconds"] if number + 1 < len(clients) else last
        if x(end) - x(row["at_seconds"]) > 1:
            kind = "hot" if number else "old"
            drawing.rect(x(row["at_seconds"]), 38, x(end) - x(row["at_seconds"]), 26, kind, 4)
            drawing.text(x(row["at_seconds"]) + 8, 55, row["client"], "s", room=x(end) - x(row["at_seconds"]) - 12)
    for row in data["stalls"]:
        if row["at_seconds"] + row["seconds"] > -BEFORE:
            drawing.rect(x(row["at_seconds"]), 82, max(2.0, scale * row["seconds"]), 22, "warn", 3)
    drawing.text(x(last), 98, say("longest {} s", f"{data['longest']:.1f}"), "s", "end")
    for number, (at, name) in enumerate(said):
        if at is not None:
            drawing.line(x(at), 66, x(at), 128 + 14 * (number % 2), "d")
            drawing.text(x(at), 140 + 14 * (number % 2), say(name), "k", "middle")
    step = next(size for size in (1, 2, 5, 10, 20, 60, 300) if (last + BEFORE) / size <= 16)
    for tick in range(0, int(last) + 1, step):
        drawing.text(x(tick), 180, f"{tick} s", "k", "middle")
    alt = say("The app waited for {} seconds at the most while its client was exchanged.", f"{data['longest']:.1f}")
    return drawing.picture(alt)
