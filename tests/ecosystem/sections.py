"""Sections of docs/ecosystem.md: the Python blocks of each run as one program.

`python -m tests.ecosystem.sections "Phoenix"` runs one, with the guard against network use.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

from onerouter_simulator import Simulator
from tests.ecosystem import guard
from tests.ecosystem.table import PAGE
from tests.pages import ROOT, CodeBlock, blocks_in

_SECTION = re.compile(r"^##+ (.+)\n((?:(?!^##+ ).*\n)*)", re.MULTILINE)


def blocks() -> dict[str, list[CodeBlock]]:
    """Return the Python blocks of each section that has some."""
    found = {}
    for heading, text in _SECTION.findall(PAGE.read_text("utf-8")):
        if python := [block for block in blocks_in(text) if block.language == "python"]:
            found[heading] = python
    return found


def shown_output(heading: str) -> str:
    """Return the output that a section shows."""
    return "".join(f"{line}\n" for block in blocks()[heading] for line in block.shown_output)


def run(heading: str, sim: Simulator, folder: Path, **variables: str) -> str:
    """Run a section in a process and a folder of its own; return what it prints.

    `variables` are added to its environment.
    """
    (folder / ".guardrailsrc").write_text("enable_metrics=false\n", "utf-8")
    # MLflow sets variables of its own, in a worker that has run another of its tests.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    gateway = {"ONEROUTER_BASE_URL": sim.base_url, "ONEROUTER_API_KEY": sim.api_key}
    done = subprocess.run(  # noqa: S603 -- our own page
        [sys.executable, "-W", "ignore", "-m", __name__, heading],
        cwd=folder,
        env={**inherited, **gateway, "PYTHONPATH": str(ROOT), "HOME": str(folder), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_here(heading: str) -> str:
    """Run a section in this process, which has imported what it needs; return what it prints."""
    with redirect_stdout(io.StringIO()) as printed:
        _execute(heading)
    return printed.getvalue()


def _execute(heading: str) -> None:
    """Run the program of a section."""
    program = "\n".join(block.code for block in blocks()[heading])
    exec(compile(program, heading, "exec"), {"__name__": "page"})  # noqa: S102 -- our own page


if __name__ == "__main__":
    guard.install()
    _execute(sys.argv[1])
    sys.stdout.flush()
    if guard.attempts:
        sys.exit(f"only loopback may be reached, not {guard.attempts}")
