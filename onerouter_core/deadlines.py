"""How long the network may be waited for: until a moment, which moves on as data comes.

This module knows clocks, an event loop's timers, and what is done to a new connection's socket. An
HTTP library bounds each read alone: a server that sends a byte now and then is never late for it,
and one that falls silent may be so for as long again. It knows no HTTP library, and not what is
waited for. Moments are `time.monotonic()` values.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
DeadlineFn: TypeAlias = Callable[[], float | None]
"""Returns the moment until which may be waited, as it is now; None is for ever."""

MIN_TIMEOUT = 0.001  # seconds; to most libraries none at all would mean no bound


# --- threads ---

_thread_state = threading.local()


def set_read_deadline(moment: float | None) -> None:
    """Bound what this thread reads from now on, on connections that `watch` was told of."""
    _thread_state.moment = moment


def install_read_deadline(request: Any) -> None:
    """Be told of the connections made for a request (the `trace` extension of HTTP libraries)."""
    request.extensions["trace"] = _on_trace_event


async def ainstall_read_deadline(request: Any) -> None:
    """Do the same for an async client, whose event loop bounds its reads."""
    request.extensions["trace"] = _on_async_trace_event


def _on_trace_event(event: str, facts: dict[str, Any]) -> None:
    if event.endswith(("connect_tcp.complete", "start_tls.complete")):
        stream = facts["return_value"]
        stream.read = _with_deadline(stream.read)
        _enable_tcp_keepalive(stream)


async def _on_async_trace_event(event: str, facts: dict[str, Any]) -> None:
    if event.endswith("connect_tcp.complete"):
        _enable_tcp_keepalive(facts["return_value"])


def _with_deadline(read: Callable[..., bytes]) -> Callable[..., bytes]:
    def bounded(max_bytes: int, timeout: float | None = None) -> bytes:
        moment = getattr(_thread_state, "moment", None)
        if moment is not None:
            left = max(moment - monotonic(), MIN_TIMEOUT)
            timeout = left if timeout is None else min(timeout, left)
        return read(max_bytes, timeout)

    return bounded


def _enable_tcp_keepalive(stream: Any) -> None:
    """Send probes on an idle connection: some networks forget one that says nothing for minutes."""
    raw = stream.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5)):
        if hasattr(socket, option):  # by default the first probe comes after two hours
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)


# --- event loops ---


class ReadTimeout:
    """Cancels a wait that lasts too long; that the moment moves on costs nothing.

    `asyncio.timeout` would do for one wait. A stream waits a thousand times, and whoever reads it
    must not be cancelled in between.
    """

    def __init__(self, until: DeadlineFn) -> None:
        """Be silent until something is waited for."""
        self._until = until
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None
        self._expired = False

    async def wait(self, what: Awaitable[T]) -> T:
        """Await it; raise TimeoutError when the moment comes first."""
        if self._timer is None:
            self._schedule()
        self._task = asyncio.current_task()
        before = _pending_cancellations(self._task)
        try:
            return await what
        except asyncio.CancelledError as cancelled:
            if not self._expired or _was_cancelled_by_caller(self._task, before):
                raise
            raise TimeoutError from cancelled.__cause__  # what was known by then
        finally:
            self._task = None

    def _schedule(self) -> None:
        if (moment := self._until()) is not None:
            left = max(moment - monotonic(), 0)
            self._timer = asyncio.get_running_loop().call_later(left, self._expire)

    def _expire(self) -> None:
        self._timer = None
        if self._task is None:
            return  # the next wait sets it anew
        if (self._until() or 0) > monotonic():
            self._schedule()
        else:
            self._expired = True
            self._task.cancel()

    def close(self) -> None:
        """Be silent; the next wait sets it anew, also for an earlier moment."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _pending_cancellations(task: Any) -> int:
    """Return how often a task was asked to end: it may be cleaning up."""
    return (
        task.cancelling() if hasattr(task, "cancelling") else 0
    )  # before Python 3.11 nobody knows


def _was_cancelled_by_caller(task: Any, before: int) -> bool:
    """Take back our own cancellation; tell whether somebody else asked for one, too."""
    return hasattr(task, "uncancel") and task.uncancel() > before
