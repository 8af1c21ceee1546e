"""The plugin of pytest, in a pytest of its own: the fixture, its environment, and its failures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.pages import blocks_of

ROOT = Path(__file__).parents[2]
Run: TypeAlias = "subprocess.CompletedProcess[str]"

TESTS = """
import os, socket, threading
import pytest
from onerouter_core import Gateway, Message, Request, Text, Catalog
from langchain_onerouter import ChatOneRouter

BEFORE = os.environ.get("ONEROUTER_API_KEY")

def test_environment(onerouter):
    assert ChatOneRouter(model="a/b").invoke("Hello").text == "You said: Hello"
    assert onerouter.last.body["model"] == "a/b"

async def ask():
    return (await ChatOneRouter(model="a/b").ainvoke("Hello")).text

def test_async_and_cleared(onerouter):
    import asyncio
    assert onerouter.requests == []
    assert asyncio.run(ask()) == "You said: Hello"

def test_restored():
    assert os.environ.get("ONEROUTER_API_KEY") == BEFORE
    assert "connect" not in vars(socket.socket)

def test_elsewhere(onerouter):
    ChatOneRouter(model="a/b", base_url="https://gateway.test/v1", max_retries=0).invoke("Hello")

def test_caught(onerouter):
    with pytest.raises(OSError):
        socket.create_connection(("192.0.2.1", 443), timeout=1)

def connect():
    try:
        socket.create_connection(("192.0.2.2", 443), timeout=1)
    except OSError:
        pass

def test_thread(onerouter):
    thread = threading.Thread(target=connect)
    thread.start()
    thread.join()

def test_after():
    assert "connect" not in vars(socket.socket)

@pytest.fixture
def late(onerouter):
    yield
    connect()

def test_late(late):
    pass

def test_stopped(onerouter):
    onerouter.stop()

@pytest.fixture
def own(onerouter):
    return onerouter

def test_proxy(own):
    assert "127.0.0.1" in os.environ["NO_PROXY"].split(",")
    assert Catalog.fetch().get("simulated/echo")
"""


def run_pytest(folder: Path, *arguments: str, tests: str = TESTS, **environment: str) -> Run:
    """Run tests with no plugin but ours, unless the environment says more."""
    (folder / "test_app.py").write_text(tests, "utf-8")
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": "",
        "COLUMNS": "500",
        "HTTP_PROXY": "http://proxy.test:3128",
        **environment,
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *arguments]
    return subprocess.run(  # noqa: S603 -- our own interpreter
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the tests once, with all warnings as errors."""
    folder = tmp_path_factory.mktemp("app")
    return run_pytest(folder, "-W", "error", "-p", "onerouter_simulator.pytest_plugin")


@pytest.mark.parametrize(
    "name",
    [
        "test_environment",
        "test_async_and_cleared",
        "test_restored",
        "test_after",
        "test_proxy",
        "test_stopped",
    ],
)
def test_the_fixture_is_a_simulator_that_the_environment_names(outcome: Run, name: str) -> None:
    """For one test, without what was before; another fixture can use it."""
    assert f"PASSED test_app.py::{name}\n" in outcome.stdout, outcome.stdout


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("test_elsewhere", "the test connects to gateway.test:443, which is not this machine"),
        ("test_caught", "The test connects to 192.0.2.1:443. The fixture `onerouter` allows"),
        ("test_thread", "The test connects to 192.0.2.2:443. The fixture `onerouter` allows"),
    ],
)
def test_a_connection_to_another_machine_fails_the_test(
    outcome: Run, name: str, reason: str
) -> None:
    """Also one whose error is caught, and one in a thread; the message names the address."""
    lines = outcome.stdout.splitlines()
    failures = [line for line in lines if line.startswith(f"FAILED test_app.py::{name} ")]
    assert len(failures) == 1, outcome.stdout
    assert reason in failures[0]


def test_each_test_has_one_result(outcome: Run) -> None:
    """A refused connection is a failure of the test, and no second error at its end."""
    assert "3 failed, 7 passed, 1 error" in outcome.stdout


def test_a_connection_after_the_test_is_an_error(outcome: Run) -> None:
    """One that a fixture makes when it ends."""
    assert "ERROR test_app.py::test_late - Failed: The test connects to 192.0.2.2:443." in (
        outcome.stdout
    )


def test_without_the_fixture_nothing_is_imported(tmp_path: Path) -> None:
    """The plugin costs a test suite that does not use it nothing."""
    tests = """
import sys
def test_nothing():
    heavy = {"starlette", "uvicorn", "onerouter_simulator.server", "onerouter_core"}
    assert not heavy & sys.modules.keys()
    assert "onerouter_simulator.pytest_plugin" in sys.modules
"""
    done = run_pytest(tmp_path, "-p", "onerouter_simulator.pytest_plugin", tests=tests)
    assert "1 passed" in done.stdout, done.stdout


def test_the_entry_point_loads_the_plugin_once(tmp_path: Path) -> None:
    """Also if the option -p names it, too; `-p no:` and the name switches it off."""
    info = tmp_path / "site" / "onerouter_plugin-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onerouter-plugin\nVersion: 1\n")
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    _, _, entry = project.partition("[project.entry-points.pytest11]\n")
    (info / "entry_points.txt").write_text("[pytest11]\n" + entry.splitlines()[0].replace('"', ""))
    tests = "def test_it(onerouter): assert onerouter.base_url"
    path = {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path / 'site'}"}
    name = "onerouter_simulator.pytest_plugin"
    done = run_pytest(tmp_path, "-p", name, tests=tests, **path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    done = run_pytest(tmp_path, f"-p no:{name}", tests=tests, **path)
    assert "fixture 'onerouter' not found" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("framework", "model_class"),
    [
        ("LangChain", "langchain_onerouter import ChatOneRouter"),
        ("LlamaIndex", "llama_index_onerouter import OneRouterLLM"),
    ],
)
def test_the_tests_on_the_pages_pass(tmp_path: Path, framework: str, model_class: str) -> None:
    """They need no import for the fixture."""
    blocks = [
        block.code
        for page in ("README.md", "docs/testing.md")
        for block in blocks_of(page, framework)
    ]
    tests = [
        f"from {model_class}",
        "from onerouter_simulator import Simulator",
        *(code for code in blocks if "def test_" in code),
    ]
    plugin = "onerouter_simulator.pytest_plugin"
    done = run_pytest(tmp_path, "-p", plugin, tests="\n".join(tests))
    assert "2 passed" in done.stdout, done.stdout
