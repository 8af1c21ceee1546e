"""Release metadata: versions, changelog, type markers. `make build` checks the built files."""

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


def test_both_packages_have_the_version_of_the_core() -> None:
    """The version is defined in onerouter_core only."""
    assert langchain_onerouter.__version__ == onerouter_core.__version__
    assert llama_index_onerouter.__version__ == onerouter_core.__version__


def test_the_changelog_begins_with_unreleased_and_this_version() -> None:
    """Every released version has a date."""
    assert [version for version, _ in SECTIONS[:2]] == ["Unreleased", onerouter_core.__version__]
    assert all(date.fromisoformat(day) for _, day in SECTIONS[1:])


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_a_py_typed_file(package: str) -> None:
    """Type checkers look for this file (PEP 561)."""
    assert (ROOT / package / "py.typed").is_file()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the frameworks' own
def test_the_typed_program_runs(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program that type checkers check runs against the simulator."""
    monkeypatch.setenv("ONEROUTER_API_KEY", sim.api_key)
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url)
    runpy.run_path(str(ROOT / "examples" / "typed.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "multiply" in printed
    assert "Ada Lovelace" in printed
    assert "Error" not in printed
