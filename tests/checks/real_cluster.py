"""Snapshots of a real cluster, from the recordings in tests/recorded/real."""

import gzip
import json
from pathlib import Path

from jfsnb.checks.codes import Unreadable
from jfsnb.checks.snapshot import Snapshot
from jfsnb.driver import names
from jfsnb.driver.mountpods.mount_pods import is_mount_pod, parse_time

FOLDER = Path(__file__).parents[1] / "recorded" / "real"
STAGES = sorted(p.name.removesuffix(".json.gz") for p in FOLDER.glob("*.json.gz"))


def recorded(stage):
    """The cluster at one of the recorded moments."""
    data = json.loads(gzip.decompress((FOLDER / f"{stage}.json.gz").read_bytes()))
    pods, logs = data["pods"], data["logs"]

    def kinds(items, *kind):
        return [o for o in items if o["kind"] in kind]

    def labelled(key, value=None):
        told = ((p, (p["metadata"].get("labels") or {}).get(key)) for p in pods)
        return [p for p, label in told if label is not None and value in (None, label)]

    csi, mounts = labelled("app", "juicefs-csi-node"), [p for p in pods if is_mount_pod(p)]
    csi_names = {p["metadata"]["name"] for p in csi}
    volumes = kinds(data["storage"], "PersistentVolume")
    drivers = kinds(data["storage"], "CSIDriver")
    return Snapshot(
        now=parse_time(data["now"]),
        mount_pods=mounts,
        app_pods=labelled(names.UNIQUE_ID),
        pvs=[v for v in volumes if (v["spec"].get("csi") or {}).get("driver") == names.DRIVER],
        pvcs=data["pvcs"],
        foreign_pvs=[],
        storage_classes=kinds(data["storage"], "StorageClass"),
        nodes=data["nodes"],
        csi_nodes=kinds(data["storage"], "CSINode"),
        csi_driver=drivers[0] if drivers else None,
        csi_pods=csi,
        daemon_set=kinds(data["workloads"], "DaemonSet")[0],
        controller_pods=labelled("app", "juicefs-csi-controller"),
        controllers=kinds(data["workloads"], "StatefulSet"),
        jobs=data["jobs"],
        job_pods=labelled(names.JOB_NAME),
        run_pods=[p for p in pods if "jfsnb.io/run" in (p["metadata"].get("labels") or {})],
        config_map=data["config_map"],
        events=data["events"],
        csi_logs={n: lines for n, lines in logs.items() if n in csi_names},
        mount_logs={n: lines for n, lines in logs.items() if n not in csi_names},
        secret_keys={},
        csi_files={},
        csi_file_times={},
        clients=Unreadable("not recorded"),
        next_hashes={},
    )
