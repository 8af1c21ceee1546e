"""Run the notebooks and keep their outputs: `make notebooks`.

Each is run in a fresh kernel, from top to bottom, against the simulator, or the live gateway if
ONEROUTER_API_KEY is set. What changes from run to run (times, counts of execution) is left out, so
that a diff shows what matters.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent


def execute(path: Path) -> nbformat.NotebookNode:
    """Return the notebook with its outputs; raise if a cell does."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": HERE}}).execute()
    for cell in notebook.cells:
        cell.metadata = {}
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    return notebook


def main() -> None:
    """Run the notebooks named, or all."""
    names = sys.argv[1:] or sorted(path.name for path in HERE.glob("*.ipynb"))
    for name in names:
        print(name)
        nbformat.write(execute(HERE / name), HERE / name)


if __name__ == "__main__":
    main()
