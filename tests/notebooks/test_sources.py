"""The notebooks as they are committed: clean sources, short cells, parameters that papermill and we read alike."""

import ast
import json
import logging
from pathlib import Path

import nbformat
import pytest

from jfsnb.commands.run import IN_A_RUN
from jfsnb.report.parameters import declared
from jfsnb.settings import COMPARISON, UPGRADE, Settings

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_STATEMENTS = 2
EVERY = tuple(name for name in Settings.names() if name not in (*COMPARISON, *UPGRADE))

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def test_the_folder_holds_notebooks_and_nothing_that_could_shadow_a_package():
    assert [path.stem for path in NOTEBOOKS] == [
        *IN_A_RUN,
        "06-investigate",
        "07-upgrade-in-place",
        "08-compare-clients",
    ]
    assert not list(FOLDER.glob("*.py"))


@each
def test_sources_are_valid_and_hold_no_outputs(path):
    nbformat.validate(nbformat.read(path, 4))
    for cell in code_cells(path):
        assert not cell.outputs
        assert cell.execution_count is None


@each
def test_metadata_names_the_kernel_and_nobody_s_environment(path):
    metadata = json.loads(path.read_text())["metadata"]
    assert metadata["kernelspec"]["name"] == "python3"
    assert not {"papermill", "widgets"} & set(metadata)
    assert all("papermill" not in cell.metadata for cell in code_cells(path))


@each
def test_the_first_code_cell_is_the_parameters_and_papermill_reads_it_as_we_do(path):
    from papermill import inspect_notebook

    logging.getLogger("papermill").setLevel(logging.ERROR)
    assert code_cells(path)[0].metadata.get("tags") == ["parameters"]
    ours = declared(path)
    theirs = inspect_notebook(str(path))
    assert {name: parameter.type_name for name, parameter in ours.items()} == {
        name: parameter["inferred_type_name"] for name, parameter in theirs.items()
    }


@each
def test_parameters_are_settings_with_the_settings_defaults(path):
    defaults = Settings().parameters()
    for name, parameter in declared(path).items():
        if name != "run_id":
            assert parameter.default == defaults[name]


@pytest.mark.parametrize("name", IN_A_RUN)
def test_a_run_s_notebooks_take_every_parameter(name):
    assert tuple(declared(FOLDER / f"{name}.ipynb")) == EVERY


@pytest.mark.parametrize("name,own", [("07-upgrade-in-place", UPGRADE), ("08-compare-clients", COMPARISON)])
def test_other_notebooks_take_those_and_their_own(name, own):
    assert set(declared(FOLDER / f"{name}.ipynb")) == {*EVERY, *own}


@each
def test_every_other_code_cell_is_one_short_call_without_logic(path):
    for cell in code_cells(path)[1:]:
        tree = ast.parse(cell.source)
        assert len(tree.body) <= MOST_STATEMENTS
        logic = (ast.If, ast.For, ast.While, ast.FunctionDef, ast.Lambda, ast.Try, ast.With, ast.ListComp)
        assert not [node for node in ast.walk(tree) if isinstance(node, logic)]


@each
def test_a_lesson_begins_with_a_title_and_says_what_it_is_good_for(path):
    first = nbformat.read(path, 4).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
