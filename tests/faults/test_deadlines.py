"""`timeout` and `deadline` are kept within ten percent and 100 ms, whatever the server does."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from onerouter_core.retry import waiting
from tests.core.payloads import chunk, completion, sse
from tests.faults.adapters import VARIANTS, Caller
from tests.faults.cases import Outcome
from tests.faults.conftest import CLASSES
from tests.faults.http_scripts import EVENTS, JSON, chunked, compact, head, response
from tests.faults.server import End, HTTPScript, Repeat, Server

LIMIT = 0.5  # seconds
TRIES = 5  # a busy machine may be late

HEL = sse(chunk("Hel"), done=False)
EVENT = sse(chunk("a"), done=False)
GZIP_START = zlib.compressobj(wbits=31).flush(zlib.Z_SYNC_FLUSH)
NOTHING = Repeat(b"\0\0\0\xff\xff" * 9, 0.001)  # empty blocks of gzip
GOOD = compact(completion("Hi"))


@dataclass(frozen=True)
class SlowCase:
    """A slow server, and the error that the call must raise after `seconds`.

    `error` is a pattern of class names: an HTTP error whose body is too slow is either the HTTP
    error or a timeout.
    """

    script: HTTPScript
    options: Mapping[str, Any]
    error: str
    partial: str = ""
    seconds: float = LIMIT


DEADLINE = {"deadline": LIMIT}
TIMEOUT = {"timeout": LIMIT}
DEADLINE_ERROR, TIMEOUT_ERROR = "DeadlineExceededError", "APITimeoutError"


def _with_each_limit(script: HTTPScript, partial: str = "") -> Iterator[SlowCase]:
    """Yield a script that both `deadline` and `timeout` must end."""
    yield SlowCase(script, DEADLINE, DEADLINE_ERROR, partial)
    yield SlowCase(script, TIMEOUT, TIMEOUT_ERROR, partial)


def cases_for_both_modes() -> Iterator[SlowCase]:
    """Yield slow servers for complete responses and for streams."""
    yield from _with_each_limit((End.HANG,))
    yield from _with_each_limit((b"HTTP/1.1 200 OK\r\n", Repeat(b"x-pad: 1\r\n", 0.05)))
    yield from _with_each_limit((Repeat(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 9, 0.001),))
    yield from _with_each_limit(chunked(GZIP_START, NOTHING, content_encoding="gzip"))
    yield from _with_each_limit(chunked(Repeat(b": keep-alive\n\n", 0.02)))
    yield from _with_each_limit((head(200, JSON, content_length=99), End.HANG))
    slow_error = (head(500, JSON, content_length=99), Repeat(b" ", 0.05))
    yield SlowCase(slow_error, DEADLINE, f"UpstreamError|{DEADLINE_ERROR}")
    yield SlowCase(slow_error, TIMEOUT, f"UpstreamError|{TIMEOUT_ERROR}")
    yield from _with_each_limit((0.3, head(200, JSON, content_length=99), Repeat(b" ", 0.4)))
    retry_soon = response(b"", 503, retry_after="0.1")
    yield SlowCase(retry_soon, {**DEADLINE, "max_retries": 99}, "UpstreamError", seconds=0.45)
    retry_late = response(b"", 429, retry_after="0.8")
    yield SlowCase(retry_late, {**DEADLINE, "max_retries": 9}, "RateLimitError", seconds=0)
    yield SlowCase((End.HANG,), {"timeout": LIMIT, "deadline": 5}, TIMEOUT_ERROR)
    yield SlowCase((End.HANG,), {"timeout": 5, **DEADLINE}, DEADLINE_ERROR)


def cases_for_complete_responses() -> Iterator[SlowCase]:
    """Yield slow servers for complete responses."""
    steps = [step for byte in GOOD for step in (bytes([byte]), 0.03)]
    yield SlowCase(chunked(*steps, kind=JSON), DEADLINE, DEADLINE_ERROR)
    half = (head(200, JSON, content_length=len(GOOD)), GOOD[:40])
    yield from _with_each_limit((*half, End.HANG))
    yield from _with_each_limit((0.3, *half, End.HANG))


def cases_for_streams() -> Iterator[SlowCase]:
    """Yield slow servers for streams; the error carries the text before it."""
    yield from _with_each_limit(chunked(HEL, End.HANG), "Hel")
    yield from _with_each_limit(chunked(HEL, Repeat(b": keep-alive\n\n", 0.02)), "Hel")
    yield from _with_each_limit(chunked(HEL, Repeat(b"data: x", 0.02)), "Hel")
    late_delta = chunked(0.3, HEL, End.HANG)
    yield SlowCase(late_delta, DEADLINE, DEADLINE_ERROR, "Hel")
    yield SlowCase(late_delta, TIMEOUT, TIMEOUT_ERROR, "Hel", 0.3 + LIMIT)
    keep_alives = chunked(HEL, Repeat(b": keep-alive\n\n", 0.2), kind=EVENTS)
    yield from _with_each_limit(keep_alives, "Hel")
    five_events = [step for _ in range(5) for step in (0.17, EVENT)]
    yield SlowCase(chunked(*five_events, End.HANG), DEADLINE, DEADLINE_ERROR, "aa")
    call = chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]})
    yield from _with_each_limit(chunked(sse(call, done=False), End.HANG))


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("name", CLASSES)
def test_timeout_and_deadline_are_kept(server: Server, caller: Caller) -> None:
    """A call ends neither too late nor too early, and its error carries the text before it."""
    is_complete = caller.mode == "complete"
    remaining = [
        *cases_for_both_modes(),
        *(cases_for_complete_responses() if is_complete else cases_for_streams()),
    ]
    for _ in range(TRIES):
        calls = [
            (server.endpoint(case.script), {"max_retries": 0, **case.options}) for case in remaining
        ]
        with waiting(None):
            outcomes = caller.call_concurrently(calls)
        reports = [_problem(case, o) for case, o in zip(remaining, outcomes, strict=True)]
        remaining = [case for case, report in zip(remaining, reports, strict=True) if report]
        if not remaining:
            return
    pytest.fail("\n".join(report for report in reports if report))


def _problem(case: SlowCase, outcome: Outcome) -> str:
    """Return a description of a wrong outcome; an empty string for the expected one."""
    error: Any = outcome.error
    partial = getattr(getattr(error, "partial", None), "text", "")
    latest = case.seconds + LIMIT * 0.1 + 0.1
    is_expected = (
        re.fullmatch(case.error, type(error).__name__)
        and (partial, outcome.text) == (case.partial, case.partial)
        and case.seconds - 0.1 <= outcome.seconds <= latest
    )
    if is_expected:
        return ""
    return f"{case}: {error!r} with {partial!r} after {outcome.seconds:.3f} s"


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v.mode == "stream"], ids=str)
@pytest.mark.parametrize("name", CLASSES)
def test_a_stream_may_last_longer_than_its_timeout(server: Server, caller: Caller) -> None:
    """`timeout` is the time between two events: a whole stream may take several times as long."""
    steps = [step for _ in range(8) for step in (0.1, EVENT)]
    script = chunked(*steps, sse(chunk("", "stop")))
    for _ in range(TRIES):
        outcome = caller.call(server.endpoint(script), max_retries=0, timeout=0.3)
        if outcome.error is None:
            break
    assert (outcome.text, outcome.error) == ("a" * 8, None)
