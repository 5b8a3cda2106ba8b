"""What a real server recorded passes through ours unchanged, and is printed as its kubectl printed it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jfsnb.sandbox.apiserver.schema.codec import Report, compiled, decode
from jfsnb.sandbox.apiserver.tables.pod_printer import pod_cells

RECORDED = Path(__file__).parents[2] / "recorded"
SECONDS = 42.36  # get -o wide was run 40 s after the Pods were made


def events(file):
    return [json.loads(line) for line in (RECORDED / file).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    "file,kind",
    [("watch-pods.jsonl", "Pod"), ("watch-pvcs.jsonl", "PersistentVolumeClaim"), ("watch-events.jsonl", "Event")],
)
def test_objects_keep_their_form(file, kind):
    for event in events(file):
        report = Report(kind, "v1")
        assert decode(event["object"], compiled(f"io.k8s.api.core.v1.{kind}"), report) == event["object"]
        assert not report.unknown and not report.unsupported


def test_pods_are_printed_as_they_were():
    printed = {}
    for row in (RECORDED / "get-wide.txt").read_text(encoding="utf-8").splitlines()[1:]:
        name, ready, status, restarts = row.split()[:4]
        printed[name] = [ready, status, restarts]
    ours = {}
    for event in events("watch-pods.jsonl"):
        if event["t"] <= SECONDS:
            name, ready, status, restarts, *_ = pod_cells(event["object"])
            ours[name] = [ready, status, restarts.split()[0]]
    assert ours == printed


def test_states_on_the_way():
    ways = {}
    for event in events("watch-pods.jsonl"):
        name, _, status, *_ = pod_cells(event["object"])
        if status not in ways.setdefault(name, [])[-1:]:
            ways[name].append(status)
    assert ways["smoke"] == ["Pending", "ContainerCreating", "Running", "Terminating", "Completed"]
    assert ways["initside"] == ["Pending", "Init:0/2", "Init:1/2", "PodInitializing", "Running", "Completed"]
    assert ways["badimage"][:4] == ["Pending", "ContainerCreating", "ErrImagePull", "ImagePullBackOff"]
