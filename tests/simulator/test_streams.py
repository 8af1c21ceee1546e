"""Streamed replies: their order, their pieces, and that their sum is the complete reply."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from onerouter_simulator import Simulator
from tests.simulator.conftest import INTEGER, JSON, Ask, ask_async, ask_sync, function

MULTIPLY = function("multiply", a=INTEGER, b=INTEGER)


def deltas(chunks: list[JSON]) -> list[JSON]:
    """Return the deltas of the first choice."""
    return [one["choices"][0]["delta"] for one in chunks if one["choices"]]


def joined(chunks: list[JSON], key: str) -> str:
    """Put the pieces of a text together."""
    return "".join(delta.get(key) or "" for delta in deltas(chunks))


def summed(chunks: list[JSON]) -> JSON:
    """Add all deltas up to a message."""
    whole: JSON = {}
    for delta in deltas(chunks):
        add(whole, delta)
    return whole


def add(whole: JSON, part: JSON) -> None:
    """Add one delta: texts grow, lists grow by index, everything else is set."""
    for key, value in part.items():
        if isinstance(value, str) and key not in {"role", "type", "id", "format"}:
            whole[key] = whole.get(key, "") + value
        elif isinstance(value, list) and value and "index" in value[0]:
            for item in value:
                items = whole.setdefault(key, [])
                items.extend({} for _ in range(item["index"] + 1 - len(items)))
                add(items[item["index"]], item)
        elif isinstance(value, dict):
            add(whole.setdefault(key, {}), value)
        else:
            whole[key] = value


def test_text_comes_in_pieces_of_the_chunk_size() -> None:
    """The role first, the pieces, then an empty delta with the finish reason."""
    with Simulator(chunk_size=5) as sim:
        for ask in (ask_sync, ask_async):
            chunks = ask(sim, "Hello", stream=True)
            assert deltas(chunks) == [
                {"role": "assistant", "content": ""},
                {"content": "You s"},
                {"content": "aid: "},
                {"content": "Hello"},
                {},
            ]
            reasons = [one["choices"][0]["finish_reason"] for one in chunks]
            assert reasons == [None, None, None, None, "stop"]
            assert {one["object"] for one in chunks} == {"chat.completion.chunk"}
            assert len({one["id"] for one in chunks}) == 1


@pytest.mark.parametrize(
    "body",
    [{"usage": {"include": True}}, {"stream_options": {"include_usage": True}}],
    ids=["usage", "stream_options"],
)
def test_the_bill_comes_last_when_asked_for(ask: Ask, body: JSON) -> None:
    """Usage, cost and upstream stand in a last chunk without choices, as in the complete reply."""
    whole = ask("Hello")
    *chunks, last = ask("Hello", stream=True, **body)
    assert last["choices"] == []
    for key in ("usage", "cost", "cost_details", "provider"):
        assert last[key] == whole[key]
        assert not any(key in one for one in chunks)


@pytest.mark.parametrize("body", [{}, {"usage": {"include": False}}])
def test_no_bill_unless_asked_for(ask: Ask, body: JSON) -> None:
    """The stream ends with the finish reason."""
    assert ask("Hello", stream=True, **body)[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reasoning": {"effort": "high"}},
        {"tools": [MULTIPLY, function("add_up", a=INTEGER)]},
        {"modalities": ["text", "image"], "web_search_options": {}},
        {"modalities": ["text", "audio"]},
        {"max_tokens": 3, "reasoning": {"effort": "low"}},
    ],
    ids=["text", "reasoning", "tools", "image", "audio", "cut"],
)
@pytest.mark.parametrize("asked", ["Multiply 12 by 7, and add_up 3", "Please refuse this"])
def test_the_sum_of_a_stream_is_the_complete_reply(ask: Ask, asked: str, body: JSON) -> None:
    """All deltas added up are the message, ids and times aside."""
    whole = ask(asked, **body)["choices"][0]
    chunks = ask(asked, stream=True, **body)
    streamed = summed(chunks)
    for message in (whole["message"], streamed):
        message["content"] = message["content"] or ""
        message.get("audio", {}).pop("expires_at", None)
        message.get("audio", {}).pop("id", None)
        for index, call in enumerate(message.get("tool_calls", ())):
            call |= {"index": index, "id": "x"}
    assert streamed == whole["message"]
    assert chunks[-1]["choices"][0]["finish_reason"] == whole["finish_reason"]


def test_a_tool_call_tells_id_and_name_once(ask: Ask) -> None:
    """The first piece of a call has id and name, the later ones only arguments."""
    chunks = ask("multiply 12 by 7", tools=[MULTIPLY], stream=True)
    head, *rest = [call for delta in deltas(chunks) for call in delta.get("tool_calls", ())]
    assert (head["index"], head["type"], head["function"]["name"]) == (0, "function", "multiply")
    assert all(set(one) == {"index", "function"} for one in rest)
    arguments = "".join(one["function"]["arguments"] for one in rest)
    assert json.loads(arguments) == {"a": 12, "b": 7}


def test_logprobs_come_with_the_text(ask: Ask) -> None:
    """Pieces end where tokens end, so that the tokens are those of the complete reply."""
    whole = ask("Hello, you", logprobs=True)["choices"][0]["logprobs"]["content"]
    choices = [one["choices"][0] for one in ask("Hello, you", logprobs=True, stream=True)]
    parts = [choice["logprobs"]["content"] for choice in choices if choice.get("logprobs")]
    assert [token for part in parts for token in part] == whole


def test_n_choices_are_streamed_one_after_the_other(ask: Ask) -> None:
    """Every choice has its index and its own end."""
    chunks = [one["choices"][0] for one in ask("Hello", stream=True, n=2)]
    assert [one["index"] for one in chunks] == sorted(one["index"] for one in chunks)
    assert [one["index"] for one in chunks if one["finish_reason"]] == [0, 1]


def test_a_stream_is_server_sent_events(post: Callable[..., httpx.Response]) -> None:
    """One `data:` line per event, an empty line after each, `[DONE]` at the end."""
    reply: Any = post(stream=True)
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = reply.text.split("\n\n")
    assert all(event.startswith("data: {") for event in events[:-2])
    assert events[-2:] == ["data: [DONE]", ""]
