"""`jfsnb sandbox scenarios | break | mend`: failure drills."""

from __future__ import annotations

import click

from jfsnb.commands.answers import text_table
from jfsnb.commands.sandbox import running_sandbox
from jfsnb.sandbox import drills as scenarios
from jfsnb.sandbox import lifecycle


def show_scenarios(name: str, sandbox: str) -> int:
    """Print all scenarios, or one with what to observe."""
    from jfsnb.sandbox.drills.drill import broken

    if name:
        click.echo(describe(scenarios.find(name)))
        return 0
    running = lifecycle.find(sandbox)
    now = broken(running) if running is not None else ()
    rows = [
        {"scenario": s.name, "what it is": s.title, "named by": " ".join(s.codes), "now": "x" if s.name in now else ""}
        for s in scenarios.scenarios()
    ]
    click.echo(text_table(rows))
    click.echo("More about one: jfsnb sandbox scenarios NAME")
    return 0


def describe(scenario: scenarios.Scenario) -> str:
    """What a scenario does, what to look at, and what names it."""
    named = ", ".join(scenario.codes) or "no check: silence is right"
    return (
        f"{scenario.name}: {scenario.title}\n"
        f"  does:     {scenario.does}\n"
        f"  observe:  {scenario.observe}\n"
        f"  named by: jfsnb {scenario.ask.replace('${NEW}', '--image IMAGE')} ({named})\n"
        f"  mend it:  jfsnb sandbox mend {scenario.name}"
    )


def break_sandbox(name: str, sandbox: str) -> str:
    """Put a running sandbox into a scenario; tells what to observe."""
    from jfsnb.sandbox.drills.drill import break_

    return describe(break_(running_sandbox(sandbox), name))


def mend_sandbox(name: str, sandbox: str) -> str:
    """Take a scenario back; without a name all that the sandbox is in."""
    from jfsnb.sandbox.drills.drill import broken, mend

    running = running_sandbox(sandbox)
    names = (name,) if name else broken(running)
    done = [n for n in names if mend(running, n)]
    return f"mended: {', '.join(done)}" if done else "nothing was broken that way"
