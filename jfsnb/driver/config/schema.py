"""Which keys config.yaml may have, of which type, and fitting data to them as Go's JSON decoder does (§2.1, §2.2)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jfsnb.driver.config.goyaml import Document, Path
from jfsnb.driver.settings.quantity import canonical
from jfsnb.errors import ConfigInvalid

STRING, BOOL, INT, QUANTITY, ANY = "string", "bool", "int64", "resource.Quantity", "interface {}"


@dataclass(frozen=True)
class Struct:
    """A Go struct: its JSON names and their types. An *open* one has more fields than we list; they pass unchecked."""

    name: str
    fields: Mapping[str, Any]
    open: bool = False


@dataclass(frozen=True)
class ListOf:
    item: Any


@dataclass(frozen=True)
class MapOf:
    value: Any


@dataclass(frozen=True)
class UnknownKey:
    """A key that the driver ignores without a word.

    Args:
        path: where it stands, e.g. ``mountPodPatch[1].ceMountImages``.
        line: its line in config.yaml, from 1.
        hint: the known key that it resembles; empty when there is none.
    """

    path: str
    line: int
    hint: str = ""


STRINGS = ListOf(STRING)
STRING_MAP = MapOf(STRING)
LABEL_SELECTOR = {
    "matchLabels": STRING_MAP,
    "matchExpressions": ListOf(
        Struct("LabelSelectorRequirement", {"key": STRING, "operator": STRING, "values": STRINGS})
    ),
}
PVC_SELECTOR = Struct("PVCSelector", {**LABEL_SELECTOR, "matchStorageClassName": STRING, "matchName": STRING})
NODE_SELECTOR = Struct("LabelSelector", LABEL_SELECTOR)
CACHE_DIR = Struct(
    "MountPatchCacheDir",
    {
        "type": STRING,
        "path": STRING,
        "name": STRING,
        "sizeLimit": QUANTITY,
        "medium": STRING,
        "storage": QUANTITY,
        "storageClassName": STRING,
        "accessModes": STRINGS,
    },
)
ENV_VAR = Struct("EnvVar", {"name": STRING, "value": STRING, "valueFrom": ANY})
RESOURCES = Struct(
    "ResourceRequirements", {"limits": MapOf(QUANTITY), "requests": MapOf(QUANTITY), "claims": ListOf(ANY)}
)
PERCENTAGES = Struct(
    "ResourcePercentages",
    {"limits": STRING_MAP, "requests": STRING_MAP, "minLimits": MapOf(QUANTITY)},
    open=True,
)
PROBE = Struct(
    "Probe",
    {
        "exec": Struct("ExecAction", {"command": STRINGS}),
        "httpGet": ANY,
        "tcpSocket": ANY,
        "grpc": ANY,
        "initialDelaySeconds": INT,
        "timeoutSeconds": INT,
        "periodSeconds": INT,
        "successThreshold": INT,
        "failureThreshold": INT,
        "terminationGracePeriodSeconds": INT,
    },
)
HANDLER = Struct("LifecycleHandler", {"exec": Struct("ExecAction", {"command": STRINGS})}, open=True)
LIFECYCLE = Struct("Lifecycle", {"postStart": HANDLER, "preStop": HANDLER, "stopSignal": STRING})
DNS_CONFIG = Struct("PodDNSConfig", {"nameservers": STRINGS, "searches": STRINGS, "options": ListOf(ANY)})
NAMED = {"name": STRING}

PATCH = Struct(
    "MountPodPatch",
    {
        "pvcSelector": PVC_SELECTOR,
        "nodeSelector": NODE_SELECTOR,
        "ceMountImage": STRING,
        "eeMountImage": STRING,
        "cacheDirs": ListOf(CACHE_DIR),
        "imagePullPolicy": STRING,
        "labels": STRING_MAP,
        "annotations": STRING_MAP,
        "hostNetwork": BOOL,
        "hostPID": BOOL,
        "dnsConfig": DNS_CONFIG,
        "dnsPolicy": STRING,
        "hostnameKey": STRING,
        "livenessProbe": PROBE,
        "readinessProbe": PROBE,
        "startupProbe": PROBE,
        "lifecycle": LIFECYCLE,
        "resources": RESOURCES,
        "resourcePercentages": PERCENTAGES,
        "terminationGracePeriodSeconds": INT,
        "volumes": ListOf(Struct("Volume", NAMED, open=True)),
        "volumeDevices": ListOf(Struct("VolumeDevice", {"name": STRING, "devicePath": STRING})),
        "volumeMounts": ListOf(
            Struct(
                "VolumeMount",
                {"name": STRING, "mountPath": STRING, "subPath": STRING, "readOnly": BOOL},
                open=True,
            )
        ),
        "env": ListOf(ENV_VAR),
        "initContainers": ListOf(Struct("Container", {"name": STRING, "image": STRING}, open=True)),
        "mountOptions": STRINGS,
    },
)
CONFIG = Struct(
    "Config",
    {
        "enableNodeSelector": BOOL,
        "enableNativeSidecar": BOOL,
        "enableSetQuota": BOOL,
        "enableControllerSetQuota": BOOL,
        "enableAutoRemoveRequestResources": BOOL,
        "enableAutoAbortStuckMountPod": BOOL,
        "enableLazyUmountTarget": BOOL,
        "enableKubeletListMountPod": BOOL,
        "mountPodPatch": ListOf(PATCH),
    },
)


@dataclass
class Fitter:
    """Fits one document to a type and remembers the keys that did not fit."""

    document: Document
    unknown: list[UnknownKey] = field(default_factory=list)

    def fit(self, value: Any, kind: Any, path: Path = ()) -> Any:
        """``value`` as the Go type would hold it; None where Go keeps its zero value.

        Raises:
            ConfigInvalid: of a type that Go refuses.
        """
        if value is None:
            return None
        if isinstance(kind, Struct):
            return self._struct(value, kind, path)
        if isinstance(kind, ListOf):
            if not isinstance(value, list):
                raise self._refused(value, kind, path)
            return [self.fit(v, kind.item, (*path, n)) for n, v in enumerate(value)]
        if isinstance(kind, MapOf):
            if not isinstance(value, dict):
                raise self._refused(value, kind, path)
            return {k: self.fit(v, kind.value, (*path, k)) for k, v in value.items()}
        return self._scalar(value, kind, path)

    def _struct(self, value: Any, kind: Struct, path: Path) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._refused(value, kind, path)
        by_folded = {name.lower(): name for name in kind.fields}
        result: dict[str, Any] = {}
        for key in sorted(value):
            name = key if key in kind.fields else by_folded.get(key.lower(), "")
            where = (*path, key)
            if not name:
                if kind.open:
                    result[key] = value[key]
                else:
                    self._note_unknown(where, key, kind)
                continue
            fitted = self.fit(value[key], kind.fields[name], where)
            if fitted is not None:
                result[name] = fitted
        return result

    def _scalar(self, value: Any, kind: str, path: Path) -> Any:
        if kind == ANY:
            return value
        if isinstance(value, dict | list):
            raise self._refused(value, kind, path)
        if kind == STRING:
            return go_string(value)
        if kind == QUANTITY:
            try:
                return canonical(go_string(value))
            except ValueError as error:
                raise ConfigInvalid(
                    f"error unmarshaling JSON: while decoding JSON: {error} ({self.place(path)})",
                    "Write a quantity such as 500m or 1Gi.",
                ) from error
        wanted = bool if kind == BOOL else int
        if isinstance(value, float) and kind == INT and value.is_integer():
            return int(value)
        if not isinstance(value, wanted) or (kind == INT and isinstance(value, bool)):
            raise self._refused(value, kind, path)
        return value

    def _note_unknown(self, path: Path, key: str, kind: Struct) -> None:
        near = difflib.get_close_matches(key.lower(), [f.lower() for f in kind.fields], n=1, cutoff=0.6)
        hint = next((f for f in kind.fields if near and f.lower() == near[0]), "")
        self.unknown.append(UnknownKey(path_text(path), self.document.lines.get(path, 0), hint))

    def _refused(self, value: Any, kind: Any, path: Path) -> ConfigInvalid:
        return ConfigInvalid(
            f"error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {_json_kind(value)} into Go struct "
            f"field {self.place(path)} of type {_type_name(kind)}",
            "Correct the value; until then the driver keeps its old configuration, and its Pods cannot restart.",
        )

    def place(self, path: Path) -> str:
        line = self.document.lines.get(path, 0)
        return path_text(path) + (f" (line {line})" if line else "")


def path_text(path: Path) -> str:
    """A path as people write it: ``mountPodPatch[0].labels``."""
    text = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)
    return text.removeprefix(".") or "config.yaml"


def go_string(value: Any) -> str:
    """A YAML scalar where the Go type is string: ``true`` becomes "true", ``10`` becomes "10"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _go_float(value)
    return str(value)


def _go_float(value: float) -> str:
    """Go's FormatFloat(value, 'g', -1, 64): an exponent below 1e-4 and from 1e21 on."""
    if value != value or value in (float("inf"), float("-inf")):
        return {"inf": "+Inf", "-inf": "-Inf"}.get(str(value), "NaN")
    if value == 0 or 1e-4 <= abs(value) < 1e21:
        text = f"{value:f}" if abs(value) >= 1e16 else repr(value)
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, exponent = f"{value!r}".split("e") if "e" in repr(value) else (repr(value), "+00")
    return f"{mantissa.removesuffix('.0')}e{exponent}"


def _json_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "object"
    return "array" if isinstance(value, list) else "number"


def _type_name(kind: Any) -> str:
    if isinstance(kind, Struct):
        return f"config.{kind.name}"
    if isinstance(kind, ListOf):
        return f"[]{_type_name(kind.item)}"
    if isinstance(kind, MapOf):
        return f"map[string]{_type_name(kind.value)}"
    return str(kind)
