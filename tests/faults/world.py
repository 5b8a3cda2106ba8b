"""What the commands are asked about: a sandbox with a Pod that is served, and runs that have left something."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from jfsnb.checks.model import Verdict, overall
from jfsnb.cli import main
from jfsnb.cluster import client, logs, transport, watch
from jfsnb.cluster import exec as executing
from jfsnb.cluster.client import Cluster
from jfsnb.cluster.connect import connect
from jfsnb.errors import JfsnbError
from jfsnb.run import background, deploy, patch, rollback, verify
from jfsnb.run.smoke.manifest import RUN_LABEL
from jfsnb.run.state import Run, checks_of, load, open_run
from jfsnb.settings import Settings
from tests.faults.proxy import Proxy

NAMESPACE, CLAIM, CONFIG_MAP = "juicefs-system", "songlin-test-pvc", "juicefs-csi-driver-config"
#: Of a run, as notebooks 01 and 03 to 05 call them.
PARTS = (
    *(background.preflight, background.baseline, background.csi_calls, background.served_by),
    *(patch.plan, patch.apply, patch.wait_in_force, deploy.prepare, deploy.smoke, deploy.side_by_side),
    *(verify.chain, verify.client, verify.data, verify.shutdown, verify.restore, verify.verdict),
)
#: What is waited for in minutes on a real cluster, in seconds: thousands of combinations are tried.
QUICK = (
    *((transport, "CALL_SECONDS", 1.0), (transport, "CONNECT_SECONDS", 1.0), (executing, "CONNECT_SECONDS", 1.0)),
    *((client, "CALL_SECONDS", 1.0), (watch, "AWAY_SECONDS", 1.0), (logs, "AWAY_SECONDS", 1.0)),
    *((rollback, "GONE_SECONDS", 4.0), (rollback, "IN_FORCE_SECONDS", 0.3)),
)


@dataclass(frozen=True)
class Answer:
    """What a command said. ``broken`` names an error that is none of jfsnb's own."""

    code: int
    text: str
    seconds: float
    broken: str = ""

    @property
    def data(self) -> dict[str, Any]:
        """Its JSON; empty where it said none."""
        try:
            return json.loads(self.text[self.text.index("{") :])
        except ValueError:
            return {}


@dataclass
class World:
    """The sandbox, as its admin sees it, and the proxy through which the commands see it."""

    cluster: Cluster
    proxy: Proxy
    folder: Path
    pod: str = ""
    count: int = 0
    _own: Run | None = field(default=None, repr=False)

    @property
    def outputs(self) -> Path:
        return self.folder / "outputs"

    def ask(self, *words: str, outputs: Path | None = None) -> Answer:
        """Carry out a command by way of the proxy."""
        where = ("--kubeconfig", str(self.folder / "kubeconfig"), "--cluster", self.cluster.context)
        begun = time.monotonic()
        environment = {"JFSNB_OUTPUTS": str(outputs or self.outputs)}
        found = CliRunner().invoke(main, [*words, *where], env=environment)
        seconds = time.monotonic() - begun
        broken = "" if isinstance(found.exception, SystemExit | None) else repr(found.exception)
        own = "not one of jfsnb's own errors" in found.output or "Traceback" in found.output
        return Answer(found.exit_code, found.output, seconds, broken or (found.output[-300:] if own else ""))

    def settle(self) -> None:
        """A Pod that is served, for the questions about it."""
        self._own = self.open("faults-base")
        self.pod = background.baseline(self._own).pod

    def open(self, run_id: str, cluster: Cluster | None = None) -> Run:
        settings = Settings.from_mapping({"run_id": run_id, "timeout": 30})
        return open_run(replace(settings, outputs=self.outputs), cluster or self.cluster)

    def run_parts(self, run_id: str) -> Answer:
        """A run as its notebooks carry it out, part by part, and its clean-up; 0 where it ends PASS or WARN."""
        begun = time.monotonic()
        try:
            seen = connect(kubeconfig=str(self.folder / "kubeconfig"))
            run = self.open(run_id, seen)
            try:
                for carry_out in PARTS:
                    carry_out(run)
            except JfsnbError as error:
                run.tell("note", str(error))
            done = rollback.rollback(seen, run_id, self.outputs)
            checks = checks_of(load(run.folder))
            found = overall([*(c.verdict for _, c in checks), Verdict.PASS if done.complete else Verdict.ERROR])
        except JfsnbError as error:
            return Answer(error.exit_code, error.what, time.monotonic() - begun)
        except Exception as error:  # none of jfsnb's own
            return Answer(3, "", time.monotonic() - begun, repr(error))
        said = [f"{c.verdict} {c.code} {c.reason}" for _, c in checks]
        code = {Verdict.PASS: 0, Verdict.WARN: 0, Verdict.FAIL: 1}.get(found, 3)
        return Answer(code, "\n".join(said), time.monotonic() - begun)

    def new_id(self) -> str:
        self.count += 1
        return f"faults-{self.count}-{os.getpid()}"

    def leave_something(self) -> str:
        """A run that has patched, and has made a ConfigMap, and died; its id."""
        run = self.open(self.new_id())
        meta = {"name": f"left-{run.id}", "namespace": NAMESPACE, "labels": {RUN_LABEL: run.id}}
        run.journal.create(self.cluster, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {}})
        patch.apply(run)
        return run.id

    def left(self, run_id: str) -> list[str]:
        """What is there of a run, seen without the proxy."""
        labels = f"{RUN_LABEL}={run_id}"
        found = [
            o["metadata"]["name"] for kind in ("pods", "configmaps") for o in self.cluster.list(kind, labels=labels)
        ]
        notes = self.cluster.get("configmaps", NAMESPACE, CONFIG_MAP)["metadata"].get("annotations") or {}
        return found + [key for key in notes if run_id in key]

    def undo(self, run_id: str) -> None:
        """Without the proxy."""
        self.proxy.spoil(None)
        assert rollback.rollback(self.cluster, run_id, self.outputs).complete


@contextlib.contextmanager
def world(kubeconfig: Path, context: str, folder: Path) -> Iterator[World]:
    """A settled one; everything that it has made goes at the end."""
    before = [(module, name, getattr(module, name)) for module, name, _ in QUICK]
    with Proxy(kubeconfig) as proxy:
        proxy.write_kubeconfig(folder / "kubeconfig")
        found = World(connect(kubeconfig=str(kubeconfig), context=context), proxy, folder)
        try:
            found.settle()
            for module, name, value in QUICK:
                setattr(module, name, value)
            yield found
        finally:
            for module, name, value in before:
                setattr(module, name, value)
            proxy.spoil(None)
            for run_folder in found.outputs.iterdir():
                rollback.rollback(found.cluster, run_folder.name, found.outputs)
