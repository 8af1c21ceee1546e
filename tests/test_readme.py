"""README: its code blocks run, its links and make targets exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from onerouter_simulator import Simulator
from tests.pages import ROOT, check_page

README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the frameworks' own
@pytest.mark.parametrize("framework", ["LangChain", "LlamaIndex"])
def test_code_blocks_run_and_print_the_shown_output(
    framework: str,
    sim: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The Python blocks run from top to bottom, for each framework, against the simulator."""
    monkeypatch.chdir(tmp_path)  # for blocks that write files
    monkeypatch.setenv("ONEROUTER_API_KEY", sim.api_key)
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url)
    printed = check_page("README.md", framework)
    assert "Why is the sky blue?" in printed
    assert "84" in printed
    assert "Ada Lovelace" in printed


def test_the_bill_is_the_one_that_the_demo_prints() -> None:
    """The demo reads README: a change of its text changes the tokens and the cost."""
    environment = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
    printed = subprocess.run(
        [sys.executable, "examples/demo.py"],
        cwd=ROOT,
        env=environment | {"COLUMNS": "120", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    ).stdout
    rows = [[cell.strip() for cell in line[1:-1].split("│")] for line in printed.splitlines()]
    bill = [row[:-1] for row in rows if len(row) == 6]  # without the seconds
    shown = README.partition("\n scene ")[2].partition("\n```")[0].splitlines()[1:]
    assert [re.split(" {2,}", line.strip()) for line in shown] == bill


def test_the_make_targets_exist() -> None:
    """Every `make` command in README is a target of the Makefile."""
    named = set(re.findall(r"make ([a-z-]+)", README))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert named <= targets


def test_the_relative_links_exist() -> None:
    """Every relative link is a file or a folder of the project, or a heading of README."""
    links = re.findall(r"\]\((?!http|#)([^)]+)\)", README)
    assert links
    headings = {heading.lower() for heading in re.findall(r"^#+ (\w+)$", README, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= headings
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_badges_are_true() -> None:
    """A badge is a file of the project, which shows what pyproject.toml says."""
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    versions = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    assert 'license = "MIT"' in project
    badges = dict(re.findall(r"!\[([^\]]+)\]\((docs/images/[^)]+)\)", README))
    assert {f"Python {' | '.join(versions)}", "licence MIT"} < set(badges)
    for text, path in badges.items():
        assert f'aria-label="{text}"' in (ROOT / path).read_text("utf-8")
