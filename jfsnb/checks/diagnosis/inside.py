"""Diagnosis: mounts that are dead as their apps see them, while every object looks healthy (``doctor --deep``)."""

from __future__ import annotations

from collections.abc import Iterator

from jfsnb.checks.codes import Unreadable, result, unreadable
from jfsnb.checks.diagnosis.snapshot import Snapshot, rule
from jfsnb.checks.model import CheckResult, Evidence, Verdict


@rule(
    "JFS-IO-101",
    "Apps' mounts answer from inside",
    "The client or the CSI node died while one client handed the mount to the next, or FUSE was aborted.",
    "Restart the app Pod: a container never sees a mount that is bound anew on its node.",
    needs=["app_pods"],
)
def dead_mounts(snapshot: Snapshot) -> Iterator[CheckResult]:
    for uid, seen in snapshot.inside.items():  # nothing, unless it was asked: --deep
        meta = (snapshot.app_pod_by_uid.get(uid) or {}).get("metadata") or {}
        name = f"{meta.get('namespace', '')}/{meta.get('name', uid)}"
        for path, said in seen.items():
            if said:
                evidence = [Evidence(f"pod/{name}", f"stat and list of {path}", said)]
                yield result("JFS-IO-101", Verdict.FAIL, f"{name}: {path}: {said}", evidence)
    for why in sorted({unread.why for unread in snapshot.inside.unread.values()}):
        yield unreadable("JFS-IO-101", Unreadable(why))
