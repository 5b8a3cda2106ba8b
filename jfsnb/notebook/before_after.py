"""What an edit of the driver's configuration means for a claim: each field of its next Mount Pod, before and after."""

from __future__ import annotations

from typing import Any

from jfsnb.driver.config import merging as driver_config
from jfsnb.driver.settings.explain import explain
from jfsnb.i18n import say
from jfsnb.queries import driver_facts
from jfsnb.queries.driver_facts import Driver
from jfsnb.queries.slim import is_juicefs
from jfsnb.run import config_map as config
from jfsnb.run.smoke import manifest
from jfsnb.run.state import Run
from jfsnb.views import html


def smoke_claim(run: Run) -> str:
    """``namespace/name`` of the smoke claim."""
    return f"{run.settings.namespace}/{manifest.claim_name(run.settings)}"


def claims(run: Run) -> list[str]:
    """Claims (``namespace/name``) on volumes of the driver."""
    volumes = run.cluster.list("persistentvolumes")
    name = driver_facts.find_driver(run.cluster, run.settings.driver_namespace).deployment.driver_name
    ours = (pv["spec"] for pv in volumes if is_juicefs(pv, name))
    found = {f"{ref['namespace']}/{ref['name']}" for spec in ours if (ref := spec.get("claimRef"))}
    return sorted(found | {smoke_claim(run)})


def of_claim(run: Run, claim: str) -> str:
    """HTML: fields of the claim's next Mount Pod under the configuration before and after this run's edit."""
    namespace, _, name = claim.partition("/")
    driver = driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
    volume = driver_facts.find_volume(run.cluster, namespace, name)
    node = (run.recall("baseline") or {}).get("node")
    at = run.cluster.find("nodes", name=node) if node else None
    before, after = (_fields(run, driver, text, volume, at) for text in _texts(run, driver))
    rows = [
        {
            "field": field,
            "before": before.get(field, ("", ""))[0],
            "after": after.get(field, ("", ""))[0],
            "changed": before.get(field, ("", ""))[0] != after.get(field, ("", ""))[0],
            "decided_by": after.get(field, before.get(field, ("", "")))[1],
        }
        for field in dict.fromkeys([*after, *before])
    ]
    changed = sum(bool(row["changed"]) for row in rows)
    told = say("{} of {} fields change for the next Mount Pod of {}.", changed, len(rows), claim)
    return html.note(html.escape(told)) + html.table(rows, caption="the next Mount Pod, before and after the edit")


def _texts(run: Run, driver: Driver) -> tuple[str, str]:
    """config.yaml before and after this run's edit, whether it has been made already or not."""
    backup = run.folder / "config-before.yaml"
    if (run.recall("apply") or {}).get("changed") and backup.exists():
        return backup.read_text(encoding="utf-8"), driver.config_text
    settings = run.settings
    volume = driver_facts.find_volume(run.cluster, settings.namespace, manifest.claim_name(settings))
    edit = config.plan_edit(driver.config_text, settings.scope, volume.claim_name, settings.image, volume.is_ce)
    return edit.before, edit.after


def _fields(run: Run, driver: Driver, text: str, volume: driver_facts.Volume, node: Any) -> dict[str, tuple[str, str]]:
    """Field -> (value, who decided)."""
    loaded = driver_config.load(text)
    merged = driver_config.merge(loaded, volume.claim, node)
    decision = driver_facts.decide_image(run.cluster, driver, loaded, volume, node)
    return {e.field: (e.value, e.provenance) for e in explain(loaded, merged, decision)}
