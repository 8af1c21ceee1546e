"""When to ask again and how long to wait: one tenacity policy for both colours.

This module knows errors and time. It does not know what is being retried, nor how it is sent.
tenacity is called, not iterated: an iterated AsyncRetrying keeps its state on itself and mixes up
concurrent calls. It comes in when a first try has failed: its account of one that has not would be
12 us of each call, and 30 of the time to a first token.
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

MAX_RETRY_AFTER = 60.0
"""Seconds. A server that asks for more is not asked again within the call."""

_log = logging.getLogger("onerouter_core")
_backoff = wait_random_exponential(multiplier=0.5, max=8)
_fixed_wait: float | None = None


@contextmanager
def waiting(seconds: float | None) -> Iterator[None]:
    """Make every wait this long, for tests of code that retries; None is as in life."""
    global _fixed_wait  # noqa: PLW0603 -- a seam for tests: one value, put back at the end
    before, _fixed_wait = _fixed_wait, seconds
    try:
        yield
    finally:
        _fixed_wait = before


def policy(
    max_retries: int, deadline: float | None = None, on_retry: OnRetry | None = None
) -> Callable[..., Any]:
    """Return what calls a function: at most `max_retries` + 1 times, never after `deadline`.

    `deadline` is a `time.monotonic()` value. `on_retry` is called before each wait.
    """

    def ask(fn: Callable[..., Any], *args: Any) -> Any:
        try:
            return fn(*args)
        except OneRouterError as error:
            if not (max_retries and _should_retry(error)):
                raise
            again = _replay_first_failure(fn, error)
        try:
            return Retrying(**_tenacity_arguments(max_retries, deadline, on_retry))(again, *args)
        except OneRouterError as error:
            failed = [error]
        raise without_frames(failed.pop())

    return ask


def apolicy(
    max_retries: int, deadline: float | None = None, on_retry: OnRetry | None = None
) -> Callable[..., Any]:
    """Return the same for coroutine functions; `on_retry` may be one, too."""

    async def before_sleep(state: RetryCallState) -> None:
        _log_retry(state)
        if on_retry is not None and isawaitable(called := on_retry(state)):
            await called

    async def ask(fn: Callable[..., Any], *args: Any) -> Any:
        try:
            return await fn(*args)
        except OneRouterError as error:
            if not (max_retries and _should_retry(error)):
                raise
            failed_once = _replay_first_failure(fn, error)

        async def again(*args: Any) -> Any:
            return await failed_once(*args)

        arguments = _tenacity_arguments(max_retries, deadline, None) | {
            "before_sleep": before_sleep
        }
        try:
            return await AsyncRetrying(**arguments)(again, *args)
        except OneRouterError as error:
            failed = [error]
        raise without_frames(failed.pop())

    return ask


def _replay_first_failure(fn: Callable[..., Any], error: OneRouterError) -> Callable[..., Any]:
    """Return the function as it was before its first try, which fails as it did."""
    errors = [error]

    def again(*args: Any) -> Any:
        if errors:
            raise errors.pop()
        return fn(*args)

    return again


def _tenacity_arguments(
    max_retries: int, deadline: float | None, on_retry: OnRetry | None
) -> dict[str, Any]:
    def before_sleep(state: RetryCallState) -> None:
        _log_retry(state)
        if on_retry is not None:
            on_retry(state)

    def no_time_left(state: RetryCallState) -> bool:
        return deadline is not None and monotonic() + state.upcoming_sleep >= deadline

    return {
        "retry": retry_if_exception(_should_retry),
        "stop": lambda state: stop_after_attempt(max_retries + 1)(state) or no_time_left(state),
        "wait": _wait_seconds,
        "before_sleep": before_sleep,
        "reraise": True,
    }


def _should_retry(error: BaseException) -> bool:
    """Tell whether asking again may help, and soon enough."""
    return (
        isinstance(error, OneRouterError)
        and error.transient
        and (error.retry_after or 0) <= MAX_RETRY_AFTER
    )


def _wait_seconds(state: RetryCallState) -> float:
    """Wait as long as the server says, else exponentially with full jitter."""
    if _fixed_wait is not None:
        return _fixed_wait
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, OneRouterError) else None
    return asked or _backoff(state)  # at once is no answer to who came too often


def _log_retry(state: RetryCallState) -> None:
    """Log a retry without a word of content."""
    error: Any = state.outcome.exception() if state.outcome else None
    _log.info(
        "retry attempt=%d wait=%.2f status=%s error=%s request_id=%r",
        state.attempt_number,
        state.next_action.sleep if state.next_action else 0,
        error.status,
        type(error).__name__,
        error.request_id,
    )
