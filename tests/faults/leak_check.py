"""Leak checks: file descriptors and asyncio tasks that are left after calls.

This module knows /proc, event loops and the two modes of a call. It knows neither class.
"""

from __future__ import annotations

import asyncio
import gc
import time
from pathlib import Path
from typing import Any

from tests.core.payloads import chunk, completion
from tests.faults.adapters import Adapter, acall_model, call_model
from tests.faults.cases import Outcome, ScriptByMode
from tests.faults.http_scripts import response, stream

DESCRIPTORS = Path("/proc/self/fd")


def answer_scripts(text: str) -> ScriptByMode:
    """Return scripts with this answer, for both modes."""
    return ScriptByMode(response(completion(text)), stream(chunk(text, "stop")))


def check_both_modes(adapter: Adapter, model: Any, text: str = "Hi", **options: Any) -> None:
    """Call once in each mode, and check the text of the answers."""
    for mode in ("complete", "stream"):
        check_text(call_model(adapter, model, mode, **options), text)


async def check_both_modes_async(
    adapter: Adapter, model: Any, text: str = "Hi", **options: Any
) -> None:
    """Call once in each mode on an event loop; check the text, and that no task is left."""
    for mode in ("complete", "stream"):
        check_text(await acall_model(adapter, model, mode, **options), text)
    await check_no_task_left()


async def check_no_task_left() -> None:
    """Check that the current task is the only one, after ten iterations of the event loop.

    In these the loop closes the async generators that were dropped.
    """
    for _ in range(10):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def check_text(outcome: Outcome, text: str) -> None:
    """Check the text of an answer; raise the error if there is one."""
    if outcome.error is not None:
        raise outcome.error
    assert outcome.text == text


class OpenDescriptors:
    """Count of the open descriptors of this process at the time it was made.

    The server runs in this process, too: its descriptors close shortly after the client's.
    """

    def __init__(self) -> None:
        gc.collect()
        self._before = self._count()

    @staticmethod
    def _count() -> int:
        return len(list(DESCRIPTORS.iterdir())) if DESCRIPTORS.exists() else 0

    def count_new(self) -> int:
        """Return the number of descriptors opened since; wait up to 2 seconds for them to close."""
        gc.collect()
        ends = time.monotonic() + 2
        while self._count() > self._before and time.monotonic() < ends:
            time.sleep(0.01)
        return max(0, self._count() - self._before)
