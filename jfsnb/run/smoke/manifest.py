"""The smoke Pod's manifests, filled in for a run."""

from __future__ import annotations

from collections.abc import Collection
from importlib.resources import files
from typing import Any

import yaml

from jfsnb.checks.leftover import RUN_LABEL as RUN_LABEL
from jfsnb.settings import Settings

Obj = dict[str, Any]
ROLE_LABEL = "jfsnb.io/role"
BASELINE, UNDER_TEST = "baseline", "under-test"
ARTICLE_POD = "smoke-juicefs-pod"
UPDATEDB = "updatedb-config"
UPDATEDB_CONF = """PRUNE_BIND_MOUNTS="yes"
PRUNEPATHS="/tmp /var/spool /media /var/lib/juicefs"
PRUNEFS="NFS nfs nfs4 rpc_pipefs afs proc smbfs fuse.juicefs fuse"
"""


def smoke_name(settings: Settings, role: str) -> str:
    """``smoke-baseline-<run>``, ``smoke-juicefs-<run>``; the article's own name for the article's Pod under test."""
    if role == BASELINE:
        return f"smoke-baseline-{settings.run_id}"
    return ARTICLE_POD if settings.profile == "article" else f"smoke-juicefs-{settings.run_id}"


def claim_name(settings: Settings) -> str:
    """The claim that the smoke Pods use: the given one, or one that this run makes of the given StorageClass."""
    return f"smoke-pvc-{settings.run_id}" if settings.storage_class else settings.pvc


def smoke_pod(
    settings: Settings, role: str, *, node: str = "", nodes: Collection[str] = (), is_sandbox: bool = False
) -> Obj:
    """The smoke Pod of a role.

    Args:
        node: pin it to this node; empty lets the scheduler choose, of all or of these ``nodes``.
        is_sandbox: keep the article's placeholder image, which only the sandbox can pull.
    """
    pod: Obj = yaml.safe_load(files("jfsnb").joinpath(f"manifests/smoke-{settings.profile}.yaml").read_text("utf-8"))
    pod["metadata"] |= {
        "name": smoke_name(settings, role),
        "namespace": settings.namespace,
        "labels": {RUN_LABEL: settings.run_id, ROLE_LABEL: role},
    }
    if settings.profile == "fast" or not is_sandbox:
        pod["spec"]["containers"][0]["image"] = settings.image
    for volume in pod["spec"]["volumes"]:
        if "persistentVolumeClaim" in volume:
            volume["persistentVolumeClaim"]["claimName"] = claim_name(settings)
    if node:
        pod["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
    elif nodes:
        terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [n]}]} for n in sorted(nodes)]
        affinity = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        pod["spec"]["affinity"] = {"nodeAffinity": affinity}
    return pod


def claim(settings: Settings) -> Obj:
    """A claim of the given StorageClass."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _made_by(settings, claim_name(settings)),
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": settings.storage_class,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def updatedb_config(settings: Settings) -> Obj:
    """The ConfigMap that the manifests mount at /etc/updatedb.conf."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _made_by(settings, UPDATEDB),
        "data": {"updatedb.conf": UPDATEDB_CONF},
    }


def _made_by(settings: Settings, name: str) -> Obj:
    return {"name": name, "namespace": settings.namespace, "labels": {RUN_LABEL: settings.run_id}}


def to_yaml(obj: Obj) -> str:
    """For people: literal blocks where a text has several lines."""
    return yaml.dump(obj, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    pass


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)
