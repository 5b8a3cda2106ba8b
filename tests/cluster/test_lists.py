"""A list is believed when it is of its kind, and not older than what was seen before it was asked for."""

import pytest

from jfsnb.cluster.lists import read_page
from jfsnb.cluster.versions import Newest
from jfsnb.errors import JfsnbError, UnexpectedAnswer


class Server:
    """Answers with lists of these resourceVersions, one after the other; an exception among them is raised."""

    def __init__(self, *versions):
        self.versions, self.newest, self.asked = list(versions), Newest(), []

    def call(self, method, path, query=None, **_):
        self.asked.append(query.get("resourceVersion"))
        version = self.versions.pop(0)
        if isinstance(version, Exception):
            raise version
        kind = {"pods": "PodList", "events": "EventList"}[path.rpartition("/")[2]]
        return {"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": []}


def version(server, plural="pods"):
    return read_page(server, plural, "", {})[1]["resourceVersion"]


def test_a_list_that_is_older_than_what_was_seen_is_asked_for_again():
    server = Server("5", "3", "7")
    assert [version(server), version(server)] == ["5", "7"]
    assert server.asked == [None, None, "5"]


def test_a_list_that_stays_old_is_not_believed():
    server = Server("5", "3", "3")
    version(server)
    with pytest.raises(UnexpectedAnswer, match="older than what was seen"):
        version(server)


def test_a_store_of_its_own_is_not_compared_with_others():
    too_large = JfsnbError("cannot read Pods: Timeout: Too large resource version: 900, current: 3")
    server = Server("3", too_large, "2")
    server.newest.see("nodes", {"resourceVersion": "900"})
    assert version(server) == "3"
    with pytest.raises(UnexpectedAnswer):
        server.versions.append("2")
        version(server)


def test_events_may_be_elsewhere_and_words_are_no_numbers():
    server = Server("900", "3", "abc")
    assert [version(server), version(server, "events"), version(server)] == ["900", "3", "abc"]


WRONG = [
    {},
    {"kind": "Status", "apiVersion": "v1", "message": "not now"},
    {"kind": "PodList", "apiVersion": "v2", "metadata": {"resourceVersion": "1"}, "items": []},
    {"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []},
    {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}},
    {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": []},
    {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": [None]},
    {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": [{"metadata": {}}]},
]


@pytest.mark.parametrize("answer", WRONG, ids=str)
def test_what_is_no_list_of_that_kind_is_not_an_empty_one(answer):
    server = Server()
    server.call = lambda *_, **__: answer
    with pytest.raises(UnexpectedAnswer, match="Pods"):
        read_page(server, "pods", "", {})
