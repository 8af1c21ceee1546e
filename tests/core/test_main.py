"""`python -m onerouter_core models`: what a shell sees."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from onerouter_core import Catalog, ConnectionSettings, ModelInfo
from onerouter_core.__main__ import main
from onerouter_core.errors import ConfigurationError
from onerouter_simulator import Simulator


@pytest.fixture(autouse=True)
def _reached(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url)
    monkeypatch.setenv("COLUMNS", "200")


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each model: its id, window, and price per million tokens."""
    assert main(["models"]) == 0
    head, *lines = [
        line
        for line in capsys.readouterr().out.splitlines()
        if "simulated" in line or "model" in line
    ]
    assert "context" in head
    (echo,) = (line for line in lines if "simulated/echo " in line)
    assert "131,072" in echo
    assert "0.5" in echo
    assert "tools" in echo


def test_a_table_on_a_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a frame; an id with brackets in it is shown as it is."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    Catalog([ModelInfo("q/[red]m[/z]")]).save(tmp_path / "models")
    assert main(["models", "--file", str(tmp_path / "models")]) == 0
    shown = capsys.readouterr().out
    assert "q/[red]m[/z]" in shown
    assert "│" in shown


def test_a_table_without_rich(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same in plain columns."""
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert main(["models", "echo"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["model", "context"]
    assert lines
    assert all(line.startswith("simulated/") for line in lines)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (["--vision"], {"vision": True}),
        (["--free"], {"free": True}),
        (["--tools", "echo"], {"tools": True, "text": "echo"}),
        (["--max-price", "0.6"], {"max_price": "0.0000006"}),
    ],
)
def test_json_of_what_fits(
    sim: Simulator, capsys: pytest.CaptureFixture[str], asked: list[str], found: dict[str, object]
) -> None:
    """Options are those of `Catalog.find`, prices per million; JSON is for other programs."""
    assert main(["models", "--json", *asked]) == 0
    models = json.loads(capsys.readouterr().out)
    catalog = Catalog.fetch(ConnectionSettings(base_url=sim.base_url))
    assert [model["id"] for model in models] == [model.id for model in catalog.find(**found)]  # type: ignore[arg-type]
    assert all("raw" not in model for model in models)


def test_a_file(sim: Simulator, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A saved catalogue is read without a request."""
    Catalog.fetch(ConnectionSettings(base_url=sim.base_url)).save(tmp_path / "models.json")
    sim.clear()
    assert main(["models", "--json", "--file", str(tmp_path / "models.json")]) == 0
    assert json.loads(capsys.readouterr().out)
    assert sim.requests == []


def test_a_gateway_that_fails(
    sim: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What went wrong is said in a line, and in the exit status."""
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url + "/nowhere")
    assert main(["models"]) == 1
    assert "status 404" in capsys.readouterr().err


def test_mistakes_are_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there, and a price that is no number."""
    assert main(["models", "--file", "/nowhere/at/all"]) == 1
    assert "/nowhere/at/all" in capsys.readouterr().err
    assert main(["models", "--max-price", "abc"]) == 1
    assert "--max-price must be a number of USD, not 'abc'" in capsys.readouterr().err
    with pytest.raises(ConfigurationError, match="max_price must be a number of USD"):
        Catalog().find(max_price="cheap")


def test_the_command(sim: Simulator) -> None:
    """It runs as a module."""
    done = subprocess.run(
        [sys.executable, "-m", "onerouter_core", "models", "--json", "echo"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert json.loads(done.stdout)
