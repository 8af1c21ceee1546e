"""Context variables that threads inherit from the code that starts them.

asyncio tasks inherit the context. Threads do not (in Python 3.14 it is an option), unless the code
that starts them copies it, as LangChain and LlamaIndex do. So a plain thread, or a task of a thread
pool, would not belong to the part of the program that has started it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

Values: TypeAlias = list[tuple[ContextVar[Any], Any]]

_inherited: list[ContextVar[Any]] = []
_lock = threading.Lock()


def inherit_in_threads(variable: ContextVar[Any]) -> None:
    """Have new threads, and tasks of thread pools, begin with the value of their starter.

    The variable must have a default that is false, such as an empty tuple.

    The first call replaces `Thread.start` and `ThreadPoolExecutor.submit` for the whole process,
    for good: other packages may replace them, too, and could not undo theirs in another order.
    """
    with _lock:
        if not _inherited:
            threading.Thread.start = _starting(threading.Thread.start)  # type: ignore[method-assign]
            ThreadPoolExecutor.submit = _submitting(ThreadPoolExecutor.submit)  # type: ignore[method-assign]
        if variable not in _inherited:
            _inherited.append(variable)


def _starting(start: Callable[..., None]) -> Callable[..., None]:
    @wraps(start)
    def start_with_context(thread: threading.Thread) -> None:
        if values := _values():
            run = thread.run

            def run_with_context() -> None:
                del thread.run  # else a reference cycle
                _set(values)
                run()

            thread.run = run_with_context  # type: ignore[method-assign]
        start(thread)

    return start_with_context


# Also without values: the thread of a pool may have some of the code that has started it.
def _submitting(submit: Callable[..., Future[T]]) -> Callable[..., Future[T]]:
    @wraps(submit)
    def submit_with_context(
        pool: ThreadPoolExecutor, fn: Callable[..., T], /, *args: Any, **kwargs: Any
    ) -> Future[T]:
        values = [(variable, variable.get()) for variable in _inherited]
        return submit(pool, _run, values, fn, *args, **kwargs)

    return submit_with_context


def _run(values: Values, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    before = [(variable, variable.get()) for variable, _ in values]
    _set(values)
    try:
        return fn(*args, **kwargs)
    finally:
        _set(before)  # the thread waits for its next task: it would keep the values alive


def _values() -> Values:
    """Return the variables that have another value than their default here."""
    return [(variable, value) for variable in _inherited if (value := variable.get())]


def _set(values: Values) -> None:
    for variable, value in values:
        variable.set(value)
