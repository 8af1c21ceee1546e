"""Fixtures of all tests: a simulator, a clean environment, one certificate, no waits."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

from onerouter_core.retry import waiting
from onerouter_simulator import Simulator
from tests.one_certificate import write_one_certificate


@pytest.fixture(scope="module", autouse=True)
def _frozen_garbage_collector() -> None:
    """Have the garbage collector look only at what a module's tests make: many tests call it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    """Run one simulator for the whole session."""
    with Simulator() as running:
        yield running


@pytest.fixture
def sim(simulator: Simulator) -> Iterator[Simulator]:
    """Provide the simulator without recorded requests and without scripts."""
    simulator.clear()
    yield simulator
    simulator.clear()


@pytest.fixture(scope="session", autouse=True)
def _single_certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust one certificate only."""
    file = tmp_path_factory.mktemp("certificates") / "single.pem"
    write_one_certificate(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Remove the variables that a developer's shell may have; skip the waits between retries."""
    for name in tuple(os.environ):
        if name.startswith(("OPENAI_", "ONEROUTER_", "INFRON_", "LANGSMITH_", "LANGCHAIN_")):
            monkeypatch.delenv(name)
    with waiting(0):
        yield
