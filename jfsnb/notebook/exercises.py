"""The exercises of the lessons, in their order; ``answer=""`` shows the question. The cluster knows the answers.

In a cell: ``jfsnb.exercise.who_serves(run, answer="")``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.config import merging as driver_config
from jfsnb.driver.images import ClientVersion, tag_contradicts, version_claim
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.errors import JfsnbError, NotInCluster
from jfsnb.notebook.exercise import Exercise, ask
from jfsnb.notebook.investigate import AtHand, mounts
from jfsnb.queries import driver_facts
from jfsnb.queries.driver_facts import Driver
from jfsnb.run.background import volume_now
from jfsnb.run.proof.serving import smoked
from jfsnb.run.state import Run

Answer = str | int


def controller(run: Run, answer: Answer = "") -> object:
    """01: which Pod is the controller plugin?"""

    def find() -> str:
        pods = run.cluster.list("pods", _driver(run).namespace, labels=names.CSI_CONTROLLER_SELECTOR)
        return str(pods[0]["metadata"]["name"]) if pods else ""

    return _ask(
        find,
        answer,
        "Which Pod of this cluster is the controller plugin, the half of the driver that makes and deletes volumes?",
        "Look at the roles in the table above.",
        "It runs once per cluster and never touches a mount: without it no new volume is made, and mounts go on.",
    )


def failed_probes(run: Run, answer: Answer = "") -> object:
    """01: how often may the mount be missing before the container is restarted?"""

    def find() -> str:
        known = smoked(run, "baseline")
        pod = run.cluster.get("pods", known.namespace, known.pod)
        return str((pod["spec"]["containers"][0].get("livenessProbe") or {}).get("failureThreshold", ""))

    return _ask(
        find,
        answer,
        "The mount point vanishes from the app Pod. How many liveness probes in a row must fail before the kubelet "
        "restarts the container?",
        "It is a field of livenessProbe in the manifest.",
        "A restart alone does not repair a dead FUSE mount: the new container gets the same one, unless the volume is "
        "mounted with mountPropagation: HostToContainer and the driver has repaired it meanwhile.",
    )


def who_serves(run: Run, answer: Answer = "") -> object:
    """01: which Pod does the baseline's I/O?"""
    return _ask(
        lambda: _serving(run, "baseline").name,
        answer,
        "Which Pod does the reads and writes of the baseline Pod? Write its whole name.",
        "Not the app Pod. The Mount Pod that serves it is named below the table of the baseline.",
        "It was found by the annotation on the Mount Pod that holds the app Pod's uid, not by its name or age.",
    )


def next_image(run: Run, answer: Answer = "") -> object:
    """02: which image would a Mount Pod of the smoke claim get now?"""

    def find() -> str:
        driver, volume = _driver(run), volume_now(run)
        return driver_facts.decide_image(run.cluster, driver, driver.config(), volume, _node(run)).image

    return _ask(
        find,
        answer,
        "The image is there. If the smoke Pod were made anew right now, which image would its Mount Pod get?",
        "Building changes nothing in the cluster: who decides about the image, and has that been changed?",
        "The driver's configuration decides, and nobody has touched it yet.",
    )


def mount_pods_with_it(run: Run, answer: Answer = "") -> object:
    """02: how many Mount Pods run the image under test?"""
    return _ask(
        lambda: str(sum(pod.image == run.settings.image for pod in _mount_pods(run))),
        answer,
        "How many Mount Pods of this cluster run the image under test at this moment? Write a number.",
        "Notebook 1 has a table of Mount Pods with their images (folded, under Who is who).",
        "Building has not changed that number: an image in a registry, or in an app Pod, serves nobody.",
    )


def deciding_entry(run: Run, answer: Answer = "") -> object:
    """03: which entry of mountPodPatch decides about the smoke claim's image?"""

    def find() -> str:
        config, volume = _driver(run).config(), volume_now(run)
        merged = driver_config.merge(config, volume.claim, _node(run))
        setters = merged.setters.get("ceMountImage" if volume.is_ce else "eeMountImage", ())
        return str(setters[-1].entry) if setters else ""

    return _ask(
        find,
        answer,
        "Counted from 1: which entry of mountPodPatch decides about the image of the smoke claim's next Mount Pod now?",
        "All entries that match are merged in order, and the later one wins. The patch added one, or changed one.",
        "Only matching entries count, and of these the last one that sets ceMountImage.",
    )


def merged_options(run: Run, answer: Answer = "") -> object:
    """03: which cache-size does a claim get that a later entry selects?"""

    def find() -> str:
        config = _driver(run).config()
        labels = _labels_that_replace_options(config)
        merged = driver_config.merge(config, _claim_with(labels), None) if labels else None
        return _option(merged.get("mountOptions") if merged else (), "cache-size")

    labels = _labels_that_replace_options(_driver(run).config())
    told = ", ".join(f"{key}: {value}" for key, value in labels.items())
    return _ask(
        find,
        answer,
        f"A claim has the label {told}. Which cache-size does its next Mount Pod get (for example 10G)?",
        "mountOptions are a list, and lists are not merged: a later entry replaces the whole list.",
        "And that is all it gets: options that only the replaced list has, such as a cache-dir, are gone with it.",
        "no entry of this cluster's configuration sets a cache-size for claims with a certain label",
    )


def changed_by_the_patch(run: Run, answer: Answer = "") -> object:
    """03: how many running Mount Pods were changed by the patch?"""

    def find() -> str:
        before = {row["uid"]: row["image"] for row in (run.recall("apply") or {}).get("remembered") or ()}
        if not before:
            raise NotInCluster("the cell that patches has not run")
        now = {pod.uid: pod.image for pod in _mount_pods(run)}
        return str(sum(now.get(uid, image) != image for uid, image in before.items()))

    return _ask(
        find,
        answer,
        "The patch is in force. How many of the Mount Pods that were running before have another image now?",
        "A container's image does not change while it runs.",
        "The configuration is read when a Mount Pod is made, and only then.",
    )


def newer_one(run: Run, answer: Answer = "") -> object:
    """04: which Mount Pod serves the Pod under test?"""
    return _ask(
        lambda: _serving(run, "smoke").name,
        answer,
        "Which Mount Pod serves the Pod under test? Write its whole name.",
        "The column that says whom it serves, not the age.",
        "You read the reference. Names and ages only suggest.",
    )


def why_two(run: Run, answer: Answer = "") -> object:
    """04: which setting differs?"""

    def find() -> str:
        old, new = _serving(run, "baseline"), _serving(run, "smoke")
        return "image" if old.image != new.image and old.settings_hash != new.settings_hash else ""

    return _ask(
        find,
        answer,
        "Same claim, same node, two Mount Pods. Which one setting differs between them? Write the column's name.",
        "Compare the two rows of the table: which difference is a cause, and which are consequences?",
        "The image is one of the settings, their hash is the Mount Pod's identity; a new hash means a new Mount Pod.",
    )


def whose_uid(run: Run, answer: Answer = "") -> object:
    """05: which uid does the reference hold?"""

    def find() -> str:
        known = smoked(run, "smoke")
        return next((r.pod_uid for r in _serving(run, "smoke").references if r.pod_uid == known.uid), "")

    return _ask(
        find,
        answer,
        "Which uid stands in the value of the reference annotation that links the Mount Pod to the Pod under test?",
        "The last row of the chain: the value is the target path below /var/lib/kubelet/pods/.",
        "It is the app Pod's own metadata.uid, so a later Pod of the same name can never be taken for it.",
    )


def strongest_evidence(run: Run, answer: Answer = "") -> object:
    """05: which level of evidence would notice an exchanged binary?"""

    def find() -> str:
        levels = (run.recall("client") or {}).get("levels") or ()
        return str(max(row["level"] for row in levels)) if levels else ""

    return _ask(
        find,
        answer,
        "Somebody copies another juicefs binary into the running Mount Pod and restarts the client inside it. "
        "Which level of evidence (1, 2 or 3) notices?",
        "Spec and image id describe the container as it was made.",
        "Only the running program can tell what runs. Spec and image id still say what they said before.",
    )


def exchanged(at: AtHand, answer: Answer = "") -> object:
    """06: which Mount Pod runs another client than its image names?"""
    return _ask(
        lambda: next((str(row["name"]) for row in _exchanged(at)), ""),
        answer,
        "One Mount Pod of this case runs another client than its image names. Which? Write its whole name.",
        "Compare the columns image and client; doctor has a finding about it, too.",
        "Somebody used the driver's binary upgrade: it exchanges the client inside the running container.",
    )


def after_a_restart(at: AtHand, answer: Answer = "") -> object:
    """06: which client runs there after a restart?"""
    return _ask(
        lambda: next((".".join(map(str, version_claim(row["image"]) or ())) for row in _exchanged(at)), ""),
        answer,
        "The node is rebooted, and that container starts anew. Which version of the client runs in it then?",
        "A container starts from its image.",
        "The image holds the old client: a binary upgrade lasts as long as the container does.",
    )


def _exchanged(at: AtHand) -> list[dict[str, Any]]:
    rows = [(row, ClientVersion.parse(str(row["client"]))) for row in mounts(at).found.rows]
    return [row for row, version in rows if version is not None and tag_contradicts(str(row["image"]), version)]


def stale(at: AtHand, answer: Answer = "") -> object:
    """06: how many Mount Pods would get another image if they were made anew?"""

    def find() -> str:
        rows = mounts(at).found.rows
        return str(sum(bool(row["desired_image"]) and row["desired_image"] != row["image"] for row in rows))

    return _ask(
        find,
        answer,
        "How many Mount Pods of this cluster would get another image if they were made anew today? Write a number.",
        "Compare the columns image and desired image of the table; the filter helps.",
        "They are stale by design: each keeps its client until its last app Pod goes, or somebody upgrades it.",
    )


def busiest_node(at: AtHand, answer: Answer = "") -> object:
    """06: on which node would one broken client image hurt most?"""

    def find() -> str:
        nodes = [str(row["node"]) for row in mounts(at).found.rows]
        most = sorted(set(nodes), key=lambda node: (-nodes.count(node), node))
        return most[0] if most else ""

    return _ask(
        find,
        answer,
        "Which node has the most Mount Pods (of several with the same number: the first by name)?",
        "The picture above counts them.",
        "A reboot or a drain of that node ends the most mounts at once.",
    )


def answers_after(run: Run, answer: Answer = "") -> object:
    """07: when did the new client answer the app?"""

    def find() -> str:
        after = (run.recall("upgrade_proof") or {}).get("serves_after")
        return "" if after is None else str(int(after))

    return _ask(
        find,
        answer,
        "How many whole seconds after the beginning of the exchange did the new client first answer the app?",
        "It is where the colour of the first bar changes; the mark 'success told' is another moment.",
        "This is the moment of success: before it the app waited, whatever the tool had said by then.",
    )


def noisiest(run: Run, answer: Answer = "") -> object:
    """08: which metric could hide the largest difference?"""

    def find() -> str:
        rows = (run.recall("measure") or {}).get("metrics") or []
        widths = {r["metric"]: r["high"] / r["low"] if r["low"] and r["high"] else float("inf") for r in rows}
        return max(widths, key=lambda name: widths[name], default="")

    return _ask(
        find,
        answer,
        "Which metric of this run could hide the largest difference? Write its name.",
        "Look for the longest bar.",
        "Its interval is the widest: whatever lies within it cannot be told from noise. More pairs make it shorter.",
    )


def _ask(
    find: Callable[[], str],
    answer: Answer,
    question: str,
    hint: str,
    why: str,
    not_here: str = "the cluster cannot answer this now: run the cells above first",
) -> object:
    def make() -> Exercise:
        try:
            solution = find()
        except JfsnbError:
            solution = ""
        return Exercise(question, hint, why, solution, "" if solution else not_here)

    return ask(make, answer)


def _driver(run: Run) -> Driver:
    return driver_facts.find_driver(run.cluster, run.settings.driver_namespace)


def _mount_pods(run: Run) -> tuple[MountPod, ...]:
    return driver_facts.facts_of(driver_facts.mount_pods(run.cluster, _driver(run)))


def _serving(run: Run, part: str) -> MountPod:
    """The Mount Pod that serves a smoke Pod of this run now.

    Raises:
        NotInCluster: that Pod is not there, or nobody serves it.
    """
    known = smoked(run, part)
    for pod in _mount_pods(run):
        if pod.serves(known.uid, known.volume):
            return pod
    raise NotInCluster(f"no Mount Pod serves {known.pod}")


def _node(run: Run) -> dict[str, Any] | None:
    name = (run.recall("baseline") or {}).get("node")
    return run.cluster.find("nodes", name=name) if name else None


def _labels_that_replace_options(config: driver_config.DriverConfig) -> dict[str, str]:
    """Labels of the first entry that selects claims by label and gives them a cache-size of their own."""
    for entry in config.entries:
        labels = entry.selector.pvc.labels.match_labels if entry.selector.pvc else {}
        if labels and _option(entry.fields.get("mountOptions", ()), "cache-size"):
            return dict(labels)
    return {}


def _claim_with(labels: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": "exercise", "namespace": "default", "labels": labels}, "spec": {}}


def _option(options: Any, name: str) -> str:
    return next((str(o).partition("=")[2] for o in options or () if str(o).startswith(f"{name}=")), "")
