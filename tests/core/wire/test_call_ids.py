"""Ids of tool calls: legal, distinct, and the same for a call and its result."""

from __future__ import annotations

import re

import pytest

from onerouter_core import Message, Text, ToolCall
from onerouter_core.errors import ConfigurationError
from onerouter_core.wire.call_ids import encode_call_ids, match_results

USER = Message("user", (Text("Hello"),))
ILLEGAL = [
    "functions.find:0",
    "a b",
    "call|1",
    "\u00e9",
    "",
    "x" * 41,
    "\ud83d",
    "chatcmpl-tool-" + "f" * 40,
]


def calls(*ids: str) -> Message:
    """Return an assistant message with tool calls of these ids."""
    return Message("assistant", tool_calls=tuple(ToolCall(i, "find", parsed={}) for i in ids))


def result(call_id: str | None) -> Message:
    """Return a tool result."""
    return Message("tool", (Text("42"),), tool_call_id=call_id)


def encoded(*messages: Message) -> list[str]:
    """Return the ids in the order of the calls."""
    return list(encode_call_ids(messages).values())


@pytest.mark.parametrize("call_id", ["call_1", "x" * 40, "-", "toolu_01A"])
def test_a_legal_id_is_kept(call_id: str) -> None:
    """It is what the upstream made."""
    assert encoded(calls(call_id)) == [call_id]


def test_illegal_ids_are_encoded_alike_in_each_request() -> None:
    """They are legal and distinct, whatever follows in the conversation."""
    first = encoded(USER, calls(*ILLEGAL))
    assert all(re.fullmatch("[a-zA-Z0-9_-]{1,40}", call_id) for call_id in first)
    assert len(set(first)) == len(ILLEGAL)
    assert encoded(USER, calls(*ILLEGAL), USER, calls("new"))[:-1] == first


@pytest.mark.parametrize("call_id", ["x", "x" * 40, *ILLEGAL])
def test_a_repeated_id_is_made_distinct(call_id: str) -> None:
    """In one message and in several; an id that looks like the new one is no obstacle."""
    ids = encoded(calls(call_id, call_id, f"{call_id}_2"), USER, calls(call_id))
    assert len(set(ids)) == 4
    assert all(re.fullmatch("[a-zA-Z0-9_-]{1,40}", encoded_id) for encoded_id in ids)


def test_ids_that_become_equal_are_made_distinct() -> None:
    """The legal one is kept."""
    ids = encoded(calls("a.b", "a:b", "a_b"))
    assert len(set(ids)) == 3
    assert ids[2] == "a_b"


def test_each_call_has_the_next_result() -> None:
    """Results are matched by id, to calls before them only."""
    history = (
        result("1"),
        calls("1", "2"),
        USER,
        result("2"),
        calls("1"),
        result("1"),
        result("3"),
    )
    assert match_results(history) == {(1, 1): 3, (4, 0): 5}


@pytest.mark.parametrize("call_id", [None, ""])
def test_a_result_without_an_id_is_rejected(call_id: str | None) -> None:
    """It could belong to any call."""
    with pytest.raises(ConfigurationError, match="needs the tool_call_id"):
        match_results((calls("1"), result(call_id)))
