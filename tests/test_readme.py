"""README tells the truth: its blocks run, its table of contents leads somewhere."""

from __future__ import annotations

import re

import pytest

from onerouter_simulator import Simulator
from tests.pages import ROOT, run

README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the frameworks' own
def test_the_python_blocks_run_one_after_the_other(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reader who types README in, from top to bottom, sees it work."""
    monkeypatch.setenv("ONEROUTER_API_KEY", sim.api_key)
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url)
    printed = run("README.md", capsys)
    assert "Why is the sky blue?" in printed
    assert "84" in printed
    assert "Ada Lovelace" in printed


def test_the_make_targets_are_there() -> None:
    """The commands that README names exist."""
    named = set(re.findall(r"make ([a-z-]+)", README))
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert named <= made


def test_the_links_lead_somewhere() -> None:
    """Every relative link is a file or a folder of the project."""
    links = re.findall(r"\]\((?!http)([^)]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
