"""Finding a cluster by kubeconfig and context, and asking who it is."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import Any

from jfsnb.cluster.answers import unexpected
from jfsnb.cluster.client import Cluster
from jfsnb.cluster.lists import read_page
from jfsnb.cluster.transport import Transport
from jfsnb.errors import ConnectionFailed, JfsnbError, PermissionMissing
from jfsnb.settings import Settings

#: The sandbox says in this ConfigMap what it is; a real cluster has none.
ABOUT = ("kube-system", "jfsnb-sandbox")


def connect(settings: Settings | None = None, *, kubeconfig: str = "", context: str = "") -> Cluster:
    """Connect and see that the cluster answers.

    Args:
        settings: take kubeconfig and context from here; the two below win where given.
        kubeconfig: path; empty for $KUBECONFIG or ~/.kube/config.
        context: empty for the kubeconfig's current context.

    Raises:
        ConnectionFailed: no such file or context, no connection, or credentials refused.
    """
    if settings is not None:
        kubeconfig = kubeconfig or settings.kubeconfig
        context = context or ("" if settings.is_sandbox else settings.cluster)
    api, context = _client(kubeconfig, context)
    cluster = Cluster(context, api.configuration.host, Transport(api))
    version = cluster.transport.call("GET", "/version", what="the version of the cluster")
    if not isinstance(version.get("gitVersion"), str):
        raise unexpected("the version of the cluster", "it names none")
    cluster = replace(cluster, version=version["gitVersion"])
    with contextlib.suppress(JfsnbError):  # what is older than this is noticed (jfsnb.cluster.versions)
        read_page(cluster.transport, "csinodes", "", {"limit": 1})
    about = _about(cluster, must_be_sandbox=settings is not None and settings.is_sandbox)
    return replace(
        cluster,
        tier=about.get("tier", ""),
        tier_reason=about.get("reason", ""),
        default_image=about.get("image", ""),
    )


def _about(cluster: Cluster, must_be_sandbox: bool) -> dict[str, str]:
    """What a sandbox says about itself; nothing for a real cluster.

    Raises:
        JfsnbError: a sandbox was asked for, and it cannot be seen which one this is.
    """
    try:
        found = cluster.find("configmaps", *ABOUT)
    except PermissionMissing:  # somebody who may not read kube-system is not the sandbox's admin
        if must_be_sandbox:
            raise
        found = None
    if found is None and must_be_sandbox:
        raise ConnectionFailed(
            f"{cluster.server} does not say that it is a sandbox (no ConfigMap {'/'.join(ABOUT)})",
            "start a sandbox: jfsnb sandbox up; or name a --cluster",
        )
    return (found or {}).get("data") or {}


def _client(kubeconfig: str, context: str) -> tuple[Any, str]:
    """The official client for that context, and the context's name."""
    import kubernetes.client
    from kubernetes import config as untyped
    from kubernetes.config import ConfigException
    from yaml import YAMLError

    from jfsnb.cluster.credentials import configured

    config: Any = untyped
    unusable = (ConfigException, YAMLError, OSError, ValueError, TypeError, AttributeError)  # as its loader fails

    if not kubeconfig and not context and "KUBERNETES_SERVICE_HOST" in os.environ and not os.environ.get("KUBECONFIG"):
        configuration = kubernetes.client.Configuration()
        try:
            config.load_incluster_config(configuration)
            return kubernetes.client.ApiClient(configuration), "in-cluster"
        except ConfigException:
            pass  # not with a service account's token: fall through to the kubeconfig
    file = kubeconfig or None
    where = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    try:
        contexts, current = config.list_kube_config_contexts(config_file=file)
    except unusable as error:
        said = " ".join(str(error).split())
        raise ConnectionFailed(f"kubeconfig {where} cannot be used: {said}", "set kubeconfig or KUBECONFIG") from error
    name = context or (current or {}).get("name", "")
    known = [c["name"] for c in contexts]
    if name not in known:
        raise ConnectionFailed(
            f"kubeconfig {where} has no context {name!r}", f"use one of: {', '.join(sorted(known)) or '(it has none)'}"
        )
    try:
        return kubernetes.client.ApiClient(configured(file, name)), name
    except unusable as error:
        raise ConnectionFailed(
            f"context {name!r} of {where} cannot be used: {error}", "repair the kubeconfig"
        ) from error
