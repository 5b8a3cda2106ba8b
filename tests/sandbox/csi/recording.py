"""The recorded life (tests/recorded/real/7-cycle), and what of a life is compared: all but names, times, addresses."""

import gzip
import itertools
import json
import re
from collections import defaultdict
from pathlib import Path

import yaml

from jfsnb.driver.mountpods.mount_pods import MountPod

HOME = Path(__file__).parents[2] / "recorded" / "real" / "7-cycle"
LINE = re.compile(r'^(?P<level>[IE])\d{4} [\d:.]+ +\d+ [^\]]+\] "(?P<message>(?:[^"\\]|\\.)*)"(?P<values>.*)$')
VALUE = re.compile(r' ([A-Za-z][\w ]*?)=("(?:[^"\\]|\\.)*"|\{.*?\}|\[.*?\]|[^ ]+)')
#: These work one after the other: their order among each other counts.
UPGRADE = ("grace", "passfd", "job-builder", "job-util")


def text_of(name):
    file = HOME / name
    return gzip.decompress(file.read_bytes()).decode() if file.suffix == ".gz" else file.read_text(encoding="utf-8")


def recorded_object(name):
    return yaml.safe_load(text_of(f"{name}.yaml"))


def recorded_watch():
    return [json.loads(line) for line in text_of("pods-watch.jsonl.gz").splitlines()]


def log_lines(lines):
    """Group → (level, message, names of the values) of each line; what runs side by side is in groups of its own.

    Mount Pods are numbered in the order in which they come up.
    """
    groups, pods = defaultdict(list), []
    for line in lines:
        match = LINE.match(line)
        if match is None:
            continue
        values = {key.strip(): value for key, value in VALUE.findall(match["values"])}
        logger, pod = values.pop("logger").strip('"'), values.get("podName", "")
        if logger == "pod-driver":
            if pod not in pods:
                pods.append(pod)
            logger = f"pod-driver, Mount Pod {pods.index(pod) + 1}"
        group = "upgrade" if logger in UPGRADE else logger
        groups[group].append((match["level"], logger, match["message"], tuple(values)))
    return dict(groups)


def upgrade_lines(lines):
    """What the command prints: repetitions once, names as they come."""
    said = [re.sub(r"juicefs-\S+?-[a-z]{6}\b|juicefs-[0-9a-f]{8}-canary", "NAME", line) for line in lines]
    return [line for line, _ in itertools.groupby(said)]


def acts(watched, volume):
    """What is done to the Mount Pods of a volume, for each of them: references, upgrade note, deletion; once each."""
    lives = defaultdict(list)
    for event in watched:
        meta = event["object"]["metadata"]
        if (meta.get("labels") or {}).get("volume-id") != volume:
            continue
        pod = MountPod.from_object(event["object"])
        state = (
            len(pod.references),
            "juicefs-upgrade-process" in pod.annotations,
            pod.deleting,
            event["type"] == "DELETED",
        )
        if state not in lives[meta["name"]]:
            lives[meta["name"]].append(state)
    return list(lives.values())


def comparable(pod, cluster):
    """A Pod object without what is another cluster's, or another moment's.

    Args:
        cluster: text in the object → what stands for it.
    """
    meta = {k: v for k, v in pod["metadata"].items() if k in ("labels", "annotations", "finalizers")}
    text = json.dumps({"metadata": meta, "spec": pod["spec"]}, sort_keys=True)
    for pattern, word in {**cluster, **EVERYWHERE}.items():
        text = re.sub(pattern, word, text)
    return json.loads(text)


#: Of a moment, in any cluster.
EVERYWHERE = {
    r'"juicefs-[0-9a-f]{55}"': '"REFERENCE"',
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": "UID",
    r'"juicefs-hash": "[0-9a-f]{63}"': '"juicefs-hash": "HASH"',
    r"kube-api-access-\w{5}": "kube-api-access",
    r"juicefs-[0-9a-f]{8}-canary": "CANARY",
    r"songlin-test-pv-[a-z]{6}": "MOUNT-POD",
    r"/usr/local/bin/juicefs format [^$]*(--secret-key=\$\{secretkey\} )?\$\{metaurl\} \w+": "FORMAT",
    r'("name": "_JFS_META_SID", "value": )"\d+"': r'\1"SID"',
}
