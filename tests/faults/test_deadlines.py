"""`timeout` and `deadline` hold whatever the server does, within a tenth and 100 ms."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from onerouter_core.retry import waiting
from tests.core.payloads import chunk, completion, sse
from tests.faults.adapters import WAYS, User
from tests.faults.cases import Outcome
from tests.faults.conftest import CLASSES
from tests.faults.http_scripts import EVENTS, JSON, chunked, compact, head, http
from tests.faults.server import End, Ever, Play, Server

BOUND = 0.5
TRIES = 5  # a machine that is busy with something else may try again

HEL = sse(chunk("Hel"), done=False)
PIECE = sse(chunk("a"), done=False)
GOOD = compact(completion("Hi"))


@dataclass(frozen=True)
class Slow:
    """What a server does too slowly, and when the user must know: `at` is in seconds.

    `error` is a pattern: a refusal that comes too slowly is late, and is one.
    """

    play: Play
    options: Mapping[str, Any]
    error: str
    partial: str = ""
    at: float = BOUND


DEADLINE = {"deadline": BOUND}
TIMEOUT = {"timeout": BOUND}
LATE, SILENT = "DeadlineExceededError", "APITimeoutError"


def _bounded(play: Play, partial: str = "") -> Iterator[Slow]:
    """Yield what both bounds must end."""
    yield Slow(play, DEADLINE, LATE, partial)
    yield Slow(play, TIMEOUT, SILENT, partial)


def both() -> Iterator[Slow]:
    """Yield what is too slow for whole answers and for streams."""
    yield from _bounded((End.HANG,))
    yield from _bounded((b"HTTP/1.1 200 OK\r\n", Ever(b"x-pad: 1\r\n", 0.05)))
    yield from _bounded(chunked(Ever(b": keep-alive\n\n", 0.02)))
    yield from _bounded((head(200, JSON, content_length=99), End.HANG))
    refusal = (head(500, JSON, content_length=99), Ever(b" ", 0.05))
    yield Slow(refusal, DEADLINE, f"UpstreamError|{LATE}")
    yield Slow(refusal, TIMEOUT, f"UpstreamError|{SILENT}")
    yield from _bounded((0.3, head(200, JSON, content_length=99), Ever(b" ", 0.4)))
    waits = http(b"", 503, retry_after="0.1")
    yield Slow(waits, {**DEADLINE, "max_retries": 99}, "UpstreamError", at=0.45)
    long = http(b"", 429, retry_after="0.8")
    yield Slow(long, {**DEADLINE, "max_retries": 9}, "RateLimitError", at=0)
    yield Slow((End.HANG,), {"timeout": BOUND, "deadline": 5}, SILENT)
    yield Slow((End.HANG,), {"timeout": 5, **DEADLINE}, LATE)


def whole() -> Iterator[Slow]:
    """Yield what is too slow for whole answers."""
    trickle = (bytes([byte]) for byte in GOOD)
    steps = [step for byte in trickle for step in (byte, 0.03)]
    yield Slow(chunked(*steps, kind=JSON), DEADLINE, LATE)
    half = (head(200, JSON, content_length=len(GOOD)), GOOD[:40])
    yield from _bounded((*half, End.HANG))
    yield from _bounded((0.3, *half, End.HANG))


def streams() -> Iterator[Slow]:
    """Yield what is too slow for streams; what came is in the error."""
    yield from _bounded(chunked(HEL, End.HANG), "Hel")
    yield from _bounded(chunked(HEL, Ever(b": keep-alive\n\n", 0.02)), "Hel")
    yield from _bounded(chunked(HEL, Ever(b"data: x", 0.02)), "Hel")
    late = chunked(0.3, HEL, End.HANG)
    yield Slow(late, DEADLINE, LATE, "Hel")
    yield Slow(late, TIMEOUT, SILENT, "Hel", 0.3 + BOUND)
    trickle = chunked(HEL, Ever(b": keep-alive\n\n", 0.2), kind=EVENTS)
    yield from _bounded(trickle, "Hel")
    five = [step for _ in range(5) for step in (0.17, PIECE)]
    yield Slow(chunked(*five, End.HANG), DEADLINE, LATE, "aa")
    call = chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]})
    yield from _bounded(chunked(sse(call, done=False), End.HANG))


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("name", CLASSES)
def test_bounds_hold(server: Server, user: User) -> None:
    """No call ends later than it may, nor earlier, and the error has what came."""
    left = [*both(), *(whole() if user.mode == "whole" else streams())]
    for _ in range(TRIES):
        calls = [(server.line(slow.play), {"max_retries": 0, **slow.options}) for slow in left]
        with waiting(None):
            outcomes = user.calls_at_once(calls)
        found = [_wrong(slow, got) for slow, got in zip(left, outcomes, strict=True)]
        left = [slow for slow, problem in zip(left, found, strict=True) if problem]
        if not left:
            return
    pytest.fail("\n".join(problem for problem in found if problem))


def _wrong(slow: Slow, got: Outcome) -> str:
    error: Any = got.error
    partial = getattr(getattr(error, "partial", None), "text", "")
    most = slow.at + BOUND * 0.1 + 0.1
    right = (
        re.fullmatch(slow.error, type(error).__name__)
        and (partial, got.text) == (slow.partial, slow.partial)
        and slow.at - 0.1 <= got.seconds <= most
    )
    return "" if right else f"{slow}: {error!r} with {partial!r} after {got.seconds:.3f} s"


@pytest.mark.parametrize("way", [way for way in WAYS if way.mode == "stream"], ids=str)
@pytest.mark.parametrize("name", CLASSES)
def test_a_lively_stream_may_last(server: Server, user: User) -> None:
    """`timeout` is between events: a stream may take several times as long."""
    pieces = [step for _ in range(8) for step in (0.1, PIECE)]
    play = chunked(*pieces, sse(chunk("", "stop")))
    for _ in range(TRIES):
        got = user.calls(server.line(play), max_retries=0, timeout=0.3)
        if got.error is None:
            break
    assert (got.text, got.error) == ("a" * 8, None)
