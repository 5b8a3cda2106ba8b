"""config.yaml: how it is loaded, which entries match and what they come to, what the dashboard says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jfsnb.driver.config import goyaml, merging, schema, validation
from jfsnb.driver.golang.types import shape
from jfsnb.errors import ConfigInvalid
from tests.vectors.comparing import NoCounterpart, Refused


def answer(given: Mapping[str, Any]) -> Any:
    """One question of the family, in the driver's shape."""
    function = FUNCTIONS.get(given["function"])
    if function is None:
        raise NoCounterpart(given["function"])
    try:
        return function(given)
    except ConfigInvalid as error:
        raise Refused(error.what if given["function"] == "load" else f"config: {error.what}") from error


def _load(given: Mapping[str, Any]) -> dict[str, Any]:
    merging.load(given["config"])
    return {"config": schema.decoded(goyaml.parse(given["config"]))}


def _merge(given: Mapping[str, Any]) -> dict[str, Any]:
    found = merging.merge(merging.load(given["config"]), given.get("pvc"), given.get("node"))
    expanded = merging.expand_templates(
        found.fields,
        mount_point=given.get("mountPath", ""),
        volume_id=given.get("volumeId", ""),
        volume_name=given.get("name", ""),
        sub_path=given.get("subPath", ""),
    )
    return {
        "matches": [match.matched for _, match in found.considered],
        "patch": shape(found.fields, schema.PATCH),
        "image": found.image(given.get("ce", False)),
        "expanded": shape(expanded, schema.PATCH),
    }


def _validate(given: Mapping[str, Any]) -> dict[str, Any]:
    first = next(validation.problems(merging.load(given["config"])), None)
    return {"valid": first is None, "message": first}


FUNCTIONS: dict[str, Callable[[Mapping[str, Any]], Any]] = {"load": _load, "merge": _merge, "validate": _validate}
