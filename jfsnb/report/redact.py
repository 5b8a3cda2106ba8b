"""The second net for secrets: what looks like one is replaced before it reaches a file or a screen.

The first net is that jfsnb never hands a Secret's data out; this one catches what a program in the cluster printed.
"""

from __future__ import annotations

import re
from typing import Any

_VALUE = r"""(?:\\?["'])?\s*[=:]\s*(?:\\?["'])?)(?!\$\{|\*\*\*)[^\s"',&\\<]"""  # after a name; ${env} stays
_PATTERNS = (
    (re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}"), r"\1***"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"), "***"),
    (re.compile(r"\b([a-zA-Z][a-zA-Z0-9+.-]*://[^\s:/@\"'<>]*):[^\s@\"'<>]+@"), r"\1:***@"),
    (re.compile(r"(?i)((?:secret|access)[-_]?key2?" + _VALUE + "+"), r"\1***"),
    (re.compile(r"(?i)((?:password|passphrase|session[-_]token|token)" + _VALUE + "{8,}"), r"\1***"),
    (re.compile(r"(?i)((?:client-key|client-certificate|certificate-authority)-data:\s*)\S+"), r"\1***"),
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S),
        "*** private key ***",
    ),
)


def redact_text(text: str) -> str:
    """The text with everything that looks like a credential replaced by ``***``."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact(value: Any) -> Any:
    """Plain data with every string redacted; keys stay as they are, pictures (image/*) too."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict):
        return {k: v if isinstance(k, str) and k.startswith("image/") else redact(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(redact(item) for item in value)
    return value
