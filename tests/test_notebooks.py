"""The notebooks from top to bottom, in a process of their own, as whoever opens them."""

import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
QUICK = "01_first_model.ipynb"  # the others are run by make test-all
NAMES = [path.name for path in sorted(FOLDER.glob("*.ipynb"))]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the client to its developers
@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n == QUICK else pytest.mark.slow) for n in NAMES])
def test_a_notebook_runs_and_shows_figures(name, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    notebook = nbformat.read(FOLDER / name, 4)
    NotebookClient(notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": FOLDER}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
    assert not [output for output in outputs if output.output_type == "error"]


def test_there_are_five_and_they_were_kept_with_their_figures():
    assert [name[:2] for name in NAMES] == ["01", "02", "03", "04", "05"]
    for name in NAMES:
        assert "image/png" in (FOLDER / name).read_text()
