"""Small pure parts: ages, selectors, strategic merge."""

from __future__ import annotations

import pytest

from jfsnb.sandbox.apiserver.patching.patch import strategic_merge
from jfsnb.sandbox.apiserver.rules.selectors import parse_labels
from jfsnb.sandbox.apiserver.rules.status import Failure
from jfsnb.sandbox.apiserver.schema.resources import schema_of
from jfsnb.sandbox.apiserver.tables.ages import duration


@pytest.mark.parametrize(
    "seconds,expected",
    {
        0: "0s",
        119: "119s",
        120: "2m",
        380: "6m20s",
        600: "10m",
        7140: "119m",
        10800: "3h",
        29000: "8h",
        14700: "4h5m",
        172800: "2d",
        435600: "5d1h",
        86400 * 700: "700d",
        86400 * 1290: "3y195d",
    }.items(),
)
def test_ages(seconds, expected):
    assert duration(seconds) == expected


@pytest.mark.parametrize("text", ["a in (", "a=b,", "=b", "!", "a in b", "a ! b", "a,,b", "(a)"])
def test_bad_selectors(text):
    with pytest.raises(Failure) as failure:
        parse_labels(text)
    assert failure.value.code == 400 and "unable to parse requirement" in failure.value.message


@pytest.mark.parametrize(
    "text,matches", [("a>1", True), ("a<1", False), ("a notin (3)", True), ("a=", False), ("b!=", True)]
)
def test_selectors(text, matches):
    assert all(r.matches({"a": "2"}) for r in parse_labels(text)) is matches


POD = schema_of("", "v1", "Pod")


def test_strategic_merge_directives():
    volumes = [{"name": "a", "emptyDir": {}}, {"name": "b", "hostPath": {"path": "/x"}}]
    pod = {"metadata": {"labels": {"x": "1"}}, "spec": {"volumes": volumes, "nodeSelector": {"k": "v"}}}
    patch = {"spec": {"volumes": [{"$patch": "replace"}, {"name": "c", "emptyDir": {}}]}}
    assert strategic_merge(pod, patch, POD)["spec"]["volumes"] == [{"name": "c", "emptyDir": {}}]
    patch = {"spec": {"nodeSelector": {"$patch": "replace", "z": "1"}}}
    assert strategic_merge(pod, patch, POD)["spec"]["nodeSelector"] == {"z": "1"}
    patch = {"spec": {"volumes": [{"name": "b", "emptyDir": {}, "$retainKeys": ["name", "emptyDir"]}]}}
    assert strategic_merge(pod, patch, POD)["spec"]["volumes"][1] == {"name": "b", "emptyDir": {}}
    patch = {"spec": {"$setElementOrder/volumes": [{"name": "b"}, {"name": "a"}], "volumes": [{"name": "a"}]}}
    assert [v["name"] for v in strategic_merge(pod, patch, POD)["spec"]["volumes"]] == ["b", "a"]
    patch = {"metadata": {"labels": None}}
    assert "labels" not in strategic_merge(pod, patch, POD)["metadata"]
    assert pod["spec"]["volumes"] is volumes and len(volumes) == 2  # the original is as it was


def test_deleting_from_a_list_of_texts():
    obj = {"metadata": {"finalizers": ["a", "b", "c"]}}
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"]}}
    assert strategic_merge(obj, patch, POD)["metadata"]["finalizers"] == ["a", "c"]
