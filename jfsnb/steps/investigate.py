"""For the engineer on call: read-only questions about any cluster."""

from __future__ import annotations

from dataclasses import dataclass

from jfsnb.checks.model import CheckResult, Verdict, overall
from jfsnb.kube.cluster import Cluster
from jfsnb.steps.model import Table


@dataclass(frozen=True)
class Finding:
    """An answer to a question.

    Args:
        rows: the table that answers it.
        checks: what was judged.
    """

    rows: Table
    checks: tuple[CheckResult, ...] = ()

    @property
    def verdict(self) -> Verdict:
        return overall(c.verdict for c in self.checks) if self.checks else Verdict.NA


def mounts(cluster: Cluster, driver_namespace: str = "") -> Finding:
    """All Mount Pods.

    Rows: name, node, volume, claim, image, desired_image, phase, ready, references, serves, age_seconds, verdict,
    reason.
    """
    raise NotImplementedError


def verify(cluster: Cluster, namespace: str, pod: str, image: str = "", driver_namespace: str = "") -> Finding:
    """Which client serves this Pod, per volume, and is it the one that the configuration asks for?

    Args:
        image: expect this image instead of what the configuration says.

    Rows: volume, claim, mount_pod, node, image, image_id, client, desired_image, verdict, reason.
    """
    raise NotImplementedError


def doctor(cluster: Cluster, driver_namespace: str = "") -> Finding:
    """The whole cluster without any parameter. Rows: object, code, verdict, reason, next_action."""
    raise NotImplementedError
