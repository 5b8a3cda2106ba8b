"""A JupyterLab on a copy of the lessons, with a sandbox of its own, and how to drive it in a browser.

Tests use it, and the command that makes the README's pictures.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jfsnb.notebook.lessons import NOTEBOOKS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LESSONS = tuple(path.name for path in sorted(NOTEBOOKS.glob("*.ipynb")))
SECONDS = 60
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


@contextmanager
def running_lab(folder: Path) -> Iterator[str]:
    """Start it, with everything it writes below the folder; yields its address."""
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


def run_all(page, name: str) -> dict:
    """Open a notebook and run it from top to bottom; how it is then."""
    page.evaluate("name => { jupyterapp.commands.execute('docmanager:open', {path: name, factory: 'Notebook'}) }", name)
    page.wait_for_function(IDLE, arg=name)
    page.evaluate("() => { jupyterapp.commands.execute('notebook:run-all-cells') }")
    page.wait_for_function(DONE, arg=name)
    return page.evaluate(STATE, name)


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
