"""Run the notebooks and save their outputs (`make notebooks`), or compare them with `--check`.

Each notebook runs in a fresh kernel, from top to bottom, against the simulator, or against the live
gateway if ONEROUTER_API_KEY is set. Metadata that changes from run to run (times, kernel ids) is
not saved.
"""

from __future__ import annotations

import argparse
import difflib
from importlib.util import find_spec
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
REQUIRED_PACKAGES = {"05_offline_with_a_real_model.ipynb": "xllamacpp"}  # an optional installation


def execute(path: Path) -> nbformat.NotebookNode:
    """Run a notebook and return it with its outputs; raise if a cell raises."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": HERE}}
    NotebookClient(notebook, timeout=60, resources=resources, coalesce_streams=True).execute()
    for cell in notebook.cells:
        cell.metadata = {}
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    return notebook


def output_lines(notebook: nbformat.NotebookNode) -> list[str]:
    """Return the text lines of all outputs."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = (o.get("text") or o.get("data", {}).get("text/plain") or str(o) for o in outputs)
    return [line for text in texts for line in text.splitlines()]


def compare(path: Path) -> str:
    """Run a notebook and return its differences from the saved outputs, as a diff.

    A real model's answers differ by machine: its notebook only has to run.
    """
    saved = output_lines(nbformat.read(path, as_version=4))
    if path.name in REQUIRED_PACKAGES:
        execute(path)
        return ""
    lines = output_lines(execute(path))
    return "\n".join(difflib.unified_diff(saved, lines, "saved", "now", lineterm=""))


def main() -> None:
    """Run the named notebooks, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="file names; all notebooks if there are none")
    parser.add_argument("--check", action="store_true", help="save nothing; fail on a difference")
    options = parser.parse_args()
    for path in [HERE / name for name in options.names] or sorted(HERE.glob("*.ipynb")):
        print(path.name)
        if (package := REQUIRED_PACKAGES.get(path.name)) and find_spec(package) is None:
            print(f"  skipped: {package} is not installed")
        elif not options.check:
            nbformat.write(execute(path), path)
        elif difference := compare(path):
            raise SystemExit(difference)


if __name__ == "__main__":
    main()
