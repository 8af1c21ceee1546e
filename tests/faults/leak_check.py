"""A model is used, and what it leaves behind is counted: descriptors and tasks.

This module knows /proc, event loops and the two modes. It knows neither class.
"""

from __future__ import annotations

import asyncio
import gc
import time
from pathlib import Path
from typing import Any

from tests.core.payloads import chunk, completion
from tests.faults.adapters import Face, aask, ask
from tests.faults.cases import Modes, Outcome
from tests.faults.http_scripts import http, stream

DESCRIPTORS = Path("/proc/self/fd")


def both(text: str) -> Modes:
    """Return an answer for either mode."""
    return Modes(http(completion(text)), stream(chunk(text, "stop")))


def asked(face: Face, model: Any, text: str = "Hi", **options: Any) -> None:
    """Ask once in each mode, and check the answers."""
    for mode in ("whole", "stream"):
        check(ask(face, model, mode, **options), text)


async def aasked(face: Face, model: Any, text: str = "Hi", **options: Any) -> None:
    """Do the same on an event loop, and leave no task behind."""
    for mode in ("whole", "stream"):
        check(await aask(face, model, mode, **options), text)
    await alone()


async def alone() -> None:
    """Wait a few turns of the loop, in which what was dropped is closed; then no task is left."""
    for _ in range(10):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def check(got: Outcome, text: str) -> None:
    """Pass on an error, and compare the text."""
    if got.error is not None:
        raise got.error
    assert got.text == text


class Open:
    """The descriptors of this process: the server's are among them, and close soon after ours."""

    def __init__(self) -> None:
        gc.collect()
        self.before = self._now()

    @staticmethod
    def _now() -> int:
        return len(list(DESCRIPTORS.iterdir())) if DESCRIPTORS.exists() else 0

    def left(self) -> int:
        """Return how many more are open than before, when they have had a moment to close."""
        gc.collect()
        ends = time.monotonic() + 2
        while self._now() > self.before and time.monotonic() < ends:
            time.sleep(0.01)
        return max(0, self._now() - self.before)
