"""SPDY/3.1 frames, as far as ``kubectl port-forward`` needs them: streams, data, pings.

Own code: SPDY is dead but for this use, and no Python package speaks it any more.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
FIN = 1
LARGEST_DATA = 16 * 1024
#: The protocol's compression dictionary: words with their lengths, then common values.
_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_VALUES = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
    "Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 "
    "Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec "
    "00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8"
    "charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = (
    b"".join(struct.pack(">I", len(w)) + w.encode() for w in (w.replace("_", " ") for w in _WORDS.split()))
    + _VALUES.encode()
)


@dataclass(frozen=True)
class Opened:
    """The peer opened a stream."""

    stream: int
    headers: dict[str, str]
    finished: bool


@dataclass(frozen=True)
class Data:
    """The peer sent data, or (with ``finished``) its last."""

    stream: int
    data: bytes
    finished: bool


@dataclass(frozen=True)
class Reset:
    """The peer gave a stream up."""

    stream: int


@dataclass(frozen=True)
class Pinged:
    """The peer wants the same number back."""

    number: int


Frame = Opened | Data | Reset | Pinged


class Session:
    """One connection's state: what is not parsed yet, and both directions' header compression."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that became complete.

        Raises:
            ValueError: for what is no SPDY.
        """
        self._buffer += data
        while len(self._buffer) >= 8:
            size = int.from_bytes(self._buffer[5:8], "big")
            if len(self._buffer) < 8 + size:
                return
            head, body = bytes(self._buffer[:8]), bytes(self._buffer[8 : 8 + size])
            del self._buffer[: 8 + size]
            frame = self._control(head, body) if head[0] & 0x80 else _data(head, body)
            if frame is not None:
                yield frame

    def _control(self, head: bytes, body: bytes) -> Frame | None:
        kind = int.from_bytes(head[2:4], "big")
        try:
            number = struct.unpack_from(">I", body)[0] & 0x7FFFFFFF if len(body) >= 4 else 0
            if kind == SYN_STREAM:
                return Opened(number, self._headers(body[10:]), bool(head[4] & FIN))
        except (struct.error, zlib.error, UnicodeDecodeError) as error:
            raise ValueError(f"bad SPDY frame: {error}") from None
        if kind == RST_STREAM:
            return Reset(number)
        return Pinged(number) if kind == PING else None

    def _headers(self, block: bytes) -> dict[str, str]:
        raw = self._inflate.decompress(block, 64 * 1024)
        count, at = struct.unpack_from(">I", raw)[0], 4
        texts = []
        for _ in range(2 * min(count, 256)):
            size = struct.unpack_from(">I", raw, at)[0]
            texts.append(raw[at + 4 : at + 4 + size].decode())
            at += 4 + size
        return dict(zip(texts[::2], texts[1::2], strict=True))

    def accept(self, stream: int) -> bytes:
        """The frame that accepts a stream."""
        block = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _control(SYN_REPLY, struct.pack(">I", stream) + block)


def _data(head: bytes, body: bytes) -> Data:
    return Data(int.from_bytes(head[:4], "big") & 0x7FFFFFFF, body, bool(head[4] & FIN))


def _control(kind: int, body: bytes) -> bytes:
    return struct.pack(">HHI", 0x8003, kind, len(body)) + body


def pong(number: int) -> bytes:
    return _control(PING, struct.pack(">I", number))


def data(stream: int, payload: bytes, finished: bool = False) -> bytes:
    """Data frames for a payload; ``finished`` ends this direction of the stream."""
    pieces = [payload[at : at + LARGEST_DATA] for at in range(0, len(payload), LARGEST_DATA)] or [b""]
    frames = []
    for number, piece in enumerate(pieces):
        flags = FIN if finished and number == len(pieces) - 1 else 0
        frames.append(struct.pack(">II", stream, flags << 24 | len(piece)) + piece)
    return b"".join(frames)
