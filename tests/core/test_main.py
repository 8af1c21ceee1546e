"""Command line: `python -m onerouter_core models`."""

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
def _environment(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url)
    monkeypatch.setenv("COLUMNS", "200")


def test_the_table_has_a_line_per_model(capsys: pytest.CaptureFixture[str]) -> None:
    """With id, context window, price per million tokens and features."""
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


def test_a_terminal_shows_a_framed_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Brackets in an id are not markup."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    Catalog([ModelInfo("q/[red]m[/z]")]).save(tmp_path / "models")
    assert main(["models", "--file", str(tmp_path / "models")]) == 0
    shown = capsys.readouterr().out
    assert "q/[red]m[/z]" in shown
    assert "│" in shown


def test_without_rich_the_table_has_plain_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rich is an optional dependency."""
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert main(["models", "echo"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["model", "context"]
    assert lines
    assert all(line.startswith("simulated/") for line in lines)


@pytest.mark.parametrize(
    ("options", "conditions"),
    [
        (["--vision"], {"vision": True}),
        (["--free"], {"free": True}),
        (["--tools", "echo"], {"tools": True, "text": "echo"}),
        (["--max-price", "0.6"], {"max_price": "0.6"}),
    ],
)
def test_json_lists_the_models_that_meet_the_options(
    sim: Simulator,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    conditions: dict[str, object],
) -> None:
    """The options are the arguments of `Catalog.find`, with the price per million tokens."""
    assert main(["models", "--json", *options]) == 0
    models = json.loads(capsys.readouterr().out)
    catalog = Catalog.fetch(ConnectionSettings(base_url=sim.base_url))
    expected = catalog.find(**conditions)  # type: ignore[arg-type]
    assert [model["id"] for model in models] == [model.id for model in expected]
    assert all("raw" not in model for model in models)


def test_a_saved_catalogue_is_read_without_a_request(
    sim: Simulator, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It is a file of `Catalog.save`."""
    Catalog.fetch(ConnectionSettings(base_url=sim.base_url)).save(tmp_path / "models.json")
    sim.clear()
    assert main(["models", "--json", "--file", str(tmp_path / "models.json")]) == 0
    assert json.loads(capsys.readouterr().out)
    assert sim.requests == []


def test_a_failed_request_is_a_line_on_standard_error(
    sim: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And exit status 1."""
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url + "/nowhere")
    assert main(["models"]) == 1
    assert "status 404" in capsys.readouterr().err


def test_an_invalid_option_is_a_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file, and a price that is not a number."""
    assert main(["models", "--file", "/nowhere/at/all"]) == 1
    assert "/nowhere/at/all" in capsys.readouterr().err
    assert main(["models", "--max-price", "abc"]) == 1
    assert "--max-price must be a number of USD, not 'abc'" in capsys.readouterr().err
    with pytest.raises(ConfigurationError, match="max_price must be a number of USD"):
        Catalog().find(max_price="cheap")


def test_the_package_runs_as_a_module(sim: Simulator) -> None:
    """In a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "onerouter_core", "models", "--json", "echo"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert json.loads(done.stdout)
