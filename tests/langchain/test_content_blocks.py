"""LangChain's standard blocks of our messages: whole, in chunks, and as streamed events."""

from __future__ import annotations

import asyncio
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from langchain_onerouter import ChatOneRouter
from onerouter_simulator import Script, Simulator, chunk, completion, tool_call
from tests.langchain.conftest import Ask, Make
from tests.langchain.media import PNG_64

PAGE = {"url": "https://a", "title": "A", "content": "Said.", "start_index": 0, "end_index": 5}
CITED = {"type": "url_citation", "url_citation": PAGE}
CITATION = {
    "type": "citation",
    "url": "https://a",
    "title": "A",
    "cited_text": "Said.",
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


def plain(blocks: Any) -> list[dict[str, Any]]:
    """Return blocks without the keys by which LangChain adds them up."""
    return [{key: value for key, value in block.items() if key != "index"} for block in blocks]


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_the_blocks_of_an_answer(make: Make, sim: Simulator, ask: Ask, version: str) -> None:
    """Thought, words with what they cite, pictures, calls; under v1 they are the content."""
    sim.script(Script(json=completion(message=MESSAGE, finish_reason="tool_calls")))
    message = ask(make(output_version=version), "Hi")
    assert plain(message.content_blocks) == BLOCKS
    if version == "v1":
        assert plain(message.content) == BLOCKS


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_the_blocks_of_a_stream(make: Make, sim: Simulator, version: str) -> None:
    """They add up to the same, whatever comes in one chunk."""
    sim.script(Script(events=EVENTS))
    message = reduce(add, make(output_version=version).stream("Hi"))
    blocks = sorted(plain(message.content_blocks), key=place)
    assert blocks == sorted(BLOCKS, key=place)


def place(block: dict[str, Any]) -> str:
    """Return what to sort blocks by: in a stream each begins where its first piece came."""
    return str((block["type"], block.get("id")))


def test_a_refusal_is_a_block(llm: ChatOneRouter, sim: Simulator, ask: Ask) -> None:
    """LangChain's own where it has one."""
    sim.script(Script(json=completion(None, message={"refusal": "Not I."})))
    (block,) = plain(ask(llm, "Hi").content_blocks)
    assert block.get("value", block) == {"type": "refusal", "refusal": "Not I."}


def test_text_and_a_call_in_one_delta(make: Make, sim: Simulator) -> None:
    """Words and arguments are never one block."""
    both = {"content": "Well.", "tool_calls": [tool_call("f", '{"a": 1}', "c", 0)]}
    sim.script(Script(events=[chunk(both), chunk({}, finish_reason="tool_calls")]))
    message = reduce(add, make(output_version="v1").stream("Hi"))
    assert plain(message.content) == [{"type": "text", "text": "Well."}, BLOCKS[3]]


def test_a_broken_call_is_no_call_block(llm: ChatOneRouter, sim: Simulator, ask: Ask) -> None:
    """It stands among the invalid calls alone."""
    call = tool_call("f", '{"a": ', "c", 0)
    sim.script(
        Script(json=completion("So.", message={"tool_calls": [call]}, finish_reason="tool_calls"))
    )
    message = ask(llm, "Hi")
    assert plain(message.content_blocks) == [{"type": "text", "text": "So."}]
    assert [bad["id"] for bad in message.invalid_tool_calls] == ["c"]


# --- events ---

in_beta = pytest.mark.filterwarnings("ignore:.*is in beta")


def events(llm: ChatOneRouter, *, waited: bool) -> tuple[list[Any], AIMessage]:
    """Return the events of a call, and the message they come to."""
    if not waited:
        stream = llm.stream_events("Hi", version="v3")
        return list(stream), stream.output

    async def collect() -> tuple[list[Any], AIMessage]:
        stream = await llm.astream_events("Hi", version="v3")
        return [event async for event in stream], await stream.output

    return asyncio.run(collect())


@in_beta
@pytest.mark.parametrize("waited", [False, True], ids=["sync", "async"])
def test_events_of_a_stream(llm: ChatOneRouter, sim: Simulator, waited: bool) -> None:
    """Each block begins and ends once; calls are whole when they end; the reason is LangChain's."""
    sim.script(Script(events=EVENTS))
    happened, message = events(llm, waited=waited)
    kinds = [event["event"] for event in happened]
    assert (kinds[0], kinds[-1]) == ("message-start", "message-finish")
    assert kinds.count("content-block-start") == kinds.count("content-block-finish") == 5
    ended = [e["content"] for e in happened if e["event"] == "content-block-finish"]
    assert [block["type"] for block in ended].count("tool_call") == 2
    assert [call["args"] for call in message.tool_calls] == [{"a": 1}, {}]
    assert message.response_metadata["model_name"] == "simulated/echo"
    assert message.text == "Hello"


@in_beta
@pytest.mark.parametrize("waited", [False, True], ids=["sync", "async"])
def test_a_broken_call_ends_invalid(llm: ChatOneRouter, sim: Simulator, waited: bool) -> None:
    """Not as a call that could be run."""
    call = tool_call("f", '{"a": [1, {"b": "c', "c", 0)
    sim.script(
        Script(events=[chunk({"tool_calls": [call]}), chunk({}, finish_reason="tool_calls")])
    )
    happened, message = events(llm, waited=waited)
    assert message.tool_calls == []
    ended = [e["content"]["type"] for e in happened if e["event"] == "content-block-finish"]
    assert "tool_call" not in ended
