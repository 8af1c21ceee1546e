"""Standard content blocks of messages, of chunks and of streamed events."""

from __future__ import annotations

import asyncio
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from langchain_onerouter import ChatOneRouter
from onerouter_simulator import Script, Simulator, chunk, completion, tool_call
from tests.langchain.conftest import CallModel, LLMFactory
from tests.langchain.media import PNG_64

PAGE = {"url": "https://a", "title": "A", "content": "Cited.", "start_index": 0, "end_index": 5}
CITED = {"type": "url_citation", "url_citation": PAGE}
CITATION = {
    "type": "citation",
    "url": "https://a",
    "title": "A",
    "cited_text": "Cited.",
    "start_index": 0,
    "end_index": 5,
}
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG_64}"}}
MESSAGE = {
    "content": "Hello",
    "reasoning": "Hm.",
    "annotations": [CITED],
    "images": [IMAGE],
    "tool_calls": [tool_call("f", '{"a": 1}', "c"), tool_call("g", "{}", "d")],
}
EVENTS = [
    chunk({"reasoning": "H"}),
    chunk({"reasoning": "m."}),
    chunk("Hel"),
    chunk("lo"),
    chunk({"images": [IMAGE]}),
    chunk({"tool_calls": [tool_call("f", "", "c", 0)]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a": 1}'}}]}),
    chunk({"tool_calls": [tool_call("g", "{}", "d", 1)]}),
    chunk({"annotations": [CITED]}),
    chunk({}, finish_reason="tool_calls"),
]
BLOCKS = [
    {"type": "reasoning", "reasoning": "Hm."},
    {"type": "text", "text": "Hello", "annotations": [CITATION]},
    {"type": "image", "base64": PNG_64, "mime_type": "image/png"},
    {"type": "tool_call", "id": "c", "name": "f", "args": {"a": 1}},
    {"type": "tool_call", "id": "d", "name": "g", "args": {}},
]


def without_index(blocks: Any) -> list[dict[str, Any]]:
    """Return blocks without the index by which LangChain merges them."""
    return [{key: value for key, value in block.items() if key != "index"} for block in blocks]


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_content_blocks_of_a_message(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel, version: str
) -> None:
    """Reasoning, text with citations, image, calls; under v1 they are the content."""
    sim.script(Script(json=completion(message=MESSAGE, finish_reason="tool_calls")))
    message = call_model(make_llm(output_version=version), "Hi")
    assert without_index(message.content_blocks) == BLOCKS
    if version == "v1":
        assert without_index(message.content) == BLOCKS


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_content_blocks_of_a_stream(make_llm: LLMFactory, sim: Simulator, version: str) -> None:
    """The sum of the chunks has the blocks of the complete message."""
    sim.script(Script(events=EVENTS))
    message = reduce(add, make_llm(output_version=version).stream("Hi"))
    blocks = sorted(without_index(message.content_blocks), key=sort_key)
    assert blocks == sorted(BLOCKS, key=sort_key)


def sort_key(block: dict[str, Any]) -> str:
    """Return a sort key: in a stream, blocks are in the order of their first deltas."""
    return str((block["type"], block.get("id")))


def test_a_refusal_block(llm: ChatOneRouter, sim: Simulator, call_model: CallModel) -> None:
    """LangChain's refusal block, or a non-standard block before langchain-core 1.7.5."""
    sim.script(Script(json=completion(None, message={"refusal": "Not I."})))
    (block,) = without_index(call_model(llm, "Hi").content_blocks)
    assert block.get("value", block) == {"type": "refusal", "refusal": "Not I."}


def test_text_and_a_call_in_one_delta_are_two_blocks(make_llm: LLMFactory, sim: Simulator) -> None:
    """Text and arguments are never merged into one block."""
    delta = {"content": "Well.", "tool_calls": [tool_call("f", '{"a": 1}', "c", 0)]}
    sim.script(Script(events=[chunk(delta), chunk({}, finish_reason="tool_calls")]))
    message = reduce(add, make_llm(output_version="v1").stream("Hi"))
    assert without_index(message.content) == [{"type": "text", "text": "Well."}, BLOCKS[3]]


def test_an_invalid_call_has_no_tool_call_block(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel
) -> None:
    """It is in `invalid_tool_calls` only."""
    call = tool_call("f", '{"a": ', "c", 0)
    sim.script(
        Script(json=completion("So.", message={"tool_calls": [call]}, finish_reason="tool_calls"))
    )
    message = call_model(llm, "Hi")
    assert without_index(message.content_blocks) == [{"type": "text", "text": "So."}]
    assert [invalid["id"] for invalid in message.invalid_tool_calls] == ["c"]


# --- events ---

ignores_beta_warning = pytest.mark.filterwarnings("ignore:.*is in beta")


def stream_events(llm: ChatOneRouter, *, is_async: bool) -> tuple[list[Any], AIMessage]:
    """Return the events of a call, and its message."""
    if not is_async:
        stream = llm.stream_events("Hi", version="v3")
        return list(stream), stream.output

    async def collect() -> tuple[list[Any], AIMessage]:
        stream = await llm.astream_events("Hi", version="v3")
        return [event async for event in stream], await stream.output

    return asyncio.run(collect())


@ignores_beta_warning
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_events_of_a_stream(llm: ChatOneRouter, sim: Simulator, is_async: bool) -> None:
    """Each block starts and finishes once; calls are complete when they finish."""
    sim.script(Script(events=EVENTS))
    events, message = stream_events(llm, is_async=is_async)
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds[-1]) == ("message-start", "message-finish")
    assert kinds.count("content-block-start") == kinds.count("content-block-finish") == 5
    finished = [e["content"] for e in events if e["event"] == "content-block-finish"]
    assert [block["type"] for block in finished].count("tool_call") == 2
    assert [call["args"] for call in message.tool_calls] == [{"a": 1}, {}]
    assert message.response_metadata["model_name"] == "simulated/echo"
    assert message.text == "Hello"


@ignores_beta_warning
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_events_of_an_invalid_call(llm: ChatOneRouter, sim: Simulator, is_async: bool) -> None:
    """No block of type tool_call finishes."""
    call = tool_call("f", '{"a": [1, {"b": "c', "c", 0)
    sim.script(
        Script(events=[chunk({"tool_calls": [call]}), chunk({}, finish_reason="tool_calls")])
    )
    events, message = stream_events(llm, is_async=is_async)
    assert message.tool_calls == []
    finished = [e["content"]["type"] for e in events if e["event"] == "content-block-finish"]
    assert "tool_call" not in finished
