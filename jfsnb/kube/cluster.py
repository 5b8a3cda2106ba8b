"""A connection to a cluster."""

from __future__ import annotations

from dataclasses import dataclass

from jfsnb.settings import Settings


@dataclass(frozen=True)
class Cluster:
    """A cluster that answered.

    Args:
        context: name of the kubeconfig's context.
        server: address of the API server.
        tier: ``full``, ``namespaces`` or ``recorded`` in the sandbox; empty for a real cluster.
        tier_reason: one sentence about the tier.
        default_image: image under test when none is given; only the sandbox has one.
        version: of Kubernetes, as its API server says.
    """

    context: str
    server: str
    tier: str = ""
    tier_reason: str = ""
    default_image: str = ""
    version: str = ""


def connect(settings: Settings | None = None, *, kubeconfig: str = "", context: str = "") -> Cluster:
    """Connect and see that the cluster answers.

    Args:
        settings: take kubeconfig and context from here; the two below win where given.
        kubeconfig: path; empty for $KUBECONFIG or ~/.kube/config.
        context: empty for the kubeconfig's current context.

    Raises:
        ConnectionFailed: no such file or context, no connection, or credentials refused.
    """
    raise NotImplementedError
