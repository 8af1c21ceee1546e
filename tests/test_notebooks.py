"""The notebooks run, and what they show is what they hold."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    """Return what each code cell shows."""
    return [
        "".join(
            output.get("text") or output.get("data", {}).get("text/plain", "")
            for output in cell.outputs
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the kernel manager's own
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # zmq's, about the event loop on Windows
@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_a_notebook_runs_and_shows_what_is_kept(path: Path) -> None:
    """Each cell runs on the simulator, and its output is the committed one."""
    kept = nbformat.read(path, as_version=4)
    shown = printed(kept)
    client = NotebookClient(kept, timeout=60, resources={"metadata": {"path": NOTEBOOKS}})
    client.execute()
    assert printed(kept) == shown


def test_there_is_something_to_run() -> None:
    """Both frameworks have their notebook."""
    assert {path.stem for path in PATHS} >= {"01_langchain", "02_llama_index"}
