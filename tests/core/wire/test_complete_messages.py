"""A complete message in a stream, after its deltas, beside them or alone: nothing is doubled."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from onerouter_core import Reply
from tests.core.payloads import (
    chunk,
    completion,
    final_reply,
    joined_calls,
    read_body,
    read_stream,
)

CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
CALLS = [CALL, {**CALL, "id": "2"}]
DETAIL = {"type": "reasoning.text", "text": "Hm.", "signature": "s"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://x/1.png"}}
ANNOTATION = {"type": "url_citation", "url_citation": {"url": "https://x"}}
LOGPROBS = {"content": [{"token": "Hi", "logprob": -1.0}, {"token": "!", "logprob": -2.0}]}
MESSAGES: dict[str, dict[str, Any]] = {
    "text": {"content": "Hello"},
    "reasoning": {"content": "Hello", "reasoning": "Hm."},
    "reasoning content": {"content": "Hello", "reasoning_content": "Hm."},
    "reasoning details": {"content": "Hello", "reasoning": "Hm.", "reasoning_details": [DETAIL]},
    "details alone": {"content": "Hello", "reasoning_details": [DETAIL]},
    "one call": {"content": None, "tool_calls": [CALL]},
    "two calls": {"content": "Hello", "tool_calls": CALLS},
    "two calls with one id": {"content": "Hello", "tool_calls": [CALL, CALL]},
    "calls without ids": {"tool_calls": [{**call, "id": None} for call in CALLS]},
    "images": {"content": "Hello", "images": [IMAGE]},
    "image parts": {"content": [{"type": "text", "text": "Hello"}, IMAGE]},
    "annotations": {"content": "Hello", "annotations": [ANNOTATION]},
    "refusal": {"content": None, "refusal": "No."},
    "audio": {"content": None, "audio": {"data": "UklGRg==", "transcript": "Hi", "id": "a"}},
    "unknown keys": {"content": "Hello", "x": "ab", "y": [1], "z": {"s": "ab"}, "n": 1},
}


def with_message(message: Any, finish: str | None = "stop", **choice: Any) -> dict[str, Any]:
    """Return the last event of a stream, which holds the complete message."""
    choice = {"index": 0, "message": message, "finish_reason": finish, **choice}
    return {"id": "gen-1", "object": "chat.completion", "choices": [choice]}


def fields_of(reply: Reply) -> dict[str, Any]:
    """Return the fields of a reply without the raw body."""
    fields = {field.name: getattr(reply, field.name) for field in dataclasses.fields(reply)}
    return {name: value for name, value in fields.items() if name != "raw"}


@pytest.mark.parametrize("form", ["after", "beside", "alone", "twice", "after finish"])
@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_a_complete_message_doubles_nothing(message: dict[str, Any], form: str) -> None:
    """The reply is that of a complete body, and so is the sum of the deltas."""
    message = {"role": "assistant", **message}
    events = {
        "after": [chunk(message), with_message(message)],
        "beside": [with_message(message, delta=message)],
        "alone": [with_message(message, delta={})],
        "twice": [with_message(message, None), with_message(message)],
        "after finish": [chunk(message, "stop"), with_message(message, None)],
    }[form]
    deltas = read_stream(*events)
    reply = final_reply(deltas)
    assert fields_of(reply) == fields_of(read_body(completion(message, "stop")))
    assert "".join(delta.text for delta in deltas) == reply.text
    assert "".join(delta.reasoning for delta in deltas) == reply.reasoning
    assert [image for delta in deltas for image in delta.images] == [*reply.images]
    calls = [(call.id, call.name, call.arguments) for call in reply.tool_calls]
    assert joined_calls(deltas) == calls


@pytest.mark.parametrize(
    "complete",
    [CALL, {**CALL, "id": "generated again"}, {**CALL, "id": None}],
    ids=["same id", "another id", "no id"],
)
@pytest.mark.parametrize(
    "streamed",
    [
        [{"index": 0, "id": "1", "function": {"name": "f", "arguments": '{"a"'}}],
        [{"index": 0, "id": "1", "function": {"name": "f", "arguments": ""}}],
        [{"index": 0, "id": "1"}],
        [{"index": 3, "id": "1", "function": {"name": "f", "arguments": '{"a": 1}'}}],
    ],
    ids=["arguments begun", "no arguments", "no name", "other spaces"],
)
def test_a_complete_call_adds_what_its_deltas_lack(
    streamed: list[Any], complete: dict[str, Any]
) -> None:
    """It is the call with its id, or the one at its position; calls behind it are new."""
    message = {"tool_calls": [complete, {**CALL, "id": "2"}]}
    deltas = read_stream(chunk({"tool_calls": streamed}), with_message(message, "tool_calls"))
    reply = final_reply(deltas)
    assert [(c.id, c.name, c.parsed) for c in reply.tool_calls] == [
        ("1", "f", {"a": 1}),
        ("2", "f", {"a": 1}),
    ]
    assert joined_calls(deltas) == [(c.id, c.name, c.arguments) for c in reply.tool_calls]


@pytest.mark.parametrize(
    ("streamed", "complete", "text"),
    [
        (["Hel"], "Hello", "Hello"),
        (["Hel", "lo\n"], "Hello", "Hello\n"),
        (["\n\nHel"], "Hello", "\n\nHello"),
        (["Hello"], None, "Hello"),
        (["Hello"], "Goodbye", "Hello"),
        ([], "Hello", "Hello"),
    ],
)
def test_a_complete_text_adds_its_rest(streamed: list[str], complete: Any, text: str) -> None:
    """Text that was handed out stays as it is; reasoning has the same rule."""
    events = [chunk({"content": part, "reasoning": part}) for part in streamed]
    deltas = read_stream(*events, with_message({"content": complete, "reasoning": complete}))
    assert "".join(delta.text for delta in deltas) == final_reply(deltas).text == text
    assert "".join(delta.reasoning for delta in deltas) == final_reply(deltas).reasoning == text


def test_messages_in_place_of_deltas_are_joined() -> None:
    """Some servers have the fragments, or all of the text so far, under `message`."""
    for messages in (["Hel", "lo"], ["Hel", "Hello"]):
        events = [with_message({"content": text}, None) for text in messages]
        assert final_reply(read_stream(*events, chunk(finish="stop"))).text == "Hello"


def test_log_probabilities_beside_a_complete_message_are_not_doubled() -> None:
    """The items that were not streamed are in its delta."""
    first = chunk("Hi")
    first["choices"][0]["logprobs"] = {"content": LOGPROBS["content"][:1]}
    deltas = read_stream(first, with_message({"content": "Hi!"}, logprobs=LOGPROBS))
    assert final_reply(deltas).logprobs == LOGPROBS
    assert [delta.logprobs for delta in deltas if delta.logprobs] == [
        {"content": LOGPROBS["content"][:1]},
        {"content": LOGPROBS["content"][1:]},
    ]
