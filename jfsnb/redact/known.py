"""Secret values that were read in this process: whatever form they come back in, they are removed.

An answer, a log or an error text may repeat a password without any name beside it; only its value tells.
"""

from __future__ import annotations

import base64
import html
import json
import re
import threading
from urllib.parse import quote, quote_plus

from jfsnb.redact.addresses import HIDDEN
from jfsnb.redact.names import COMMON

SHORTEST = 4
#: Shorter ones are removed only where they stand alone.
_ALONE = 8
MOST = 5000


def _base64(raw: bytes) -> set[str]:
    """Base64, also as a part of something longer: without the characters that depend on what is beside it."""
    forms = set()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        forms.add(encode(raw).decode())
        for before in range(3) if len(raw) >= _ALONE else ():
            first, last = -(-before * 4 // 3), (before + len(raw)) * 4 // 3
            forms.add(encode(b"\0" * before + raw).decode()[first:last])
    return {form.rstrip("=") for form in forms}


def forms_of(value: str) -> set[str]:
    """A value as it may be written: plain, base64, in a URL, in JSON (twice, too), HTML, YAML, a shell."""
    as_json = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    go = as_json | {form.translate({38: r"\u0026", 60: r"\u003c", 62: r"\u003e"}) for form in as_json}
    forms = {value, value.strip(), *go, *(json.dumps(form)[1:-1] for form in go)}
    forms |= {quote(value, safe=""), quote(value), quote_plus(value), quote(value, safe="").lower()}
    escaped = html.escape(value)
    forms |= {escaped, html.escape(value, quote=False), escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")}
    forms |= {value.replace("'", "''"), value.replace("'", r"\'"), value.replace("'", "'\"'\"'")}
    forms |= _base64(value.encode())
    return {form for form in forms if len(form) >= SHORTEST}


class Known:
    """The values; may be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: set[str] = set()
        self._forms: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        """Grows whenever something new is known."""
        return len(self._values)

    def learn(self, *values: str) -> None:
        """Remember secrets; what is too short or too common to be told from other text is left to the patterns."""
        new = {v for v in values if len(v.strip()) >= SHORTEST and v.lower() not in COMMON and set(v) != {"*"}}
        if new <= self._values:
            return
        with self._lock:
            if len(self._values) < MOST:
                forms = set(self._forms).union(*map(forms_of, new - self._values))
                self._forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))
                self._values |= new

    def forget(self) -> None:
        """Know nothing any more; for tests."""
        with self._lock:
            self._values, self._forms = set(), ()

    def hide(self, text: str) -> str:
        """The text without them."""
        for form in self._forms:
            if form not in text:
                continue
            if len(form) < _ALONE and form.isalnum():
                text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])", HIDDEN, text)
            else:
                text = text.replace(form, HIDDEN)
        return text


KNOWN = Known()
