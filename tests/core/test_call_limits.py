"""Limits of one call: which of them holds, and what extends it."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

import pytest

from onerouter_core import ConnectionSettings
from onerouter_core.call_limits import CallLimits
from onerouter_core.errors import APIConnectionError, APITimeoutError, MalformedReplyError


@dataclass
class Decoder:
    """Progress of a stream."""

    events: int = 0
    received: int = 0
    finished: bool = False


@pytest.mark.parametrize(
    ("timeout", "deadline", "seconds"),
    [(None, None, None), (5, None, 5), (None, 7, 7), (5, 7, 5), (9, 7, 7)],
)
def test_the_earlier_limit_holds(
    timeout: float | None, deadline: float | None, seconds: float | None
) -> None:
    """The timeout begins with the request, the deadline with the call."""
    limits = CallLimits(ConnectionSettings(timeout=timeout, deadline=deadline))
    now = limits.restart(is_sent=True)
    read_until = limits.read_deadline()
    if seconds is None:
        assert read_until is None
    else:
        assert read_until == pytest.approx(now + seconds, abs=0.5)
    limits.check()
    limits.shorten()
    assert (limits.read_deadline() or 0) < monotonic() + 1


def test_the_end_of_an_answer_lowers_the_timeout() -> None:
    """Only the usage may follow; an answer that is complete is not taken away by its size."""
    limits = CallLimits(ConnectionSettings(timeout=None, max_reply_bytes=10))
    limits.restart(is_sent=True)
    limits.on_progress(Decoder(events=1, received=5))
    assert limits.read_deadline() is None
    with pytest.raises(MalformedReplyError, match="larger than 10 bytes"):
        limits.on_progress(Decoder(events=1, received=11))
    limits.on_progress(Decoder(events=2, received=5, finished=True))
    assert (limits.read_deadline() or 0) <= monotonic() + 5
    with pytest.raises(APIConnectionError, match="larger than 10 bytes"):
        limits.check(11)
    limits.restart(is_sent=True)  # of the next attempt
    with pytest.raises(MalformedReplyError):
        limits.check(11)


def test_only_new_events_extend_the_timeout() -> None:
    """Bytes without an event do not."""
    limits = CallLimits(ConnectionSettings(timeout=50))
    limits.restart(is_sent=True)
    first = limits.read_deadline()
    limits.on_progress(Decoder(received=9))
    assert limits.read_deadline() == first
    limits.on_progress(Decoder(events=1, received=9))
    assert (limits.read_deadline() or 0) > (first or 0)


def test_silence_is_that_of_a_server_that_was_asked() -> None:
    """Not of the function that returns the key; and the call's deadline is another limit."""
    limits = CallLimits(ConnectionSettings(timeout=1e-6))
    limits.restart(is_sent=False)
    assert not limits.is_silent()
    limits.restart(is_sent=True)
    assert limits.is_silent()
    assert not limits.is_past_deadline()
    with pytest.raises(APITimeoutError):
        limits.check()
    assert CallLimits(ConnectionSettings(deadline=1e-6)).is_past_deadline()
