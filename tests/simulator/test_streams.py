"""Streamed replies: the order of the chunks, their sizes, and their sum."""

from __future__ import annotations

import json

import pytest

from onerouter_simulator import Simulator
from tests.simulator.conftest import (
    INTEGER,
    JSON,
    MULTIPLY,
    Complete,
    Post,
    complete_async,
    complete_sync,
    function,
)


def deltas_of(chunks: list[JSON]) -> list[JSON]:
    """Return the deltas of the first choice of each chunk that has choices."""
    return [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]


def sum_of(chunks: list[JSON]) -> JSON:
    """Return the message that the deltas add up to."""
    message: JSON = {}
    for delta in deltas_of(chunks):
        add_delta(message, delta)
    return message


def add_delta(total: JSON, delta: JSON) -> None:
    """Add one delta: append to texts, merge lists by index, replace all other values."""
    for key, value in delta.items():
        if isinstance(value, str) and key not in {"role", "type", "id", "format"}:
            total[key] = total.get(key, "") + value
        elif isinstance(value, list) and value and "index" in value[0]:
            for item in value:
                items = total.setdefault(key, [])
                items.extend({} for _ in range(item["index"] + 1 - len(items)))
                add_delta(items[item["index"]], item)
        elif isinstance(value, dict):
            add_delta(total.setdefault(key, {}), value)
        else:
            total[key] = value


@pytest.mark.parametrize("complete_with", [complete_sync, complete_async], ids=["sync", "async"])
def test_text_deltas_have_the_chunk_size(complete_with: Complete) -> None:
    """The role comes first, then the text, then an empty delta with the finish reason."""
    with Simulator(chunk_size=5) as sim:
        chunks = complete_with(sim, "Hello", stream=True)
    assert deltas_of(chunks) == [
        {"role": "assistant", "content": ""},
        {"content": "You s"},
        {"content": "aid: "},
        {"content": "Hello"},
        {},
    ]
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None, None, None, None, "stop"]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1


@pytest.mark.parametrize(
    "body",
    [{"usage": {"include": True}}, {"stream_options": {"include_usage": True}}],
    ids=["usage", "stream_options"],
)
def test_requested_usage_is_in_a_last_chunk(complete: Complete, body: JSON) -> None:
    """Usage, cost and provider are those of the complete reply; the chunk has no choices."""
    whole = complete("Hello")
    *chunks, last = complete("Hello", stream=True, **body)
    assert last["choices"] == []
    for key in ("usage", "cost", "cost_details", "provider"):
        assert last[key] == whole[key]
        assert not any(key in chunk for chunk in chunks)


@pytest.mark.parametrize("body", [{}, {"usage": {"include": False}}])
def test_no_usage_unless_requested(complete: Complete, body: JSON) -> None:
    """The last chunk has the finish reason."""
    chunks = complete("Hello", stream=True, **body)
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


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
@pytest.mark.parametrize("prompt", ["Multiply 12 by 7, and add_up 3", "Please refuse this"])
def test_the_sum_of_a_stream_is_the_complete_reply(
    complete: Complete, prompt: str, body: JSON
) -> None:
    """All deltas together are the message, except for ids and times."""
    whole = complete(prompt, **body)["choices"][0]
    chunks = complete(prompt, stream=True, **body)
    streamed = sum_of(chunks)
    for message in (whole["message"], streamed):
        message["content"] = message["content"] or ""
        message.get("audio", {}).pop("expires_at", None)
        message.get("audio", {}).pop("id", None)
        for index, call in enumerate(message.get("tool_calls", ())):
            call |= {"index": index, "id": "x"}
    assert streamed == whole["message"]
    assert chunks[-1]["choices"][0]["finish_reason"] == whole["finish_reason"]


def test_only_the_first_delta_of_a_tool_call_has_id_and_name(complete: Complete) -> None:
    """The later deltas have the index and parts of the arguments."""
    chunks = complete("multiply 12 by 7", tools=[MULTIPLY], stream=True)
    first, *rest = [call for delta in deltas_of(chunks) for call in delta.get("tool_calls", ())]
    assert (first["index"], first["type"], first["function"]["name"]) == (0, "function", "multiply")
    assert all(set(call) == {"index", "function"} for call in rest)
    arguments = "".join(call["function"]["arguments"] for call in rest)
    assert json.loads(arguments) == {"a": 12, "b": 7}


def test_streamed_logprobs_are_those_of_the_complete_reply(complete: Complete) -> None:
    """Text deltas end where tokens end, so that no token is split."""
    whole = complete("Hello, you", logprobs=True)["choices"][0]["logprobs"]["content"]
    chunks = complete("Hello, you", logprobs=True, stream=True)
    logprobs = [chunk["choices"][0].get("logprobs") for chunk in chunks]
    assert [token for part in logprobs if part for token in part["content"]] == whole


def test_n_choices_are_streamed_in_turn(complete: Complete) -> None:
    """Each choice has its index and its own finish reason."""
    choices = [chunk["choices"][0] for chunk in complete("Hello", stream=True, n=2)]
    indexes = [choice["index"] for choice in choices]
    assert indexes == sorted(indexes)
    assert [choice["index"] for choice in choices if choice["finish_reason"]] == [0, 1]


def test_a_stream_is_server_sent_events(post: Post) -> None:
    """Each event is one `data:` line and an empty line; `[DONE]` is the last."""
    reply = post(stream=True)
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = reply.text.split("\n\n")
    assert all(event.startswith("data: {") for event in events[:-2])
    assert events[-2:] == ["data: [DONE]", ""]
