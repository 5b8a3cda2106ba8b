"""The Pods of tests/recorded/pods.yaml once more, in a sandbox: their events are those of a real kubelet."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import yaml
from kubelet_cluster import in_namespace

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]
RECORDED = Path(__file__).parents[2] / "recorded"
#: These need a claim or end by themselves only; the scheduler's events are not the kubelet's.
PODS = ("smoke", "badimage", "crash", "badcmd", "nosecret", "livefail", "initside")


def wording(event, namespace):
    """(type, reason, message) without what differs from cluster to cluster."""
    ref = event["involvedObject"]
    message = event["message"].replace(ref["uid"], "<uid>").replace(f"_{namespace}(", "_<namespace>(")
    if message.startswith("Failed to pull image"):
        message = message.partition(": failed to do request")[0].partition("ce-nosuch: not found")[0].rstrip(": ")
        message = message.split("docker.io/juicedata/mount:ce-nosuch")[0]  # why it failed depends on the network
    return ref["name"], event["type"], event["reason"], message, ref.get("fieldPath", "")


def recorded():
    lines = (RECORDED / "watch-events.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line)["object"] for line in lines]
    return {
        wording(e, "demo")
        for e in events
        if e["involvedObject"]["name"] in PODS and e["source"].get("component") == "kubelet"
    }


def test_events_are_worded_as_a_real_kubelet_words_them(container_sandbox):
    documents = list(yaml.safe_load_all((RECORDED / "pods.yaml").read_text(encoding="utf-8")))
    wanted = recorded()

    async def test(k):
        plurals = {"Pod": "pods", "ConfigMap": "configmaps"}
        for obj in documents:
            obj["metadata"]["namespace"] = k.namespace
            if obj["kind"] == "ConfigMap" or obj["metadata"]["name"] in PODS:
                await k.create(plurals[obj["kind"]], obj)
        seen = set()

        def enough(event):
            if event["source"].get("component") == "kubelet":
                seen.add(wording(event, k.namespace))
            return {w for w in wanted if w[2] != "Killing" or w[0] != "smoke"} <= seen

        try:
            await k.event(enough)
            await k.delete("smoke")
            await asyncio.wait_for(k.gone("smoke"), 30)
            await k.event(lambda e: seen.add(wording(e, k.namespace)) or wanted <= seen)
        except TimeoutError:
            pass  # the comparison says what is missing
        kubelets = {w for w in seen if w[2] != "Scheduled"}
        assert kubelets == wanted

    in_namespace(container_sandbox, test)
