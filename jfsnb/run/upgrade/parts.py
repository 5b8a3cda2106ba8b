"""Exchanging the client of a running Mount Pod under load: plan, exchange, what the app saw, and back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from jfsnb.checks import carried_out
from jfsnb.checks import upgrade as checks
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.inside import answers_inside
from jfsnb.checks.tier import labelled
from jfsnb.cluster.feeds import Feeds
from jfsnb.driver import names
from jfsnb.driver.images import same_version
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.driver.mountpods.pod_state import why_not_upgradable
from jfsnb.errors import CheckFailed, JfsnbError, NotInCluster, WaitTimeout
from jfsnb.queries import clients, driver_facts
from jfsnb.queries.driver_facts import Driver
from jfsnb.queries.model import Table, Timeline
from jfsnb.run import patch
from jfsnb.run.change.client_exchanged import RECREATE, ClientExchanged, running
from jfsnb.run.change.model import State
from jfsnb.run.proof.image_probe import client_in_image
from jfsnb.run.results import Loaded, Upgraded, UpgradedBack, UpgradePlan, UpgradeProof
from jfsnb.run.rollback import rollback
from jfsnb.run.smoke import prepare
from jfsnb.run.state import Run, checks_of, part
from jfsnb.run.state import load as kept
from jfsnb.run.upgrade import load_pod
from jfsnb.run.upgrade.telling import tables

Obj = dict[str, Any]
#: What an app sees of each way, as measured on a real cluster (v0.32.4, clients 1.3.0 and 1.4.1).
WILL_SEE = {
    "recreate": "a stall of 6 to 9 s, nothing lost; open files, directories and locks stay",
    "binary": "a stall of about 1 s, nothing lost; open files, directories and locks stay",
}
#: Success may be told before the new client serves (1.1 s on a real cluster), and before the old Pod has gone.
SETTLED_SECONDS = 30.0
DISABLED = "DISABLE_GRACE_UPGRADE"


@part(Loaded)
def load(run: Run) -> Loaded:
    """Deploy the load Pod on the target's node and wait until it writes.

    Raises:
        WaitTimeout: it does not write in time. NotInCluster: no Mount Pod serves it, or there is no such target.
    """
    timeline = Timeline()
    driver = driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
    prepare.make_missing(run, timeline)
    volume = prepare.bound_volume(run, timeline)
    target = _named(run, driver)
    pod = load_pod.manifest(run, target.node if target else "")
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    run.tell("change", f"create Pod {namespace}/{name}", f"pod/{name}")
    with timeline.measure(f"create Pod {name}"):
        created = run.journal.create(run.cluster, pod)
    with timeline.waiting(f"{name} writes"):
        _until_it_writes(run, namespace, name)
    live = run.cluster.get("pods", namespace, name)
    serving = _serving(run, driver, created["metadata"]["uid"], volume.name)
    return run.finish(
        Loaded(
            pod=name,
            namespace=namespace,
            uid=created["metadata"]["uid"],
            node=live["spec"].get("nodeName", ""),
            volume=volume.name,
            mount_pod=serving.name,
            client=clients.shown(running(run.cluster, serving)),
            timeline=tuple(timeline.entries),
        )
    )


def _named(run: Run, driver: Driver) -> MountPod | None:
    """The Mount Pod that was named as target."""
    if not run.settings.target:
        return None
    found = run.cluster.find("pods", driver.namespace, run.settings.target)
    if found is None:
        raise NotInCluster(f"there is no Mount Pod {driver.namespace}/{run.settings.target}", "list them: jfsnb mounts")
    return MountPod.from_object(found)


def _until_it_writes(run: Run, namespace: str, name: str) -> None:
    last = "nothing was seen of it"
    with Feeds(run.cluster, run.settings.timeout) as feeds:
        feeds.watch("pod", "pods", namespace, fields=f"metadata.name={name}")
        for item in feeds:
            if item.source == "log":
                last = item.line or last
                if '"ready": true' in last:
                    return
            elif item.event is not None and item.event.type != "SYNCED":
                states = _states(item.event.object)
                last = ", ".join(f"{kind} {more.get('reason', '')}" for s in states for kind, more in s.items()) or last
                if "log" not in feeds and any("running" in s or "terminated" in s for s in states):
                    feeds.logs("log", namespace, name, load_pod.ROLE)
    raise WaitTimeout(f"{name} does not write: {last}", "see its events and log; its image needs python3: app_image")


def _states(pod: Obj) -> list[Obj]:
    return [s.get("state") or {} for s in (pod.get("status") or {}).get("containerStatuses") or ()]


def _serving(run: Run, driver: Driver, uid: str, volume: str) -> MountPod:
    pods = driver_facts.facts_of(driver_facts.mount_pods(run.cluster, driver))
    found = [p for p in pods if p.serves(uid, volume)]
    if not found:
        raise NotInCluster("no Mount Pod carries the load Pod's reference", "look at its events")
    return found[0]


@part(UpgradePlan)
def plan(run: Run) -> UpgradePlan:
    """What the driver would do with this Mount Pod, in its own conditions. Changes nothing.

    Raises:
        CheckFailed: it would refuse.
    """
    known = _recalled(run)
    driver = driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
    obj = run.cluster.get("pods", driver.namespace, known["mount_pod"])
    pod, how = MountPod.from_object(obj), run.settings.how
    everyone = driver_facts.facts_of(driver_facts.mount_pods(run.cluster, driver))
    command = f"juicefs-csi-driver upgrade {pod.name}{' --recreate' if how == RECREATE else ''}"
    pairs = (
        *(("Mount Pod", pod.name), ("node", pod.node), ("image now", pod.image), ("client now", known["client"])),
        *(("image wanted", run.settings.image), ("how", command)),
    )
    apps = tuple({"pod": _who(r.pod_uid, known), "what_it_will_see": WILL_SEE[how]} for r in pod.references)
    check = checks.may_upgrade(_why_not(run, driver, obj, pod), pod.name, _remarks(run, pod, everyone))
    facts = tuple({"what": what, "value": value} for what, value in pairs)
    before = (asdict(_seen(pod)),)
    return run.require(UpgradePlan(before=before, facts=facts, apps=apps, checks=labelled((check,), run.cluster.tier)))


def _why_not(run: Run, driver: Driver, obj: Obj, pod: MountPod) -> str:
    if run.settings.target not in ("", pod.name):
        return f"the load Pod is served by {pod.name}, not by {run.settings.target}, whose settings are not today's"
    if driver.node_pod(pod.node) is None:
        return f"no CSI node Pod on {pod.node}, which would have to do it"
    if pod.annotations.get(names.UPGRADE_PROCESS):
        return f"an upgrade is under way since {pod.annotations[names.UPGRADE_PROCESS]}"
    recreate = run.settings.how == RECREATE
    return (
        checks.driver_too_old(driver.deployment.version)
        or why_not_upgradable(obj, recreate, driver.deployment.env.get(DISABLED) == "true")
        or checks.client_too_old(_recalled(run)["client"], recreate)
    )


def _remarks(run: Run, pod: MountPod, everyone: tuple[MountPod, ...]) -> list[str]:
    told = []
    if others := len(pod.references) - 1:
        told.append(f"other app Pods that it serves, and that will stall too: {others}")
    beside = [p.name for p in everyone if p.unique_id == pod.unique_id and p.node == pod.node and p.name != pod.name]
    if beside:
        told.append(f"beside it {', '.join(beside)} serves the same volume on this node")
    if run.settings.how == RECREATE and pod.annotations.get(names.DELETE_DELAY):
        told.append("its delete delay is lost unless the configuration or the volume asks for it")
    if run.settings.how == RECREATE:
        told.append("for a moment the node needs memory for two Mount Pods")
    return told


def _who(uid: str, known: Mapping[str, Any]) -> str:
    return f"{known['namespace']}/{known['pod']}" if uid == known["uid"] else f"a Pod with uid {uid}"


def _seen(pod: MountPod) -> checks.Seen:
    references = tuple(r.target for r in pod.references)
    delay = pod.annotations.get(names.DELETE_DELAY, "")
    return checks.Seen(pod.name, pod.uid, pod.upgrade_uuid, pod.image, pod.restarts, references, delay)


def configure(run: Run) -> Any:
    """Put the image under test into the configuration and wait until the CSI node has it.

    The exchange that follows is written down before, so that it is undone after the configuration is restored.
    """
    known = _recalled(run)
    driver = driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
    if _planned(run) is None:
        pod = MountPod.from_object(run.cluster.get("pods", driver.namespace, known["mount_pod"]))
        csi_pod = driver.node_pod(pod.node)
        if csi_pod is None:
            raise NotInCluster(f"no CSI node Pod on {pod.node}", "is the node tainted or cordoned?")
        change = ClientExchanged(
            run_id=run.id,
            plural="pods",
            namespace=pod.namespace,
            name=pod.name,
            uid=pod.uid,
            node=pod.node,
            upgrade_uuid=pod.upgrade_uuid,
            how=run.settings.how,
            csi_pod=csi_pod["metadata"]["name"],
            image_before=pod.image,
            client_before=known["client"],
        )
        run.journal.plan(change)
    patch.plan(run)
    patch.apply(run)
    return patch.wait_in_force(run)


def _planned(run: Run) -> tuple[int, ClientExchanged] | None:
    standing = [(e.number, e.change) for e in run.journal.standing() if isinstance(e.change, ClientExchanged)]
    return standing[0] if standing else None


@part(Upgraded)
def exchange(run: Run) -> Upgraded:
    """Ask the driver's tool in the CSI node Pod to exchange the client, and wait for its last word."""
    timeline = Timeline()
    found = _planned(run)
    if found is None:
        raise NotInCluster("the configuration was not changed by this run", "run the cell that does it first")
    number, change = found
    run.tell("change", change.describe(), f"pod/{change.name}")
    began = load_pod.node_time(run) or time.time()
    with timeline.waiting("the driver's last word"):
        try:
            run.journal.do(run.cluster, change, number)
            said: list[str] | Unreadable = change.lines
        except JfsnbError as error:
            said = Unreadable(error.what)
    lines = () if isinstance(said, Unreadable) else tuple(said)
    for line in lines:
        run.tell("log", line, f"pod/{change.csi_pod}")
    return run.finish(
        Upgraded(
            how=change.how,
            lines=lines,
            began=began,
            checks=labelled((checks.tool_said(said),), run.cluster.tier),
            timeline=tuple(timeline.entries),
        )
    )


@part(UpgradeProof)
def proof(run: Run) -> UpgradeProof:
    """Who serves now, what the app saw and holds, and the records read back. Rests on none of the tool's words."""
    timeline = Timeline()
    known, done, before = _recalled(run), run.recall(Upgraded.PART), _before(run)
    found = _planned(run)
    if found is None or not done:
        raise NotInCluster("nothing was exchanged by this run", "run the cells before this one first")
    change = found[1]
    with timeline.measure("which client the image holds"):
        wanted = client_in_image(run, run.settings.image, known["node"])
    with timeline.waiting("the new client serving, as the app sees it"):
        _until_it_answers(run, wanted)
    now = _mount_pods(run, change)
    told = load_pod.seen(run)
    load = told if isinstance(told, checks.Load) else checks.Load()
    serving = change.now(run.cluster)
    runs = running(run.cluster, serving) if serving else Unreadable("no Mount Pod of its upgrade UUID is there")
    counted = told if isinstance(told, Unreadable) else load_pod.counted(run, load.acked)
    answering = load.clients[-1][1] if load.clients else ""
    judged = (
        checks.new_client_serves(known["client"], runs, wanted, answering, serving.name if serving else change.name),
        checks.exchanged_as_promised(before, now, change.how == RECREATE, run.settings.image),
        answers_inside(load_pod.looked_inside(run), f"{known['namespace']}/{known['pod']}"),
        checks.records_kept(counted, load.acked, load.unacked),
        checks.app_noticed(told),
        checks.stall_within(told, run.settings.stall_budget),
    )
    return run.finish(
        UpgradeProof(
            **tables(load, counted, done, wanted),
            checks=labelled(judged, run.cluster.tier),
            timeline=tuple(timeline.entries),
        )
    )


def _until_it_answers(run: Run, wanted: str | Unreadable) -> None:
    """Until the new client answers the app, or for as long as that may take."""
    if isinstance(wanted, Unreadable):
        return
    with Feeds(run.cluster, SETTLED_SECONDS) as feeds:
        feeds.logs("log", run.settings.namespace, load_pod.name_of(run), load_pod.ROLE)
        for item in feeds:
            if item.line is None or ('"client"' in item.line and same_version(item.line, wanted)):
                return


def _mount_pods(run: Run, change: ClientExchanged) -> list[checks.Seen] | Unreadable:
    """Mount Pods of the upgrade UUID, once an old one that is going has gone."""
    label = f"{names.UPGRADE_UUID}={change.upgrade_uuid}"
    try:
        for obj in run.cluster.list("pods", change.namespace, labels=label):
            meta = obj["metadata"]
            if meta.get("deletionTimestamp"):
                with contextlib.suppress(WaitTimeout):  # it is still there, and is told as such
                    run.cluster.wait_gone("pods", change.namespace, meta["name"], SETTLED_SECONDS, meta["uid"])
        found = run.cluster.list("pods", change.namespace, labels=label)
    except JfsnbError as error:
        return Unreadable(error.what)
    return [_seen(MountPod.from_object(obj)) for obj in found]


@part(UpgradedBack)
def back(run: Run) -> UpgradedBack:
    """Restore the configuration, upgrade back and remove the load, unless ``keep``."""
    timeline = Timeline()
    if run.settings.keep:
        standing = [e.change for e in run.journal.standing()]
        rows: Table = tuple({"what": c.KIND, "object": c.object, "outcome": "kept, as asked"} for c in standing)
        check = carried_out.nothing_left([], kept=True)
    else:
        run.tell("change", "restore the configuration, upgrade back and remove what this run made")
        with timeline.measure("undo everything in the journal"):
            done = rollback(run.cluster, run.id, run.settings.outputs, driver_namespace=run.settings.driver_namespace)
        rows = done.rows
        check = carried_out.nothing_left(done.unsettled(State.LEFT), done.unsettled(State.FAILED))
    sentence = _sentence(run)
    return run.finish(UpgradedBack(undone=rows, sentence=sentence, checks=(check,), timeline=tuple(timeline.entries)))


def _sentence(run: Run) -> str:
    proven = run.recall(UpgradeProof.PART)
    judged = checks_of([p for p in kept(run.folder) if p["part"] == UpgradeProof.PART])
    if not proven or any(check.verdict != "PASS" for _, check in judged):
        return ""
    how = f"{run.settings.image} took over a running Mount Pod ({run.settings.how})"
    stall = f"its longest stall was {proven['longest']:.1f} s"
    return f"{how}: no record was lost, all that the app held was kept, and {stall}."


def _recalled(run: Run) -> dict[str, Any]:
    known = run.recall(Loaded.PART)
    if not known or not known.get("uid"):
        raise NotInCluster("this run has no load Pod", "run the cell that deploys it first")
    return known


def _before(run: Run) -> checks.Seen:
    rows = (run.recall(UpgradePlan.PART) or {}).get("before") or ()
    if not rows:
        raise CheckFailed("nothing was planned", "run the cell with the plan first")
    return checks.Seen(**{**rows[0], "references": tuple(rows[0]["references"])})
