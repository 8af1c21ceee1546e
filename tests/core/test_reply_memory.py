"""What is held: of a stream its text, and no part of what carried it; of a failed call nothing."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import ref

import pytest

from onerouter_core import Gateway
from onerouter_core.errors import OneRouterError
from onerouter_core.wire.stream import StreamDecoder
from onerouter_core.wire.tool_names import ToolNames
from onerouter_simulator import Script, Simulator
from tests.core.payloads import HELLO
from tests.faults.http_scripts import event

CHUNKS = 100_000
WORD = " word"
DELTAS: dict[str, Any] = {
    "text": {"content": WORD},
    "reasoning": {"reasoning_content": WORD},
    "tool": {"tool_calls": [{"index": 0, "function": {"arguments": WORD}}]},
}


@pytest.mark.parametrize("kind", DELTAS)
def test_a_long_stream_holds_no_more_than_its_text(kind: str) -> None:
    """A list of its pieces would take ten times as much."""
    chunk = event({"id": "1", "model": "a/b", "choices": [{"index": 0, "delta": DELTAS[kind]}]})
    decoder = StreamDecoder(ToolNames(), {})
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(CHUNKS // 100):
            for _ in decoder.feed(chunk * 100):
                pass
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert decoder.events == CHUNKS
    assert len(WORD) * CHUNKS <= held < 2 * len(WORD) * CHUNKS


class Large:
    """What a caller holds."""


@pytest.mark.parametrize(
    "failing",
    [Script(status=500, json={"error": {"message": "down"}}), Script(status=None)],
    ids=["refused", "no answer"],
)
@pytest.mark.parametrize("method", ["complete", "acomplete"])
def test_a_failed_call_keeps_nothing_of_its_caller(
    sim: Simulator,
    gateway: Callable[..., Gateway],
    loop: asyncio.AbstractEventLoop,
    failing: Script,
    method: str,
) -> None:
    """An error that a frame on its way holds would keep all frames until the collector comes."""
    sim.script(failing)
    ask = getattr(gateway(max_retries=0), method)
    held: list[ref[Large]] = []

    async def call() -> None:
        large = Large()
        held.append(ref(large))
        with suppress(OneRouterError):
            answer = ask(HELLO)
            await answer

    gc.collect()
    gc.disable()
    try:
        loop.run_until_complete(call())
        assert held[0]() is None
    finally:
        gc.enable()
