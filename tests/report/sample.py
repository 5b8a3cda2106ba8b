"""Test data: parts as the steps keep them, of a run that never happened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NODE = "svr28176de740"
OLD, NEW = "juicedata/mount:ce-v1.3.0", "juicedata/mount:ce-v1.4.2"
OLD_POD, NEW_POD = f"juicefs-{NODE}-songlin-test-pv-yorllp", f"juicefs-{NODE}-songlin-test-pv-wslvif"
TIME = "2026-11-25T01:00:{:06.3f}+00:00"
MOMENTS = [
    {"at": f"11-25 08:00:0{n}.5", "caller": a, "callee": b, "what": what, "seconds": s, "error": "", "answer": bool(s)}
    for n, (a, b, what, s) in enumerate(
        [
            ("kubelet", "CSI node", "NodePublishVolume(pv)", None),
            ("CSI node", "API server", "add a reference", None),
            ("CSI node", "kubelet", "done", 2.0),
        ]
    )
]


def check(code: str, title: str, verdict: str = "PASS", reason: str = "as it should be") -> dict[str, Any]:
    action = "" if verdict == "PASS" else "Look at it."
    evidence = [{"object": f"pod/{NEW_POD}", "field": "spec.containers[0].image", "value": NEW}]
    return {
        "code": code,
        "title": title,
        "verdict": verdict,
        "reason": reason,
        "next_action": action,
        "evidence": evidence,
    }


def part(step: str, name: str, title: str, checks: list[dict[str, Any]], at: float, **data: Any) -> dict[str, Any]:
    kind = "waited for" if name in ("baseline", "smoke", "wait_in_force", "shutdown") else "did"
    return {
        "step": step,
        "part": name,
        "title": title,
        "verdict": checks[0]["verdict"] if checks else "N/A",
        "checks": checks,
        "timeline": [{"what": title, "started": TIME.format(at), "seconds": 1.5, "kind": kind}],
        "data": data,
    }


def smoke(pod: str, mount_pod: str, image: str) -> dict[str, Any]:
    row = {"NAME": pod, "READY": "1/1", "STATUS": "Running", "RESTARTS": 0, "AGE": "12s", "IP": "127.1.2.3"}
    return {
        "pod": pod,
        "namespace": "juicefs-system",
        "uid": "u",
        "node": NODE,
        "ip": "127.1.2.3",
        "image": "xxx/juicedata/mount:ce-v1.3.0",
        "claim": "songlin-test-pvc",
        "volume": "songlin-test-pv",
        "mount_pod": mount_pod,
        "mount_image": image,
        "manifest": "kind: Pod",
        "wide": [{**row, "NODE": NODE}],
        "events": [{"at": "1", "type": "Normal", "reason": "Started", "object": pod, "message": "m", "count": 1}],
        "log": ["JuiceFS mounted successfully at /jfs", "Read/Write test passed <script>alert(1)</script> </pre>"],
    }


def level(found: str, expected: str) -> list[dict[str, Any]]:
    rows = (
        (1, "What was asked for?", "spec.image", expected, expected, "the request"),
        (3, "Which client runs?", "its session", expected, found, "what runs"),
    )
    disk = (3, "Does it agree?", "what is on disk", expected, "another one", "only what is on disk")
    return [
        dict(zip(("level", "question", "source", "expected", "found", "proves"), row, strict=True))
        for row in (*rows, disk)
    ]


def parts() -> list[dict[str, Any]]:
    """A complete run that passed."""
    nodes = [
        {
            "node": name,
            "ready": name == NODE,
            "driver_registered": True,
            "csi_node_pod": f"juicefs-csi-node-{name[-4:]}",
            "csi_node_ready": True,
            "mount_pods": 2,
        }
        for name in (NODE, "svr25209de740", "svr17175hp360")
    ]
    mount_pods = [
        {
            "name": name,
            "node": NODE,
            "volume": "songlin-test-pv",
            "image": image,
            "phase": "Running",
            "references": 1,
            "age_seconds": age,
        }
        for name, image, age in ((OLD_POD, OLD, 7080.0), (NEW_POD, NEW, 380.0))
    ]
    cast = [
        {"role": "r", "kind": kind, "name": name, "namespace": "", "what_it_says": "w"}
        for kind, name in (
            ("CSIDriver", "csi.juicefs.com"),
            ("StorageClass", "juicefs-sc"),
            ("PersistentVolumeClaim", "songlin-test-pvc"),
            ("PersistentVolume", "songlin-test-pv"),
            ("Pod", "juicefs-csi-controller-0"),
        )
    ]
    diff = f"--- config.yaml\n+++ config.yaml\n@@ -1,2 +1,5 @@\n mountPodPatch:\n+  - ceMountImage: {NEW}\n"
    one, two, three, four, five = "01-background", "02-build", "03-patch", "04-deploy", "05-verify"
    facts = [{"what": "context", "value": "jfsnb-default"}]
    permissions = [
        {"verb": "get", "resource": "pods", "namespace": "", "allowed": True, "needed_for": "finding Mount Pods"}
    ]
    return [
        part(
            one,
            "preflight",
            "Can this run work here?",
            [check("JFS-PRE-001", "Driver is there")],
            0,
            cluster=facts,
            permissions=permissions,
        ),
        part(
            one,
            "who_is_who",
            "Who is who",
            [],
            1,
            cast=cast,
            nodes=nodes,
            mount_pods=mount_pods,
            config_map="juicefs-csi-driver-config",
            config="a: 1",
        ),
        part(
            one, "baseline", "Baseline", [check("JFS-IO-001", "Mounted")], 2, **smoke("smoke-baseline-x", OLD_POD, OLD)
        ),
        part(one, "csi_calls", "The calls", [], 3, pod="csi", target="/t", moments=MOMENTS, calls=[], traced=True),
        part(one, "served_by", "What serves it", [], 4, rows=[], same_client=False),
        part(two, "dockerfile", "The Dockerfile", [], 5, text="FROM x", build_base="x", run_base="y"),
        part(
            two,
            "build_preflight",
            "Before the build",
            [],
            5,
            engines=["Docker"],
            facts=[{"what": "source", "value": "/src"}],
            command="docker build",
        ),
        part(
            two,
            "build",
            "Build",
            [],
            6,
            engine="Docker",
            built=True,
            built_before=False,
            image=NEW,
            command="docker build",
            output=["Step 1/1"],
            note="",
            steps=[],
            image_id="sha256:1",
            digest="",
            client_sha256="2",
            client_version="juicefs version 1.4.2",
            commit="03f36d6",
            platform="linux/amd64",
            size=70_000_000,
            layers=[{"layer": "sha256:3", "size": 70_000_000, "made_by": "COPY"}],
            labels=[],
            where="",
        ),
        part(
            three,
            "plan",
            "The plan",
            [],
            7,
            config_map="juicefs-csi-driver-config",
            scope="canary",
            current_image=OLD,
            current_why="entry 0",
            future_image=NEW,
            future_why="entry 3",
            changed=True,
            diff=diff,
            affected=[],
            warnings=["drift to last-applied"],
        ),
        part(
            three,
            "apply",
            "The patch",
            [],
            8,
            config_map="juicefs-csi-driver-config",
            changed=True,
            before="1",
            after="2",
            backup="b",
        ),
        part(three, "wait_in_force", "In force", [check("JFS-CFG-001", "In force")], 9, nodes=[]),
        part(four, "prepare", "Prepare", [], 11, objects=[]),
        part(four, "smoke", "Smoke", [check("JFS-IO-001", "Mounted")], 12, **smoke("smoke-juicefs-x", NEW_POD, NEW)),
        part(four, "side_by_side", "Side by side", [], 14, mount_pods=mount_pods),
        part(
            five,
            "chain",
            "Chain",
            [check("JFS-MNT-001", "Exactly one Mount Pod serves it")],
            15,
            links=[],
            mount_pod=NEW_POD,
            node=NODE,
            others=[],
        ),
        part(
            five,
            "client",
            "Client",
            [check("JFS-IMG-003", "The running client is the one under test")],
            16,
            levels=level("1.4.2 (03f36d6)", NEW),
            baseline=level("1.3.0 (30190ca)", OLD),
        ),
        part(five, "data", "Data", [check("JFS-IO-004", "Data went through the Mount Pod")], 17, routes=[]),
        part(
            five,
            "shutdown",
            "Shutdown",
            [check("JFS-END-001", "Unmounted")],
            18,
            log=["=== [PRESTOP]"],
            mount_log=[],
            steps=[],
            mount_pod_gone=True,
        ),
        part(five, "restore", "Restore", [check("JFS-END-005", "As it was")], 20, undone=[]),
        part(
            five,
            "verdict",
            "Verdict",
            [],
            21,
            rows=[],
            sentence=f"{NEW} mounts, reads, writes and shuts down properly.",
        ),
    ]


def write(folder: Path, found: list[dict[str, Any]]) -> None:
    """Keep them as the steps do."""
    (folder / "results").mkdir(parents=True, exist_ok=True)
    for step in {part["step"] for part in found}:
        text = json.dumps([part for part in found if part["step"] == step])
        (folder / "results" / f"{step}.json").write_text(text, encoding="utf-8")
