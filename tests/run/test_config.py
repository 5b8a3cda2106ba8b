"""Undoing the edit of the driver's ConfigMap: to the byte, or only our part, or not at all."""

import copy
from dataclasses import replace

import pytest

from jfsnb.errors import ConflictError
from jfsnb.run import config_map as config
from jfsnb.run.change.config_entry import ConfigEntry
from jfsnb.run.change.kinds import read
from jfsnb.run.change.nudge import Nudge

TEXT = """\
# ours to keep
mountPodPatch:
  - ceMountImage: juicedata/mount:ce-v1.2.0   # everybody
  - pvcSelector: {matchLabels: {mode: seqread}}
    mountOptions: [cache-size=0G]
"""
NAME = ("driver-ns", "juicefs-csi-driver-config")


class Api:
    """One ConfigMap behind an API that refuses stale versions."""

    def __init__(self):
        self.version = 1
        self.object = {
            "metadata": {"namespace": NAME[0], "name": NAME[1], "annotations": {"theirs": "kept"}},
            "data": {"config.yaml": TEXT},
        }
        self.before_patch = lambda: None

    def find(self, plural, namespace, name):
        found = copy.deepcopy(self.object)
        found["metadata"]["resourceVersion"] = str(self.version)
        return found

    def patch(self, plural, namespace, name, body, dry_run=False, **_):
        self.before_patch()
        wanted = body["metadata"].get("resourceVersion")
        if wanted not in (None, str(self.version)):
            raise ConflictError("the object has been modified")
        if dry_run:
            return self.find(plural, namespace, name)
        self.version += 1
        self.object["data"].update(body.get("data") or {})
        for key, value in (body["metadata"].get("annotations") or {}).items():
            if value is None:
                self.object["metadata"]["annotations"].pop(key, None)
            else:
                self.object["metadata"]["annotations"][key] = value
        return self.find(plural, namespace, name)

    @property
    def text(self):
        return self.object["data"]["config.yaml"]

    @text.setter
    def text(self, value):
        self.version += 1
        self.object["data"]["config.yaml"] = value


@pytest.fixture(params=["canary", "global"])
def patched(request):
    api = Api()
    api.change = patch(api, "r1", request.param)
    assert api.text != TEXT
    return api


def patch(api, run_id, scope="canary", claim="claim", changes=(), image="x/mount:new"):
    edit = config.plan_edit(api.text, scope, claim, image)
    change = ConfigEntry.of(run_id, api.find("", *NAME), edit, claim, changes)
    change.rehearse(api)
    change.do(api)
    return replace(change, planned=None, made=True)


def undone(api, change=None):
    """The outcome in words; that it is seen undone when it says so."""
    change = change or api.change
    found = change.undo(api)
    if found.settled:
        assert change.is_undone(api, 1).settled
    return str(found)


def refused(api, run_id="r2", scope="canary", claim="claim", image="x/mount:new"):
    edit = config.plan_edit(api.text, scope, claim, image)
    with pytest.raises(ConflictError) as error:
        config.refuse_beside_others(api.object, run_id, edit, claim)
    return str(error.value)


def test_to_the_byte_and_without_a_trace(patched):
    assert undone(patched) == "restored, byte for byte"
    assert patched.text == TEXT
    patched.change.forget(patched)
    assert patched.object["metadata"]["annotations"] == {"theirs": "kept"}


def test_the_note_tells_of_all_that_the_run_did_until_it_is_forgotten():
    api, nudge = Api(), Nudge(run_id="r1", plural="pods", namespace="ns", name="csi")
    change = patch(api, "r1", changes=[nudge])
    api.text = api.text.replace("# ours", "# Ours")
    assert undone(api, change).startswith("our part undone")
    assert undone(api, change) == "undone already" and api.text == TEXT.replace("# ours", "# Ours")
    told = config.note_on(api.object, "r1").changes
    assert [read(c) for c in told] == [replace(change, made=False), nudge]
    change.forget(api)
    assert api.object["metadata"]["annotations"] == {"theirs": "kept"}


def test_what_stands_is_not_forgotten(patched):
    patched.change.forget(patched)
    assert undone(patched) == "restored, byte for byte"


def test_a_second_time_there_is_nothing_to_do(patched):
    undone(patched)
    version = patched.version
    assert undone(patched) == "undone already"
    assert patched.version == version


def test_what_others_have_changed_elsewhere_stays_and_is_shown(patched):
    patched.text = patched.text.replace("cache-size=0G", "cache-size=9G")
    found = patched.change.undo(patched)
    assert found.words.startswith("our part undone") and "+    mountOptions: [cache-size=9G]" in found.theirs
    assert "x/mount:new" not in found.theirs
    assert patched.text == TEXT.replace("cache-size=0G", "cache-size=9G")


def test_our_entry_for_a_claim_changed_by_others_is_left_alone():
    api = Api()
    change = patch(api, "r1")
    api.text = theirs = api.text.replace("x/mount:new", "y/mount:other")
    assert undone(api, change).startswith("left: ")
    assert api.text == theirs


@pytest.mark.parametrize("theirs", [TEXT.replace("ce-v1.2.0", "ce-theirs"), "mountPodPatch: []\n", "{}\n"])
def test_a_file_that_was_replaced_without_our_entry_holds_nothing_to_undo(patched, theirs):
    patched.text = theirs
    found = patched.change.undo(patched)
    assert found.settled and "not in it any more" in found.words and found.theirs
    assert patched.text == theirs and patched.change.undo(patched).words == "undone already"


def test_somebody_is_quicker_and_the_next_attempt_gets_it(patched):
    def interfere():
        patched.before_patch = lambda: None
        patched.text = patched.text.replace("# ours", "# Ours")

    patched.before_patch = interfere
    assert undone(patched).startswith("our part undone")
    assert patched.text == TEXT.replace("# ours", "# Ours")


def test_a_patch_that_was_never_made(patched):
    fresh = Api()
    assert undone(fresh, replace(patched.change, made=False)) == "as before already"
    fresh.text = TEXT.replace("# ours", "# Ours")
    assert undone(fresh, replace(patched.change, made=False)).startswith("never made")
    assert fresh.text == TEXT.replace("# ours", "# Ours")


@pytest.mark.parametrize("scope", ["canary", "global"])
def test_ours_is_what_carries_our_run_id_never_what_has_the_same_bytes(scope):
    """Two runs, a second apart, with the same edit: the clean-up of the one that was refused touches nothing."""
    api = Api()
    edit = config.plan_edit(TEXT, scope, "claim", "x/mount:new")
    late = ConfigEntry.of("r2", api.find("", *NAME), edit, "claim")
    first = patch(api, "r1", scope)
    with pytest.raises(ConflictError):
        late.do(api)
    live = api.text
    assert undone(api, late).startswith("never made") and api.text == live
    assert undone(api, first) == "restored, byte for byte"


def test_a_note_that_was_lost_makes_the_entry_nobody_s(patched):
    patched.object["metadata"]["annotations"].clear()
    text = patched.text
    assert undone(patched).startswith("left: the run's note is gone")
    assert patched.text == text
    patched.text = TEXT.replace("# ours", "# Ours")
    assert undone(patched).startswith("somebody else has replaced")


DAMAGED = ["", "{", "null", "[]", "{}", '{"version": 2}', '{"version": 1, "edit": {"before": "eA=="}}']


@pytest.mark.parametrize("note", DAMAGED)
def test_a_damaged_note_is_told_and_nothing_is_touched(patched, note):
    patched.object["metadata"]["annotations"][config.note_key("r1")] = note
    text = patched.text
    assert undone(patched).startswith("left: the annotation undo.jfsnb.io/r1 cannot be read")
    assert patched.text == text
    assert "undo.jfsnb.io/r1" in refused(patched)


def test_two_runs_at_a_time_undo_each_its_own():
    api = Api()
    first, second = (
        patch(api, run, claim=claim, image=f"x/mount:{run}") for run, claim in (("r1", "one"), ("r2", "two"))
    )
    assert undone(api, first).startswith("our part undone")
    assert "x/mount:r1" not in api.text and "x/mount:r2" in api.text
    undone(api, second)
    assert "x/mount" not in api.text


@pytest.mark.parametrize("image", ["x/mount:new", "x/mount:another"])
@pytest.mark.parametrize("scope", ["canary", "global"])
def test_a_second_run_for_the_same_is_refused_while_the_first_one_s_edit_stands(scope, image):
    api = Api()
    change = patch(api, "r1", scope)
    assert "run r1" in refused(api, "r2", scope, "claim", image) and "jfsnb rollback r1" in refused(api, "r2", scope)
    undone(api, change)
    edit = config.plan_edit(api.text, scope, "claim", image)
    config.refuse_beside_others(api.object, "r2", edit, "claim")


def test_a_run_for_another_claim_is_not_refused_and_one_for_everybody_only_beside_its_like():
    api = Api()
    patch(api, "r1")
    for scope in ("canary", "global"):
        edit = config.plan_edit(api.text, scope, "another", "x/mount:new")
        config.refuse_beside_others(api.object, "r2", edit, "another")
    assert "claim claim" in refused(api, "r2", "global")
    patch(api, "r3", "global", "another", image="x/mount:all")
    assert "everybody" in refused(api, "r4", "global", "a third")


def test_a_run_may_look_at_its_own_patch_but_not_make_another():
    api = Api()
    patch(api, "r1")
    same = config.plan_edit(api.text, "canary", "claim", "x/mount:new")
    config.refuse_beside_others(api.object, "r1", same, "claim")
    assert "by run r1" in refused(api, "r1", image="x/mount:another")
