"""Open questions about the gateway, put to the gateway itself: `make live`.

Each test asks one question, which its docstring says, and notes evidence; at the end it is all
printed as a table. Nothing is sent without ONEROUTER_API_KEY, and no more is spent than
ONEROUTER_LIVE_BUDGET (0.10 USD). ONEROUTER_BASE_URL and ONEROUTER_MODEL say whom to ask.
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
from tests.live.evidence import Evidence, to_markdown
from tests.live.gateway import Answer, Gateway
from tests.live.seen import seen_in

# Read now: the environment is clean by the time that a test runs.
KEY = os.environ.get("ONEROUTER_API_KEY")
WHERE = os.environ.get("ONEROUTER_BASE_URL", DEFAULT_BASE_URL).rstrip("/")
MODEL = os.environ.get("ONEROUTER_MODEL", "deepseek/deepseek-v4-flash")
BUDGET = os.environ.get("ONEROUTER_LIVE_BUDGET", "0.10")

NOTED = pytest.StashKey[list[Evidence]]()
ASKED = pytest.StashKey[Gateway]()


@dataclass
class Question:
    """A question, whom to ask, and what came of it so far."""

    text: str
    gateway: Gateway
    noted: list[Evidence]

    def settle(self, sent: str, came: Answer | str, verdict: str) -> None:
        """Note what was sent, what came and what follows."""
        self.noted.append(Evidence(self.text, sent, str(came), verdict))


@pytest.fixture(scope="session")
def gateway(pytestconfig: pytest.Config) -> Gateway:
    """Reach the gateway; skip everything without a key."""
    if not KEY:
        pytest.skip("the live set spends money: set ONEROUTER_API_KEY to run it")
    pytestconfig.stash[ASKED] = Gateway(WHERE, KEY, MODEL, Ledger(BUDGET))
    return pytestconfig.stash[ASKED]


@pytest.fixture
def question(request: pytest.FixtureRequest, gateway: Gateway) -> Iterator[Question]:
    """Give the test the question that its docstring asks, and note if nothing came of it."""
    noted = request.config.stash.setdefault(NOTED, [])
    before = len(noted)
    text = inspect.cleandoc(request.function.__doc__).splitlines()[0]
    yield Question(text, gateway, noted)
    if len(noted) == before:
        noted.append(Evidence(text, request.node.name, "-", "not settled"))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Iterator[Any]:
    """Skip what the budget does not allow."""
    try:
        return (yield)
    except BudgetExceededError as error:
        pytest.skip(f"the budget of {BUDGET} USD: {error}")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the evidence, what all answers together show, and what it cost."""
    gateway = config.stash.get(ASKED, None)
    if gateway is not None:
        rows = [*config.stash.get(NOTED, []), *seen_in(gateway.answers)]
        terminalreporter.section(f"open questions about the gateway: {WHERE}, {MODEL}")
        terminalreporter.write_line(to_markdown(rows))
        terminalreporter.write_line(f"\n{gateway.ledger!r}".replace(">", "").replace("<", ""))
