"""The live set works before it costs money: here it asks the simulator."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from onerouter_simulator import Simulator

pytestmark = pytest.mark.timeout(180)  # each test is a test run of its own

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "tests/live").glob("test_live_*.py"))
QUESTIONS = [
    question
    for module in MODULES
    for question in re.findall(r'^    """(.+\?)"""', module.read_text("utf-8"), re.MULTILINE)
]


def run(sim: Simulator, **variables: str) -> str:
    """Run the live set against the simulator, with these variables set, and return the output."""
    env = {**os.environ, "ONEROUTER_BASE_URL": sim.base_url, **variables}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", "tests/live"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def paid(sim: Simulator) -> int:
    """Count the requests that the gateway would have charged for."""
    right = f"Bearer {sim.api_key}"
    return sum(
        request.headers.get("authorization") == right and isinstance(request.body, dict)
        for request in sim.requests
        if request.path == "/v1/chat/completions"
    )


def test_every_question_is_settled(sim: Simulator) -> None:
    """A table holds evidence for each, and says what it cost; the key is not in it."""
    said = run(sim, ONEROUTER_API_KEY=sim.api_key)
    rows = [line.split(" | ") for line in said.splitlines() if line.startswith("| ")]
    settled = {row[0].removeprefix("| ") for row in rows}
    assert len(QUESTIONS) > 15
    assert set(QUESTIONS) <= settled
    assert all(len(row) == 4 for row in rows)
    assert "not settled" not in said
    assert sim.api_key not in said
    spent = re.search(r"Ledger: (\d+) replies, ([\d.]+) of 0.10 USD", said)
    assert spent is not None
    assert int(spent[1]) > 30
    assert 0 < Decimal(spent[2]) < Decimal("0.10")
    assert paid(sim) > 40


@pytest.mark.parametrize(("budget", "most"), [("0", 0), ("0.001", 40)])
def test_the_budget_stops_it(sim: Simulator, budget: str, most: int) -> None:
    """What would cost more than is left is not sent, and its question is not settled."""
    said = run(sim, ONEROUTER_API_KEY=sim.api_key, ONEROUTER_LIVE_BUDGET=budget)
    assert "not settled" in said
    assert f"the budget of {budget} USD" in said
    assert "AuthenticationError" in said  # refusals cost nothing
    assert paid(sim) <= most


def test_without_a_key_nothing_is_sent(sim: Simulator) -> None:
    """Everything is skipped, and the reason is said."""
    said = run(sim)
    assert "set ONEROUTER_API_KEY" in said
    assert "passed" not in said
    assert sim.requests == []
