"""Run the notebooks and keep their outputs (`make notebooks`), or with --check hold them to these.

Each is run in a fresh kernel, from top to bottom, against the simulator, or the live gateway if
ONEROUTER_API_KEY is set. What changes from run to run (times, ids of kernels) is not kept.
"""

from __future__ import annotations

import argparse
import difflib
from importlib.util import find_spec
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
NEEDS = {"05_offline_with_a_real_model.ipynb": "xllamacpp"}  # nobody else has to have it


def execute(path: Path) -> nbformat.NotebookNode:
    """Return the notebook with its outputs; raise if a cell does."""
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": HERE}}
    NotebookClient(notebook, timeout=60, resources=where, coalesce_streams=True).execute()
    for cell in notebook.cells:
        cell.metadata = {}
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    return notebook


def shown(notebook: nbformat.NotebookNode) -> list[str]:
    """Return the lines that a reader sees below the cells."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = (o.get("text") or o.get("data", {}).get("text/plain") or str(o) for o in outputs)
    return [line for text in texts for line in text.splitlines()]


def check(path: Path) -> str:
    """Return how a run differs from what is kept, as a diff; real models differ by machine."""
    kept = shown(nbformat.read(path, as_version=4))
    if path.name in NEEDS:
        execute(path)
        return ""
    return "\n".join(difflib.unified_diff(kept, shown(execute(path)), "kept", "now", lineterm=""))


def main() -> None:
    """Run the notebooks named, or all."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("names", nargs="*")
    options.add_argument("--check", action="store_true", help="change nothing; fail on a change")
    asked = options.parse_args()
    for path in [HERE / name for name in asked.names] or sorted(HERE.glob("*.ipynb")):
        print(path.name)
        if (need := NEEDS.get(path.name)) and find_spec(need) is None:
            print(f"  is left as it is: {need} is not installed")
        elif not asked.check:
            nbformat.write(execute(path), path)
        elif difference := check(path):
            raise SystemExit(difference)


if __name__ == "__main__":
    main()
