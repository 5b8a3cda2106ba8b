"""A run that dies at any instant between two of its changes: rollback returns the cluster to what it was."""

import pytest

from jfsnb.cluster.transport import Transport
from jfsnb.run import patch
from jfsnb.run.journal import Journal
from jfsnb.run.rollback import rollback

pytestmark = [pytest.mark.sandbox, pytest.mark.full]
#: How many such instants a run has: after each fact in the journal, and after each change of the cluster.
INSTANTS = 27


class Killed(BaseException):
    """Nothing of the run's own comes after this: nobody catches it."""


@pytest.fixture
def instants(monkeypatch):
    """All instants so far, in words; the run dies at number ``fatal``."""

    class Instants(list):
        fatal = 0
        dead = False

        def come(self, what):
            if self.dead:
                raise Killed(what)  # other threads of a dead process do nothing either
            self.append(what)
            if len(self) == self.fatal:
                self.dead = True
                raise Killed(what)

    found = Instants()
    write, call = Journal._write, Transport.call

    def note(journal, **fact):
        write(journal, **fact)
        found.come(f"written: {fact}")

    def ask(transport, method, path, query=None, *args, **kwargs):
        if found.dead:
            raise Killed(path)
        answer = call(transport, method, path, query, *args, **kwargs)
        if method != "GET" and "reviews" not in path and "dryRun" not in (query or {}):
            found.come(f"changed: {method} {path}")
        return answer

    monkeypatch.setattr(Journal, "_write", note)
    monkeypatch.setattr(Transport, "call", ask)
    yield found
    monkeypatch.undo()


def test_how_many_instants_there_are(world, instants):
    world.tell(world.run())
    assert len(instants) == INSTANTS, "\n".join(instants)


@pytest.mark.slow
@pytest.mark.parametrize("fatal", range(1, INSTANTS + 1))
def test_a_run_killed_at_any_instant_is_undone_from_another_machine(world, instants, monkeypatch, fatal):
    instants.fatal = fatal
    run = world.run()
    with pytest.raises(Killed):
        world.tell(run)
    monkeypatch.undo()
    elsewhere = world.outputs / "elsewhere"
    done = rollback(world.cluster, run.id, elsewhere)
    assert done.complete, done.rows
    assert world.look() == world.before
    assert rollback(world.cluster, run.id, elsewhere).rows == ()


def test_what_somebody_else_made_of_our_entry_is_left_alone_and_told(world):
    run = world.run()
    world.tell(run, until=patch.wait_in_force)
    theirs = world.config.replace(run.settings.image, "juicedata/mount:ce-theirs")
    world.config = theirs
    for outputs in (world.outputs, world.outputs / "elsewhere"):
        done = rollback(world.cluster, run.id, outputs)
        (row,) = [r for r in done.rows if r["what"] == "config.yaml patched"]
        assert not done.complete and row["outcome"].startswith("left: entry 4 of mountPodPatch")
        assert world.config == theirs
    world.config = theirs.replace("juicedata/mount:ce-theirs", run.settings.image)
    assert rollback(world.cluster, run.id, world.outputs).complete
