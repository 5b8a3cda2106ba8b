"""The lessons in JupyterLab, in a real browser: they run from top to bottom, their forms answer, nothing calls home."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from jfsnb.notebook.lessons import NOTEBOOKS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LESSONS = tuple(path.name for path in sorted(NOTEBOOKS.glob("*.ipynb")))
SECONDS = 60
pytestmark = [pytest.mark.sandbox, pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]
START = """
import sys
from pathlib import Path
from jfsnb.commands import lab
lab.NOTEBOOKS = Path(sys.argv[1])
lab.lab({}, int(sys.argv[2]), True)
"""
STATE = """(name) => {
  const panel = [...jupyterapp.shell.widgets('main')].find(w => w.context && w.context.path === name);
  if (!panel || !panel.content.model || !panel.sessionContext.session) return null;
  const code = panel.content.model.toJSON().cells.filter(c => c.cell_type === 'code');
  const outputs = code.flatMap(c => c.outputs), widget = 'application/vnd.jupyter.widget-view+json';
  return {kernel: panel.sessionContext.session.kernel.status,
          left: code.filter(c => c.execution_count === null).length,
          errors: outputs.filter(o => o.output_type === 'error').map(o => o.ename + ': ' + o.evalue),
          widgets: outputs.filter(o => o.data && o.data[widget]).length};
}"""
IDLE = f"(name) => {{ const s = ({STATE})(name); return s && s.kernel === 'idle' }}"
DONE = (
    f"(name) => {{ const s = ({STATE})(name); return s && s.kernel === 'idle' && (s.left === 0 || s.errors.length) }}"
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab with a sandbox of its own, on a copy of the notebooks; yields its address."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(NOTEBOOKS, folder / "notebooks")
    (folder / "config").mkdir()
    (folder / "config" / "jupyter_lab_config.json").write_text('{"LabApp": {"expose_app_in_browser": true}}')
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("JFSNB_")},
        "JFSNB_SANDBOX": f"lab-{secrets.token_hex(2)}",
        "JFSNB_OUTPUTS": str(folder / "outputs"),
        "JUPYTER_TOKEN": token,
        "JUPYTER_CONFIG_PATH": str(folder / "config"),
        "JUPYTER_CONFIG_DIR": str(folder / "own"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "PYTHONPATH": os.pathsep.join([str(NOTEBOOKS.parent), os.environ.get("PYTHONPATH", "")]),
    }
    if "JFSNB_CACHE" in os.environ:
        environment["JFSNB_CACHE"] = os.environ["JFSNB_CACHE"]
    command = [sys.executable, "-c", START, str(folder / "notebooks"), str(port)]
    with (folder / "lab.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for_server(f"{address}/api?token={token}", process, folder / "lab.log")
        yield f"{address}/lab?token={token}"
    finally:
        process.terminate()
        process.wait(60)


def wait_for_server(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            process_ended(process)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


def process_ended(process: subprocess.Popen) -> None:
    """Give the server a moment, or notice at once that it has ended."""
    try:
        process.wait(0.2)
    except subprocess.TimeoutExpired:
        return


@pytest.fixture(scope="module")
def page(lab):
    """A page of the browser on that JupyterLab; in the end it must have asked nobody outside."""
    playwright = pytest.importorskip("playwright.sync_api")
    outside = []

    def only_inside(route):
        if route.request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            return route.continue_()
        outside.append(route.request.url)
        return route.abort()

    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1600})
        page.set_default_timeout(SECONDS * 1000)
        page.route("**/*", only_inside)
        page.goto(lab)
        page.wait_for_function("() => window.jupyterapp && jupyterapp.shell.layoutModified !== undefined")
        page.wait_for_selector("#jp-main-dock-panel")
        yield page
        browser.close()
    assert outside == []


def run_all(page, name: str) -> dict:
    """Open a notebook and run it from top to bottom; how it is then."""
    page.evaluate("name => { jupyterapp.commands.execute('docmanager:open', {path: name, factory: 'Notebook'}) }", name)
    page.wait_for_function(IDLE, arg=name)
    page.evaluate("() => { jupyterapp.commands.execute('notebook:run-all-cells') }")
    page.wait_for_function(DONE, arg=name)
    return page.evaluate(STATE, name)


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_runs_from_top_to_bottom(page, name):
    state = run_all(page, name)
    assert state["errors"] == []
    assert state["left"] == 0
    assert state["widgets"] > 0


def cell(page, name: str, words: str):
    """The cell of the present notebook whose source has these words, scrolled to."""
    index = page.evaluate(
        """([name, words]) => {
          const panel = [...jupyterapp.shell.widgets('main')].find(w => w.context && w.context.path === name);
          const cells = panel.content.model.toJSON().cells;
          return cells.findIndex(c => [c.source].flat().join('').includes(words)); }""",
        [name, words],
    )
    page.evaluate(
        """([name, index]) => {
          const panel = [...jupyterapp.shell.widgets('main')].find(w => w.context && w.context.path === name);
          jupyterapp.shell.activateById(panel.id); panel.content.activeCellIndex = index;
          panel.content.scrollToItem(index, 'start'); }""",
        [name, index],
    )
    return page.locator(f'.jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell[data-windowed-list-index="{index}"]')


def test_an_exercise_tells_wrong_from_right(page):
    exercise = cell(page, LESSONS[0], "exercise.controller")
    exercise.locator("input[type=text]").fill("kube-apiserver")
    exercise.get_by_role("button", name="check").click()
    exercise.get_by_text("not yet").wait_for()
    exercise.locator("input[type=text]").fill("juicefs-csi-controller-0")
    exercise.get_by_role("button", name="check").click()
    exercise.get_by_text("right", exact=True).wait_for()


def test_what_is_chosen_becomes_the_parameters(page):
    chooser = cell(page, LESSONS[0], "choose.parameters")
    chooser.get_by_role("combobox").filter(has_text="article").select_option("article")
    chooser.get_by_role("button", name="use these").click()
    chooser.locator("td", has_text="article").wait_for()


def test_a_table_can_be_filtered(page):
    table = cell(page, LESSONS[5], "choose.rows")
    table.locator("input[type=text]").first.fill("zmctest")
    table.get_by_role("button", name="filter").click()
    table.get_by_text("1 of ").wait_for()


def test_a_pod_can_be_asked_about(page):
    form = cell(page, LESSONS[5], "choose.pod")
    form.get_by_role("button", name="who serves it?").click()
    form.get_by_text("Who serves Pod").wait_for()


def test_forms_and_tables_follow_the_dark_theme(page):
    page.evaluate("() => { jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'}) }")
    page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
    text = cell(page, LESSONS[5], "choose.rows").locator("th").first
    colour = text.evaluate("element => getComputedStyle(element).color")
    assert min(int(part) for part in colour.strip("rgba()").split(",")[:3]) > 150


def test_nobody_is_asked_about_news(page):
    assert page.get_by_text("official Jupyter news").count() == 0
