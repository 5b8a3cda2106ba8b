"""Pictures are well-formed SVG in an <img> that every host shows, with words for those who don't see it."""

import base64
import re
from xml.etree import ElementTree

import pytest

from jfsnb.views import diagrams
from jfsnb.views.bars import bars
from jfsnb.views.sequence import csi_sequence
from jfsnb.views.svg import fit
from jfsnb.views.timeline import Stretch, timeline

LANES = (diagrams.Lane("app-1", "mount-1", "img:old", "1.0"), diagrams.Lane("app-2", "mount-2", "img:new", "2.0"))
PODS = [{"name": "mount-1", "node": "n1", "image": "img:old"}, {"name": "mount-2", "node": "n2", "image": "img:new"}]
NODES = [{"node": "n1", "csi_node_pod": "csi-1", "mount_pods": 1}, {"node": "n2", "csi_node_pod": "", "mount_pods": 0}]
CAST = [{"role": "", "kind": "StorageClass", "name": "sc & <co>", "namespace": "", "what_it_says": ""}]
MOMENTS = [
    {"at": "11-25 23:59:59.9", "caller": "kubelet", "callee": "CSI node", "what": "Publish(<v>)"},
    {"at": "11-26 00:00:00.1", "caller": "CSI node", "callee": "kubelet", "what": "done"},
]
for row in MOMENTS:
    row |= {"seconds": 0.2 if row["what"] == "done" else None, "error": "", "answer": row["what"] == "done"}
AT = "2026-11-25T01:00:00+00:00"


def test_the_sequence_counts_from_its_first_call_and_over_midnight():
    tree, alt = drawn(csi_sequence(MOMENTS, "csi-1"))
    assert "0 ms" in texts(tree) and "200 ms" in texts(tree) and "done, 0.200 s" in texts(tree)
    assert "kubelet to CSI node: Publish(<v>)" in alt.replace("&lt;", "<").replace("&gt;", ">")


def drawn(picture):
    """The picture's SVG as a tree, its alt text."""
    found = re.fullmatch(r'<img src="data:image/svg\+xml;base64,([^"]+)" alt="([^"]+)"[^>]*>', picture)
    return ElementTree.fromstring(base64.b64decode(found[1])), found[2]


def texts(tree):
    return " ".join(element.text or "" for element in tree.iter("{http://www.w3.org/2000/svg}text"))


@pytest.mark.parametrize(
    "picture",
    [
        diagrams.serving(LANES, "claim", "volume", "n1"),
        diagrams.serving([diagrams.Lane("app-1")], "claim", "volume"),
        diagrams.architecture(CAST, NODES, PODS, "config"),
        diagrams.architecture([], [], []),
        diagrams.csi_calls(),
        csi_sequence(MOMENTS, "csi-1"),
        diagrams.versions(PODS),
        timeline([Stretch("one", "wait <x>", AT, 2.0, True), Stretch("two", "work", AT, 0.0, False)]),
    ],
)
def test_every_picture_is_well_formed_and_has_words(picture):
    tree, alt = drawn(picture)
    assert len(alt) > 30
    assert tree.get("viewBox")
    width = float(tree.get("width"))
    for element in tree.iter():
        assert float(element.get("x") or 0) <= width


def test_the_serving_picture_says_who_is_served_by_whom_with_what():
    tree, alt = drawn(diagrams.serving(LANES, "claim", "volume", "n1"))
    for word in ("app-1", "mount-1", "img:old", "client 1.0", "app-2", "mount-2", "img:new", "client 2.0", "claim"):
        assert word in texts(tree)
    assert "app-2 is served by mount-2 with img:new 2.0" in alt


def test_an_app_pod_without_a_mount_pod_is_drawn_as_such():
    tree, alt = drawn(diagrams.serving([diagrams.Lane("app-1")], "claim", "volume"))
    assert "no Mount Pod found" in texts(tree)
    assert "nobody" in alt


def test_the_architecture_uses_the_cluster_s_own_names():
    tree, _ = drawn(diagrams.architecture(CAST, NODES, PODS, "config"))
    for word in ("sc & <co>", "csi-1", "mount-1", "config", "node n1", "1 other node"):
        assert word in texts(tree)
    assert "mount-2" not in texts(tree)


def test_bars_are_as_long_as_their_time():
    tree, alt = drawn(timeline([Stretch("g", "a", AT, 1.0, True), Stretch("g", "b", AT, 4.0, False)]))
    bars = [e for e in tree.iter("{http://www.w3.org/2000/svg}rect") if e.get("class") in ("wait", "did")]
    one, four = (float(bar.get("width")) for bar in bars[2:])  # after the two of the legend
    assert four == pytest.approx(4 * one, rel=0.01)
    assert "4.0 seconds in all, 1.0 of them waiting" in alt


def test_long_names_keep_both_ends():
    short = fit("juicefs-svr28176de740-songlin-test-pv-wslvif", 150, "m")
    assert len(short) < 25
    assert short.startswith("juice")
    assert short.endswith("wslvif")


def test_bars_have_lengths_in_proportion_and_say_their_numbers():
    tree, alt = drawn(bars([("img:<old>", 10), ("img:new", 5), ("none", 0)], "by image"))
    lengths = [float(r.get("width")) for r in tree.iter("{http://www.w3.org/2000/svg}rect") if r.get("class") == "did"]
    assert lengths[0] == 2 * lengths[1] and lengths[2] < lengths[1] / 10
    assert "img:&lt;old&gt; 10" in alt and "img:<old>" in texts(tree)
    assert bars([], "nothing") == ""
