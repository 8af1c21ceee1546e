"""Retry policy: which errors are retried, and after how many seconds; sync and async.

tenacity runs the retries. It is called, not iterated: an iterated AsyncRetrying keeps its state on
itself and mixes up concurrent calls. And it is called only when the first attempt has failed: its
bookkeeping of a successful one takes 12 us of each call, and 30 us of the time to a first token.
This module knows errors and time; it does not know what is retried, nor how it is sent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import isawaitable
from time import monotonic
from typing import Any, TypeAlias

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from onerouter_core.errors import OneRouterError
from onerouter_core.tracebacks import without_frames

OnRetry: TypeAlias = Callable[[RetryCallState], Any]
"""Function that is called before each wait for a retry. `attempt_number` of its argument counts
from 1, `outcome.exception()` is the error, `next_action.sleep` the wait in seconds."""

MAX_RETRY_AFTER = 60.0
"""Seconds. After a longer Retry-After the call is not retried; the error carries it."""

_log = logging.getLogger("onerouter_core")
_backoff = wait_random_exponential(multiplier=0.5, max=8)
_fixed_wait: float | None = None


@contextmanager
def waiting(seconds: float | None) -> Iterator[None]:
    """Set the wait before every retry of the process, for tests of code that retries.

    Args:
        seconds: the wait in seconds, such as 0. None: the waits of the policy.

    """
    global _fixed_wait  # noqa: PLW0603 -- one value for tests, restored at the end
    before, _fixed_wait = _fixed_wait, seconds
    try:
        yield
    finally:
        _fixed_wait = before


def policy(
    max_retries: int, deadline: float | None = None, on_retry: OnRetry | None = None
) -> Callable[..., Any]:
    """Return a function that calls another function, and calls it again after transient errors.

    The wait is the error's `retry_after`, or else random, with an upper limit that doubles from
    0.5 to 8 seconds ("full jitter": AWS Architecture Blog, "Exponential Backoff And Jitter").

    Args:
        max_retries: most calls after the first one.
        deadline: `time.monotonic()` value; no wait that ends later is started. None: no limit.
        on_retry: function that is called before each wait.

    Raises:
        OneRouterError: the error of the last call. Other exceptions are not retried.

    """

    def call(fn: Callable[..., Any], *args: Any) -> Any:
        try:
            return fn(*args)
        except OneRouterError as error:
            if not (max_retries and _should_retry(error)):
                raise
            replay = _replay_first_failure(fn, error)
        try:
            return Retrying(**_tenacity_arguments(max_retries, deadline, on_retry))(replay, *args)
        except OneRouterError as error:
            errors = [error]
        raise without_frames(errors.pop())  # without a reference cycle: see tracebacks.py

    return call


def apolicy(
    max_retries: int, deadline: float | None = None, on_retry: OnRetry | None = None
) -> Callable[..., Any]:
    """Return the async variant of `policy`, for async functions; `on_retry` may be async, too."""

    async def before_sleep(state: RetryCallState) -> None:
        _log_retry(state)
        if on_retry is not None and isawaitable(result := on_retry(state)):
            await result

    async def call(fn: Callable[..., Any], *args: Any) -> Any:
        try:
            return await fn(*args)
        except OneRouterError as error:
            if not (max_retries and _should_retry(error)):
                raise
            replay = _replay_first_failure(fn, error)

        async def replay_async(*args: Any) -> Any:
            return await replay(*args)

        arguments = _tenacity_arguments(max_retries, deadline, None)
        arguments["before_sleep"] = before_sleep
        try:
            return await AsyncRetrying(**arguments)(replay_async, *args)
        except OneRouterError as error:
            errors = [error]
        raise without_frames(errors.pop())  # without a reference cycle: see tracebacks.py

    return call


def _replay_first_failure(fn: Callable[..., Any], error: OneRouterError) -> Callable[..., Any]:
    """Return a function that raises the error when it is first called, and then calls `fn`.

    So tenacity counts the attempt that was made without it.
    """
    errors = [error]

    def replay(*args: Any) -> Any:
        if errors:
            raise errors.pop()
        return fn(*args)

    return replay


def _tenacity_arguments(
    max_retries: int, deadline: float | None, on_retry: OnRetry | None
) -> dict[str, Any]:
    def before_sleep(state: RetryCallState) -> None:
        _log_retry(state)
        if on_retry is not None:
            on_retry(state)

    def exceeds_deadline(state: RetryCallState) -> bool:
        return deadline is not None and monotonic() + state.upcoming_sleep >= deadline

    return {
        "retry": retry_if_exception(_should_retry),
        "stop": lambda state: stop_after_attempt(max_retries + 1)(state) or exceeds_deadline(state),
        "wait": _wait_seconds,
        "before_sleep": before_sleep,
        "reraise": True,
    }


def _should_retry(error: BaseException) -> bool:
    """Tell whether the same request may succeed within MAX_RETRY_AFTER seconds."""
    return (
        isinstance(error, OneRouterError)
        and error.transient
        and (error.retry_after or 0) <= MAX_RETRY_AFTER
    )


def _wait_seconds(state: RetryCallState) -> float:
    """Return the wait: Retry-After, else random. Retry-After: 0 is treated as absent.

    A server that is too busy and says 0 would get all retries within a moment.
    """
    if _fixed_wait is not None:
        return _fixed_wait
    error = state.outcome.exception() if state.outcome else None
    retry_after = error.retry_after if isinstance(error, OneRouterError) else None
    return retry_after or _backoff(state)


def _log_retry(state: RetryCallState) -> None:
    """Log a retry, without the message, which may quote the request."""
    error: Any = state.outcome.exception() if state.outcome else None
    _log.info(
        "retry attempt=%d wait=%.2f status=%s error=%s request_id=%r",
        state.attempt_number,
        state.next_action.sleep if state.next_action else 0,
        error.status,
        type(error).__name__,
        error.request_id,
    )
