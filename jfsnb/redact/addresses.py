"""Passwords in addresses, read as the client that gets the address reads it.

JuiceFS takes what is between the first colon and the *last* @ of a metadata address for the password (go-sql-driver
does; Go's URLs do within the authority), whatever stands there: an @, a quote, a blank, a slash. In running text the
end of an address is not marked, so an @ counts where what follows looks like a host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

HIDDEN = "***"
_SCHEME = re.compile(r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]*)(?::(?:\\?/){2}|%3A%2F%2F)", re.I)
#: Engines of metadata, and others whose passwords may hold anything.
_ENGINES = frozenset(
    [
        "redis",
        "rediss",
        "unix",
        "mysql",
        "mariadb",
        "postgres",
        "postgresql",
        "tikv",
        "etcd",
        "fdb",
        "badger",
        "sqlite3",
        "mongodb",
        "amqp",
        "amqps",
    ]
)
#: Up to a blank, to a quote that closes something, or to the end of an element.
_CLOSES = r"(?:[\"'>]+(?=[\s,;:)}\]]|$)|</)"
_WORD = re.compile(rf"(?:(?!{_CLOSES})\S)*+")
_ALMOST_HOST = r"(?:(?:tcp|unix)?\(|\[|[\w-])"
_AT = re.compile(rf"@(?!sha\d+:)(?={_ALMOST_HOST})")
_HOST = r"(?:(?:tcp|unix)?\([^)\s]*\)?|\[[0-9a-f:.]+\]|[\w.-]+)"
_PLAUSIBLE = re.compile(rf"@{_HOST}(?::\d+)?(?:,[\w.:-]+)*(?:/|\)|(?<=\d)(?=\D|$)|(?<=\))|[\"'<>,;]|$)", re.I)
#: An address that is complete without a password.
_WITHOUT = re.compile(rf"[\w.-]+(?:(?::\d+)?(?:,[\w.-]+(?::\d+)?)*/[\w.,-]*|:\d+|(?=\s*$))(?=[\s;)\]}}]|{_CLOSES}|$)")
_AUTHORITY = re.compile(r"[^/?#\s\"'<>]*")
_PORT_AND_PATH = re.compile(r"[^:@]*:\d+(?:/|$)")
_DSN = re.compile(
    r"(?<![\w@/.:])(?P<keep>[\w.-]*:)(?P<password>[^\s:/\"'<>,]+)@"
    r"(?=(?:tcp|unix)?\(|(?!sha\d+:)[\w.-]+(?::\d+)?/)"
)
_ENCODED = re.compile(r"(?P<keep>%3A%2F%2F[^\s%&]*%3A)(?P<password>[^\s&\"']+?)(?=%40)", re.I)


def _credentials(rest: str, scheme: str) -> tuple[int, int] | None:
    """Begin and end of the password in what follows ``scheme://``, up to the end of the line or the next address."""
    engine = scheme.lower() in _ENGINES
    word = _WORD.match(rest)
    length = word.end() if word else 0
    ats = [match.start() for match in _AT.finditer(rest)]
    inside = [at for at in ats if at < length]
    if not engine:
        return _of_url(rest, inside)
    if not inside and _WITHOUT.match(rest):
        return None
    end = inside[-1] if inside else -1
    if end < 0 or not _PLAUSIBLE.match(rest, end):
        end = next((at for at in ats if at > end and _PLAUSIBLE.match(rest, at)), end)
    begin = rest.find(":", 0, max(end, 0))
    return (begin + 1, end) if begin >= 0 else None


def _of_url(rest: str, ats: list[int]) -> tuple[int, int] | None:
    """As in any URL, the authority ends at a slash; a password with a slash in it is recognised all the same."""
    authority = _AUTHORITY.match(rest)
    length = authority.end() if authority else 0
    inside = [at for at in ats if at < length]
    if not inside and (not ats or _PORT_AND_PATH.match(rest) or rest[ats[0] - 1] == "/"):
        return None
    end = (inside or ats)[-1]
    begin = rest.find(":", 0, end)
    if begin < 0:  # https://token@host: a long one is no user's name
        return (0, end) if inside and end >= 16 else None
    return (begin + 1, end)


def _spans(text: str) -> Iterator[tuple[int, int]]:
    starts = list(_SCHEME.finditer(text))
    for number, match in enumerate(starts):
        limit = starts[number + 1].start() if number + 1 < len(starts) else len(text)
        newline = text.find("\n", match.end(), limit)
        rest = text[match.end() : limit if newline < 0 else newline]
        if "@" in rest and (found := _credentials(rest, match[1])):
            yield match.end() + found[0], match.end() + found[1]


def passwords(text: str) -> set[str]:
    """Passwords of the addresses in a text, as they stand there and percent-decoded."""
    found = {text[begin:end] for begin, end in _spans(text)} | {m["password"] for m in _DSN.finditer(text)}
    return {form for password in found for form in (password, unquote(password))} - {""}


def hide_passwords(text: str) -> str:
    """The text with the passwords of its addresses replaced by ``***``."""
    if "@" in text:
        pieces, last = [], 0
        for begin, end in _spans(text):
            pieces += [text[last:begin], HIDDEN]
            last = end
        text = "".join([*pieces, text[last:]])
        text = _DSN.sub(rf"\g<keep>{HIDDEN}", text)
    return _ENCODED.sub(rf"\g<keep>{HIDDEN}", text) if "%40" in text else text
