"""The live tests, run against the simulator: they work before they cost money."""

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


def run_live_tests(sim: Simulator, **variables: str) -> str:
    """Run the live tests against the simulator with these variables set; return the output."""
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


def count_billable_requests(sim: Simulator) -> int:
    """Return the number of requests that a real gateway would bill."""
    valid_key = f"Bearer {sim.api_key}"
    return sum(
        request.headers.get("authorization") == valid_key and isinstance(request.body, dict)
        for request in sim.requests
        if request.path == "/v1/chat/completions"
    )


def test_every_question_has_an_answer_in_the_report(sim: Simulator) -> None:
    """The report has a row for each question and the cost; the key is not in it."""
    output = run_live_tests(sim, ONEROUTER_API_KEY=sim.api_key)
    rows = [line.split(" | ") for line in output.splitlines() if line.startswith("| ")]
    answered = {row[0].removeprefix("| ") for row in rows}
    assert len(QUESTIONS) > 15
    assert set(QUESTIONS) <= answered
    assert all(len(row) == 4 for row in rows)
    assert "not settled" not in output
    assert sim.api_key not in output
    spent = re.search(r"Ledger: (\d+) replies, ([\d.]+) of 0.10 USD", output)
    assert spent is not None
    assert int(spent[1]) > 30
    assert 0 < Decimal(spent[2]) < Decimal("0.10")
    assert count_billable_requests(sim) > 40


@pytest.mark.parametrize(("budget", "max_requests"), [("0", 0), ("0.001", 40)])
def test_the_budget_limits_the_requests(sim: Simulator, budget: str, max_requests: int) -> None:
    """A request that may cost more than the rest of the budget is not sent."""
    output = run_live_tests(sim, ONEROUTER_API_KEY=sim.api_key, ONEROUTER_LIVE_BUDGET=budget)
    assert "not settled" in output
    assert f"the budget of {budget} USD" in output
    assert "AuthenticationError" in output  # sent all the same: HTTP errors cost nothing
    assert count_billable_requests(sim) <= max_requests


def test_without_a_key_nothing_is_sent(sim: Simulator) -> None:
    """All tests are skipped, with a reason."""
    output = run_live_tests(sim)
    assert "set ONEROUTER_API_KEY" in output
    assert "passed" not in output
    assert sim.requests == []
