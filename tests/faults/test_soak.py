"""A soak of a few seconds, and the checks of the soak itself. Speed is not tested."""

from __future__ import annotations

import gc
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from benchmarks.soak import SoakResult, Tally
from benchmarks.soak_server import (
    FAULT_CASES,
    MAX_RETRIES,
    ExpectedOutcome,
    answer_text,
    scheduled_fault,
)
from onerouter_core.call_state import CallState
from onerouter_core.deadlines import ReadTimeout
from onerouter_core.errors import AuthenticationError, UpstreamError
from tests.core.payloads import completion
from tests.faults.adapters import VARIANTS, CallVariant
from tests.faults.cases import Outcome
from tests.faults.conftest import CLASSES, MakeCaller
from tests.faults.http_scripts import response
from tests.faults.server import Server

ASYNC_VARIANTS = [variant for variant in VARIANTS if variant.backend]
ROOT = Path(__file__).parents[2]
SHORT = ["--seconds=3", "--streams=60", "--threads=8", "--pace=0.01", "--stall=3"]


@pytest.mark.timeout(300)  # it takes about ten seconds on an idle machine
def test_a_short_soak_finds_no_problem() -> None:
    """Every call has its expected outcome, from as many requests as attempts; all sockets close.

    It runs in a process of its own: the other tests use the same connection pool.
    """
    done = subprocess.run(  # noqa: S603 -- our own command
        [sys.executable, "-m", "benchmarks.soak", *SHORT],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every call had its expected outcome." in done.stdout


@pytest.mark.parametrize("variant", ASYNC_VARIANTS, ids=str)
@pytest.mark.parametrize("name", CLASSES)
def test_a_finished_call_is_garbage_collected(
    server: Server, make_caller: MakeCaller, name: str, variant: CallVariant
) -> None:
    """No timer outlives its call: it would keep the messages in memory for minutes."""
    error, good = response({"error": {"message": "no"}}, 401), response(completion("Hi"))
    endpoint = server.endpoint(error, error, good, good)
    before = count_live_calls()
    for _ in range(4):
        make_caller(name, variant).call(endpoint, timeout=600.0)
    assert count_live_calls() == before


def count_live_calls() -> int:
    """Return the number of calls and read timeouts that are still referenced."""
    gc.collect()
    return sum(isinstance(item, ReadTimeout | CallState) for item in gc.get_objects())


def test_about_one_request_in_twenty_fails() -> None:
    """Most of the fault cases can be drawn, in each mode."""
    for mode, cases in FAULT_CASES.items():
        assert len(cases) > 150
        drawn = [scheduled_fault(number, mode, 0) for number in range(10_000)]
        assert 400 < sum(case is not None for case in drawn) < 600


def first_call(error: str | None, *, attempts: int = 1) -> tuple[int, ExpectedOutcome]:
    """Return the first call with this expected error and number of attempts."""
    calls = ((number, ExpectedOutcome.for_call(number, "stream")) for number in count())
    return next(
        (number, expected)
        for number, expected in calls
        if (expected.error, expected.attempts) == (error, attempts)
        and not (expected.is_silent or expected.is_reset)
    )


def tally_of(number: int, expected: ExpectedOutcome, outcome: Outcome) -> Tally:
    """Return the tally after one call."""
    tally = Tally(0.0, 1.0)
    tally.record(number, expected, outcome)
    return tally


def test_the_expected_outcome_is_accepted() -> None:
    """The expected answer, at once or after retries, and the expected error."""
    for attempts in range(1, MAX_RETRIES + 1):
        number, expected = first_call(None, attempts=attempts)
        assert tally_of(number, expected, Outcome(answer_text(number))).wrong == []
    number, expected = first_call("AuthenticationError")
    error = AuthenticationError("no", attempts=1)
    assert tally_of(number, expected, Outcome(error=error)).wrong == []


@pytest.mark.parametrize("attempts", [1, 2])
def test_another_outcome_is_wrong(attempts: int) -> None:
    """The answer of another call, half an answer, none, another error, or too many attempts."""
    number, expected = first_call(None, attempts=attempts)
    for outcome in (
        Outcome(answer_text(number + 1)),
        Outcome(answer_text(number)[:-1]),
        Outcome(),
        Outcome(error=UpstreamError("down", attempts=attempts)),
    ):
        assert tally_of(number, expected, outcome).wrong
    number, expected = first_call("AuthenticationError")
    error = AuthenticationError("no", attempts=2)
    assert tally_of(number, expected, Outcome(error=error)).wrong
    assert tally_of(number, expected, Outcome(answer_text(number))).wrong


def test_a_timeout_after_silence_is_accepted() -> None:
    """A busy machine may be late after a silent attempt; its text must still be right."""
    number, expected = first_call(None, attempts=2)
    expected = replace(expected, is_silent=True)
    late = type("APITimeoutError", (Exception,), {"attempts": 3})("late")
    assert tally_of(number, expected, Outcome(answer_text(number)[:9], error=late)).wrong == []
    assert tally_of(number, expected, Outcome(answer_text(number + 1)[:9], error=late)).wrong


def result(**changes: Any) -> SoakResult:
    """Return the result of one good call with these changes."""
    tally = tally_of(0, ExpectedOutcome(answer_text(0), None, 1), Outcome(answer_text(0)))
    counts = {"retries": 0, "descriptors_before": 8, "descriptors_after": 8}
    records = {"memory": [(0.0, 1.0)], "requests_by_call": {0: 1}, "faults": {}}
    return SoakResult(**{"tally": tally, **counts, **records, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"requests_by_call": {0: 2}},
        {"requests_by_call": {}},
        {"retries": 1},
        {"descriptors_after": 9},
    ],
)
def test_a_wrong_count_is_a_problem(changes: dict[str, Any]) -> None:
    """A request that came twice or never, a lost attempt, an open descriptor."""
    assert result().problems() == []
    assert result(**changes).problems() != []


def test_the_memory_slope_leaves_out_the_first_third() -> None:
    """The slope is that of the last two thirds of the time, in MB per minute."""
    steady = [(float(second), 100.0 + second / 60) for second in range(30, 90)]
    warming = [(float(second), float(second)) for second in range(30)]
    assert result(memory=[*warming, *steady]).slope == pytest.approx(1.0)
