"""Fault cases: the server's scripts, and the outcome that the caller must get.

This module knows the form of a case and compares outcomes with it. It knows neither of the two
classes, and no framework.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tests.faults.server import HTTPScript

ToolCalls: TypeAlias = Sequence[tuple[str, Mapping[str, Any]]]

# The errors that are retried, unless a delta has already been handed out.
RETRIED_ERRORS = {
    *("APIConnectionError", "APITimeoutError", "RateLimitError", "UpstreamError"),
    "IncompleteStreamError",
}


@dataclass(frozen=True)
class ScriptByMode:
    """Two scripts with the same meaning: for a complete response and for a stream."""

    complete: HTTPScript
    stream: HTTPScript


@dataclass(frozen=True)
class Expected:
    """The expected answer, or the expected error.

    Of an error, `text` is the partial text, `match` a pattern that its message must contain, and
    `attributes` are attributes that it must have.
    """

    text: str = ""
    tool_calls: ToolCalls = ()
    error: str | None = None
    match: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)


def succeeds(text: str = "Hi", *tool_calls: tuple[str, Mapping[str, Any]]) -> Expected:
    """Expect this answer."""
    return Expected(text, tool_calls)


def fails(error: str, partial: str = "", match: str = "", **attributes: Any) -> Expected:
    """Expect an error of this class with `partial` in it; a stream yields that text before it."""
    return Expected(partial, error=error, match=match, attributes=attributes)


@dataclass(frozen=True)
class FaultCase:
    """One behaviour of a server, and the outcome that it must have.

    `scripts` answer the requests, in this order. `requests` is the expected number of requests
    with `max_retries` of 0 and of 2; without it, it follows from the expected error.
    `after_retry` is the expected outcome with `max_retries=2` if it is another one. `options` are
    keyword arguments of the call. `max_seconds` is the longest time that a call may take.
    """

    name: str
    scripts: HTTPScript | ScriptByMode | Sequence[HTTPScript | ScriptByMode]
    expected: Expected
    requests: tuple[int, int] | None = None
    after_retry: Expected | None = None
    modes: tuple[str, ...] = ("complete", "stream")
    options: Mapping[str, Any] = field(default_factory=dict)
    max_seconds: float = 10.0

    def scripts_for(self, mode: str) -> list[HTTPScript]:
        """Return the scripts of this mode."""
        is_single = isinstance(self.scripts, ScriptByMode) or not isinstance(
            self.scripts[0], ScriptByMode | tuple
        )
        scripts: Any = [self.scripts] if is_single else self.scripts
        return [getattr(s, mode) if isinstance(s, ScriptByMode) else s for s in scripts]

    def expected_for(self, max_retries: int) -> Expected:
        """Return the expected outcome with this number of retries."""
        return self.after_retry if max_retries and self.after_retry else self.expected

    def expected_requests(self, mode: str, max_retries: int) -> int:
        """Return the expected number of requests."""
        if self.requests is not None:
            return self.requests[1 if max_retries else 0]
        has_deltas = mode == "stream" and self.expected.text
        is_retried = self.expected.error in RETRIED_ERRORS and not has_deltas
        return max_retries + 1 if is_retried else 1


def complete_only(name: str, *args: Any, **kwargs: Any) -> FaultCase:
    """Return a case for complete responses only."""
    return FaultCase(f"{name}, complete", *args, modes=("complete",), **kwargs)


def stream_only(name: str, *args: Any, **kwargs: Any) -> FaultCase:
    """Return a case for streams only."""
    return FaultCase(f"{name}, streamed", *args, modes=("stream",), **kwargs)


@dataclass
class Outcome:
    """The result of one call; of a stream, everything that came before its end or its error."""

    text: str = ""
    tool_calls: ToolCalls = ()
    error: BaseException | None = None
    seconds: float = 0.0


def find_problems(
    case: FaultCase, mode: str, max_retries: int, outcome: Outcome, requests: int
) -> list[str]:
    """Return the differences between an outcome and its case."""
    expected = case.expected_for(max_retries)
    if expected.error is None:
        problems = _problems_of_answer(expected, outcome)
    else:
        problems = _problems_of_error(expected, mode, outcome)
    if requests != (number := case.expected_requests(mode, max_retries)):
        problems.append(f"{requests} requests, not {number}")
    if outcome.seconds > case.max_seconds:
        problems.append(f"{outcome.seconds:.2f} s, not {case.max_seconds}")
    attempts = getattr(outcome.error, "attempts", requests)
    if attempts != requests:
        problems.append(f"error.attempts is {attempts}, there were {requests} requests")
    return problems


def _problems_of_answer(expected: Expected, outcome: Outcome) -> list[str]:
    if outcome.error is not None:
        return [f"{outcome.error!r}, not an answer"]
    return [
        f"{name} is {actual!r}, not {right!r}"
        for name, actual, right in (
            ("text", outcome.text, expected.text),
            ("tool_calls", list(outcome.tool_calls), list(expected.tool_calls)),
        )
        if actual != right
    ]


def _problems_of_error(expected: Expected, mode: str, outcome: Outcome) -> list[str]:
    error: Any = outcome.error
    if type(error).__name__ != expected.error:
        return [f"{error!r} ({outcome.text!r}), not {expected.error}"]
    attributes = {name: getattr(error, name) for name in expected.attributes}
    partial = getattr(error.partial, "text", "")
    checks = (
        ("attributes", attributes, dict(expected.attributes)),
        ("error.partial.text", partial, expected.text),
        ("streamed text", outcome.text, expected.text if mode == "stream" else ""),
    )
    problems = [
        f"{name} is {actual!r}, not {right!r}" for name, actual, right in checks if actual != right
    ]
    if not re.search(expected.match, str(error)):
        problems.append(f"the message is {error}, which does not match {expected.match}")
    return problems
