"""The smallest edit of config.yaml, and its undo."""

import dataclasses
import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jfsnb.driver.config import goyaml
from jfsnb.driver.config.edit import Edit, plan_canary, plan_global, undo
from jfsnb.driver.config.merging import effective_image, load
from jfsnb.errors import ConfigInvalid, ConflictError
from jfsnb.sandbox import world

IMAGE = "registry.example.com:5000/juicefs/mount:ce-v1.3.1"
CLAIM = "songlin-test-pvc"


def pvc(name, **labels):
    return {"metadata": {"name": name, "namespace": "any", "labels": labels}, "spec": {}}


BLOCK_SCALAR = "lifecycle:\n  preStop:\n    exec:\n      script: |\n        echo '# no comment'\n\n        sync"
ENTRIES = [
    "ceMountImage: juicedata/mount:ce-v1.2.0",
    "ceMountImage: 'juicedata/mount:ce-v1.2.0'   # quoted on purpose",
    'ceMountImage: "juicedata/mount:ce-v1.2.0"\nlabels: {a: "1", b: yes}',
    "CeMountImage: juicedata/mount:ce-v1.2.0\nlables:\n  x: y",
    "hostNetwork: false\nannotations:\n  juicefs-clean-cache: true",
    "pvcSelector:\n  matchLabels:\n    mode: seqread\nmountOptions:\n- cache-size=0G\n- buffer-size=2G",
    "pvcSelector:\n  matchName: other-pvc\nceMountImage: juicedata/mount:ce-v1.1.0",
    "nodeSelector:\n  matchLabels: {zone: a}\nceMountImage: juicedata/mount:ce-v1.1.1",
    BLOCK_SCALAR,
    "# nothing but a comment\nenv:\n- name: A\n  value: 1",
]
HEADS = ["", "# the cluster's configuration\n", "enableNodeSelector: true\n", "---\nenableSetQuota: no  # off\n"]


@st.composite
def texts(draw):
    """config.yaml in many styles."""
    entries = draw(st.lists(st.sampled_from(ENTRIES), max_size=4))
    indent, gap = draw(st.sampled_from([0, 2, 4])), draw(st.sampled_from([1, 3]))
    lines = [*draw(st.sampled_from(HEADS)).splitlines()]
    empty = draw(st.sampled_from(["", " null", " ~", " []", " null  # none", "   # none", " [ ]"]))
    lines.append("mountPodPatch:" + (draw(st.sampled_from(["", " # list"])) if entries else empty))
    for entry in entries:
        first, *rest = entry.splitlines()
        lines.append(" " * indent + "-" + " " * gap + first)
        lines += [(" " * (indent + gap + 1) + line).rstrip() for line in rest]
        lines += draw(st.sampled_from([[], [""], [" " * indent + "# between"]]))
    lines += draw(
        st.sampled_from([[], ["enableKubeletListMountPod: true"], ["# the end"], ["unknownKey: {a: [1, 2]}"]])
    )
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    text = newline.join(lines) + draw(st.sampled_from(["", newline, newline * 2]))
    assume(not text.endswith("sync"))  # refused: see test_a_block_scalar_that_ends_without_a_line_break
    return text


plans = st.sampled_from(
    [
        lambda t: plan_canary(t, CLAIM, IMAGE),
        lambda t: plan_canary(t, "other-pvc", IMAGE),
        lambda t: plan_global(t, IMAGE),
    ]
)


@settings(max_examples=150, deadline=None)
@given(texts(), plans)
def test_edit_is_small_idempotent_and_undone_byte_for_byte(text, plan):
    edit = plan(text)
    assert plan(edit.after).after == edit.after
    assert undo(edit.after, edit) == text
    assert text[: edit.start] + edit.inserted + text[edit.start + len(edit.removed) :] == edit.after
    assert "\n" not in edit.removed and edit.inserted.count("\n") <= 5
    before, after = goyaml.parse(text).value, goyaml.parse(edit.after).value
    old, new = before.pop("mountPodPatch") or [], after.pop("mountPodPatch")
    assert before == after
    if edit.added:
        assert [e for n, e in enumerate(new) if n != edit.entry - 1] == old
    else:
        differing = [n for n, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
        assert differing in ([], [edit.entry - 1])
    if "\r\n" in text:
        assert edit.after.count("\n") == edit.after.count("\r\n")
    assert edit.after.endswith("\n") == text.endswith("\n")


@settings(max_examples=80, deadline=None)
@given(texts())
def test_canary_gives_only_its_claim_the_image(text):
    after = load(plan_canary(text, CLAIM, IMAGE).after)
    assert effective_image(after, pvc(CLAIM, mode="seqread"), None).image == IMAGE
    for other in (pvc("x"), pvc("other-pvc"), None):
        node = {"metadata": {"labels": {"zone": "a"}}}
        assert effective_image(after, other, node) == effective_image(load(text), other, node)


@settings(max_examples=80, deadline=None)
@given(texts())
def test_global_leaves_entries_with_selectors_winning(text):
    before, after = load(text), load(plan_global(text, IMAGE).after)
    assert effective_image(after, pvc("x"), None).image == IMAGE
    own = [e.fields["ceMountImage"] for e in before.entries if e.selector.pvc and e.selector.pvc.match_name]
    if own and not any(e.selector.is_empty and "ceMountImage" in e.fields for e in before.entries):
        assert effective_image(after, pvc("other-pvc"), None).image == own[-1]


ODD = [
    "",
    "\n",
    "{}",
    "{}\n",
    "# only a comment\n",
    "# no newline",
    "---\n",
    "null\n",
    "a: 1",
    "mountPodPatch:",
    "mountPodPatch: []\n",
    "{enableSetQuota: true}",
    "{mountPodPatch: null}\n",
    "{mountPodPatch: }",
    "{mountPodPatch: [], x: 1}",
    "mountPodPatch: [{ceMountImage: 'a:b'}, {labels: {x: y}}]\n",
    "mountPodPatch: [\n  {ceMountImage: a},\n]\n",
    "x: &img a:b\nmountPodPatch:\n- ceMountImage: *img\n",
    "mountPodPatch:\n- {ceMountImage: a:b}\n",
    "mountPodPatch:\n- ceMountImage: |\n    a:b\n  labels: {a: b}\n",
    "mountPodPatch:\n- \n- ceMountImage: !!str a:b\n",
]


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("scope", ["canary", "global"])
def test_odd_texts(text, scope):
    plan = (lambda t: plan_canary(t, CLAIM, IMAGE)) if scope == "canary" else (lambda t: plan_global(t, IMAGE))
    edit = plan(text)
    assert edit.changed and undo(edit.after, edit) == text
    assert effective_image(load(edit.after), pvc(CLAIM), None).image == IMAGE
    assert not plan(edit.after).changed
    if text.endswith("\n"):
        assert edit.after.endswith("\n")


def test_the_article_s_configuration():
    text = world.config_text()
    canary = plan_canary(text, CLAIM, world.NEW_IMAGE)
    assert canary.after.startswith(text.rstrip("\n"))
    assert canary.after.endswith(
        f"\n  - pvcSelector:\n      matchName: {CLAIM}\n    ceMountImage: {world.NEW_IMAGE}"
        + text[len(text.rstrip()) :]
    )
    everybody = plan_global(text, world.NEW_IMAGE)
    assert everybody.after == text.replace(world.OLD_IMAGE, world.NEW_IMAGE)
    assert [line for line in everybody.diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")] == [
        f"-  - ceMountImage: {world.OLD_IMAGE}",
        f"+  - ceMountImage: {world.NEW_IMAGE}",
    ]


def test_a_canary_of_ours_is_changed_not_doubled():
    first = plan_canary(world.config_text(), CLAIM, "a/b:c1")
    second = plan_canary(first.after, CLAIM, "a/b:c2")
    assert not second.added and second.after == first.after.replace("a/b:c1", "a/b:c2")


def test_a_canary_that_a_later_entry_overrules_is_left_and_a_new_one_added():
    text = f"mountPodPatch:\n- pvcSelector: {{matchName: {CLAIM}}}\n  ceMountImage: old\n- ceMountImage: newer\n"
    edit = plan_canary(text, CLAIM, IMAGE)
    assert edit.added and edit.entry == 3
    assert effective_image(load(edit.after), pvc(CLAIM), None).image == IMAGE


def test_names_that_yaml_would_take_for_something_else_are_quoted():
    edit = plan_canary("mountPodPatch:\n", "1e3", IMAGE)
    assert load(edit.after).entries[0].selector.matches(pvc("1e3"), None)


@pytest.mark.parametrize("text", ["a: [", "mountPodPatch: {a: b}", "- a", "just text", "mountPodPatch: [[]]"])
def test_what_the_driver_cannot_load_is_refused(text):
    with pytest.raises(ConfigInvalid):
        plan_canary(text, CLAIM, IMAGE)


def test_an_anchor_that_others_use_is_not_changed_for_them():
    text = "mountPodPatch:\n- ceMountImage: &img a:b\n- pvcSelector: {matchName: x}\n  ceMountImage: *img\n"
    with pytest.raises(ConfigInvalid, match="edited safely"):
        plan_global(text, IMAGE)


def test_a_block_scalar_that_ends_without_a_line_break():
    """A line break after it would become part of its value."""
    with pytest.raises(ConfigInvalid, match="edited safely"):
        plan_canary(
            "mountPodPatch:\n- lifecycle:\n    preStop: {exec: {command: [sh]}}\n  x: |\n    sync", CLAIM, IMAGE
        )


@pytest.mark.parametrize("plan", [lambda t: plan_canary(t, CLAIM, IMAGE), lambda t: plan_global(t, IMAGE)])
class TestUndoWhenOthersEdited:
    text = world.config_text() + "\n"

    def test_elsewhere(self, plan):
        edit = plan(self.text)
        for change in (
            ("enableNodeSelector: true", "enableNodeSelector: false"),
            ("max-readahead=512M", "max-readahead=1G"),
        ):
            assert undo(edit.after.replace(*change), edit) == self.text.replace(*change)

    def test_before_and_after_it(self, plan):
        edit = plan(self.text)
        assert (
            undo("# note\n" + edit.after + "enableSetQuota: false\n", edit)
            == "# note\n" + self.text + "enableSetQuota: false\n"
        )

    def test_the_very_entry(self, plan):
        edit = plan(self.text)
        with pytest.raises(ConflictError, match="somebody else"):
            undo(edit.after.replace(IMAGE, "somebody/elses:image"), edit)

    def test_everything(self, plan):
        with pytest.raises(ConflictError):
            undo("mountPodPatch: []\n", plan(self.text))

    def test_already_undone(self, plan):
        assert undo(self.text, plan(self.text)) == self.text


def test_undo_when_somebody_has_extended_the_added_entry():
    """Taking our lines away would give theirs to the entry before."""
    edit = plan_canary(world.config_text() + "\n", CLAIM, IMAGE)
    with pytest.raises(ConflictError, match="somebody else"):
        undo(edit.after + "    hostNetwork: true\n", edit)


def test_an_edit_survives_a_journal():
    edit = plan_canary(world.config_text(), CLAIM, IMAGE)
    assert Edit(**json.loads(json.dumps(dataclasses.asdict(edit)))) == edit
