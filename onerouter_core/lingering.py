"""Timers that call back when nobody has used an object again, for threads and for event loops.

`start` is called by finalizers: by the garbage collector in any thread, and in the middle of any
code. So it takes no lock, and it starts its thread without the module `threading`, whose own lock
the interrupted code may have.
"""

from __future__ import annotations

import _thread
import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from time import monotonic
from typing import Any
from weakref import ReferenceType, ref

SECONDS = 5.0
"""Seconds that a client is kept after its last instance; HTTP connections that are idle for longer
are not reused. The end of its event loop or of the process ends the wait."""

MAX_LINGERING = 8
"""Most sync clients that are kept at once; there is one for each environment."""

_CHECK_SECONDS = 0.2


class ThreadTimer:
    """Timer of an object that is used by threads; `expire` is called in a thread of its own.

    One thread serves all timers, and exists only while one of them runs.
    """

    __slots__ = ("_expire", "expires_at")

    def __init__(self, expire: Callable[[Any], None]) -> None:
        self.expires_at = 0.0
        self._expire = expire

    def start(self, weak_object: ReferenceType[Any]) -> None:
        """Start, or start again; called by finalizers."""
        seconds = SECONDS if len(_running) < MAX_LINGERING else 0
        self.expires_at = monotonic() + seconds
        _running[weak_object] = self
        _ensure_thread()

    def expire(self, weak_object: ReferenceType[Any]) -> None:
        """Call `expire` with the object, if it still exists."""
        if (found := weak_object()) is not None:
            self._expire(found)


_running: dict[ReferenceType[Any], ThreadTimer] = {}
_thread_exists = _thread.allocate_lock()


def _ensure_thread() -> None:
    if _thread_exists.acquire(blocking=False):
        try:
            _thread.start_new_thread(_watch, ())
        except RuntimeError:  # no more threads, or the interpreter is ending
            _thread_exists.release()


def _watch() -> None:
    while True:
        while _running:
            time.sleep(_CHECK_SECONDS)
            with suppress(Exception):  # an error of closing has no reader
                _expire_due()
        _thread_exists.release()
        # A timer that was started before the release counted on this thread.
        if not _running or not _thread_exists.acquire(blocking=False):
            return


def _expire_due() -> None:
    for weak_object, timer in _running.copy().items():  # a copy: finalizers add timers
        if timer.expires_at <= monotonic() or weak_object() is None:
            _running.pop(weak_object, None)
            timer.expire(weak_object)


def _forget_after_fork() -> None:
    global _thread_exists  # noqa: PLW0603 -- the parent's thread holds it, and is not in the child
    _thread_exists = _thread.allocate_lock()
    _running.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_forget_after_fork)


class LoopTimer:
    """Timer of an object that belongs to an event loop; `expire` is called on the loop."""

    __slots__ = ("_expire", "_is_set", "_loop", "expires_at")

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[Any], None]) -> None:
        self.expires_at = 0.0
        self._loop = ref(loop)
        self._expire = expire
        self._is_set = False

    def start(self, weak_object: ReferenceType[Any]) -> None:
        """Start, or start again; called by finalizers in any thread."""
        self.expires_at = monotonic() + SECONDS
        loop = self._loop()
        if self._is_set or loop is None or loop.is_closed():
            return
        self._is_set = True
        with suppress(RuntimeError):  # closed in the meantime
            loop.call_soon_threadsafe(self._wait, weak_object, context=Context())

    def _wait(self, weak_object: ReferenceType[Any]) -> None:
        seconds_left, loop = self.expires_at - monotonic(), self._loop()
        if seconds_left > 0 and loop is not None:
            loop.call_later(seconds_left, self._wait, weak_object, context=Context())
            return
        self._is_set = False
        if (found := weak_object()) is not None:
            self._expire(found)
