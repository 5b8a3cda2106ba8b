"""The lessons in JupyterLab, in a real browser: they run from top to bottom, their forms answer, nothing calls home."""

import jupyterlab_page
import pytest
from jupyterlab_page import CHROMIUM, LESSONS, SECONDS, cell, run_all

pytestmark = [pytest.mark.sandbox, pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]


@pytest.fixture
def page(tmp_path):
    """A page of the browser on that JupyterLab; in the end it must have asked nobody outside."""
    playwright = pytest.importorskip("playwright.sync_api")
    outside = []

    def only_inside(route):
        if route.request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            return route.continue_()
        outside.append(route.request.url)
        return route.abort()

    with jupyterlab_page.running_lab(tmp_path) as lab, playwright.sync_playwright() as engine:
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


def test_lessons_run_and_their_forms_answer(page):
    """One test, because one JupyterLab serves it all; the functions below say what is looked at."""
    for name in LESSONS:
        if not name.startswith("08"):  # it measures for a minute, between 04 and 05: tests/run/compare calls its cells
            a_lesson_runs_from_top_to_bottom(page, name)
    an_exercise_tells_wrong_from_right(page)
    what_is_chosen_becomes_the_parameters(page)
    a_table_can_be_filtered(page)
    a_pod_can_be_asked_about(page)
    forms_and_tables_follow_the_dark_theme(page)
    nobody_is_asked_about_news(page)


def a_lesson_runs_from_top_to_bottom(page, name):
    state = run_all(page, name)
    assert state["errors"] == []
    assert state["left"] == 0
    assert state["widgets"] > 0


def an_exercise_tells_wrong_from_right(page):
    exercise = cell(page, LESSONS[0], "exercise.controller")
    exercise.locator("input[type=text]").fill("kube-apiserver")
    exercise.get_by_role("button", name="check").click()
    exercise.get_by_text("not yet").wait_for()
    exercise.locator("input[type=text]").fill("juicefs-csi-controller-0")
    exercise.get_by_role("button", name="check").click()
    exercise.get_by_text("right", exact=True).wait_for()


def what_is_chosen_becomes_the_parameters(page):
    chooser = cell(page, LESSONS[0], "choose.parameters")
    chooser.get_by_role("combobox").filter(has_text="article").select_option("article")
    chooser.get_by_role("button", name="use these").click()
    chooser.locator("td", has_text="article").wait_for()


def a_table_can_be_filtered(page):
    table = cell(page, LESSONS[5], "choose.rows")
    table.locator("input[type=text]").first.fill("zmctest")
    table.get_by_role("button", name="filter").click()
    table.get_by_text("1 of ").wait_for()


def a_pod_can_be_asked_about(page):
    form = cell(page, LESSONS[5], "choose.pod")
    form.get_by_role("button", name="who serves it?").click()
    form.get_by_text("Who serves Pod").wait_for()


def forms_and_tables_follow_the_dark_theme(page):
    page.evaluate("() => { jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'}) }")
    page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
    text = cell(page, LESSONS[5], "choose.rows").locator("th").first
    colour = text.evaluate("element => getComputedStyle(element).color")
    assert min(int(part) for part in colour.strip("rgba()").split(",")[:3]) > 150


def nobody_is_asked_about_news(page):
    assert page.get_by_text("official Jupyter news").count() == 0
