"""Undoing the edit of the driver's ConfigMap: to the byte, or only our part, or not at all."""

import copy

import pytest

from jfsnb.errors import ConflictError
from jfsnb.run import config_map as config

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
    edit = config.plan_edit(TEXT, request.param, "claim", "x/mount:new")
    note = config.note_of(TEXT, request.param, "claim", "x/mount:new", True, [])
    config.patch(api, api.find("", *NAME), edit, config.note_key("r1"), note)
    assert api.text == edit.after != TEXT
    return api


def restored(api, **details):
    return config.restore(api, *NAME, "r1", details)


def test_to_the_byte_and_without_a_trace(patched):
    assert restored(patched) == "restored, byte for byte"
    assert patched.text == TEXT
    assert patched.object["metadata"]["annotations"] == {"theirs": "kept"}


def test_a_note_that_tells_of_more_stays_until_that_is_undone_too():
    api, hurried = Api(), [{"namespace": "ns", "name": "csi", "before": None}]
    edit = config.plan_edit(TEXT, "canary", "claim", "x/mount:new")
    note = config.note_of(TEXT, "canary", "claim", "x/mount:new", True, hurried)
    config.patch(api, api.find("", *NAME), edit, config.note_key("r1"), note)
    api.text = api.text.replace("# ours", "# Ours")
    assert restored(api).startswith("our part undone")
    assert restored(api) == "as before already" and api.text == TEXT.replace("# ours", "# Ours")
    assert config.read_note(api.object["metadata"]["annotations"][config.note_key("r1")])["hurried"] == hurried
    config.forget(api, *NAME, "r1")
    assert api.object["metadata"]["annotations"] == {"theirs": "kept"}


def test_a_second_time_there_is_nothing_to_do(patched):
    restored(patched)
    version = patched.version
    assert restored(patched, before_sha256=config.checksum(TEXT)) == "as before already"
    assert patched.version == version


def test_what_others_have_changed_elsewhere_stays(patched):
    patched.text = patched.text.replace("cache-size=0G", "cache-size=9G")
    assert restored(patched).startswith("our part undone")
    assert patched.text == TEXT.replace("cache-size=0G", "cache-size=9G")


def test_our_entry_changed_by_others_is_left_alone(patched):
    patched.text = theirs = patched.text.replace("x/mount:new", "y/mount:other")
    assert restored(patched).startswith("left: ")
    assert patched.text == theirs


def test_somebody_is_quicker_and_the_next_attempt_gets_it(patched):
    def interfere():
        patched.before_patch = lambda: None
        patched.text = patched.text.replace("# ours", "# Ours")

    patched.before_patch = interfere
    assert restored(patched).startswith("our part undone")
    assert patched.text == TEXT.replace("# ours", "# Ours")


def test_a_patch_that_was_never_made(patched):
    fresh = Api()
    assert restored(fresh, before_sha256=config.checksum(TEXT)) == "as before already"
    assert fresh.version == 1


def test_our_note_was_lost_but_the_backup_is_there(patched, tmp_path):
    backup = tmp_path / "config-before.yaml"
    backup.write_text(TEXT)
    note = config.read_note(patched.object["metadata"]["annotations"].pop(config.note_key("r1")))
    details = {k: note[k] for k in ("scope", "claim", "image", "is_ce")}
    details |= {"before_sha256": config.checksum(TEXT), "backup": str(backup)}
    assert restored(patched, **details) == "restored, byte for byte"
    assert patched.text == TEXT


def test_without_note_and_backup_nothing_is_guessed(patched):
    patched.object["metadata"]["annotations"].clear()
    text = patched.text
    assert restored(patched, before_sha256=config.checksum(TEXT)).startswith("left: ")
    assert patched.text == text


def test_two_runs_at_a_time_undo_each_its_own():
    api = Api()
    for run, claim in (("r1", "one"), ("r2", "two")):
        before = api.text
        edit = config.plan_edit(before, "canary", claim, f"x/mount:{run}")
        note = config.note_of(before, "canary", claim, f"x/mount:{run}", True, [])
        config.patch(api, api.find("", *NAME), edit, config.note_key(run), note)
    assert config.restore(api, *NAME, "r1", {}).startswith("our part undone")
    assert "x/mount:r1" not in api.text and "x/mount:r2" in api.text
    config.restore(api, *NAME, "r2", {})
    assert "x/mount" not in api.text
