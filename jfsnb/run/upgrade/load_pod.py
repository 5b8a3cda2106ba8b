"""The load Pod: an app of the run's own on the volume and node of the Mount Pod that is exchanged."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

import yaml

from jfsnb.checks import inside
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.upgrade import Load
from jfsnb.errors import JfsnbError
from jfsnb.run.smoke.manifest import ROLE_LABEL, RUN_LABEL, claim_name
from jfsnb.run.state import Run

Obj = dict[str, Any]
MOUNT = "/jfs"
ROLE = "load"
#: What the sandbox can pull and has python3: the machine's own userland.
SANDBOX_IMAGE = "local/debian:bookworm"


def name_of(run: Run) -> str:
    return f"smoke-load-{run.id}"


def directory(run: Run) -> str:
    return f"{MOUNT}/.jfsnb-load-{run.id}"


def manifest(run: Run, node: str) -> Obj:
    """The Pod, pinned to a node where one is given."""
    settings = run.settings
    pod: Obj = yaml.safe_load(_text("load.yaml"))
    image = settings.app_image or (SANDBOX_IMAGE if run.cluster.is_sandbox else settings.image)
    labels = {RUN_LABEL: run.id, ROLE_LABEL: ROLE}
    pod["metadata"] = {"name": name_of(run), "namespace": settings.namespace, "labels": labels}
    (container,) = pod["spec"]["containers"]
    container |= {"image": image, "command": ["python3", "-u", "-c", _text("load.py"), directory(run), MOUNT]}
    pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] = claim_name(settings)
    if node:
        pod["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
    return pod


def _text(name: str) -> str:
    return files("jfsnb").joinpath(f"manifests/{name}").read_text("utf-8")


def read(lines: Iterable[str]) -> Load:
    """What the load Pod's log tells; lines that are no JSON are passed over."""
    told: Obj = {"acked": 0, "unacked": 0, "held": {}}
    errors, stalls, clients = [], [], []
    for line in lines:
        try:
            fact = json.loads(line)
            at = float(fact["at"])
        except (ValueError, TypeError, KeyError):
            continue
        if "errno" in fact:
            errors.append((at, str(fact["error"]), str(fact["errno"])))
        elif "stall" in fact:
            stalls.append((float(fact["began"]), float(fact["seconds"]), str(fact["stall"])))
        elif "client" in fact:
            clients.append((at, str(fact["client"])))
        elif "held" in fact:
            told |= {key: fact[key] for key in ("acked", "unacked", "held")}
    return Load(**told, errors=tuple(errors), stalls=tuple(stalls), clients=tuple(clients))


def seen(run: Run) -> Load | Unreadable:
    """What it has told until now."""
    try:
        return read(run.cluster.log(run.settings.namespace, name_of(run), ROLE))
    except JfsnbError as error:
        return Unreadable(error.what)


def counted(run: Run, acked: int) -> dict[str, int] | Unreadable:
    """The records read back: records, lost, doubled, disordered, torn."""
    words = ["python3", "-c", _text("count.py"), directory(run), str(acked)]
    try:
        answer = run.cluster.execute(run.settings.namespace, name_of(run), words, ROLE, seconds=60)
        return {name: int(number) for name, number in json.loads(answer.stdout).items()}
    except JfsnbError as error:
        return Unreadable(error.what)
    except ValueError:
        return Unreadable(f"the records could not be read back: {answer.stderr.strip()[-200:]}")


def looked_inside(run: Run) -> dict[str, str] | Unreadable:
    """Its own mount as it sees it; see jfsnb.checks.inside."""
    words = ["sh", "-c", inside.LOOK, "look", MOUNT]
    try:
        return inside.read(run.cluster.execute(run.settings.namespace, name_of(run), words, ROLE, seconds=30).stdout)
    except JfsnbError as error:
        return Unreadable(error.what)


def node_time(run: Run) -> float | None:
    """Seconds since the epoch by the clock of the load Pod's node; None when it does not tell."""
    try:
        answer = run.cluster.execute(run.settings.namespace, name_of(run), ["date", "+%s.%N"], ROLE)
        return float(answer.stdout)
    except (JfsnbError, ValueError):
        return None
