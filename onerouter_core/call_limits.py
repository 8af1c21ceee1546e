"""Limits of one call: its deadline, the read deadline that events extend, and the reply's size.

This module knows time and bytes; it does not know what is sent or received. Times are values of
`time.monotonic()`.
"""

from __future__ import annotations

from time import monotonic
from typing import Protocol

from onerouter_core.connection import ConnectionSettings
from onerouter_core.errors import APIConnectionError, APITimeoutError, MalformedReplyError

MAX_BODY_BYTES = 256 * 2**20
"""Largest reply in bytes, unless `max_reply_bytes` is set; more could exhaust the memory."""

_TIMER_TOLERANCE = 0.005  # seconds by which a timer may fire early
_USAGE_TIMEOUT = 5.0  # seconds to wait for the usage, once the answer is complete
_DRAIN_TIMEOUT = 0.05  # seconds to wait for the end of the response, so that the connection is kept


class Progress(Protocol):
    """Decoder of a stream."""

    events: int
    """Number of data events received."""

    received: int
    """Number of bytes received."""

    finished: bool
    """Whether the answer has ended; only the usage may follow."""


class CallLimits:
    """Limits of one call; the clock of its deadline starts when they are created."""

    def __init__(self, connection: ConnectionSettings) -> None:
        """Start the clock of the deadline."""
        self._timeout = connection.timeout
        self._max_bytes = connection.max_reply_bytes or MAX_BODY_BYTES
        self.deadline_at = monotonic() + connection.deadline if connection.deadline else None
        """Time at which the call must have ended, retries included. None: no limit."""

        self._read_until = self.deadline_at
        self._is_sent = False  # before, the key is fetched: its time is no silence of the server
        self._events = 0  # data events of this attempt's stream
        self._is_complete = False  # the streamed answer has ended; only the usage may follow

    def restart(self, *, is_sent: bool) -> float:
        """Start the clock of `timeout`; return the present time.

        Args:
            is_sent: whether the request is sent now. False: its key is fetched.

        """
        self._is_sent = is_sent
        self._events, self._is_complete = 0, False
        now = monotonic()
        self._extend(now)
        return now

    def _extend(self, now: float) -> None:
        """Set the read deadline anew; `now` is the present time."""
        timeout = self._timeout
        if self._is_complete:
            timeout = min(timeout or _USAGE_TIMEOUT, _USAGE_TIMEOUT)
        self._read_until = self.deadline_at
        if timeout is not None and not (self.deadline_at and self.deadline_at < now + timeout):
            self._read_until = now + timeout

    def on_progress(self, decoder: Progress) -> None:
        """Extend the read deadline if there are new events; raise as `check` does."""
        now = monotonic()  # once for each read of a stream
        if decoder.events > self._events:
            self._events, self._is_complete = decoder.events, decoder.finished
            self._extend(now)
        self._check(now, decoder.received)

    def shorten(self) -> None:
        """Allow only a moment more: the stream has ended with [DONE], its response perhaps not."""
        drain_until = monotonic() + _DRAIN_TIMEOUT
        self._read_until = min(self._read_until or drain_until, drain_until)

    def read_deadline(self) -> float | None:
        """Return the time until which the server may be silent; each event extends it."""
        return self._read_until

    def check(self, received: int = 0) -> None:
        """Raise if the read deadline has passed, or more bytes were received than are allowed.

        The transport's own timeout is not enough: keep-alive comments restart it.
        """
        self._check(monotonic(), received)

    def _check(self, now: float, received: int) -> None:
        if self._read_until is not None and now >= self._read_until:
            raise APITimeoutError("The gateway did not answer in time.")
        if received > self._max_bytes:
            message = f"The reply is larger than {self._max_bytes} bytes (max_reply_bytes)."
            # What comes after the end of an answer does not take the answer away.
            raise (APIConnectionError if self._is_complete else MalformedReplyError)(message)

    # --- which limit it was: an HTTP client may have another timeout ---

    def is_past_deadline(self) -> bool:
        """Tell whether the deadline of the call has passed."""
        return _has_passed(self.deadline_at)

    def is_silent(self) -> bool:
        """Tell whether the server has sent nothing for `timeout`, since the request was sent."""
        return self._is_sent and bool(self._timeout) and _has_passed(self._read_until)


def _has_passed(time: float | None) -> bool:
    return time is not None and monotonic() >= time - _TIMER_TOLERANCE
