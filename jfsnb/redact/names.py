"""Which names say that their value is a secret, and which values are none even there."""

from __future__ import annotations

import re
from functools import lru_cache

_TELLING = re.compile(
    r"pass(?:word|wd|phrase|code)|pwd|secret|token|credential"
    r"|(?:api|access|private|secret|account|signing|rsa|license)[-_. ]?key"
    r"|authorization|cookie|client-key-data|certificate(?:-authority)?-data|x-amz-signature|密码|口令|令牌"
    r"|(?:^|[^a-z])(?:auth|pass|pw)(?:$|[^a-z])",
    re.I,
)
#: What a name ends with when its value only leads to a secret, or counts or describes one.
_LEADS = re.compile(
    r"(?:names?|refs?|namespaces?|files?|paths?|dirs?|hash|counts?|seconds|sizes?|age|types?|kind|url|uri|endpoint"
    r"|expir\w*|finalizers?|length|keys|template|provider|version|mode|policy|requests?|enabled|class|source|driver"
    r"|store|volumes?|mounts?|uid|missing|found|needed|required|invalid"
    r"|\.(?:go|py|sh|yaml|yml|json))$",
    re.I,
)
_VERDICT = re.compile(r"(?<!\S)PASS(?!\S)")  # our own, with which a line begins
_HARMLESS = re.compile(
    r"\s*(?:\*+|\$\{[^}]*\}?|\$\([^)]*\)?|\$[A-Z_]+|<[^<>\n]*>|true|false|yes|no|on|off|null|none|nil|~|\[\]|\{\})?[)\].,;]*\s*",
    re.I,
)
_KEY_FILE = re.compile(r"/[\w./-]+\.(?:pem|key|crt)")
#: Too common to be looked for everywhere, even where somebody uses them as a password.
COMMON = frozenset(
    [
        "admin",
        "default",
        "juicefs",
        "minio",
        "mysql",
        "none",
        "null",
        "password",
        "passwd",
        "postgres",
        "redis",
        "root",
        "secret",
        "test",
        "true",
        "false",
        "user",
    ]
)


@lru_cache(8192)
def telling(name: str) -> bool:
    """Whether a key, variable, flag or column of this name holds a secret (reference §5.2 has the driver's)."""
    name = _VERDICT.sub("", name.strip(" -\"'"))
    return _TELLING.search(name) is not None and _LEADS.search(name) is None


def harmless(value: str, name: str = "") -> bool:
    """Whether what stands behind a telling name is no secret: nothing, a placeholder, a truth value, a path of a key
    file, or hidden already."""
    if _HARMLESS.fullmatch(value):
        return True
    if name.lower().endswith("s") and value.isdigit():
        return True  # a number of them
    return "key" in name.lower() and _KEY_FILE.fullmatch(value) is not None
