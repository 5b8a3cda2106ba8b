"""What these credentials may do, asked before it is tried."""

from __future__ import annotations

from jfsnb.cluster.answers import checked_review
from jfsnb.cluster.client import Cluster
from jfsnb.cluster.resources import RESOURCES
from jfsnb.errors import ConnectionFailed, JfsnbError


def permitted(
    cluster: Cluster, verb: str, plural: str, namespace: str = "", subresource: str = "", name: str = ""
) -> bool | None:
    """Whether these credentials may do that, by SelfSubjectAccessReview; None when the cluster cannot tell."""
    attributes = {"verb": verb, "resource": plural, "group": RESOURCES[plural].group}
    more = (("namespace", namespace), ("subresource", subresource), ("name", name))
    attributes |= {key: value for key, value in more if value}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    path, what = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "the question what is allowed"
    try:
        return checked_review(cluster.transport.call("POST", path, None, body, what=what), what)
    except ConnectionFailed:
        raise
    except JfsnbError:
        return None


def account(cluster: Cluster) -> str:
    """Whom the cluster takes these credentials for, by SelfSubjectReview; empty when it cannot tell."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    try:
        answer = cluster.transport.call("POST", path, None, body, what="the question who asks")
    except JfsnbError:
        return ""
    return str(((answer.get("status") or {}).get("userInfo") or {}).get("username", ""))
