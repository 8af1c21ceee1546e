"""Streams: cost of an item in function calls, and independence of the items."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Script, Simulator, chunk, tool_call
from tests.llama_index.conftest import user_messages


def text_delta(number: int) -> Any:
    """Return a delta of text."""
    return "word "


def reasoning_delta(number: int) -> Any:
    """Return a delta of reasoning."""
    return {"reasoning": "word "}


def tool_call_delta(number: int) -> Any:
    """Return a delta of one tool call; the first one begins the call."""
    if number == 0:
        return {"tool_calls": [tool_call("f", '{"text": "', "c1", index=0)]}
    return {"tool_calls": [{"index": 0, "function": {"arguments": "word "}}]}


def count_function_calls(llm: OneRouterLLM, sim: Simulator, delta: Any, count: int) -> int:
    """Return the number of function calls for reading a stream of `count` deltas."""
    sim.clear()
    events = [chunk(delta(number)) for number in range(count)]
    sim.script(Script(events=[*events, chunk("End."), chunk({}, finish_reason="stop")]))
    calls = 0

    def profile(_: Any, event: str, __: Any) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    stream = llm.stream_chat(user_messages("x"))
    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        items = sum(1 for _ in stream)
    finally:
        sys.setprofile(before)
    assert items == count + 2
    return calls


@pytest.mark.parametrize("delta", [text_delta, reasoning_delta, tool_call_delta])
def test_cost_per_stream_item_does_not_grow_with_the_length(
    llm: OneRouterLLM, sim: Simulator, delta: Any
) -> None:
    """Five times the events take five times the function calls."""
    count_function_calls(llm, sim, delta, 10)  # fills the caches
    short, long = (count_function_calls(llm, sim, delta, count) for count in (500, 2500))
    assert long < short * 5.5


def test_a_kept_stream_item_does_not_change_later(llm: OneRouterLLM, sim: Simulator) -> None:
    """Items share no block and no `raw`."""
    deltas = [text_delta(0), reasoning_delta(1), tool_call_delta(0), tool_call_delta(1)]
    sim.script(Script(events=[*map(chunk, deltas), chunk({}, finish_reason="stop")]))
    kept, dumps = [], []
    for item in llm.stream_chat(user_messages("x")):
        kept.append(item)
        dumps.append(item.model_dump_json())
    assert [item.model_dump_json() for item in kept] == dumps
    blocks = [block for item in kept for block in item.message.blocks]
    raws = [item.raw for item in kept]
    assert len({id(part) for part in (*blocks, *raws)}) == len(blocks) + len(raws)
