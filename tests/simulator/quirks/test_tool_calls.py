"""Quirks 29 to 40: names, ids and arguments of tool calls, and older and doubled messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.simulator.conftest import JSON
from tests.simulator.quirks.conftest import (
    ARGUMENTS,
    ONE_CALL,
    REASONING,
    TOOLS,
    TWO_CALLS,
    deltas_of,
    finish_reasons,
    message_of,
    send,
    stream,
)

NO_ARGUMENTS = "Please give the status."


def calls(quirk: str, question: str = TWO_CALLS) -> list[JSON]:
    """Return the calls of a completion."""
    return message_of(send(quirk, question, tools=TOOLS)).get("tool_calls", [])


def deltas(quirk: str, question: str = TWO_CALLS) -> list[JSON]:
    """Return the tool-call deltas of a stream."""
    chunks = stream(quirk, question, tools=TOOLS)
    return [call for delta in deltas_of(chunks) for call in delta.get("tool_calls", ())]


@pytest.mark.parametrize(
    ("quirk", "ids"),
    [("calls-with-one-id", 1), ("ids-missing", 0), ("ids-empty", 1)],
)
def test_ids(quirk: str, ids: int) -> None:
    """In a completion and in a stream."""
    for sent in (calls(quirk), deltas(quirk)):
        assert len({call["id"] for call in sent if "id" in call}) == ids
        assert any("id" in call and call["id"] == "" for call in sent) == (quirk == "ids-empty")


def test_names_and_ids_of_later_pieces() -> None:
    """A name is cut, or repeated; so is an id."""
    names = [call["function"].get("name") for call in deltas("name-in-two-pieces", ONE_CALL)]
    assert names == ["mult", "iply", None, None]
    names = [call["function"].get("name") for call in deltas("name-on-every-piece", ONE_CALL)]
    assert names == ["multiply"] * 3
    assert len({call["id"] for call in deltas("id-on-every-piece", ONE_CALL)}) == 1
    ids = [call["id"] for call in deltas("blank-id-on-later-pieces", ONE_CALL)]
    assert ids[1:] == [" ", " "]
    assert ids[0].strip()


def test_the_complete_message_comes_last() -> None:
    """It has the text, the reasoning and the calls of the deltas before."""
    chunks = stream("complete-message-last", ONE_CALL, tools=TOOLS, reasoning=REASONING)
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    (last,) = [choice for choice in choices if choice["finish_reason"]]
    message = last["message"]
    assert "delta" not in last
    assert message["tool_calls"][0]["function"] == {"name": "multiply", "arguments": ARGUMENTS}
    assert message["reasoning_details"][0]["text"] == message["reasoning"]
    assert message["reasoning_details"][0]["signature"]


def test_arguments_as_an_object() -> None:
    """The object is in one delta; arguments that a limit has cut stay a text."""
    for sent in (calls("arguments-as-object"), deltas("arguments-as-object")):
        assert [call["function"]["arguments"] for call in sent] == [json.loads(ARGUMENTS)] * 2
    cut = send("arguments-as-object", ONE_CALL, tools=TOOLS, max_tokens=2)
    assert message_of(cut)["tool_calls"][0]["function"]["arguments"] == '{"a": 12'


@pytest.mark.parametrize(("quirk", "value"), [("arguments-empty", ""), ("arguments-null", None)])
def test_no_arguments(quirk: str, value: Any) -> None:
    """Other arguments stay as they are."""
    for sent in (calls(quirk, NO_ARGUMENTS), deltas(quirk, NO_ARGUMENTS)):
        assert [call["function"]["arguments"] for call in sent] == [value]
    assert calls(quirk, ONE_CALL)[0]["function"]["arguments"] == ARGUMENTS


def test_one_call_is_a_function_call() -> None:
    """Several calls stay tool calls."""
    body = send("function-call", ONE_CALL, tools=TOOLS)
    assert message_of(body)["function_call"] == {"name": "multiply", "arguments": ARGUMENTS}
    assert "tool_calls" not in message_of(body)
    assert body["choices"][0]["finish_reason"] == "function_call"
    chunks = stream("function-call", ONE_CALL, tools=TOOLS)
    parts = [delta["function_call"] for delta in deltas_of(chunks) if "function_call" in delta]
    assert [part.get("name") for part in parts] == ["multiply", None, None]
    assert "".join(part["arguments"] for part in parts) == ARGUMENTS
    assert finish_reasons(chunks) == ["function_call"]
    assert len(calls("function-call")) == 2
    assert finish_reasons(stream("function-call", TWO_CALLS, tools=TOOLS)) == ["tool_calls"]
