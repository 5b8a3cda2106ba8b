"""Parameters of a notebook, read from its source and typed.

papermill reads them with a regular expression that loses lines with a second ``=``, guesses types on the command line
(``-p flag false`` gives the string "false") and pastes unknown names into code; so names and types come from the syntax
tree of the cell tagged ``parameters``, and whatever it does not declare is refused.
"""

from __future__ import annotations

import ast
import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jfsnb.errors import UsageError

_TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict}
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True)
class Parameter:
    """One line of a notebook's parameters cell: name, type (``str``, ``int`` …), default value."""

    name: str
    type_name: str
    default: Any


def declared(notebook: Path) -> dict[str, Parameter]:
    """What the notebook's ``parameters`` cell declares, in order.

    Raises:
        UsageError: there is no such cell, or a line is not ``name: type = literal``.
    """
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    tagged = [c for c in cells if "parameters" in c.get("metadata", {}).get("tags", [])]
    if not tagged:
        raise UsageError(f"{notebook.name} has no cell tagged 'parameters'", "tag the cell that assigns its parameters")
    source = tagged[0]["source"]
    tree = ast.parse(source if isinstance(source, str) else "".join(source))
    found = [_parameter(node, notebook.name) for node in tree.body]
    return {parameter.name: parameter for parameter in found}


def _parameter(node: ast.stmt, where: str) -> Parameter:
    if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None):
        raise UsageError(f"{where}: line {node.lineno} of the parameters cell is not `name: type = value`")
    kind = ast.unparse(node.annotation)
    if kind.partition("[")[0] not in _TYPES:
        raise UsageError(f"{where}: parameter {node.target.id} has type {kind}", f"use one of {', '.join(_TYPES)}")
    return Parameter(node.target.id, kind, ast.literal_eval(node.value))


def typed(values: Mapping[str, Any], known: Mapping[str, Parameter]) -> dict[str, Any]:
    """The values in the types that the notebook declares.

    Args:
        values: from the command line (text) or from a YAML file (already typed).
        known: from `declared`.

    Raises:
        UsageError: a name that is not declared (with the nearest one), or a value that does not fit its type.
    """
    return {name: _fit(value, _known(name, known)) for name, value in values.items()}


def _known(name: str, known: Mapping[str, Parameter]) -> Parameter:
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"parameters are: {', '.join(known)}"
    raise UsageError(f"there is no parameter {name!r}", hint)


def _fit(value: Any, parameter: Parameter) -> Any:
    wanted = _TYPES[parameter.type_name.partition("[")[0]]
    if type(value) is wanted:
        return value
    if wanted is float and type(value) is int:
        return float(value)
    if isinstance(value, str):
        try:
            return _from_text(value, wanted)
        except (ValueError, KeyError):
            pass
    quote = " (quote it in the YAML file)" if wanted is str else ""
    raise UsageError(
        f"parameter {parameter.name} takes {parameter.type_name}, not {value!r}{quote}",
        f"its default is {parameter.default!r}",
    )


def _from_text(text: str, wanted: type) -> Any:
    if wanted is bool:
        return _WORDS[text.lower()]
    if wanted in (list, dict):
        value = json.loads(text)
        if not isinstance(value, wanted):
            raise ValueError(text)
        return value
    return wanted(text)
