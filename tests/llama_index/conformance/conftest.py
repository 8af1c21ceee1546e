"""Which class is tested, on which bench; the suite needs no fixture from outside this folder."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from importlib import import_module

import pytest

from onerouter_simulator import Simulator
from tests.llama_index.conformance.bench import Async, Bench, Sync
from tests.llama_index.conformance.subject import Subject

OURS = "tests.llama_index.conformance.ours"
VENDORS = ("OPENAI_", "ONEROUTER_", "INFRON_", "OPENROUTER_")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let another class be tested: `--subject package.module`, or `package.module:NAME`."""
    parser.addoption("--subject", default=OURS, help="module[:NAME] of the Subject to test")


@pytest.fixture(scope="session")
def subject(request: pytest.FixtureRequest) -> Subject:
    """Return the class under test. In a run of all tests the option is not known: it is ours."""
    module, _, name = request.config.getoption("subject", OURS).partition(":")
    found: Subject = getattr(import_module(module), name or "SUBJECT")
    return found


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    """Run one server for the whole session."""
    with Simulator(api_key="sk-never-to-be-shown") as running:
        yield running


@pytest.fixture
def sim(simulator: Simulator) -> Iterator[Simulator]:
    """Hand out the server with nothing recorded and nothing scripted."""
    simulator.clear()
    yield simulator
    simulator.clear()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the vendors' variables out; waits between retries stay as they are in life."""
    for name in tuple(os.environ):
        if name.startswith(VENDORS):
            monkeypatch.delenv(name)


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Iterator[Sync]:
    """Run the test once with each colour."""
    if request.param == "sync":
        yield Sync()
        return
    loop = asyncio.new_event_loop()
    yield Async(loop)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


@pytest.fixture
def bench(subject: Subject, sim: Simulator, colour: Sync) -> Iterator[Bench]:
    """Set up a bench, once in each colour."""
    bench = Bench(subject, sim, colour)
    yield bench
    close(bench)


@pytest.fixture
def plain_bench(subject: Subject, sim: Simulator) -> Iterator[Bench]:
    """Set up a bench for what has one colour."""
    bench = Bench(subject, sim, Sync())
    yield bench
    close(bench)


def close(bench: Bench) -> None:
    """Close what can be closed."""
    for llm in bench.made:
        if hasattr(llm, "close"):
            llm.close()
