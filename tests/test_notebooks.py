"""The notebooks run, and what they show is what they hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_a_notebook_runs_and_shows_what_is_kept(path: Path) -> None:
    """Each cell runs on the simulator, and its output is the committed one."""
    command = [sys.executable, str(NOTEBOOKS / "run.py"), "--check", path.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- our own
    assert done.returncode == 0, done.stderr


def test_there_is_something_to_run() -> None:
    """Both frameworks have their notebook."""
    assert {path.stem for path in PATHS} >= {"01_langchain", "02_llama_index"}
