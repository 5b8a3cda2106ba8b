"""A watch tells each change once, whatever happens to its connection."""

import json

import pytest
from urllib3.exceptions import ProtocolError

from jfsnb.cluster.versions import Newest
from jfsnb.cluster.watch import Watch
from jfsnb.errors import ConnectionFailed, Expired


class Body:
    """A response body: pieces of bytes, or an error in their place."""

    def __init__(self, pieces):
        self.pieces = pieces

    def stream(self, amt=None):
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def close(self):
        pass

    def shutdown(self):
        pass


class Server:
    """Answers lists and watches from a script; an exception in the script is raised."""

    def __init__(self, lists, watches):
        self.lists, self.watches = list(lists), list(watches)
        self.asked = []
        self.newest = Newest()

    def call(self, method, path, query=None, body=None, **_):
        answer = self.lists.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def open(self, path, query, **_):
        self.asked.append(query["resourceVersion"])
        answer = self.watches.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Body(answer)


def pod(name, version):
    meta = {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": meta}


def listed(version, *pods):
    return {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": str(version)}, "items": list(pods)}


def line(kind, obj):
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def told(server, until):
    """Events as ``TYPE name`` up to the one that is waited for."""
    watch = Watch(server, "pods", "ns", {}, seconds=30)
    found = []
    for event in watch:
        found.append(f"{event.type} {event.object['metadata']['name']}" if event.object else event.type)
        if found[-1] == until:
            watch.close()
    return found


def test_begins_with_what_is_there():
    server = Server([listed(5, pod("a", 3))], [[line("ADDED", pod("b", 6))]])
    assert told(server, "ADDED b") == ["ADDED a", "SYNCED", "ADDED b"]
    assert server.asked == ["5"]


def test_goes_on_after_a_dropped_connection_without_telling_twice():
    whole = line("MODIFIED", pod("a", 6))
    server = Server(
        [listed(5, pod("a", 5))],
        [[whole, whole[:7], ProtocolError("dropped")], [line("DELETED", pod("a", 7))]],
    )
    assert told(server, "DELETED a") == ["ADDED a", "SYNCED", "MODIFIED a", "DELETED a"]
    assert server.asked == ["5", "6"]


def test_bookmarks_move_the_version_and_are_not_told():
    server = Server(
        [listed(5)],
        [
            [line("BOOKMARK", {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": "90"}})],
            [line("ADDED", pod("a", 91))],
        ],
    )
    assert told(server, "ADDED a") == ["SYNCED", "ADDED a"]
    assert server.asked == ["5", "90"]


@pytest.mark.parametrize("how", ["in the stream", "as an answer"])
def test_an_expired_version_is_made_up_for_by_listing(how):
    gone = {"kind": "Status", "apiVersion": "v1", "code": 410, "reason": "Expired", "message": "too old"}
    expired = [line("ERROR", gone)] if how == "in the stream" else Expired("too old")
    server = Server(
        [listed(5, pod("kept", 1), pod("changed", 2), pod("gone", 3)), listed(50, pod("kept", 1), pod("changed", 40))],
        [expired, [line("ADDED", pod("new", 51))]],
    )
    assert told(server, "ADDED new") == [
        *("ADDED kept", "ADDED changed", "ADDED gone", "SYNCED"),
        *("MODIFIED changed", "DELETED gone", "ADDED new"),
    ]


def test_a_server_that_is_away_for_a_moment_is_waited_for():
    server = Server(
        [ConnectionFailed("refused"), listed(5)], [ConnectionFailed("refused"), [line("ADDED", pod("a", 6))]]
    )
    assert told(server, "ADDED a") == ["SYNCED", "ADDED a"]


def test_a_line_may_come_in_pieces():
    text = line("ADDED", pod("a", 6)) + line("ADDED", pod("b", 7))
    server = Server([listed(5)], [[text[:10], text[10:30], text[30:]]])
    assert told(server, "ADDED b") == ["SYNCED", "ADDED a", "ADDED b"]


def test_a_followed_log_goes_on_after_a_dropped_connection():
    from jfsnb.cluster.logs import LogFollower

    first = [b"2026-01-01T00:00:01.5Z one\n", b"2026-01-01T00:00:01.7Z two\n2026", ProtocolError("dropped")]
    # sinceTime has whole seconds: the server repeats what was in that second
    second = [b"2026-01-01T00:00:01.5Z one\n2026-01-01T00:00:01.7Z two\n2026-01-01T00:00:01.9Z three\n"]
    asked = []

    class LogServer:
        def open(self, path, query, **_):
            asked.append(query.get("sinceTime"))
            return Body((first, second)[len(asked) - 1])

    assert list(LogFollower(LogServer(), "ns", "pod", "", 30)) == ["one", "two", "three"]
    assert asked == [None, "2026-01-01T00:00:01.7Z"]
