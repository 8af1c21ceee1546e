"""The soak, for a few seconds, and that it sees what it looks for. No speed is asked for."""

from __future__ import annotations

import gc
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from benchmarks.soak import Result, Tally
from benchmarks.soak_server import RETRIES, WAYS, Plan, answer, failure
from onerouter_core.call_state import Call
from onerouter_core.deadlines import ReadTimeout
from onerouter_core.errors import AuthenticationError, UpstreamError
from tests.core.payloads import completion
from tests.faults.adapters import WAYS as WAYS_TO_BE_ASKED
from tests.faults.adapters import Way
from tests.faults.cases import Outcome
from tests.faults.conftest import CLASSES, Users
from tests.faults.http_scripts import http
from tests.faults.server import Server

WAYS_TO_ASK = [way for way in WAYS_TO_BE_ASKED if way.backend]
ROOT = Path(__file__).parents[2]
SHORT = ["--seconds=3", "--streams=60", "--threads=8", "--pace=0.01", "--stall=3"]


@pytest.mark.timeout(300)  # it takes about ten seconds, on a machine with nothing else to do
def test_a_short_soak() -> None:
    """Every call ends as it must, with as many requests as attempts, and nothing is left open.

    In a process of its own: the connections of others here are in the same pool.
    """
    done = subprocess.run(  # noqa: S603 -- our own words
        [sys.executable, "-m", "benchmarks.soak", *SHORT],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every call ended as it must." in done.stdout


@pytest.mark.parametrize("way", WAYS_TO_ASK, ids=str)
@pytest.mark.parametrize("name", CLASSES)
def test_a_call_is_forgotten(server: Server, users: Users, name: str, way: Way) -> None:
    """No timer outlives the call it was set for: it would keep the messages for minutes."""
    refusal, good = http({"error": {"message": "no"}}, 401), http(completion("Hi"))
    line = server.line(refusal, refusal, good, good)
    before = remembered()
    for _ in range(4):
        users(name, way).calls(line, timeout=600.0)
    assert remembered() == before


def remembered() -> int:
    """Return how many calls are still held by anything."""
    gc.collect()
    return sum(isinstance(one, ReadTimeout | Call) for one in gc.get_objects())


def test_there_are_many_ways_to_fail() -> None:
    """The suite's rows are all there, and about one request in twenty meets one."""
    for mode, rows in WAYS.items():
        assert len(rows) > 150
        met = [failure(number, mode, 0) for number in range(10_000)]
        assert 400 < sum(row is not None for row in met) < 600


def first(error: str | None, *, attempts: int = 1) -> tuple[int, Plan]:
    """Return the first call that must end so, and how it must."""
    plans = ((number, Plan.of(number, "stream")) for number in count())
    return next(
        (number, plan)
        for number, plan in plans
        if (plan.error, plan.attempts) == (error, attempts)
        and not (plan.is_silent or plan.is_reset)
    )


def judged(number: int, plan: Plan, got: Outcome) -> Tally:
    """Return the tally after one call."""
    tally = Tally(0.0, 1.0)
    tally.judge(number, plan, got)
    return tally


def test_what_is_right() -> None:
    """The answer of that number, at once or after retries; the error that is planned."""
    for attempts in range(1, RETRIES + 1):
        number, plan = first(None, attempts=attempts)
        assert judged(number, plan, Outcome(answer(number))).wrong == []
    number, plan = first("AuthenticationError")
    error = AuthenticationError("no", attempts=1)
    assert judged(number, plan, Outcome(error=error)).wrong == []


@pytest.mark.parametrize("attempts", [1, 2])
def test_what_is_wrong(attempts: int) -> None:
    """Another's answer, half of one, none, an error where none is due, or too many attempts."""
    number, plan = first(None, attempts=attempts)
    for got in (
        Outcome(answer(number + 1)),
        Outcome(answer(number)[:-1]),
        Outcome(),
        Outcome(error=UpstreamError("down", attempts=attempts)),
    ):
        assert judged(number, plan, got).wrong
    number, plan = first("AuthenticationError")
    error = AuthenticationError("no", attempts=2)
    assert judged(number, plan, Outcome(error=error)).wrong
    assert judged(number, plan, Outcome(answer(number))).wrong


def test_a_busy_machine_is_no_fault() -> None:
    """Who waits for a silent server may be late; still the answer must be the right one."""
    number, plan = first(None, attempts=2)
    plan = replace(plan, is_silent=True)
    late = type("APITimeoutError", (Exception,), {"attempts": 3})("late")
    assert judged(number, plan, Outcome(answer(number)[:9], error=late)).wrong == []
    assert judged(number, plan, Outcome(answer(number + 1)[:9], error=late)).wrong


def result(**changes: Any) -> Result:
    """Return a result of one good call, but for these changes."""
    tally = judged(0, Plan(answer(0), None, 1), Outcome(answer(0)))
    facts = {"memory": [(0.0, 1.0)], "retries": 0, "open_before": 8, "open_after": 8}
    return Result(**{"tally": tally, **facts, "asked": {0: 1}, "played": {}, **changes})


@pytest.mark.parametrize(
    "changes", [{"asked": {0: 2}}, {"asked": {}}, {"retries": 1}, {"open_after": 9}]
)
def test_what_must_not_be(changes: dict[str, Any]) -> None:
    """A request that came twice, an attempt that went nowhere, a descriptor that is left."""
    assert result().problems() == []
    assert result(**changes).problems() != []


def test_the_slope_of_memory() -> None:
    """It is taken once the first third of the time is over."""
    steady = [(float(second), 100.0 + second / 60) for second in range(30, 90)]
    warming = [(float(second), float(second)) for second in range(30)]
    assert result(memory=[*warming, *steady]).slope == pytest.approx(1.0)
