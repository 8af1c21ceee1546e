"""The helpers that build bodies: completion, chunk, tool_call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from onerouter_simulator import Script, Simulator, chunk, completion, tool_call
from tests.simulator.conftest import JSON, Complete


def test_the_sdk_decodes_a_completion(complete: Complete, sim: Simulator) -> None:
    """The message has the tool call, and the usage is there."""
    call = tool_call("search", {"q": "x"})
    body = completion(None, message={"tool_calls": [call]}, finish_reason="tool_calls")
    sim.script(Script(json=body))
    reply = complete("Hello")
    assert reply["choices"][0]["message"]["tool_calls"] == [call]
    assert json.loads(call["function"]["arguments"]) == {"q": "x"}
    assert reply["choices"][0]["finish_reason"] == "tool_calls"
    assert reply["usage"]["total_tokens"] == 12


def test_the_sdk_decodes_chunks(complete: Complete, sim: Simulator) -> None:
    """Text, root fields, tool calls, finish reason and usage arrive in their chunks."""
    events = [
        chunk("Hel"),
        chunk("lo", provider="simulated/us"),
        chunk({"tool_calls": [tool_call("f", "{}", "c2", index=0)]}),
        chunk({}, finish_reason="stop"),
        chunk(usage=None, cost=0.5),
    ]
    sim.script(Script(events=events))
    first, second, with_call, end, last = complete("Hello", stream=True)
    assert first["choices"][0]["delta"]["content"] == "Hel"
    assert second["choices"][0]["delta"]["content"] == "lo"
    assert second["provider"] == "simulated/us"
    assert with_call["choices"][0]["delta"]["tool_calls"][0]["index"] == 0
    assert end["choices"][0]["finish_reason"] == "stop"
    assert (last["choices"], last["cost"]) == ([], 0.5)


def test_a_completion_takes_message_keys_and_root_fields() -> None:
    """`message` replaces keys of the message; other keywords replace root fields."""
    body = completion("Hi", message={"refusal": "No.", "content": None}, model="a/b", usage=None)
    assert body["choices"][0]["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": "No.",
    }
    assert (body["object"], body["model"], body["usage"]) == ("chat.completion", "a/b", None)


@pytest.mark.parametrize(
    ("arguments", "choices"),
    [
        ({}, []),
        ({"delta": "a"}, [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]),
        ({"delta": {}, "index": 1}, [{"index": 1, "delta": {}, "finish_reason": None}]),
        (
            {"delta": {"content": "a"}, "finish_reason": "stop"},
            [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}],
        ),
    ],
)
def test_a_chunk_has_a_choice_if_it_has_a_delta(arguments: Any, choices: list[JSON]) -> None:
    """A string is a delta of the content."""
    body = chunk(**arguments)
    assert body["object"] == "chat.completion.chunk"
    assert body["choices"] == choices


def test_tool_call_arguments_are_encoded_unless_they_are_text() -> None:
    """Broken JSON text can be sent; only the call of a delta has an index."""
    encoded = tool_call("f", {"a": "ü"})
    assert encoded["function"] == {"name": "f", "arguments": '{"a":"ü"}'}
    assert "index" not in encoded
    broken = tool_call("f", '{"a": ', "c9", index=2)
    assert broken["function"]["arguments"] == '{"a": '
    assert (broken["id"], broken["index"]) == ("c9", 2)
