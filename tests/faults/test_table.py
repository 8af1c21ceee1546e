"""Every fault case, for both classes, in all call variants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.adapters import VARIANTS, Caller
from tests.faults.cases import FaultCase, Outcome, find_problems
from tests.faults.conftest import CLASSES
from tests.faults.fault_cases import GROUPS
from tests.faults.server import Endpoint, Server

TIMED_CASES = [case for cases in GROUPS.values() for case in cases if case.options]
TRIES = 5  # a busy machine may be late


def untimed_cases() -> Iterator[Any]:
    """Yield the cases without a timeout, with both classes and all variants."""
    for group, cases in GROUPS.items():
        for case in cases:
            for name in CLASSES:
                for variant in VARIANTS:
                    if variant.mode in case.modes and not case.options:
                        test_id = f"{group}-{case.name}-{name}-{variant}"
                        yield pytest.param(case, name, variant, id=test_id)


@pytest.mark.parametrize(("case", "name", "variant"), list(untimed_cases()))
def test_fault_case(server: Server, caller: Caller, case: FaultCase) -> None:
    """The outcome and the number of requests are the expected ones."""
    for max_retries in (0, 2):
        endpoint = server.endpoint(*case.scripts_for(caller.mode))
        outcome = caller.call(endpoint, max_retries=max_retries)
        report = describe_problems(case, caller.mode, max_retries, outcome, endpoint)
        assert not report, report


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("name", CLASSES)
def test_fault_cases_with_a_timeout(server: Server, caller: Caller) -> None:
    """The cases with a timeout run at the same time; those that fail are tried again."""
    mode = caller.mode
    remaining = [(case, n) for case in TIMED_CASES if mode in case.modes for n in (0, 2)]
    for _ in range(TRIES):
        endpoints = [server.endpoint(*case.scripts_for(mode)) for case, _ in remaining]
        options = [{**case.options, "max_retries": n} for case, n in remaining]
        outcomes = caller.call_concurrently(list(zip(endpoints, options, strict=True)))
        reports = [
            describe_problems(case, mode, max_retries, outcome, endpoint)
            for (case, max_retries), endpoint, outcome in zip(
                remaining, endpoints, outcomes, strict=True
            )
        ]
        remaining = [case for case, report in zip(remaining, reports, strict=True) if report]
        if not remaining:
            return
    pytest.fail("\n".join(report for report in reports if report))


def describe_problems(
    case: FaultCase, mode: str, max_retries: int, outcome: Outcome, endpoint: Endpoint
) -> str:
    """Return the problems of an outcome on one line; an empty string if there are none."""
    problems = find_problems(case, mode, max_retries, outcome, len(endpoint.requests))
    return f"{case.name}, max_retries={max_retries}: {'; '.join(problems)}" if problems else ""
