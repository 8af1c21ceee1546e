"""Retry policy: which errors are retried, and after how many seconds; sync and async.

tenacity decides when to try again, how often, and after which wait, and its RetryCallState is what
LangChain's callbacks read. The two loops around it are here: those of tenacity keep the last error
in a local variable, a reference cycle with the locals of all callers, and take 12 us of a call that
succeeds. This module knows errors and time; it does not know what is retried, nor how it is sent.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import isawaitable
from typing import Any, TypeAlias

from tenacity import (
    RetryAction,
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from onerouter_core.errors import OneRouterError

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
        retries: _Retries | None = None
        while True:
            try:
                return fn(*args)
            except OneRouterError as error:
                if not (error.transient and max_retries):
                    raise
                retries = retries or _Retries(max_retries, deadline, on_retry)
                if not retries.may_follow(error):
                    raise
            retries.announce()
            time.sleep(retries.seconds)

    return call


def apolicy(
    max_retries: int, deadline: float | None = None, on_retry: OnRetry | None = None
) -> Callable[..., Any]:
    """Return the async variant of `policy`, for async functions; `on_retry` may be async, too."""

    async def call(fn: Callable[..., Any], *args: Any) -> Any:
        retries: _Retries | None = None
        while True:
            try:
                return await fn(*args)
            except OneRouterError as error:
                if not (error.transient and max_retries):
                    raise
                retries = retries or _Retries(max_retries, deadline, on_retry)
                if not retries.may_follow(error):
                    raise
            if isawaitable(result := retries.announce()):
                await result
            await asyncio.sleep(retries.seconds)

    return call


class _Retries:
    """The retries of one call whose first attempt has failed."""

    def __init__(self, max_retries: int, deadline: float | None, on_retry: OnRetry | None) -> None:
        self._policy = Retrying(
            retry=retry_if_exception(_is_soon),
            stop=stop_after_attempt(max_retries + 1),
            wait=_wait_seconds,
        )
        self._deadline = deadline
        self._on_retry = on_retry
        self._started_at = time.monotonic()
        self._error: OneRouterError | None = None  # the last one, until `announce`
        self._attempts = 0
        self._slept = 0.0
        self.seconds = 0.0
        """Seconds to wait before the next attempt."""

    def may_follow(self, error: OneRouterError) -> bool:
        """Tell whether the same request may succeed in time, if it is sent again."""
        self._attempts += 1
        self._slept += self.seconds
        state = self._state_of(error)
        if not self._policy.retry(state) or self._policy.stop(state):
            return False
        self.seconds = self._policy.wait(state)
        if self._deadline is not None and time.monotonic() + self.seconds >= self._deadline:
            return False
        self._error = error
        return True

    # The state is no local of the loop: it has the error, whose traceback has the loop's frame.
    def announce(self) -> Any:
        """Log the retry, and call `on_retry`; return its result, which may be awaitable."""
        error, self._error = self._error, None
        if error is None:
            return None
        state = self._state_of(error)
        state.next_action, state.upcoming_sleep = RetryAction(self.seconds), self.seconds
        state.idle_for = self._slept + self.seconds
        # Without the message, which may quote the request.
        _log.info(
            "retry attempt=%d wait=%.2f status=%s error=%s request_id=%r",
            *(self._attempts, self.seconds, error.status, type(error).__name__, error.request_id),
        )
        return None if self._on_retry is None else self._on_retry(state)

    def _state_of(self, error: OneRouterError) -> RetryCallState:
        """Return tenacity's state after a failed attempt."""
        state = RetryCallState(self._policy, None, (), {})
        state.start_time, state.attempt_number = self._started_at, self._attempts
        state.idle_for = self._slept
        state.set_exception((type(error), error, None))
        return state


def _is_soon(error: BaseException) -> bool:
    """Tell whether a transient error may pass within MAX_RETRY_AFTER seconds."""
    return isinstance(error, OneRouterError) and (error.retry_after or 0) <= MAX_RETRY_AFTER


# A server that is too busy and says 0 would get all retries within a moment.
def _wait_seconds(state: RetryCallState) -> float:
    """Return the wait: Retry-After, else random. Retry-After: 0 is treated as absent."""
    if _fixed_wait is not None:
        return _fixed_wait
    error = state.outcome.exception() if state.outcome else None
    retry_after = error.retry_after if isinstance(error, OneRouterError) else None
    return retry_after or _backoff(state)
