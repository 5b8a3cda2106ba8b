"""Which client serves the smoke Pod, on three levels of evidence: spec, image id, and what really runs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jfsnb.checks import client as client_checks
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.model import CheckResult
from jfsnb.checks.tier import labelled
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.errors import NotInCluster
from jfsnb.queries import clients, driver_facts
from jfsnb.queries.model import Row, Timeline
from jfsnb.run.proof.image_probe import client_in_image
from jfsnb.run.proof.serving import baseline_mount_pod, mount_pod_of, smoked
from jfsnb.run.results import Build, Client, Deployed
from jfsnb.run.state import Run, part


@part(Client)
def client(run: Run) -> Client:
    """Three levels of evidence for the client: spec, image id, and what really runs."""
    timeline, image = Timeline(), run.settings.image
    known, driver = smoked(run, Deployed.PART), driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
    serving = mount_pod_of(run, driver, known)
    if isinstance(serving, Unreadable):
        raise NotInCluster(serving.why, "look at the cell before: which Mount Pod serves the smoke Pod?")
    baseline = baseline_mount_pod(run, driver)
    built = _built(run)
    with timeline.measure("ask the Mount Pods which client runs"), ThreadPoolExecutor(3) as pool:
        asked = pool.submit(clients.in_mount_pod, run.cluster, serving)
        asked_before = (
            pool.submit(clients.in_mount_pod, run.cluster, baseline) if isinstance(baseline, MountPod) else None
        )
        expected = (
            clients.in_app_pod(run.cluster, known.namespace, known.pod)
            if known.image == image
            else client_in_image(run, image, known.node)
        )
        hashed = pool.submit(clients.running_sha256, run.cluster, serving) if built else None
        versions, before = asked.result(), asked_before.result() if asked_before else {}
    source, runs = clients.best(versions)
    runs_before = clients.best(before)[1] if before else Unreadable("there is no baseline")
    checks: tuple[CheckResult, ...] = (
        client_checks.spec_image(serving, image),
        client_checks.image_id(
            serving, _expected_digest(built, serving), baseline if isinstance(baseline, MountPod) else None
        ),
        client_checks.running_client(versions, expected, serving.name),
        client_checks.honest_tag(serving.image, runs, versions.get(client_checks.SUPERVISOR)),
        client_checks.another_than_baseline(
            image, baseline.image if isinstance(baseline, MountPod) else "", _text(runs), _text(runs_before)
        ),
    )
    if built and hashed is not None:
        by = " ".join(filter(None, (built["engine"], built["commit"][:12])))
        checks += (client_checks.built_client(hashed.result(), built["client_sha256"], serving.name, by),)
    levels = _levels(serving, image, source, runs, versions, expected)
    return run.finish(
        Client(
            levels=levels,
            baseline=_baseline_levels(baseline, before),
            checks=labelled(checks, run.cluster.tier),
            timeline=tuple(timeline.entries),
        )
    )


def _built(run: Run) -> dict[str, Any] | None:
    """What is known of the build of the image under test; None when it was not built here."""
    found = run.recall(Build.PART)
    return found if found and found.get("client_sha256") and found["image"] == run.settings.image else None


def _expected_digest(built: dict[str, Any] | None, serving: MountPod) -> str:
    """The digest after a push; where it was loaded without a registry, nodes may name the image by its id."""
    if built is None:
        return ""
    return built["digest"] or (built["image_id"] if serving.digest == built["image_id"] else "")


def _text(version: str | Unreadable) -> str:
    return version if isinstance(version, str) else ""


def _levels(
    pod: MountPod,
    image: str,
    source: str,
    runs: str | Unreadable,
    versions: dict[str, str | Unreadable],
    expected: str | Unreadable,
) -> tuple[Row, ...]:
    wanted = clients.shown(expected)
    rows = [
        _level(1, "What was asked for?", "spec.containers[jfs-mount].image", image, pod.image, "what was asked for"),
        _level(2, "Which image did the node run?", "imageID", "", pod.image_id, "which image was started"),
        _level(3, "Which client runs?", clients.SOURCE_WORDS[source], wanted, clients.shown(runs), "what runs"),
    ]
    for other, version in versions.items():
        if other != source and isinstance(version, str):
            proves = "only what is on disk" if other == client_checks.ON_DISK else "what runs, seen another way"
            rows.append(
                _level(3, "Does it agree?", clients.SOURCE_WORDS[other], wanted, clients.shown(version), proves)
            )
    return tuple(rows)


def _level(level: int, question: str, source: str, expected: str, found: str, proves: str) -> Row:
    return {
        "level": level,
        "question": question,
        "source": source,
        "expected": expected,
        "found": found,
        "proves": proves,
    }


def _baseline_levels(pod: MountPod | Unreadable, versions: dict[str, str | Unreadable]) -> tuple[Row, ...]:
    if isinstance(pod, Unreadable):
        return ()
    source, runs = clients.best(versions)
    return (
        _level(1, "What was asked for?", "spec.containers[jfs-mount].image", "", pod.image, "what was asked for"),
        _level(2, "Which image did the node run?", "imageID", "", pod.image_id, "which image was started"),
        _level(3, "Which client runs?", clients.SOURCE_WORDS[source], "", clients.shown(runs), "what runs"),
    )
