"""The notebook of examples/ runs from its first cell to its last on a stack with the sample data."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.e2e.stacks import RunningStack
from tests.engine_processes import ROOT

NOTEBOOK = ROOT / "examples" / "backtests.ipynb"


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningStack]:
    running = RunningStack("process")
    running.start()
    yield running
    running.remove()


def test_the_notebook_runs_and_shows_frames(
    stack: RunningStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOTILLA_STATE", str(stack.folder.root))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not [cell for cell in notebook.cells if cell.get("outputs")], "it is kept without outputs"
    NotebookClient(notebook, timeout=180, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [
        output["data"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "execute_result"
    ]
    assert sum("text/html" in each for each in shown) == 3
    assert "won" in str(shown[3])
