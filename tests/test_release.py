"""What is released says the same of itself everywhere; `make build` tries the files themselves."""

from __future__ import annotations

import re
import runpy
from datetime import date
from pathlib import Path

import pytest

import langchain_onerouter
import llama_index_onerouter
import onerouter_core
from onerouter_simulator import Simulator

ROOT = Path(__file__).parents[1]
PACKAGES = ("onerouter_core", "langchain_onerouter", "llama_index_onerouter", "onerouter_simulator")
SECTIONS = re.findall(
    r"^## \[([^]]+)\](?: - (\S+))?$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
)


def test_the_version_is_said_once() -> None:
    """Both packages have the core's."""
    assert langchain_onerouter.__version__ == onerouter_core.__version__
    assert llama_index_onerouter.__version__ == onerouter_core.__version__


def test_the_changelog_begins_with_what_is_not_released() -> None:
    """Then comes this version, and every version has its day."""
    assert [version for version, _ in SECTIONS[:2]] == ["Unreleased", onerouter_core.__version__]
    assert all(date.fromisoformat(day) for _, day in SECTIONS[1:])


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_that_it_is_typed(package: str) -> None:
    """Type checkers look for the mark."""
    assert (ROOT / package / "py.typed").is_file()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the frameworks' own
def test_the_typed_program_runs(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What type checkers are shown is no fiction."""
    monkeypatch.setenv("ONEROUTER_API_KEY", sim.api_key)
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url)
    runpy.run_path(str(ROOT / "examples" / "typed.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "multiply" in printed
    assert "Ada Lovelace" in printed
    assert "Error" not in printed
