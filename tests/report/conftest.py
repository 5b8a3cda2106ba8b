"""Small notebooks made on the spot, and the runner's kernels."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
import pytest

from jfsnb.report.kernels import Kernels

sys.path.insert(0, str(Path(__file__).parent))  # for sample.py, which the tests share


@pytest.fixture
def notebook(tmp_path):
    """notebook("name", "code", "code", parameters="x: int = 1"): a notebook with these code cells."""

    def make(name: str, *cells: str, parameters: str = "namespace: str = 'a'", title: str = "A lesson") -> Path:
        node = nbformat.v4.new_notebook()
        node.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        first = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
        node.cells = [nbformat.v4.new_markdown_cell(f"# {title}"), first, *map(nbformat.v4.new_code_cell, cells)]
        folder = tmp_path / "notebooks"
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.ipynb"
        nbformat.write(node, path)
        return path

    return make


@pytest.fixture
def kernels(tmp_path):
    started = Kernels({}, tmp_path, warm_up="")
    yield started
    started.close()
