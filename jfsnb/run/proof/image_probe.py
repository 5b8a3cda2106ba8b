"""Asking an image itself which client it holds: a Pod of its own that says so and ends."""

from __future__ import annotations

from typing import Any

from jfsnb.checks.codes import Unreadable
from jfsnb.errors import JfsnbError, WaitTimeout
from jfsnb.run.smoke import manifest
from jfsnb.run.state import Run

Obj = dict[str, Any]
ENDED = ("Succeeded", "Failed")


def client_in_image(run: Run, image: str, node: str) -> str | Unreadable:
    """Version of the client in an image, told by the image and not by the Mount Pod.

    Args:
        node: where it is pulled already.
    """
    pod = _pod(run, image, node)
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    run.tell("change", f"create Pod {namespace}/{name}, which asks {image} for its version", f"pod/{name}")
    try:
        made = run.journal.create(run.cluster, pod)
        phase = run.cluster.wait_for("pods", namespace, name, run.settings.timeout, _ended)
        said = " ".join(run.cluster.log(namespace, name)).strip()
        run.cluster.delete("pods", namespace, name, uid=made["metadata"]["uid"], grace=0)
        run.cluster.wait_gone("pods", namespace, name, run.settings.timeout, made["metadata"]["uid"])
        run.journal.gone("pods", namespace, name)
    except WaitTimeout as error:
        return Unreadable(f"a Pod of {image} did not end: {error.what}")
    except JfsnbError as error:
        return Unreadable(error.what)
    return said if phase == "Succeeded" else Unreadable(f"{image} holds no client that tells its version: {said}")


def _ended(pod: Obj) -> str | None:
    phase = str((pod.get("status") or {}).get("phase"))
    return phase if phase in ENDED else None


def _pod(run: Run, image: str, node: str) -> Obj:
    container = {"name": "version", "image": image, "command": ["sh", "-c", "juicefs --version"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"smoke-version-{run.id}",
            "namespace": run.settings.namespace,
            "labels": {manifest.RUN_LABEL: run.id},
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": run.settings.timeout,
            "automountServiceAccountToken": False,
            "nodeSelector": {"kubernetes.io/hostname": node},
            "tolerations": [{"operator": "Exists"}],
            "containers": [container],
        },
    }
