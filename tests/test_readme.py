"""README: its code blocks run, its links and make targets exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from onerouter_simulator import Simulator
from tests.pages import ROOT, check_page

README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the frameworks' own
def test_code_blocks_run_and_print_the_shown_output(
    sim: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """The Python blocks run from top to bottom, against the simulator."""
    monkeypatch.chdir(tmp_path)  # for blocks that write files
    monkeypatch.setenv("ONEROUTER_API_KEY", sim.api_key)
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url)
    printed = check_page("README.md", capsys)
    assert "Why is the sky blue?" in printed
    assert "84" in printed
    assert "Ada Lovelace" in printed


def test_the_make_targets_exist() -> None:
    """Every `make` command in README is a target of the Makefile."""
    named = set(re.findall(r"make ([a-z-]+)", README))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert named <= targets


def test_the_relative_links_exist() -> None:
    """Every relative link is a file or a folder of the project."""
    links = re.findall(r"\]\((?!http)([^)]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
