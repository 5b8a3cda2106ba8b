"""SPDY/3.1 frames, as far as ``kubectl port-forward`` needs them (it speaks SPDY, since 1.31 inside a websocket).

Own code, because no installable package speaks SPDY any more. Flow control is left out, as the client's library does.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 1
VERSION = 3
#: The header dictionary of the protocol: names with their length before them, then common values.
NAMES = """
options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow
authorization cache-control connection content-base content-encoding content-language content-length content-location
content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match
if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range
referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get
status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin
"""
VALUES = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _counted(word: str) -> bytes:
    return struct.pack(">I", len(word)) + word.encode()


DICTIONARY = b"".join(_counted(word.replace("_", " ")) for word in NAMES.split()) + VALUES.encode()


@dataclass(frozen=True)
class Frame:
    """One frame.

    Args:
        stream: its stream; 0 for a control frame about the whole connection.
        control: type of a control frame; 0 for data.
        flags: FIN ends the sender's side of the stream.
        data: payload; of a control frame without what has been parsed.
        headers: of SYN_STREAM, SYN_REPLY and HEADERS.
    """

    stream: int
    control: int = 0
    flags: int = 0
    data: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Codec:
    """Both directions of one connection; header compression has a memory, so frames must come in order."""

    def __init__(self) -> None:
        self._buffer = b""
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def received(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with this data.

        Raises:
            ValueError: not SPDY/3.
        """
        self._buffer += data
        while len(self._buffer) >= 8:
            first, second = struct.unpack_from(">II", self._buffer)
            flags, length = second >> 24, second & 0xFFFFFF
            if len(self._buffer) < 8 + length:
                return
            payload, self._buffer = self._buffer[8 : 8 + length], self._buffer[8 + length :]
            if not first >> 31:
                yield Frame(first, 0, flags, payload)
            elif first >> 16 & 0x7FFF != VERSION:
                raise ValueError(f"SPDY version {first >> 16 & 0x7FFF}")
            else:
                yield self._control(first & 0xFFFF, flags, payload)

    def _control(self, kind: int, flags: int, payload: bytes) -> Frame:
        stream = struct.unpack_from(">I", payload)[0] & 0x7FFFFFFF if kind != SETTINGS else 0
        skip = {SYN_STREAM: 10, SYN_REPLY: 4, HEADERS: 4}.get(kind)
        headers = self._read_headers(payload[skip:]) if skip is not None else {}
        return Frame(stream, kind, flags, payload, headers)

    def _read_headers(self, block: bytes) -> dict[str, str]:
        try:
            plain = self._inflate.decompress(block)
        except zlib.error as error:
            raise ValueError(f"broken headers: {error}") from None
        (count,) = struct.unpack_from(">I", plain)
        words, at = [], 4
        for _ in range(2 * count):
            (length,) = struct.unpack_from(">I", plain, at)
            words.append(plain[at + 4 : at + 4 + length].decode("latin-1"))
            at += 4 + length
        return dict(zip(words[::2], words[1::2], strict=True))

    def reply(self, stream: int, headers: Mapping[str, str] | None = None) -> bytes:
        """SYN_REPLY: the stream is accepted."""
        pairs = list((headers or {}).items())
        plain = struct.pack(">I", len(pairs)) + b"".join(_counted(word) for pair in pairs for word in pair)
        block = self._deflate.compress(plain) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return control(SYN_REPLY, struct.pack(">I", stream) + block)


def control(kind: int, payload: bytes, flags: int = 0) -> bytes:
    """A control frame."""
    return struct.pack(">II", 0x80000000 | VERSION << 16 | kind, flags << 24 | len(payload)) + payload


def data_frame(stream: int, data: bytes, fin: bool = False) -> bytes:
    """A data frame; ``fin`` ends our side of the stream."""
    return struct.pack(">II", stream, (FIN if fin else 0) << 24 | len(data)) + data
