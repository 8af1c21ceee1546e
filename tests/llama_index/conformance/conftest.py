"""Fixtures of the conformance suite; it uses no fixture from outside this folder."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from importlib import import_module

import pytest

from onerouter_simulator import Simulator
from tests.llama_index.conformance.adapter import Adapter
from tests.llama_index.conformance.harness import Async, Harness, Sync

DEFAULT_ADAPTER = "tests.llama_index.conformance.onerouter_adapter"
VENDOR_PREFIXES = ("OPENAI_", "ONEROUTER_", "INFRON_", "OPENROUTER_")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--adapter package.module` or `--adapter package.module:NAME`."""
    parser.addoption(
        "--adapter", default=DEFAULT_ADAPTER, help="module[:NAME] of the adapter to test"
    )


@pytest.fixture(scope="session")
def adapter(request: pytest.FixtureRequest) -> Adapter:
    """Return the adapter of the class under test.

    The option exists only if pytest starts in this folder; otherwise the default is used.
    """
    module, _, name = request.config.getoption("adapter", DEFAULT_ADAPTER).partition(":")
    found: Adapter = getattr(import_module(module), name or "ADAPTER")
    return found


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    """Run one server for the whole session."""
    with Simulator(api_key="sk-never-to-be-shown") as running:
        yield running


@pytest.fixture
def sim(simulator: Simulator) -> Iterator[Simulator]:
    """Return the server without recorded requests and scripted replies."""
    simulator.clear()
    yield simulator
    simulator.clear()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the vendors' environment variables; delays between retries are not changed."""
    for name in tuple(os.environ):
        if name.startswith(VENDOR_PREFIXES):
            monkeypatch.delenv(name)


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> Iterator[Sync]:
    """Run the test once with sync and once with async calls."""
    if request.param == "sync":
        yield Sync()
        return
    loop = asyncio.new_event_loop()
    yield Async(loop)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


@pytest.fixture
def harness(adapter: Adapter, sim: Simulator, mode: Sync) -> Iterator[Harness]:
    """Return a harness, once with sync and once with async calls; close its instances."""
    harness = Harness(adapter, sim, mode)
    yield harness
    close_instances(harness)


@pytest.fixture
def sync_harness(adapter: Adapter, sim: Simulator) -> Iterator[Harness]:
    """Return a harness for a test that runs only once; close its instances."""
    harness = Harness(adapter, sim, Sync())
    yield harness
    close_instances(harness)


def close_instances(harness: Harness) -> None:
    """Close the instances that have a `close` method."""
    for llm in harness.instances:
        if hasattr(llm, "close"):
            llm.close()
