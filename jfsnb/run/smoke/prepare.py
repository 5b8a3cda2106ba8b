"""What every smoke Pod needs: its claim and the ConfigMap updatedb-config, made by the run where missing."""

from __future__ import annotations

from typing import Any

from jfsnb.errors import WaitTimeout
from jfsnb.queries import driver_facts
from jfsnb.queries.driver_facts import Volume
from jfsnb.queries.model import Row, Table, Timeline
from jfsnb.run.smoke import manifest
from jfsnb.run.state import Run

Obj = dict[str, Any]
THERE, MADE = "there already", "made by this run"


def make_missing(run: Run, timeline: Timeline) -> Table:
    """Columns kind, name, namespace, state, detail. Safe to call again: what is there is left alone."""
    settings = run.settings
    rows = [_ensure(run, timeline, manifest.updatedb_config(settings), "configmaps")]
    if settings.storage_class:
        rows.append(_ensure(run, timeline, manifest.claim(settings), "persistentvolumeclaims"))
    else:
        claim = run.cluster.find("persistentvolumeclaims", settings.namespace, settings.pvc)
        phase = ((claim or {}).get("status") or {}).get("phase", "")
        rows.append(
            _row("PersistentVolumeClaim", settings.pvc, settings.namespace, THERE if claim else "missing", phase)
        )
    return tuple(rows)


def _ensure(run: Run, timeline: Timeline, wanted: Obj, plural: str) -> Row:
    meta = wanted["metadata"]
    found = run.cluster.find(plural, meta["namespace"], meta["name"])
    if found is None:
        run.tell("change", f"create {wanted['kind']} {meta['namespace']}/{meta['name']}")
        with timeline.measure(f"create {wanted['kind']} {meta['name']}"):
            found = run.journal.create(run.cluster, wanted)
    ours = (found["metadata"].get("labels") or {}).get(manifest.RUN_LABEL) == run.id
    phase = (found.get("status") or {}).get("phase", "")
    return _row(wanted["kind"], meta["name"], meta["namespace"], MADE if ours else THERE, phase)


def _row(kind: str, name: str, namespace: str, state: str, detail: str) -> Row:
    return {"kind": kind, "name": name, "namespace": namespace, "state": state, "detail": detail}


def bound_volume(run: Run, timeline: Timeline) -> Volume:
    """The smoke claim's volume; a claim that this run has made is waited for.

    A class that binds on first use (WaitForFirstConsumer) has no volume before its Pod: that is not supported.

    Raises:
        NotInCluster: no claim, or it is not bound. WaitTimeout: ours is not bound in time.
    """
    settings, name = run.settings, manifest.claim_name(run.settings)
    if settings.storage_class:

        def bound(claim: Obj) -> bool | None:
            return True if (claim.get("status") or {}).get("phase") == "Bound" else None

        run.tell("wait", f"PersistentVolumeClaim {name} to be bound")
        with timeline.waiting(f"PersistentVolumeClaim {name} bound"):
            try:
                run.cluster.wait_for("persistentvolumeclaims", settings.namespace, name, settings.timeout, bound)
            except WaitTimeout as error:
                raise WaitTimeout(
                    f"PersistentVolumeClaim {settings.namespace}/{name} was not bound within {settings.timeout} s",
                    f"look at its events: kubectl -n {settings.namespace} describe pvc {name}",
                ) from error
    return driver_facts.find_volume(run.cluster, settings.namespace, name)
