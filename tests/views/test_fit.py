"""No text leaves its box or its picture: measured by a browser, with long names, in every language."""

import base64
import html as markup
import re
import shutil

import pytest

from jfsnb.i18n import LANGUAGES, VARIABLE
from jfsnb.views import diagrams
from jfsnb.views.sequence import csi_sequence
from jfsnb.views.timeline import Stretch, timeline
from jfsnb.views.trends import bars

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
POD = "juicefs-svr28176de740.example.internal-pv-juicefs-fat-infer-ai-model-artifacts-sufihu"
APP = "smoke-juicefs-20261125-024249-1c91-with-a-name-as-long-as-kubernetes-lets-it-be-63"
IMAGE = "registry.example.internal:5000/storage/juicedata/mount:ce-v1.3.0-nightly-20261125-5e26ba3"
VERSION = "1.3.0+2026-11-25.5e26ba3c0ffee (2026-11-25T07:18:24Z 5e26ba3)"
NODE = "svr28176de740.cluster-7.example.internal"
MEASURE = """() => [...document.querySelectorAll('svg')].flatMap(svg => {
  const all = svg.getBoundingClientRect(), found = [];
  const ground = ['bg', 'zone', 'did', 'wait'];
  const boxes = [...svg.querySelectorAll('rect')].filter(r => !ground.includes(r.className.baseVal))
    .map(r => r.getBoundingClientRect());
  for (const text of svg.querySelectorAll('text')) {
    if (!text.textContent) continue;
    const at = text.getBoundingClientRect(), x = (at.left + at.right) / 2, y = (at.top + at.bottom) / 2;
    const inside = b => b.left <= x && x <= b.right && b.top <= y && y <= b.bottom;
    const box = boxes.filter(inside).sort((a, b) => a.width - b.width)[0] || all;
    const over = Math.max(box.left - at.left, at.right - box.right);
    if (over > 1) found.push(`${text.textContent}: ${over.toFixed(0)} px`);
  }
  return found; })"""


def pictures() -> dict[str, str]:
    lanes = [diagrams.Lane(APP, POD, IMAGE, VERSION, "baseline"), diagrams.Lane(APP, POD, IMAGE, VERSION, "", True)]
    kinds = ("CSIDriver", "StorageClass", "PersistentVolumeClaim", "PersistentVolume", "ConfigMap")
    cast = [{"kind": kind, "name": POD} for kind in kinds] + [{"kind": "Pod", "name": f"controller-{POD}"}]
    nodes = [{"node": NODE, "csi_node_pod": POD, "ready": True}, {"node": "b", "csi_node_pod": "", "ready": False}]
    pods = [{"name": POD, "node": NODE, "image": f"{IMAGE}-{number % 3}"} for number in range(9)]
    call = {"at": "02:50:18.610", "caller": "external-provisioner", "method": "NodePublishVolume", "plugin": POD}
    call |= {"about": f"target_path {POD}", "answer": "Internal: could not", "milliseconds": 1234.5, "pod": APP}
    moments = [
        {"at": "11-25 02:50:18.610", "caller": "CSI node", "callee": "API server", "what": f"create {POD}"}
        | {"seconds": None, "error": "", "answer": False},
        {"at": "11-25 02:50:19.610", "caller": "CSI node", "callee": "kubelet", "what": "done"}
        | {"seconds": 1.0, "error": "", "answer": True},
    ]
    stretch = Stretch(f"1 · {POD}", f"{APP} Ready and its tests passed", "2026-11-25T01:00:00+00:00", 3.0, True)
    run = {"seconds": 31.0, "verdict": "NOT_READY", "settings": {"image": IMAGE}}
    return {
        "serving": diagrams.serving(lanes, APP, POD, NODE),
        "architecture": diagrams.architecture(cast, nodes, pods, POD),
        "csi_calls": diagrams.csi_calls(),
        "trace": diagrams.trace([call, call]),
        "versions": diagrams.versions(pods),
        "sequence": csi_sequence(moments, POD),
        "timeline": timeline([stretch, stretch]),
        "bars": bars([run] * 60),
    }


@pytest.fixture(scope="module")
def page():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1200, "height": 900})
        browser.close()


@pytest.mark.parametrize("into", sorted(LANGUAGES))
@pytest.mark.parametrize("name", list(pictures()))
def test_text_stays_in_its_box(page, monkeypatch, name, into):
    monkeypatch.setenv(VARIABLE, into)
    picture = pictures()[name]
    data = re.search(r"base64,([A-Za-z0-9+/=]+)", markup.unescape(picture))
    page.set_content(base64.b64decode(data[1]).decode())
    assert page.evaluate(MEASURE) == []
