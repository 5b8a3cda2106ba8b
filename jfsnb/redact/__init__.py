"""Keep secrets out of everything that is shown or kept: the one redactor, through which all of it passes.

Structure first: what is data, or a text that is YAML or JSON, is redacted by the names that stand beside values;
addresses by the grammar of the client that reads them. Patterns come second, for text that cannot be parsed. Values of
Secrets that were read in this process are removed wherever they appear, in whatever form. What was hidden is shown as
``***``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from jfsnb.redact.addresses import HIDDEN, hide_passwords
from jfsnb.redact.known import KNOWN
from jfsnb.redact.patterns import PRIVATE_KEY, hide_patterns, hints_at_secrets
from jfsnb.redact.secrets import LAST_APPLIED, learn_secret, redact_object
from jfsnb.redact.structure import redact_data, redact_document

__all__ = [
    "HIDDEN",
    "LAST_APPLIED",
    "Clean",
    "learn_secret",
    "may_hold_secrets",
    "redact",
    "redact_lines",
    "redact_object",
    "redact_text",
]
_SHORT = 2000


class Clean(str):
    """Text that has passed the redactor already, as a whole or piece by piece."""

    __slots__ = ()


def redact_text(text: str) -> str:
    """The text without its secrets.

    YAML stays YAML: a bare value is replaced by a quoted one.
    """
    if isinstance(text, Clean):
        return text
    return _short(text, KNOWN.version) if len(text) <= _SHORT else _redacted(text)


@lru_cache(16384)
def _short(text: str, known: int) -> str:
    return _redacted(text)


def _redacted(text: str) -> str:
    if hints_at_secrets(text) or ("://" in text and "@" in text):
        text = hide_patterns(redact_document(text, redact_text))
    return KNOWN.hide(hide_passwords(text))


def may_hold_secrets(text: str) -> bool:
    """Whether the redactor would go through a text, or through the data that a text in JSON stands for; cheap."""
    return hints_at_secrets(text) or "@" in text or "%40" in text or KNOWN.hide(text) != text


def redact(value: Any) -> Any:
    """Plain data without its secrets: by the names of its keys and of its env entries, and every string by itself."""
    return redact_data(value, redact_text)


def redact_lines(lines: Iterable[str]) -> Iterator[str]:
    """Lines that come one by one, such as a log's; a private key over several of them goes as a whole."""
    inside = False
    for line in lines:
        if inside:
            inside = "-----END" not in line
            continue
        match = PRIVATE_KEY.search(line)
        inside = match is not None and "-----END" not in match[0]
        yield redact_text(line)
