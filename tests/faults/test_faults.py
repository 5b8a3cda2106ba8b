"""A seeded sample of the fault matrix: what could not be seen does not look fine. See ``python -m tests.faults``."""

import os
import random

import pytest

from tests.faults.matrix import COMMANDS, combinations, try_one
from tests.faults.world import world

pytestmark = [pytest.mark.sandbox, pytest.mark.full]
#: Of each command; JFSNB_FAULTS_SEED draws others.
SAMPLE = 2
SEED = os.environ.get("JFSNB_FAULTS_SEED", "1")


@pytest.fixture(scope="module")
def where(sandbox, tmp_path_factory):
    with world(sandbox.kubeconfig, sandbox.context, tmp_path_factory.mktemp("faults")) as found:
        yield found


@pytest.fixture(scope="module")
def known(where):
    """known(name): the command, its answer without a fault, and all its combinations."""
    found = {}

    def known(name):
        if name not in found:
            command = next(c for c in COMMANDS if c.name == name)
            found[name] = (command, *combinations(where, command))
        return found[name]

    return known


@pytest.mark.parametrize("name", [command.name for command in COMMANDS if not command.parts])
def test_no_fault_makes_an_answer_look_better_than_the_truth(where, known, name):
    command, truth, all_of_them = known(name)
    assert len(all_of_them) > 50
    chosen = [c for c in all_of_them if c[1] != "timeout"]
    tried = [try_one(where, command, truth, *c) for c in random.Random(SEED + name).sample(chosen, SAMPLE)]
    wrong = [f"{t.fault} on {t.cell.verb} {t.cell.resource}: {t.wrong}" for t in tried if t.wrong]
    assert wrong == []


#: What was once wrong: (command, verb, resource, fault).
ONCE_WRONG = [
    ("rollback, from elsewhere", "get", "configmaps", "403"),
    ("rollback, from elsewhere", "get", "configmaps", "{}"),
    ("rollback, from elsewhere", "list", "pods", "empty list"),
    ("rollback", "get", "configmaps", "404"),
    ("patch, the plan", "list", "persistentvolumes", "403"),
    ("patch, the plan", "list", "nodes", "status 200"),
    ("doctor", "list", "nodes", "403"),
    ("doctor", "list", "nodes", "html"),
    ("mounts", "list", "pods", "429"),
    ("run, its parts", "create", "selfsubjectaccessreviews", "403"),
]


@pytest.mark.parametrize(("name", "verb", "resource", "fault"), ONCE_WRONG, ids=str)
def test_what_was_once_wrong_stays_right(where, known, name, verb, resource, fault):
    command, truth, all_of_them = known(name)
    (chosen,) = [c for c in all_of_them if (*c[0], c[1]) == (verb, resource, fault) and c[2] > 1]
    assert try_one(where, command, truth, *chosen).wrong == ""


def test_a_busy_server_is_not_waited_for_for_an_hour_and_says_when_to_come_back(where, known):
    command, truth, all_of_them = known("mounts")
    (chosen,) = [c for c in all_of_them if (*c[0], c[1]) == ("list", "pods", "429")]
    where.proxy.spoil(chosen[0], "429")
    answer = command.carry_out(where, "")
    where.proxy.spoil(None)
    assert answer.code == 3 and "asks to come back in 3600 s" in answer.text
    assert truth.code != answer.code
