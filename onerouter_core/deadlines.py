"""Read deadlines that each event of a stream extends, for threads and for event loops.

An HTTP library limits each read on its own: a server that sends a byte now and then is never too
late for it, and after some data the full timeout starts again. A read deadline is a time instead,
a value of `time.monotonic()`, and the caller decides which data extends it.

Threads: `install_read_deadline` wraps the sockets of an HTTP client, which then read, write and
shake hands until the deadline that `set_read_deadline` has set for the thread. Event loops:
`ReadTimeout` cancels an awaited read. This module knows no HTTP library, only the "trace" extension
that calls back for new connections (httpcore documentation, "Extensions"), and it sets TCP
keep-alive there.
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
"""Function that returns the present read deadline (`time.monotonic()`); None: no limit."""

MIN_TIMEOUT = 0.001
"""Seconds. Shortest timeout to pass on: 0 or less would mean no limit to some libraries."""


# --- threads ---


class _ThreadState(threading.local):
    deadline: float | None = None


_thread_state = _ThreadState()


def set_read_deadline(deadline: float | None) -> float | None:
    """Set the deadline of this thread's network operations; return the previous one.

    The previous one is to be set again: the thread may use the same HTTP client for other requests.

    Args:
        deadline: a `time.monotonic()` value. None: no limit.

    """
    previous, _thread_state.deadline = _thread_state.deadline, deadline
    return previous


def limit_by_deadline(timeout: float | None) -> float | None:
    """Return a timeout that ends at the deadline of this thread.

    Args:
        timeout: seconds. None: no limit.

    Raises:
        TimeoutError: the deadline has passed. Data may be there nevertheless, without end.

    """
    return _limit(timeout, _thread_state.deadline)


def _limit(timeout: float | None, deadline: float | None) -> float | None:
    if deadline is None:
        return timeout
    seconds_left = deadline - monotonic()
    if seconds_left <= 0:
        raise TimeoutError("The deadline has passed.")
    return seconds_left if timeout is None else min(timeout, seconds_left)


def install_read_deadline(request: Any) -> None:
    """Make the operations on a request's new connection end at the deadline."""
    request.extensions["trace"] = _on_trace_event


async def ainstall_read_deadline(request: Any) -> None:
    """Set TCP keep-alive only, as `ReadTimeout` ends the operations; of an async client."""
    request.extensions["trace"] = _on_async_trace_event


def _on_trace_event(event: str, info: dict[str, Any]) -> None:
    if event.endswith(("connect_tcp.complete", "start_tls.complete")):
        stream = info["return_value"]
        stream.read = _limited_read(stream.read)
        stream.write = _limited_write(stream.write)
        stream.start_tls = _limited_start_tls(stream)
        _enable_tcp_keepalive(stream)


async def _on_async_trace_event(event: str, info: dict[str, Any]) -> None:
    if event.endswith("connect_tcp.complete"):
        _enable_tcp_keepalive(info["return_value"])


def _limited_read(read: Callable[..., bytes]) -> Callable[..., bytes]:
    def read_until_deadline(max_bytes: int, timeout: float | None = None) -> bytes:
        return read(max_bytes, _limit(timeout, _thread_state.deadline))

    return read_until_deadline


def _limited_write(write: Callable[..., None]) -> Callable[..., None]:
    def write_until_deadline(buffer: bytes, timeout: float | None = None) -> None:
        # In parts, because the timeout starts again for each part that the system takes.
        for start in range(0, len(buffer), _WRITE_BYTES):
            part = buffer[start : start + _WRITE_BYTES]
            write(part, _limit(timeout, _thread_state.deadline))

    return write_until_deadline


_WRITE_BYTES = 2**16


def _limited_start_tls(stream: Any) -> Callable[..., Any]:
    start_tls = stream.start_tls

    def start_tls_until_deadline(
        ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> Any:
        try:
            timeout = limit_by_deadline(timeout)
        except TimeoutError:
            stream.close()  # as the method itself does when it fails
            raise
        return start_tls(ssl_context, server_hostname, timeout)

    return start_tls_until_deadline


def limit_reads(network_stream: Any) -> None:
    """Make the reads of a connection end at the deadline of their thread, from now on.

    Args:
        network_stream: the stream of an HTTP/1 response. A connection that was opened during a call
            of ours is limited already; a client of the user may have opened it before.

    """
    if "read" not in vars(network_stream):
        network_stream.read = _limited_read(network_stream.read)


def _enable_tcp_keepalive(stream: Any) -> None:
    """Have the system probe an idle connection: some networks drop one after minutes of silence."""
    raw_socket = stream.get_extra_info("socket")
    raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5)):
        if hasattr(socket, option):  # Linux: without it the first probe is sent after two hours
            raw_socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


# --- event loops ---


class ReadTimeout:
    """Timeout of the reads of one response on an event loop, with a deadline that can move.

    Only `wait` is cancelled, never the code between two reads, and one timer serves all reads: when
    it fires early because the deadline has moved, it is set again. `asyncio.timeout` would need a
    timer for each of a stream's thousands of reads.
    """

    def __init__(self, deadline: DeadlineFn) -> None:
        """Create a timeout that is idle until the first `wait`.

        Args:
            deadline: function that returns the present deadline.

        """
        self._deadline = deadline
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None  # the task that is in `wait`
        self.is_expired = False
        """Whether a read was cancelled at the deadline."""

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Await a read; raise TimeoutError if the deadline passes first."""
        if self._timer is None:
            self._schedule()
        self._task = asyncio.current_task()
        cancellations = _pending_cancellations(self._task)
        try:
            return await awaitable
        except asyncio.CancelledError:
            if not self.is_expired or _was_cancelled_by_caller(self._task, cancellations):
                raise
            raise TimeoutError from None
        finally:
            self._task = None

    def _schedule(self) -> None:
        if (deadline := self._deadline()) is not None:
            seconds_left = max(deadline - monotonic(), 0)
            self._timer = asyncio.get_running_loop().call_later(seconds_left, self._expire)

    def _expire(self) -> None:
        self._timer = None
        if self._task is None:
            return  # between two reads: the next `wait` sets the timer again
        if (self._deadline() or 0) > monotonic():
            self._schedule()
        else:
            self.is_expired = True
            self._task.cancel()

    def close(self) -> None:
        """Cancel the timer; the next `wait` sets it again, possibly for an earlier time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _pending_cancellations(task: Any) -> int:
    """Return the number of cancellations that the task is handling, for example in a cleanup."""
    return task.cancelling() if hasattr(task, "cancelling") else 0  # Python 3.10 does not count


def _was_cancelled_by_caller(task: Any, cancellations: int) -> bool:
    """Undo the cancellation by `_expire`; tell whether other code has cancelled the task, too."""
    return hasattr(task, "uncancel") and task.uncancel() > cancellations
