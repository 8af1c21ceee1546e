"""Pages of the site whose blocks need packages of this environment: the blocks run here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("openinference.instrumentation", reason="make integration installs the tracers")

from onerouter_simulator import Simulator
from tests.pages import ROOT, code_blocks

# A process of its own: the instrumentors of tracers change the frameworks' classes.
PROGRAM = "from tests.pages import check_page; check_page('docs/observability.md', {framework!r})"


@pytest.mark.parametrize("framework", ["LangChain", "LlamaIndex"])
def test_the_blocks_for_tracers_run(framework: str, sim: Simulator, tmp_path: Path) -> None:
    """The page on logs, traces and metrics runs from top to bottom; no block is left out."""
    assert [block.skip_reason for block in code_blocks("docs/observability.md")] == [""] * 11
    variables = {"ONEROUTER_API_KEY": sim.api_key, "ONEROUTER_BASE_URL": sim.base_url}
    done = subprocess.run(  # noqa: S603 -- our own program
        [sys.executable, "-c", PROGRAM.format(framework=framework)],
        cwd=tmp_path,
        env={**os.environ, **variables, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
