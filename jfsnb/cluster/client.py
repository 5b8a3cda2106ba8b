"""A connection to a cluster: who answers there, and the verbs that the steps need. Plain dicts in and out, redacted."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from jfsnb.cluster import answers
from jfsnb.cluster.exec import Executed, execute
from jfsnb.cluster.lists import read_page
from jfsnb.cluster.logs import LogFollower
from jfsnb.cluster.resources import PLURALS, RESOURCES, path_of, title_of
from jfsnb.cluster.transport import CALL_SECONDS, Transport
from jfsnb.cluster.watch import Watch
from jfsnb.errors import NotInCluster, WaitTimeout
from jfsnb.redact import learn_secret, redact_object, redact_text

Obj = dict[str, Any]
T = TypeVar("T")
PAGE = 500
KUBE_SYSTEM = "kube-system"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PATCH_TYPES = {"merge": "application/merge-patch+json", "json": "application/json-patch+json"}


@dataclass(frozen=True)
class Cluster:
    """A cluster that answered; may be used from several threads.

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
    transport: Transport = field(repr=False)
    tier: str = ""
    tier_reason: str = ""
    default_image: str = ""
    version: str = ""

    @property
    def is_sandbox(self) -> bool:
        return bool(self.tier)

    def identity(self) -> str:
        """Which cluster this is, whatever its name and address: the uid of its namespace kube-system.

        Raises:
            JfsnbError: it cannot be read.
        """
        return str(self.get("namespaces", name=KUBE_SYSTEM)["metadata"]["uid"])

    def clock_offset(self) -> float | None:
        """Seconds that the API server's clock is ahead of this machine's, to about a second; None: it does not tell."""
        asked = datetime.now(UTC)
        there = self.transport.server_time()
        return None if there is None else round((there - asked).total_seconds())

    def get(self, plural: str, namespace: str = "", name: str = "") -> Obj:
        """One object. Raises NotInCluster where there is none."""
        return redact_object(self._object("GET", plural, namespace, name))

    def _object(
        self,
        method: str,
        plural: str,
        namespace: str,
        name: str,
        query: dict[str, str | int | None] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Obj:
        """A request whose answer is one object; a new one is made in its collection."""
        path = path_of(plural, namespace, "" if method == "POST" else name)
        what = title_of(plural, namespace, name)
        answer = self.transport.call(method, path, query, body, content_type=content_type, what=what)
        found = answers.checked_object(answer, plural, namespace, name, what)
        self.transport.newest.see(plural, found["metadata"])
        return found

    def find(self, plural: str, namespace: str = "", name: str = "") -> Obj | None:
        """One object, or None."""
        try:
            return self.get(plural, namespace, name)
        except NotInCluster:
            return None

    def from_secret(self, namespace: str, name: str, key: str, read: Callable[[str], T]) -> T | None:
        """What ``read`` makes of one value of a Secret: the one way in which a value is looked at, and it stays there.

        Returns:
            None where there is no such Secret or key.
        """
        try:
            data = self._object("GET", "secrets", namespace, name).get("data") or {}
        except NotInCluster:
            return None
        learn_secret(data)
        return read(base64.b64decode(data[key]).decode("utf-8", "replace")) if key in data else None

    def pages(
        self, plural: str, namespace: str = "", *, labels: str = "", fields: str = "", metadata_only: bool = False
    ) -> Iterator[list[Obj]]:
        """A collection in pages of 500: what it costs in memory is two pages.

        Args:
            namespace: empty for all.
            metadata_only: items have only ``metadata``; for kinds of which there are very many.
        """
        accept = METADATA_ONLY if metadata_only else "application/json"
        query: dict[str, str | int | None] = {"limit": PAGE, "labelSelector": labels, "fieldSelector": fields}
        kind = RESOURCES[plural].kind

        def fetch(token: str) -> tuple[list[Obj], str]:
            asked = {**query, "continue": token}
            found, meta = read_page(
                self.transport, plural, namespace, asked, accept=accept, metadata_only=metadata_only
            )
            return [redact_object(item, kind) for item in found], str(meta.get("continue") or "")

        items, token = fetch("")
        if not token:
            yield items
            return
        with ThreadPoolExecutor(1) as pool:  # the next page comes while this one is worked on
            while token:
                coming = pool.submit(fetch, token)
                yield items
                items, token = coming.result()
            yield items

    def list(
        self, plural: str, namespace: str = "", *, labels: str = "", fields: str = "", metadata_only: bool = False
    ) -> list[Obj]:
        """A whole collection; see ``pages``."""
        pages = self.pages(plural, namespace, labels=labels, fields=fields, metadata_only=metadata_only)
        return [item for page in pages for item in page]

    def table(self, plural: str, namespace: str, name: str) -> tuple[Obj, ...]:
        """One object as the columns that kubectl shows, wide ones included: one row, keyed by column name."""
        path, what = path_of(plural, namespace, name), title_of(plural, namespace, name)
        answer = self.transport.call("GET", path, {"includeObject": "None"}, accept=TABLE, what=what)
        columns = [c["name"] for c in answers.checked_table(answer, what)["columnDefinitions"]]
        return tuple(dict(zip(columns, row["cells"], strict=False)) for row in answer.get("rows") or ())

    def create(self, obj: Obj, *, dry_run: bool = False) -> Obj:
        """Create an object as it is; ``dry_run`` asks the server whether it would take it."""
        plural, meta = PLURALS[obj["kind"]], obj["metadata"]
        namespace = meta.get("namespace", "")
        query: dict[str, str | int | None] | None = {"dryRun": "All"} if dry_run else None
        return redact_object(self._object("POST", plural, namespace, meta["name"], query, obj))

    def patch(
        self, plural: str, namespace: str, name: str, body: Any, *, kind: str = "merge", dry_run: bool = False
    ) -> Obj:
        """Change an object; ``metadata.resourceVersion`` in a merge patch guards it.

        Raises:
            ConflictError: somebody else changed it in between.
        """
        query: dict[str, str | int | None] = {"fieldManager": "jfsnb", **({"dryRun": "All"} if dry_run else {})}
        return redact_object(self._object("PATCH", plural, namespace, name, query, body, PATCH_TYPES[kind]))

    def delete(self, plural: str, namespace: str, name: str, *, uid: str = "", grace: int | None = None) -> bool:
        """Ask for an object's deletion; False when there is none (or one of another uid)."""
        body: Obj = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if uid:
            body["preconditions"] = {"uid": uid}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        try:
            what = title_of(plural, namespace, name)
            answer = self.transport.call("DELETE", path_of(plural, namespace, name), None, body, what=what)
            answers.checked_deletion(answer, plural, what)
        except NotInCluster:
            return False
        return True

    def watch(
        self, plural: str, namespace: str = "", *, labels: str = "", fields: str = "", seconds: float = 60.0
    ) -> Watch:
        """Changes of a collection, beginning with what is there."""
        query = {"labelSelector": labels, "fieldSelector": fields}
        return Watch(self.transport, plural, namespace, query, seconds)

    def wait_gone(self, plural: str, namespace: str, name: str, seconds: float, uid: str = "") -> None:
        """Wait until an object is no more.

        Raises:
            WaitTimeout: it is still there.
        """
        present: Obj | None = None
        for event in self.watch(plural, namespace, fields=f"metadata.name={name}", seconds=seconds):
            if event.type in ("ADDED", "MODIFIED"):
                present = event.object if uid in ("", event.object["metadata"]["uid"]) else None
            elif event.type == "DELETED":
                present = None
            if present is None and event.type in ("SYNCED", "DELETED", "ADDED"):
                return
        held = (present or {}).get("metadata", {}).get("finalizers")
        raise WaitTimeout(
            f"{title_of(plural, namespace, name)} is still there after {seconds:.0f} s"
            + (f", held by finalizers {held}" if held else ""),
            "look at its events and at the driver's log",
        )

    def wait_for(self, plural: str, namespace: str, name: str, seconds: float, until: Callable[[Obj], T | None]) -> T:
        """Wait until ``until`` finds something in an object, and hand that back.

        Raises:
            WaitTimeout: it did not.
        """
        for event in self.watch(plural, namespace, fields=f"metadata.name={name}", seconds=seconds):
            if event.type in ("ADDED", "MODIFIED") and (found := until(event.object)) is not None:
                return found
        raise WaitTimeout(
            f"{title_of(plural, namespace, name)} did not get there within {seconds:.0f} s", "look at its events"
        )

    def follow(
        self,
        namespace: str,
        pod: str,
        container: str = "",
        *,
        seconds: float,
        tail: int | None = None,
        after: str = "",
    ) -> LogFollower:
        """A container's log as it grows, until the container ends; see jfsnb.cluster.logs."""
        return LogFollower(self.transport, namespace, pod, container, seconds, tail, after)

    def log_mark(self, namespace: str, pod: str, container: str = "") -> str:
        """Time stamp of the last line so far, for ``follow(after=...)``; empty when there is no line yet."""
        last = self.log(namespace, pod, container, tail=1, timestamps=True)
        return last[-1].partition(" ")[0] if last else ""

    def log(
        self,
        namespace: str,
        pod: str,
        container: str = "",
        *,
        tail: int | None = None,
        timestamps: bool = False,
        previous: bool = False,
    ) -> tuple[str, ...]:
        """Lines that a container has written so far; ``previous``: the one before it was restarted."""
        query = {"container": container, "tailLines": tail, "timestamps": "true" if timestamps else None}
        query |= {"previous": "true"} if previous else {}
        what = f"the log of {title_of('pods', namespace, pod)}"
        response = self.transport.open(
            path_of("pods", namespace, pod, "log"), query, read_seconds=CALL_SECONDS, what=what
        )
        return tuple(redact_text(self.transport.body(response).decode("utf-8", "replace")).splitlines())

    def execute(
        self, namespace: str, pod: str, command: Sequence[str], container: str = "", seconds: float = 20.0
    ) -> Executed:
        """Run a command in a container; see jfsnb.cluster.exec."""
        return execute(self.transport, namespace, pod, command, container, seconds)
