"""Every behaviour of the table, for both classes, in all modes, over both backends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.adapters import WAYS, User
from tests.faults.cases import Outcome, Row, complaints
from tests.faults.conftest import CLASSES
from tests.faults.rows import GROUPS
from tests.faults.server import Line, Server

TIMED = [row for rows in GROUPS.values() for row in rows if row.options]
TRIES = 5


def cases() -> Iterator[Any]:
    """Cross the rows that take no time with both classes and all ways."""
    for group, rows in GROUPS.items():
        for row in rows:
            for name in CLASSES:
                for way in WAYS:
                    if way.mode in row.modes and not row.options:
                        yield pytest.param(row, name, way, id=f"{group}-{row.name}-{name}-{way}")


@pytest.mark.parametrize(("row", "name", "way"), list(cases()))
def test_a_behaviour(server: Server, user: User, row: Row) -> None:
    """The right answer or the right error, from the right number of requests."""
    for retries in (0, 2):
        line = server.line(*row.said_to(user.mode))
        got = user.calls(line, max_retries=retries)
        wrong = judged(row, user.mode, retries, got, line)
        assert not wrong, wrong


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("name", CLASSES)
def test_behaviours_that_take_time(server: Server, user: User) -> None:
    """The same, all at once; a machine that was busy may try those that were late again."""
    left = [(row, retries) for row in TIMED if user.mode in row.modes for retries in (0, 2)]
    for _ in range(TRIES):
        lines = [server.line(*row.said_to(user.mode)) for row, _ in left]
        options = [{**row.options, "max_retries": retries} for row, retries in left]
        outcomes = user.calls_at_once(list(zip(lines, options, strict=True)))
        found = [
            judged(row, user.mode, retries, got, line)
            for (row, retries), line, got in zip(left, lines, outcomes, strict=True)
        ]
        left = [case for case, wrong in zip(left, found, strict=True) if wrong]
        if not left:
            return
    pytest.fail("\n".join(wrong for wrong in found if wrong))


def judged(row: Row, mode: str, retries: int, got: Outcome, line: Line) -> str:
    """Return what is wrong with an outcome, in words."""
    wrong = complaints(row, mode, retries, got, len(line.requests))
    return f"{row.name}, max_retries={retries}: {'; '.join(wrong)}" if wrong else ""
