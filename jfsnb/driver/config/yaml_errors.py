"""Why a YAML text cannot be read, in the words of the driver's library (libyaml's), from those of PyYAML."""

from __future__ import annotations

import re

import yaml

#: Beginning of PyYAML's problem → the problem as libyaml words it; the first that fits counts.
_WORDS = (
    (r"found character .* that cannot start any token", "found character that cannot start any token"),
    (r"mapping values are not allowed", "mapping values are not allowed in this context"),
    (r"mapping keys are not allowed", "mapping keys are not allowed in this context"),
    (r"sequence entries are not allowed", "block sequence entries are not allowed in this context"),
    (r"expected ',' or '\}'", "did not find expected ',' or '}'"),
    (r"expected ',' or '\]'", "did not find expected ',' or ']'"),
    (r"expected the node content", "did not find expected node content"),
    (r"expected '<document start>'", "did not find expected <document start>"),
    (r"found unknown escape character", "found unknown escape character"),
    (r"expected escape sequence of", "did not find expected hexdecimal number"),
    (r"found unexpected document separator", "found unexpected document indicator"),
    (r"while scanning .*could not find expected ':'", "could not find expected ':'"),
    (r"found incompatible YAML document", "found incompatible YAML document"),
    (r"found duplicate YAML directive", "found duplicate %YAML directive"),
    (r"duplicate tag handle", "found duplicate %TAG directive"),
    (r"found undefined tag handle", "found undefined tag handle"),
    (r"expected alphabetic or numeric character", "did not find expected alphabetic or numeric character"),
    (r"expected (a comment or a line break|chomping or indentation)", "did not find expected comment or line break"),
    (r"expected indentation indicator", "found an indentation indicator equal to 0"),
    (r"expected a digit or '\.'|expected a digit or ' '", "did not find expected version number"),
    (r"expected '!'", "did not find expected '!'"),
    (r"expected ' '", "did not find expected whitespace or line break"),
)
_PARSER_ERRORS = (yaml.parser.ParserError, yaml.composer.ComposerError)


def wording(error: Exception) -> str:
    """What the driver's library says after ``yaml: ``."""
    if isinstance(error, yaml.reader.ReaderError):
        return "control characters are not allowed"
    if not isinstance(error, yaml.MarkedYAMLError):
        return str(error).splitlines()[0]
    problem = error.problem or ""
    alias = re.match(r"found undefined alias '(.*)'", problem)
    if alias:
        return f"unknown anchor '{alias[1]}' referenced"
    if problem.startswith("expected <block end>"):
        in_list = (error.context or "").endswith("block collection")
        problem = "did not find expected '-' indicator" if in_list else "did not find expected key"
    else:
        problem = next((ours for form, ours in _WORDS if re.match(form, problem)), problem)
    return _line(error) + problem


def _line(error: yaml.MarkedYAMLError) -> str:
    """``line N: ``; the library counts scanner errors from 1, others from 0, and names no line 0."""
    line = error.problem_mark.line if error.problem_mark else 0
    if line:
        line += not isinstance(error, _PARSER_ERRORS)
    elif error.context_mark:
        line = error.context_mark.line
    return f"line {line}: " if line else ""


def place(error: Exception) -> str:
    """Where the error really is, as an editor counts lines; empty when it is not known."""
    mark = error.problem_mark or error.context_mark if isinstance(error, yaml.MarkedYAMLError) else None
    return f"line {mark.line + 1}" if mark else ""
