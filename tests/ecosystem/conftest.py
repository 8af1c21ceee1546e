"""Fixtures of the ecosystem tests: guarded environment, models on the simulator, a collector.

The tests name the packages that they show: `@pytest.mark.package("ragas", "scores an answer")`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_core import Ledger
from onerouter_simulator import Simulator
from tests.ecosystem import guard
from tests.ecosystem.collector import Collector, running
from tests.ecosystem.table import Results

guard.install()  # before the packages are imported, which is when they read their variables

MODEL = "simulated/echo"
results = Results()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes the table."""
    parser.addoption("--page", action="store_true", help="write the table of docs/ecosystem.md")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; warnings of the packages are theirs, those of our classes are errors."""
    config.addinivalue_line("markers", "package(name, shown): a row of docs/ecosystem.md")
    config.addinivalue_line("filterwarnings", "ignore")
    config.addinivalue_line(
        "filterwarnings", "error:::(onerouter_|langchain_onerouter|llama_index_onerouter)"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Attach the packages that a test names to its report, which workers of pytest-xdist send."""
    for marker in reversed(list(item.iter_markers("package"))):
        item.user_properties.append(("package", marker.args))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect the outcome of a test."""
    packages = [value for name, value in report.user_properties if name == "package"]
    if report.when == "call" or report.failed:
        results.add(packages, failed=not report.passed)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the table, unless this is a worker of pytest-xdist."""
    if session.config.getoption("--page") and not hasattr(session.config, "workerinput"):
        results.write()


@pytest.fixture(autouse=True)
def _only_loopback() -> Iterator[None]:
    """Fail a test in which a package has tried to reach another host."""
    guard.attempts.clear()
    yield
    assert guard.attempts == []


@pytest.fixture(autouse=True)
def gateway(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """Point both classes at the simulator, as a user does: by environment variables."""
    monkeypatch.setenv("ONEROUTER_API_KEY", sim.api_key)
    monkeypatch.setenv("ONEROUTER_BASE_URL", sim.base_url)
    return sim


@pytest.fixture
def ledger() -> Ledger:
    """Provide the record of what the gateway counted."""
    return Ledger()


@pytest.fixture
def chat_model(gateway: Simulator, ledger: Ledger) -> ChatOneRouter:
    """Provide ChatOneRouter."""
    return ChatOneRouter(model=MODEL, ledger=ledger)


@pytest.fixture
def llm(gateway: Simulator, ledger: Ledger) -> OneRouterLLM:
    """Provide OneRouterLLM."""
    return OneRouterLLM(model=MODEL, ledger=ledger)


@pytest.fixture(scope="session")
def running_collector() -> Iterator[Collector]:
    """Run a server that stands in for those of the tracers."""
    yield from running()


@pytest.fixture
def collector(running_collector: Collector) -> Collector:
    """Provide the server, without what it has received so far."""
    running_collector.received.clear()
    return running_collector


def counted(ledger: Ledger) -> tuple[int, int]:
    """Return the prompt and completion tokens that the gateway counted."""
    return (
        sum(entry.input_tokens for entry in ledger.entries),
        sum(entry.output_tokens for entry in ledger.entries),
    )
