"""SPDY frames, against a peer that compresses as the client's library does."""

import struct
import zlib

import pytest

from jfsnb.sandbox.streams import spdy


class Peer:
    """The client's side: one compressor for the whole connection."""

    def __init__(self):
        self.deflate = zlib.compressobj(zdict=spdy.DICTIONARY)
        self.inflate = zlib.decompressobj(zdict=spdy.DICTIONARY)

    def syn_stream(self, stream, headers):
        words = [w.encode() for pair in headers.items() for w in pair]
        plain = struct.pack(">I", len(headers)) + b"".join(struct.pack(">I", len(w)) + w for w in words)
        block = self.deflate.compress(plain) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        return spdy.control(spdy.SYN_STREAM, struct.pack(">IIH", stream, 0, 0) + block)


def test_the_dictionary_is_the_protocols():
    """Any other one would be refused by the peer; the checksum travels in the stream."""
    assert (len(spdy.DICTIONARY), zlib.adler32(spdy.DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_streams_with_headers_arrive_whatever_the_pieces():
    peer, codec = Peer(), spdy.Codec()
    wire = peer.syn_stream(1, {"streamtype": "error", "port": "80"}) + peer.syn_stream(
        3, {"streamtype": "data", "port": "80"}
    )
    wire += spdy.data_frame(3, b"GET /") + spdy.data_frame(3, b"", fin=True)
    frames = [f for at in range(0, len(wire), 7) for f in codec.received(wire[at : at + 7])]
    assert [(f.stream, f.control) for f in frames] == [(1, 1), (3, 1), (3, 0), (3, 0)]
    assert frames[1].headers == {"streamtype": "data", "port": "80"}
    assert (frames[2].data, frames[3].flags) == (b"GET /", spdy.FIN)


def test_replies_can_be_read_by_the_peer():
    codec, peer = spdy.Codec(), Peer()
    for stream in (1, 3):
        reply = codec.reply(stream)
        assert struct.unpack_from(">I", reply)[0] == 0x80030002
        assert peer.inflate.decompress(reply[12:]) == b"\0\0\0\0"


def test_another_version_is_refused():
    with pytest.raises(ValueError, match="SPDY version 2"):
        list(spdy.Codec().received(struct.pack(">II", 0x80020001, 0)))
