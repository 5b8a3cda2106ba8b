"""The one typed definition of all parameters; notebooks, command line and papermill share it."""

from __future__ import annotations

import difflib
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jfsnb.driver.images import ImageReference
from jfsnb.errors import UsageError

SANDBOX = "sandbox"
FILE = "file:"
SCOPES = ("canary", "global")
PROFILES = ("fast", "article")
SUITES = ("quick", "full")
#: Parameters of a comparison only.
COMPARISON = ("suite", "pairs", "precision", "at_most", "tolerance")
HOWS = ("recreate", "binary")
#: Parameters of an upgrade in place only.
UPGRADE = ("target", "how", "stall_budget", "app_image")
DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
DNS_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
#: smoke-baseline-<run-id> must fit into a label of 63 characters.
RUN_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


def new_run_id() -> str:
    """Sorts by time, is unique enough for parallel jobs, and is a valid label value and part of a Pod's name."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _outputs() -> Path:
    return Path(os.environ.get("JFSNB_OUTPUTS") or "outputs").absolute()


@dataclass(frozen=True)
class Settings:
    """All parameters of a run, with their defaults.

    Args:
        cluster: ``sandbox``, a context of the kubeconfig, or ``file:`` and the path of what was collected of one.
        kubeconfig: path; empty for $KUBECONFIG or ~/.kube/config.
        driver_namespace: where the JuiceFS CSI driver runs; empty: found by its DaemonSet.
        namespace: where the smoke Pods go.
        image: client image under test; empty only in the sandbox, which has a default.
        scope: ``canary`` adds an entry for the smoke PVC only; ``global`` changes the entry that serves everybody.
        pvc: the claim to use; ignored when ``storage_class`` is given.
        storage_class: make a claim of this class instead.
        profile: the smoke manifest: ``fast`` or ``article``.
        timeout: seconds that any one wait may take.
        keep: leave what the run made (Pods, configuration) in place.
        suite: of a comparison: ``quick`` or ``full``. pairs: old-new pairs that it measures at the most.
        precision: percent; a comparison ends early when its intervals are that narrow. 0: not before all pairs.
        at_most: seconds that measuring may take. tolerance: percent that the new client may be slower.
        target: of an upgrade in place: the Mount Pod whose client is exchanged; empty: the one of the claim.
        how: ``recreate`` or ``binary``. stall_budget: seconds that an app may have to wait.
        app_image: of the load Pod; it has to have python3. Empty: the client image under test.
        run_id: made when empty.
        outputs: folder that holds one folder per run (env JFSNB_OUTPUTS, else ./outputs); no notebook parameter.
    """

    cluster: str = SANDBOX
    kubeconfig: str = ""
    driver_namespace: str = ""
    namespace: str = "juicefs-system"
    image: str = ""
    scope: str = "canary"
    pvc: str = "songlin-test-pvc"
    storage_class: str = ""
    profile: str = "fast"
    timeout: int = 120
    keep: bool = False
    suite: str = "quick"
    pairs: int = 24
    precision: int = 0
    at_most: int = 600
    tolerance: int = 10
    target: str = ""
    how: str = "recreate"
    stall_budget: int = 15
    app_image: str = ""
    run_id: str = field(default_factory=new_run_id)
    outputs: Path = field(default_factory=_outputs)

    def __post_init__(self) -> None:
        if not self.run_id:
            object.__setattr__(self, "run_id", new_run_id())
        _one_of("scope", self.scope, SCOPES)
        _one_of("profile", self.profile, PROFILES)
        _one_of("suite", self.suite, SUITES)
        _one_of("how", self.how, HOWS)
        _matches("namespace", self.namespace, DNS_LABEL, "a namespace name: lower-case letters, digits and dashes")
        _matches("run_id", self.run_id, RUN_ID, "at most 40 lower-case letters, digits and dashes")
        if self.driver_namespace:
            _matches("driver_namespace", self.driver_namespace, DNS_LABEL, "a namespace name")
        if self.storage_class:
            _matches("storage_class", self.storage_class, DNS_NAME, "a StorageClass name")
        else:
            _matches("pvc", self.pvc, DNS_NAME, "the name of a PersistentVolumeClaim")
        if self.image:
            ImageReference.parse(self.image)
        for name in ("timeout", "at_most", "pairs", "stall_budget"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name}={getattr(self, name)} cannot be used", "give a number above 0")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The parameters a notebook may have."""
        return tuple(f.name for f in fields(cls) if f.name != "outputs")

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Settings:
        """Typed settings from a notebook's parameters or a command's options.

        Raises:
            UsageError: an unknown name (with the nearest known one) or a value of the wrong type.
        """
        types = {f.name: str(f.type) for f in fields(cls) if f.name != "outputs"}
        for name, value in mapping.items():
            if name not in types:
                near = difflib.get_close_matches(name, types, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known parameters: {', '.join(types)}"
                raise UsageError(f"unknown parameter {name!r}", hint)
            if type(value).__name__ != types[name]:
                raise UsageError(
                    f"parameter {name} must be {types[name]}, but is {type(value).__name__}: {value!r}",
                    f"give {name} as {types[name]}",
                )
        return cls(**mapping)

    @property
    def is_sandbox(self) -> bool:
        """Whether the sandbox was asked for (a kubeconfig context that leads to one counts as a real cluster here)."""
        return self.cluster == SANDBOX

    @property
    def file(self) -> str | None:
        """What was collected of a cluster and is to be asked in its place (``PATH`` or, of a history, ``PATH#TIME``);
        None for a cluster."""
        return self.cluster.removeprefix(FILE) if self.cluster.startswith(FILE) else None

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.outputs / self.run_id

    def parameters(self) -> dict[str, Any]:
        """The parameters as plain data, for papermill and run.json."""
        return {name: value for name, value in asdict(self).items() if name != "outputs"}

    def with_image(self, image: str) -> Settings:
        """The same settings with that image under test."""
        return replace(self, image=image)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        near = difflib.get_close_matches(value, allowed, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"use one of: {', '.join(allowed)}"
        raise UsageError(f"{name}={value!r} is not possible", hint)


def _matches(name: str, value: str, pattern: re.Pattern[str], what: str) -> None:
    if not pattern.fullmatch(value):
        raise UsageError(f"{name}={value!r} cannot be used", f"give {what}")
