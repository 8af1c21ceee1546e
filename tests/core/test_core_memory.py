"""What a stream holds: its text, and no part of what carried it."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest

from onerouter_core.wire.names import Names
from onerouter_core.wire.stream import StreamDecoder
from tests.faults.plays import event

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
    decoder = StreamDecoder(Names(), {})
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
