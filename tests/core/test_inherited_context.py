"""Context variables that threads inherit: threads as they are, with one variable more."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest

from onerouter_core.inherited_context import inherit_in_threads

COLOR: ContextVar[tuple[str, ...]] = ContextVar("color", default=())
OTHER: ContextVar[tuple[str, ...]] = ContextVar("other", default=())


@pytest.fixture(autouse=True)
def _inherit() -> None:
    inherit_in_threads(COLOR)
    inherit_in_threads(COLOR)  # a second time does nothing


class Reader(threading.Thread):
    """A thread whose own `run` reads the variables."""

    seen: Any = None

    def run(self) -> None:
        """Read."""
        self.seen = COLOR.get(), OTHER.get()


@pytest.mark.parametrize("kind", ["subclass", "target", "timer"])
def test_a_thread_inherits_the_variable_and_no_other(kind: str) -> None:
    """Of each way to make one."""
    COLOR.set(("red",))
    OTHER.set(("x",))
    seen: list[Any] = []

    def read() -> None:
        seen.append((COLOR.get(), OTHER.get()))

    kinds: dict[str, threading.Thread] = {
        "subclass": Reader(),
        "target": threading.Thread(target=read),
        "timer": threading.Timer(0, read),
    }
    thread = kinds[kind]
    thread.start()
    thread.join()
    assert [*seen, getattr(thread, "seen", None)][0] == (("red",), ())
    COLOR.set(())
    OTHER.set(())


def test_a_pool_passes_arguments_results_and_errors_on() -> None:
    """Also a keyword that the pool's own method has."""
    COLOR.set(("red",))

    def echo(*args: Any, fn: Any = None) -> Any:
        if fn == "fail":
            raise ValueError(fn)
        return COLOR.get(), args, fn

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(echo, 1, 2, fn=3).result() == (("red",), (1, 2), 3)
        with pytest.raises(ValueError, match="fail"):
            pool.submit(echo, fn="fail").result()
        COLOR.set(())
        assert pool.submit(echo).result() == ((), (), None)


def test_an_idle_thread_of_a_pool_keeps_no_value_of_its_last_task() -> None:
    """It may wait for hours."""

    class Value:
        """Something to refer to."""

    with ThreadPoolExecutor(1) as pool:
        pool.submit(COLOR.get).result()  # starts the thread
        value = Value()
        left = weakref.ref(value)
        COLOR.set((value,))  # type: ignore[arg-type]
        pool.submit(len, COLOR.get()).result()
        COLOR.set(())
        del value
        end = time.monotonic() + 5  # the thread drops the task after its result is known
        while left() is not None and time.monotonic() < end:
            time.sleep(0.01)
        assert left() is None


def test_a_thread_that_has_ended_is_freed_at_once() -> None:
    """Without the garbage collector: nothing of it is in a reference cycle."""
    COLOR.set(("red",))
    gc.disable()
    try:
        thread: Reader | None = Reader()
        assert thread is not None
        thread.start()
        thread.join()
        left = weakref.ref(thread)
        thread = None
        assert left() is None
    finally:
        gc.enable()
        COLOR.set(())


def test_a_thread_starts_once() -> None:
    """As threading says."""
    thread = Reader()
    thread.start()
    thread.join()
    with pytest.raises(RuntimeError, match="once"):
        thread.start()
