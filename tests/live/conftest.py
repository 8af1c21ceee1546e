"""Live tests: open questions about the gateway, sent to the real gateway. `make live` runs them.

Each test asks the question in its docstring and records evidence; the report at the end is a table.
Nothing is sent without ONEROUTER_API_KEY, and not more is spent than ONEROUTER_LIVE_BUDGET
(0.10 USD). ONEROUTER_BASE_URL and ONEROUTER_MODEL are the gateway and the model.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from onerouter_core import Ledger
from onerouter_core.connection import DEFAULT_BASE_URL
from onerouter_core.errors import BudgetExceededError
from tests.live.answer_summary import summarize_answers
from tests.live.evidence import Evidence, to_markdown
from tests.live.gateway import Answer, Gateway

# Read at import: a fixture of tests/conftest.py removes these variables before a test runs.
KEY = os.environ.get("ONEROUTER_API_KEY")
BASE_URL = os.environ.get("ONEROUTER_BASE_URL", DEFAULT_BASE_URL).rstrip("/")
MODEL = os.environ.get("ONEROUTER_MODEL", "deepseek/deepseek-v4-flash")
BUDGET = os.environ.get("ONEROUTER_LIVE_BUDGET", "0.10")

EVIDENCE = pytest.StashKey[list[Evidence]]()
GATEWAY = pytest.StashKey[Gateway]()


@dataclass
class Question:
    """A question, the gateway that is asked, and the evidence of all tests so far."""

    text: str
    gateway: Gateway
    evidence: list[Evidence]

    def settle(self, sent: str, received: Answer | str, verdict: str) -> None:
        """Record the request, the response, and the answer to the question."""
        self.evidence.append(Evidence(self.text, sent, str(received), verdict))


@pytest.fixture(scope="session", autouse=True)
def _single_certificate() -> None:
    """Trust all certificates, not one as in the other tests."""


@pytest.fixture(scope="session")
def gateway(pytestconfig: pytest.Config) -> Gateway:
    """Provide the gateway; skip all tests without a key."""
    if not KEY:
        pytest.skip("the live tests spend money: set ONEROUTER_API_KEY to run them")
    pytestconfig.stash[GATEWAY] = Gateway(BASE_URL, KEY, MODEL, Ledger(BUDGET))
    return pytestconfig.stash[GATEWAY]


@pytest.fixture
def question(request: pytest.FixtureRequest, gateway: Gateway) -> Iterator[Question]:
    """Provide the question in the test's docstring; record it if the test did not settle it."""
    evidence = request.config.stash.setdefault(EVIDENCE, [])
    before = len(evidence)
    text = inspect.cleandoc(request.function.__doc__).splitlines()[0]
    yield Question(text, gateway, evidence)
    if len(evidence) == before:
        evidence.append(Evidence(text, request.node.name, "-", "not settled"))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Iterator[Any]:
    """Skip a test that would exceed the budget."""
    try:
        return (yield)
    except BudgetExceededError as error:
        pytest.skip(f"the budget of {BUDGET} USD: {error}")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the evidence, a summary of all answers, and the cost."""
    gateway = config.stash.get(GATEWAY, None)
    if gateway is not None:
        rows = [*config.stash.get(EVIDENCE, []), *summarize_answers(gateway.answers)]
        terminalreporter.section(f"open questions about the gateway: {BASE_URL}, {MODEL}")
        terminalreporter.write_line(to_markdown(rows))
        terminalreporter.write_line(f"\n{gateway.ledger!r}".replace(">", "").replace("<", ""))
