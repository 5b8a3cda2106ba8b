"""The pictures of the lessons, drawn from what the steps read in the cluster at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jfsnb.views.svg import Drawing

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Lane:
    """One app Pod and what serves it.

    Args:
        app: its name.
        mount_pod: name of the Mount Pod that serves it; empty when not known.
        image: the Mount Pod's image.
        client: version that really runs there; empty when not known.
        note: a word about this lane, for example ``baseline``.
        tested: whether this is the one that the run is about.
    """

    app: str
    mount_pod: str = ""
    image: str = ""
    client: str = ""
    note: str = ""
    tested: bool = False


def serving(lanes: Sequence[Lane], claim: str, volume: str, node: str = "") -> str:
    """Who serves whom: app Pods on the left, claim and volume between, Mount Pods with their clients on the right.

    Args:
        lanes: from top to bottom.
        claim, volume: names of PVC and PV.
        node: where all of it runs.
    """
    pitch, top = 112, 66
    height = top + pitch * len(lanes) + 92
    drawing = Drawing(980, height)
    drawing.text(20, 32, "Who serves whom", "t")
    drawing.text(960, 32, f"node {node}" if node else "", "s", "end")
    drawing.rect(14, 46, 806, height - 60, "zone")
    for number, lane in enumerate(lanes):
        _lane(drawing, lane, top + pitch * number)
    low = top + pitch * len(lanes)
    drawing.box(270, low, 205, [("PersistentVolumeClaim", "k"), (claim, "m")])
    drawing.box(515, low, 290, [("PersistentVolume", "k"), (volume, "m")])
    drawing.arrow([(475, low + 26), (515, low + 26)], "d")
    drawing.arrow([(135, low - 42 + 4), (135, low + 26), (270, low + 26)], "d")
    drawing.text(145, low + 18, "names its claim", "s")
    drawing.arrow([(660, low), (660, low - 42 + 14)], "d")
    drawing.text(650, low - 10, "its Mount Pods: label volume-id", "s", "end")
    drawing.rect(846, 66, 114, height - 92, "box")
    for line, text in enumerate(("JuiceFS", "metadata", "and objects")):
        drawing.text(903, height / 2 + 18 * line - 6, text, "t" if not line else "s", "middle")
    served = "; ".join(
        f"{x.app} is served by {x.mount_pod or 'nobody'} with {x.image} {x.client}".strip() for x in lanes
    )
    return drawing.picture(f"Who serves whom. {served}. All use claim {claim} on volume {volume}.")


def _lane(drawing: Drawing, lane: Lane, y: float) -> None:
    mark, face, line = ("hot", "g", "f") if lane.tested else ("old", "p", "e")
    app = [(f"app Pod · {lane.note}" if lane.note else "app Pod", "k"), (lane.app, "m"), ("mounted at /jfs", "s")]
    drawing.box(28, y, 232, app)
    if not lane.mount_pod:
        drawing.text(300, y + 40, "no Mount Pod found", "s")
        return
    client = f"client {lane.client}" if lane.client else "client not known yet"
    drawing.box(515, y, 290, [("Mount Pod", "k"), (lane.mount_pod, "m"), (lane.image, "m"), (client, face)], mark)
    drawing.arrow([(262, y + 36), (513, y + 36)], line, both=True)
    drawing.text(388, y + 27, "reads and writes, by FUSE", "s", "middle")
    drawing.arrow([(807, y + 44), (844, y + 44)], line, both=True)


def architecture(cast: Rows, nodes: Rows, mount_pods: Rows, config_map: str = "") -> str:
    """The cluster's storage side with its own names: API objects, controller, one node with its parts.

    Args:
        cast: rows with role, kind, name, namespace, what_it_says.
        nodes: rows with node, csi_node_pod, mount_pods.
        mount_pods: rows with name, node, image.
        config_map: name of the driver's ConfigMap.
    """
    ready = [n for n in nodes if n.get("csi_node_pod") and n.get("ready")]
    node = [*ready, *nodes, {}][0]
    here = [p for p in mount_pods if p.get("node") == node.get("node")]
    drawing = Drawing(980, 462)
    drawing.text(20, 30, "Storage in this cluster", "t")
    _api_side(drawing, cast, config_map)
    drawing.rect(372, 46, 594, 316, "zone")
    drawing.text(386, 68, f"node {node.get('node', '?')}", "t", room=300)
    others = len(nodes) - 1
    drawing.text(952, 68, f"and {others} other node{'s' * (others != 1)}" if others > 0 else "", "s", "end")
    drawing.box(388, 84, 230, [("kubelet", "t"), ("starts Pods, calls CSI", "s")])
    node_pod = str(node.get("csi_node_pod") or "not found")
    drawing.box(388, 190, 230, [("CSI node Pod (node plugin)", "t"), (node_pod, "m"), ("makes Mount Pods", "s")])
    drawing.arrow([(503, 138), (503, 188)], "e")
    drawing.text(512, 168, "gRPC, unix socket", "s")
    drawing.box(694, 84, 258, [("app Pod", "t"), ("opens files below /jfs", "s")])
    shown = [("Mount Pods (JuiceFS clients)", "t"), *[(str(p["name"]), "m") for p in here[:3]]]
    shown += [(f"and {len(here) - 3} more", "s")] if len(here) > 3 else []
    shown += [("none on this node yet", "s")] if not here else []
    size = drawing.box(694, 190, 258, shown, "hot")
    drawing.arrow([(823, 138), (823, 188)], "f", both=True)
    drawing.text(833, 168, "all I/O, by FUSE", "s")
    drawing.arrow([(618, 222), (692, 222)], "e")
    drawing.text(655, 214, "creates", "s", "middle")
    drawing.arrow([(823, 190 + size), (823, 386)], "f", both=True)
    drawing.box(694, 388, 258, [("JuiceFS", "t"), ("metadata engine and object storage", "s")])
    drawing.arrow([(326, 240), (386, 240)], "d")
    drawing.text(356, 232, "reads", "s", "middle")
    return drawing.picture(
        f"Storage in this cluster: on node {node.get('node', '?')} the kubelet calls CSI node Pod {node_pod}, "
        f"which makes Mount Pods ({len(here)} there now); app Pods read and write through them by FUSE."
    )


def _api_side(drawing: Drawing, cast: Rows, config_map: str) -> None:
    drawing.rect(14, 46, 318, 402, "zone")
    drawing.text(28, 68, "objects in the API", "t")
    y = 80.0
    for kind, meaning in (
        ("CSIDriver", "the driver, made known"),
        ("StorageClass", "how volumes are made"),
        ("PersistentVolumeClaim", "what is asked for"),
        ("PersistentVolume", "the volume it gets"),
        ("ConfigMap", "decides the client image"),
    ):
        name = next((str(row["name"]) for row in cast if row.get("kind") == kind), "")
        name = config_map or name if kind == "ConfigMap" else name
        face = "warn" if kind == "ConfigMap" else "box"
        drawing.box(26, y, 294, [(f"{kind}: {meaning}", "k"), (name or "none", "m")], face)
        y += 58
    controllers = (
        r for r in cast if r.get("kind") in ("Pod", "StatefulSet", "Deployment") and "controller" in str(r["name"])
    )
    controller = next((str(row["name"]) for row in controllers), "none")
    drawing.box(26, y, 294, [("CSI controller Pod: makes volumes", "k"), (controller, "m")])


_SEQUENCE = (
    ("kubelet", "node", "NodePublishVolume(volume id, target path)", "e"),
    ("node", "api", "read PV and PVC, merge the configuration, hash the settings", "e"),
    ("node", "api", "create a Mount Pod, or add a reference to one with the same hash", "e"),
    ("kubelet", "mount", "start the container: the client mounts FUSE", "e"),
    ("node", "mount", "wait: Pod is Running, mount point answers (inode 1)", "d"),
    ("node", "app", "bind the mount point to the target path", "e"),
    ("node", "kubelet", "published", "d"),
    ("kubelet", "app", "start the app's containers", "e"),
    ("app", "mount", "reads and writes, by FUSE", "f"),
    ("kubelet", "node", "app Pod deleted: NodeUnpublishVolume", "e"),
    ("node", "api", "remove the reference; was it the last, delete the Mount Pod", "e"),
)


def csi_calls() -> str:
    """The order of calls from a new app Pod to its end (csi-driver.md §4.2, §4.3)."""
    columns = {"api": 95, "kubelet": 320, "node": 520, "mount": 720, "app": 895}
    names = {
        "api": "API server",
        "kubelet": "kubelet",
        "node": "CSI node Pod",
        "mount": "Mount Pod",
        "app": "app Pod",
    }
    drawing = Drawing(980, 92 + 40 * len(_SEQUENCE))
    for key, x in columns.items():
        drawing.rect(x - 66, 16, 132, 32, "hot" if key == "mount" else "box")
        drawing.text(x, 37, names[key], "t", "middle")
        drawing.line(x, 48, x, drawing.height - 18)
    for number, (start, end, what, kind) in enumerate(_SEQUENCE):
        y = 88 + 40 * number
        x1, x2 = columns[start], columns[end]
        drawing.arrow([(x1, y), (x2, y)], kind, both=kind == "f")
        middle, half = (x1 + x2) / 2, 3.3 * len(what) + 16
        middle = min(max(middle, half + 8), 972 - half)
        drawing.text(middle, y - 7, f"{number + 1}. {what}", "s h", "middle")
    told = "; ".join(f"{n + 1}. {names[a]} to {names[b]}: {what}" for n, (a, b, what, _) in enumerate(_SEQUENCE))
    return drawing.picture(f"The order of calls. {told}.")


def trace(calls: Rows) -> str:
    """CSI calls as they were made: who called whom, with what, and how long it took.

    Args:
        calls: rows with at, caller, method, about, answer, milliseconds, pod, plugin; in order.
    """
    drawing = Drawing(980, 104 + 52 * len(calls))
    left, right = 200, 780
    for x, name, face in ((left, str(calls[0]["caller"]), "box"), (right, str(calls[0]["plugin"]), "hot")):
        drawing.rect(x - 150, 16, 300, 46, face)
        drawing.text(x, 35, "caller" if x == left else "CSI node Pod (node plugin)", "k", "middle")
        drawing.text(x, 53, name, "m", "middle", room=280)
        drawing.line(x, 62, x, drawing.height - 16)
    for number, call in enumerate(calls):
        y = 104 + 52 * number
        drawing.text(20, y + 4, str(call["at"]), "s")
        drawing.arrow([(left, y), (right, y)], "e")
        drawing.text((left + right) / 2, y - 7, f"{number + 1}. {call['method']} · {call['pod']}", "m h", "middle", 560)
        drawing.text((left + right) / 2, y + 16, str(call["about"]), "s h", "middle", 560)
        took = "" if call["milliseconds"] is None else f"{call['milliseconds']:.0f} ms"
        drawing.text(right + 14, y + 4, str(call["answer"]), "g" if call["answer"] == "OK" else "s", room=110)
        drawing.text(right + 14, y + 20, took, "s", room=110)
    told = "; ".join(f"{call['at']} {call['method']} for {call['pod']}: {call['answer']}" for call in calls)
    return drawing.picture(f"CSI calls as they were made. {told}.")


def versions(mount_pods: Rows) -> str:
    """Which client images serve on which node: one bar per node, one piece per Mount Pod, labelled by image."""
    if not mount_pods:
        return ""
    images = sorted({str(p["image"]) for p in mount_pods})
    nodes = sorted({str(p["node"]) for p in mount_pods})
    most = max(sum(p["node"] == node for p in mount_pods) for node in nodes)
    unit = min(90.0, 660 / most)
    drawing = Drawing(980, 74 + 30 * len(nodes) + 24 * len(images))
    drawing.text(20, 30, "Client images by node (one field per Mount Pod)", "t")
    kinds = ("box", "old", "hot", "warn")
    for row, node in enumerate(nodes):
        y = 48 + 30 * row
        drawing.text(200, y + 16, node, "m", "end", room=180)
        here = sorted((p for p in mount_pods if p["node"] == node), key=lambda p: str(p["image"]))
        for column, pod in enumerate(here):
            number = images.index(str(pod["image"]))
            drawing.rect(212 + unit * column, y, unit - 4, 22, kinds[number % 4], 4)
            drawing.text(212 + unit * column + unit / 2 - 2, y + 15, chr(65 + number), "s", "middle")
    for number, image in enumerate(images):
        y = 62 + 30 * len(nodes) + 24 * number
        drawing.rect(212, y, 22, 16, kinds[number % 4], 4)
        drawing.text(223, y + 12, chr(65 + number), "s", "middle")
        count = sum(str(p["image"]) == image for p in mount_pods)
        drawing.text(244, y + 12, f"{image}  ×{count}", "m", room=700)
    counts = "; ".join(f"{image}: {sum(str(p['image']) == image for p in mount_pods)}" for image in images)
    return drawing.picture(f"Client images by node. Mount Pods per image: {counts}.")
