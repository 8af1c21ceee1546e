"""What a stream costs: every item is a snapshot of its own, and none costs more than the last."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Script, Simulator, chunk, tool_call
from tests.llama_index.conftest import say


def words(number: int) -> Any:
    """Return a delta of text."""
    return "word "


def thoughts(number: int) -> Any:
    """Return a delta of reasoning."""
    return {"reasoning": "word "}


def arguments(number: int) -> Any:
    """Return a delta of a call."""
    if number == 0:
        return {"tool_calls": [tool_call("f", '{"text": "', "c1", index=0)]}
    return {"tool_calls": [{"index": 0, "function": {"arguments": "word "}}]}


def steps(llm: OneRouterLLM, sim: Simulator, delta: Any, count: int) -> int:
    """Return how many functions are called to stream an answer of so many events."""
    sim.clear()
    events = [chunk(delta(number)) for number in range(count)]
    sim.script(Script(events=[*events, chunk("End."), chunk({}, finish_reason="stop")]))
    taken = 0

    def notice(_: Any, event: str, __: Any) -> None:
        nonlocal taken
        taken += event in {"call", "c_call"}

    stream = llm.stream_chat(say("x"))
    before = sys.getprofile()
    sys.setprofile(notice)
    try:
        items = sum(1 for _ in stream)
    finally:
        sys.setprofile(before)
    assert items == count + 2
    return taken


@pytest.mark.parametrize("delta", [words, thoughts, arguments])
def test_a_long_stream_costs_no_more_per_item(
    llm: OneRouterLLM, sim: Simulator, delta: Any
) -> None:
    """Five times the events take five times the steps, though each item shows all so far."""
    steps(llm, sim, delta, 10)  # what is done once
    few, many = (steps(llm, sim, delta, count) for count in (500, 2500))
    assert many < few * 5.5


def test_items_share_no_part_that_changes(llm: OneRouterLLM, sim: Simulator) -> None:
    """A list of items that was kept shows each as it was when it came."""
    deltas = [words(0), thoughts(1), arguments(0), arguments(1)]
    sim.script(Script(events=[*map(chunk, deltas), chunk({}, finish_reason="stop")]))
    kept, then = [], []
    for item in llm.stream_chat(say("x")):
        kept.append(item)
        then.append(item.model_dump_json())
    assert [item.model_dump_json() for item in kept] == then
    blocks = [block for item in kept for block in item.message.blocks]
    raws = [item.raw for item in kept]
    assert len({id(one) for one in (*blocks, *raws)}) == len(blocks) + len(raws)
