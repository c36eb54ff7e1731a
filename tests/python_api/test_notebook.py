"""The example notebook runs from its first cell to its last, as a person runs it, and shows what it says."""

from pathlib import Path

import pytest

from tests.cli.command import ROOT

nbclient = pytest.importorskip("nbclient", reason="the extra `notebook` is not installed")
nbformat = pytest.importorskip("nbformat", reason="the extra `notebook` is not installed")
pytest.importorskip("ipykernel", reason="the extra `notebook` is not installed")


@pytest.mark.filterwarnings("ignore")  # of Jupyter's own libraries, about each other
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell; the run, its state and the list of runs are tables, and the decisions come out again."""
    for name in ("HOME", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    notebook = nbformat.read(ROOT / "examples" / "notebook" / "runs.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "the notebook is kept without outputs"
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    tables = [each["data"]["text/html"] for each in outputs if "text/html" in each.get("data", {})]
    printed = "".join(each.get("text", "") for each in outputs)
    assert len(tables) == 2
    assert all("<table>" in each for each in tables)
    assert "task_001 completed" in printed
    assert "SUCCESS BUDGET_EXHAUSTED" in printed
    assert printed.rstrip().endswith("SUCCESS")
