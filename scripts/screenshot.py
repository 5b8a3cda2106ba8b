"""The README's pictures: the first screen of a run's report, and a lesson in JupyterLab. Usage: scripts/screenshot"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(ROOT / "tests" / "notebooks"))


def main() -> None:
    import jupyterlab_page as lab
    from playwright.sync_api import sync_playwright

    if lab.CHROMIUM is None:
        sys.exit("needs Chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=lab.CHROMIUM, args=["--no-sandbox"])
        picture_of_the_report(browser, Path(folder))
        picture_of_a_lesson(browser, Path(folder), lab)
        browser.close()


def picture_of_the_report(browser: Any, folder: Path) -> None:
    environment = {**os.environ, "JFSNB_OUTPUTS": str(folder)}
    subprocess.run([sys.executable, "-m", "jfsnb", "run", "--run-id", "20261129-demo"], env=environment, check=True)
    page = browser.new_page(viewport={"width": 1180, "height": 1100})
    page.goto((folder / "20261129-demo" / "report.html").as_uri())
    page.screenshot(path=DOCS / "report.png")


def picture_of_a_lesson(browser: Any, folder: Path, lab: Any) -> None:
    name = lab.LESSONS[0]
    (folder / "lab").mkdir()
    with lab.running_lab(folder / "lab") as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(60_000)
        page.goto(address)
        page.wait_for_function("() => window.jupyterapp")
        page.wait_for_selector("#jp-main-dock-panel")
        lab.run_all(page, name)
        page.evaluate("() => { jupyterapp.commands.execute('application:toggle-left-area') }")
        shown = lab.cell(page, name, "exercise.failed_probes")
        shown.locator("input[type=text]").fill("3")
        shown.get_by_role("button", name="check").click()
        shown.get_by_text("right", exact=True).wait_for()
        lab.cell(page, name, "exercise.failed_probes")
        page.locator("img[alt^='What the log']").first.wait_for()
        page.screenshot(path=DOCS / "lab.png")


if __name__ == "__main__":
    main()
