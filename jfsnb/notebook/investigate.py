"""Read-only questions from a notebook: connect once, then ask; answers show themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jfsnb.notebook import session
from jfsnb.notebook.show import Shown
from jfsnb.settings import FILE, Settings
from jfsnb.views import html
from jfsnb.views.diagrams import versions
from jfsnb.views.frames import frame

#: Ships with the lessons; made of tests/recorded/real/4-after-binary-upgrade (python -m jfsnb.notebook.case).
CASE = Path(__file__).parents[1] / "cases" / "after-an-upgrade.zip"


@dataclass(frozen=True)
class AtHand:
    """A cluster to ask, or what was read of one.

    Args:
        cluster: the connection, or the snapshot.
        settings: how it was reached, and which namespace is meant when none is given.
    """

    cluster: Any
    settings: Settings

    def _repr_html_(self) -> str:
        at = self.cluster
        if self.settings.file is None:
            return html.facts([("cluster", at.context), ("server", at.server), ("version", at.version)])
        told = [("file", at.file), ("cluster", at.source), ("as it was at", f"{at.now:%Y-%m-%d %H:%M:%S} UTC")]
        return html.facts([*told, ("version", at.version), ("read by", at.account)])


@dataclass(frozen=True)
class Answer:
    """An answer that shows itself.

    Args:
        title: what was asked.
        found: rows and checks.
        picture: HTML above the table.
        columns: which are shown; the DataFrame has all.
    """

    title: str
    found: Any
    picture: str = ""
    columns: tuple[str, ...] = ()

    @property
    def frame(self) -> Any:
        """The rows as a DataFrame: ages as durations, verdicts in their order, the worst first."""
        return typed(frame(self.found.rows))

    @property
    def frames(self) -> dict[str, Any]:
        """Further tables by name, and the checks, as DataFrames."""
        checks = [{k: v for k, v in check.to_dict().items() if k != "evidence"} for check in self.found.checks]
        tables = {name: frame(rows) for name, rows in self.found.tables.items()}
        return {**tables, "checks": typed(frame(checks))}

    def above(self) -> str:
        """Title and picture."""
        return html.heading(self.title, str(self.found.verdict)) + self.picture

    def _repr_html_(self) -> str:
        checks = [check.to_dict() for check in self.found.checks]
        told = html.folded(f"{len(checks)} checks", html.checks(checks)) if checks else ""
        return self.above() + html.table(self.found.rows, self.columns) + told

    def __repr__(self) -> str:
        return f"{self.title}: {self.found.verdict}, {len(self.found.rows)} rows"


def typed(table: Any) -> Any:
    """A DataFrame whose ages can be compared with durations and whose verdicts sort by severity, the worst first."""
    import pandas

    from jfsnb.checks.model import SEVERITY

    if "age_seconds" in table:
        table = table.assign(age=pandas.to_timedelta(table["age_seconds"], unit="s"))
    if "verdict" in table:
        order = [str(verdict) for verdict in SEVERITY]
        table = table.assign(verdict=pandas.Categorical(table["verdict"], order, ordered=True))
    return table


def connect(namespace: Mapping[str, Any]) -> AtHand:
    """Connect to the cluster that the notebook's parameters name.

    Raises:
        UsageError, ConnectionFailed: see `jfsnb.start`. BundleInvalid: the file is damaged.
    """
    session.prepare_shell()
    settings = session.settings_of(namespace)
    if settings.file is not None:
        from jfsnb.bundle.read import named

        return AtHand(named(settings.file), settings)
    return AtHand(session.connect(settings), settings)


def case() -> AtHand:
    """A real cluster in trouble, as it was read on one day in November; it needs neither cluster nor sandbox."""
    from jfsnb.bundle.read import read

    session.prepare_shell()
    return AtHand(read(CASE), Settings(cluster=f"{FILE}{CASE}", namespace="demo"))


def doctor(at: AtHand) -> Answer:
    """What is wrong in this cluster, the worst first."""
    from jfsnb.queries import investigate

    found = investigate.doctor(at.cluster, at.settings.driver_namespace)
    return Answer("What is wrong here", found, columns=("verdict", "code", "object", "reason", "next_action"))


def mounts(at: AtHand) -> Answer:
    """All Mount Pods and whom they serve."""
    from jfsnb.queries import investigate

    found = investigate.mounts(at.cluster, at.settings.driver_namespace)
    columns = ("name", "node", "image", "desired_image", "serves", "age_seconds", "verdict", "reason")
    return Answer("Who serves whom", found, versions(found.rows), columns)


def verify(at: AtHand, pod: str, image: str = "") -> Answer:
    """Which client serves this Pod (``name`` or ``namespace/name``), and is it the one that is asked for?"""
    from jfsnb.queries import investigate

    namespace, _, name = pod.rpartition("/")
    place = namespace or at.settings.namespace
    found = investigate.verify(at.cluster, place, name, image, at.settings.driver_namespace)
    columns = ("volume", "mount_pod", "image", "client", "desired_image", "verdict", "reason")
    return Answer(f"Who serves Pod {place}/{name}", found, columns=columns)


def explain(at: AtHand, claim: str = "", node: str = "") -> Answer:
    """What the next Mount Pod of this claim (``name`` or ``namespace/name``) gets, field by field, and who decides.

    Args:
        claim: empty: one that is in use, of the parameters' namespace where there is one.
        node: empty: on every node that can mount it, in groups.
    """
    from jfsnb.queries import investigate
    from jfsnb.queries.finding import Finding

    claim = claim or next(iter(used_claims(at)), "")
    if not claim:
        return Answer("No claim is in use", Finding(()))
    namespace, _, name = claim.rpartition("/")
    place = namespace or at.settings.namespace
    found = investigate.explain(at.cluster, place, name, node, at.settings.driver_namespace)
    return Answer(f"What the next Mount Pod of {place}/{name} gets", found)


def served_pods(at: AtHand) -> list[str]:
    """Pods (``namespace/name``) that some Mount Pod serves; those of the parameters' namespace first."""
    rows = mounts(at).found.rows
    served = (name for row in rows for name in _names(row.get("serves")))
    return sorted(set(served), key=lambda name: (not name.startswith(f"{at.settings.namespace}/"), name))


def _names(value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [str(item) for item in value]
    return [name.strip() for name in str(value or "").split(",") if name.strip()]


def used_claims(at: AtHand) -> list[str]:
    """Claims (``namespace/name``) that some Mount Pod serves; those of the parameters' namespace first."""
    found = {str(row["claim"]) for row in mounts(at).found.rows if row["claim"]}
    return sorted(found, key=lambda name: (not name.startswith(f"{at.settings.namespace}/"), name))


def list_served(at: AtHand) -> Shown:
    """The same as a table."""
    names = served_pods(at)
    rows = [{"pod": name} for name in names]
    return Shown(html.table(rows, caption="Pods that a Mount Pod serves"), "\n".join(names) or "no Pod is served")
