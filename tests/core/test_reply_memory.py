"""Memory: a stream keeps its text only, and a failed call keeps nothing."""

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
from onerouter_core.wire.decode import ReplyContext
from onerouter_core.wire.stream import StreamDecoder
from onerouter_simulator import Script, Simulator
from tests.core.payloads import HELLO, sse

EVENTS = 10_000
# All different, and too long for the JSON parser's cache: equal strings could share their memory.
FRAGMENTS = [f"{number:064}" for number in range(EVENTS)]
DELTAS: dict[str, Callable[[str], dict[str, Any]]] = {
    "text": lambda text: {"content": text},
    "reasoning": lambda text: {"reasoning_content": text},
    "tool arguments": lambda text: {
        "tool_calls": [{"index": 0, "function": {"arguments": text}}],
    },
}


@pytest.mark.parametrize("kind", DELTAS)
def test_a_long_stream_takes_little_more_memory_than_its_text(kind: str) -> None:
    """The fragments are joined; a list of them would take 1.9 times the memory of the text."""
    choices = ({"index": 0, "delta": DELTAS[kind](text)} for text in FRAGMENTS)
    chunks = [sse({"id": "1", "choices": [choice]}, done=False) for choice in choices]
    decoder = StreamDecoder(ReplyContext())
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for received in chunks:
            for _ in decoder.feed(received):
                pass
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert decoder.events == EVENTS
    text_length = sum(map(len, FRAGMENTS))
    assert text_length <= held < 1.4 * text_length


class LargeObject:
    """Stands for an object that a caller holds in a local variable."""


@pytest.mark.parametrize(
    "failure",
    [Script(status=500, json={"error": {"message": "down"}}), Script(status=None)],
    ids=["error response", "no response"],
)
@pytest.mark.parametrize("method", ["complete", "acomplete"])
def test_a_failed_call_keeps_no_local_variable_of_its_caller(
    sim: Simulator,
    gateway: Callable[..., Gateway],
    loop: asyncio.AbstractEventLoop,
    failure: Script,
    method: str,
) -> None:
    """A frame that holds the error it raises is a reference cycle, and keeps all its callers."""
    sim.script(failure)
    call = getattr(gateway(max_retries=0), method)
    references: list[ref[LargeObject]] = []

    async def run() -> None:
        large_object = LargeObject()
        references.append(ref(large_object))
        with suppress(OneRouterError):
            reply = call(HELLO)
            await reply

    gc.collect()
    gc.disable()
    try:
        loop.run_until_complete(run())
        assert references[0]() is None
    finally:
        gc.enable()
