"""Seven moments of a real cluster, as kubectl printed them: each opens and gets the right answers.

What is true at each is known from what was done to that cluster (tests/recorded/real; trimmed).
"""

from pathlib import Path

import pytest

from jfsnb.bundle.compare import compare
from jfsnb.bundle.read import read
from jfsnb.bundle.write import as_zip
from jfsnb.notebook.case import case_of
from jfsnb.notebook.investigate import CASE
from jfsnb.queries import investigate
from jfsnb.run import patch
from jfsnb.settings import Settings

REAL = Path(__file__).parents[1] / "recorded" / "real"
OLD, NEW = "127.0.0.1:5000/juicedata/mount:ce-v1.3.0", "127.0.0.1:5000/juicedata/mount:ce-v1.4.1"
CLAIM = "pvc-0fda6622-5aab-4ba2-a916-aa6ecade7500"
#: What nobody wrote down that day: which config.yaml the CSI node had.
NOT_IN_FOLDER = {"JFS-CFG-102"}
FAIL = {"1-first-mounts": {"JFS-CSI-101"}}
#: moment → (Mount Pod's suffix → (image, client, what the configuration wants, how many it serves)), findings
MOMENTS = {
    "1-first-mounts": (
        {"fplejv": (OLD, "1.3.0", OLD, 2), "hycqdo": (OLD, "1.3.0", OLD, 1), "qjvnpb": (OLD, "not known", "", 0)},
        {"JFS-CSI-101"},  # the controller's image is not there
    ),
    "2-config-patched-before-upgrade": (
        {"fplejv": (OLD, "1.3.0", NEW, 1), "hycqdo": (OLD, "1.3.0", NEW, 1)},
        {"JFS-CFG-105", "JFS-IMG-101", "JFS-RUN-101"},
    ),
    "3-after-upgrade-recreate": (
        {"waqzjf": (NEW, "1.4.1", NEW, 1), "hycqdo": (OLD, "1.3.0", NEW, 1)},
        {"JFS-CFG-105", "JFS-IMG-101", "JFS-RUN-101"},
    ),
    "4-after-binary-upgrade": (
        {"waqzjf": (NEW, "1.4.1", NEW, 2), "hycqdo": (OLD, "1.4.1", NEW, 1)},
        {"JFS-CFG-105", "JFS-IMG-101", "JFS-IMG-104", "JFS-RUN-101"},
    ),
    "5-delete-delay": ({"svwqwg": (OLD, "1.3.0", OLD, 2)}, {"JFS-END-105", "JFS-MNT-118"}),
    "6-mount-pod-deleted": ({"djxawv": (OLD, "1.3.0", OLD, 2)}, {"JFS-MNT-121"}),
    "9-final": ({"rlcobf": (OLD, "1.3.0", OLD, 2)}, {"JFS-CSI-101", "JFS-MNT-114", "JFS-MNT-118"}),  # all restarted
}


def at(moment):
    return read(REAL / moment)


@pytest.mark.parametrize("moment", MOMENTS)
def test_who_serves_whom_with_which_client(moment):
    expected, _ = MOMENTS[moment]
    rows = {row["name"].rpartition("-")[2]: row for row in investigate.mounts(at(moment)).rows}
    found = {
        n: (r["image"], r["client"].partition(" (")[0], r["desired_image"], r["references"]) for n, r in rows.items()
    }
    assert {n: (i, c.partition(":")[0], d, k) for n, (i, c, d, k) in found.items()} == expected
    assert all("gone" not in row["serves"] and "not known" not in row["serves"] for row in rows.values())


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_is_wrong(moment):
    _, expected = MOMENTS[moment]
    rows = investigate.doctor(at(moment)).rows
    assert {row["code"] for row in rows if row["verdict"] in ("WARN", "FAIL")} == expected
    assert {row["code"] for row in rows if row["verdict"] == "FAIL"} == FAIL.get(moment, set())
    could_not_look = [row for row in rows if row["verdict"] == "ERROR"]
    assert {row["code"] for row in could_not_look} >= NOT_IN_FOLDER
    assert all("not in the folder" in row["reason"] for row in could_not_look)


@pytest.mark.parametrize(
    ("moment", "verdict", "words"),
    [
        ("1-first-mounts", "PASS", "it would use"),
        ("2-config-patched-before-upgrade", "WARN", "image would differ"),
        ("3-after-upgrade-recreate", "WARN", "it would use"),
        ("4-after-binary-upgrade", "WARN", "it would use"),
        ("5-delete-delay", "PASS", "juicefs-delete-delay would differ"),
        ("6-mount-pod-deleted", "PASS", "it would use"),
    ],
)
def test_which_client_serves_the_claim_and_what_comes_next(moment, verdict, words):
    found = investigate.verify(at(moment), "demo", "pvc/web-data")
    assert str(found.verdict) == verdict
    assert any(words in row["next_mount"] for row in found.rows)
    assert {row["client_by"] for row in found.rows} == {"what it wrote into its log when it was last started"}
    assert [r["state"] for r in found.tables["configuration in force"]] == ["unknown"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_mounts_verify_and_explain_say_the_same_of_the_next_mount(moment):
    known = at(moment)
    verified = {row["next_mount"] for row in investigate.verify(known, "demo", "pvc/web-data").rows}
    (explained,) = investigate.explain(known, "demo", "web-data").tables["next mount"]
    assert verified == {explained["answer"]} and not explained["exact"] and "Secret" in explained["not_seen"]
    listed = {r["name"]: r["next_mount"] for r in investigate.mounts(known).rows if r["claim"] == "demo/web-data"}
    for name, words in listed.items():
        if "it would use" in explained["answer"]:
            assert words in ("uses it", f"uses {explained['answer'].split()[3].rstrip(',')}")
            assert (words == "uses it") is (name in explained["answer"])
        else:
            assert words.startswith("a new one")


def test_what_the_next_mount_gets_and_who_decides():
    found = investigate.explain(at("2-config-patched-before-upgrade"), "demo", "web-data")
    fields = {row["field"]: row for row in found.rows}
    assert fields["image"]["value"] == NEW and fields["image"]["decided_by"].startswith("entry 1")
    assert fields["mountOptions"]["value"] == "cache-size=512" and "team=search" in fields["mountOptions"]["decided_by"]
    (coming,) = found.tables["next mount"]
    assert "image would differ" in coming["answer"] and coming["exact"] is False  # no Secret is in the folder


def test_ages_are_of_the_day():
    ages = {row["name"].rpartition("-")[2]: row["age_seconds"] for row in investigate.mounts(at("1-first-mounts")).rows}
    assert ages == {"fplejv": 171, "hycqdo": 187, "qjvnpb": 19}


def test_the_plan_of_a_patch_of_a_cluster_that_is_elsewhere():
    settings = Settings(cluster="file:x", namespace="demo", pvc="web-data", image=NEW)
    plan = patch.plan_of(at("1-first-mounts"), settings)
    assert (plan.current_image, plan.future_image, plan.changed) == (OLD, NEW, True)
    assert {row["pod"] for row in plan.affected_pods} == {
        *("demo/web-8649995bdb-97j5q", "demo/web-8649995bdb-vnl9d", "demo/web-8649995bdb-wmnnh")
    }
    assert "+    ceMountImage: " + NEW in plan.diff


def test_what_changed_between_two_moments():
    found = compare(at("2-config-patched-before-upgrade"), at("3-after-upgrade-recreate"))
    changes = {(r["what"], r["object"].rpartition("-")[2], r["field"], r["before"], r["after"]) for r in found.rows}
    assert ("Mount Pod", "fplejv", "gone", OLD, "") in changes and ("Mount Pod", "waqzjf", "new", "", NEW) in changes
    assert found.tables["configuration"] == ()
    patched = compare(at("1-first-mounts"), at("2-config-patched-before-upgrade")).tables["configuration"]
    assert {row["line"] for row in patched} >= {f"-  - ceMountImage: {OLD}", f"+  - ceMountImage: {NEW}"}
    same = compare(at("4-after-binary-upgrade"), at("4-after-binary-upgrade"))
    assert same.rows == () and same.tables["configuration"] == ()


def test_the_case_that_ships_with_the_lessons_is_one_of_these_moments():
    """Else: python -m jfsnb.notebook.case tests/recorded/real/4-after-binary-upgrade"""
    made, _ = as_zip(case_of(REAL / "4-after-binary-upgrade"), {})
    assert CASE.read_bytes() == made
