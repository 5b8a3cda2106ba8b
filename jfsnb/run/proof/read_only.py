"""A read-only mount through the client under test: a Pod of its own tries to write, and must be refused.

Read-only is another mount option, so the driver makes a Mount Pod of its own for it; this happens while other proofs
are at work.
"""

from __future__ import annotations

from typing import Any

from jfsnb.checks.codes import Unreadable
from jfsnb.checks.model import CheckResult
from jfsnb.checks.smoke import refuses_writes
from jfsnb.errors import JfsnbError, WaitTimeout
from jfsnb.run.proof.serving import Smoked
from jfsnb.run.smoke import manifest
from jfsnb.run.state import Run

Obj = dict[str, Any]
ENDED = ("Succeeded", "Failed")
GRACE_SECONDS = 0
#: Ends with 0 when the write goes through. What the shell says about a refusal is the evidence.
TRY = 'if echo written > "/jfs/$0"; then rm -f "/jfs/$0"; exit 0; fi; exit 7'


def begin(run: Run, known: Smoked) -> str | Unreadable:
    """Create the Pod; its name, or why it could not be created."""
    pod = _pod(run, known)
    name: str = pod["metadata"]["name"]
    run.tell("change", f"create Pod {known.namespace}/{name}, which tries to write to a read-only mount", f"pod/{name}")
    try:
        run.journal.create(run.cluster, pod)
    except JfsnbError as error:
        return Unreadable(error.what)
    return name


def outcome(run: Run, known: Smoked, name: str | Unreadable) -> CheckResult:
    """Wait for its end and judge; the Pod is deleted, and nobody waits for its going before the clean-up does."""
    if isinstance(name, Unreadable):
        return refuses_writes(name, False, f"smoke-readonly-{run.id}")
    said: str | Unreadable
    succeeded = False
    try:
        phase = run.cluster.wait_for("pods", known.namespace, name, run.settings.timeout, _ended)
        succeeded = phase == "Succeeded"
        said = " ".join(run.cluster.log(known.namespace, name)).strip() or "the write went through without a word"
        run.cluster.delete("pods", known.namespace, name, grace=GRACE_SECONDS)
    except WaitTimeout as error:
        said = Unreadable(f"the Pod with the read-only mount did not end: {error.what}")
    except JfsnbError as error:
        said = Unreadable(error.what)
    return refuses_writes(said, succeeded, name)


def _ended(pod: Obj) -> str | None:
    phase = str((pod.get("status") or {}).get("phase"))
    return phase if phase in ENDED else None


def _pod(run: Run, known: Smoked) -> Obj:
    name = f"smoke-readonly-{run.id}"
    container = {
        "name": "writer",
        "image": known.image,
        "command": ["sh", "-c", TRY, name],
        "volumeMounts": [{"name": "data", "mountPath": "/jfs"}],
    }
    claim = {"claimName": known.claim, "readOnly": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": known.namespace, "labels": {manifest.RUN_LABEL: run.id}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "nodeSelector": {"kubernetes.io/hostname": known.node},
            "tolerations": [{"operator": "Exists"}],
            "containers": [container],
            "volumes": [{"name": "data", "persistentVolumeClaim": claim}],
        },
    }
