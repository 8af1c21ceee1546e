"""Tool-call deltas: merged although gateways break the rules; arguments are never repaired."""

from __future__ import annotations

import json
from typing import Any

import pytest

from onerouter_core import ReplyDelta, ToolCall
from tests.core.payloads import (
    chunk,
    completion,
    final_reply,
    joined_calls,
    read_body,
    read_stream,
)


def call(
    index: Any = ..., call_id: Any = ..., name: Any = ..., arguments: Any = ...
) -> dict[str, Any]:
    """Return a tool-call delta with the keys that are given."""
    function = {"name": name, "arguments": arguments}
    function = {key: value for key, value in function.items() if value is not ...}
    delta = {"index": index, "id": call_id, "function": function or ...}
    return {key: value for key, value in delta.items() if value is not ...}


def read_calls(
    *events: Any, finish: str = "tool_calls"
) -> tuple[list[ReplyDelta], tuple[ToolCall, ...]]:
    """Return the deltas, and the final tool calls, of a stream.

    Each event is the tool-call delta of one chunk, or a list of them.
    """
    lists = (event if isinstance(event, list) else [event] for event in events)
    chunks = (chunk({"tool_calls": deltas}) for deltas in lists)
    deltas = read_stream(*chunks, chunk(finish=finish))
    return deltas, final_reply(deltas).tool_calls


def read_one_call(delta: dict[str, Any], finish: str, *, stream: bool) -> ToolCall:
    """Return the only tool call of a streamed or a complete reply."""
    if stream:
        (tool_call,) = read_calls(delta, finish=finish)[1]
    else:
        (tool_call,) = read_body(completion({"tool_calls": [delta]}, finish)).tool_calls
    return tool_call


# --- merging ---

ONE = [("1", "f", '{"a":1}')]
TWO = [("1", "f", '{"a":1}'), ("2", "g", '{"b":2}')]

ONE_CALL = {
    "regular": [call(0, "1", "f", ""), call(0, arguments='{"a"'), call(0, arguments=":1}")],
    "one delta": [call(0, "1", "f", '{"a":1}')],
    "index missing": [call(..., "1", "f", '{"a"'), call(arguments=":1}")],
    "index null": [call(None, "1", "f", '{"a"'), call(None, arguments=":1}")],
    "index a string": [call("0", "1", "f", '{"a"'), call(0, arguments=":1}")],
    "index a list": [call([], "1", "f", '{"a"'), call({}, arguments=":1}")],
    "index begins at 3": [call(3, "1", "f", '{"a"'), call(3, arguments=":1}")],
    "index sometimes missing": [call(0, "1", "f", '{"a"'), call(arguments=":1}")],
    "id and name repeated": [call(0, "1", "f", '{"a"'), call(0, "1", "f", ":1}")],
    "repeated without index": [call(..., "1", "f", '{"a"'), call(..., "1", "f", ":1}")],
    "id and name empty": [call(0, "1", "f", '{"a"'), call(0, "", "", ":1}")],
    "id and name null": [call(0, "1", "f", '{"a"'), call(0, None, None, ":1}")],
    "id and name late": [call(0, arguments='{"a"'), call(0, "1", "f"), call(0, arguments=":1}")],
    "id late without index": [call(..., ..., "f", '{"a"'), call(..., "1", ..., ":1}")],
    "name late": [call(0, "1", None, '{"a"'), call(0, "", "f", ":1}")],
    "name repeated without id or index": [
        call(name="f", arguments='{"a"'),
        call(name="f", arguments=":1}"),
        call(call_id="1"),
    ],
    "function null": [
        call(0, "1", "f", '{"a":1}'),
        {"index": 0, "function": None},
        {"index": 0},
    ],
    "arguments null": [call(0, "1", "f", None), call(0, arguments='{"a":1}')],
    "items that are no objects": [[None, "x"], call(0, "1", "f", '{"a":1}'), []],
}


@pytest.mark.parametrize("events", ONE_CALL.values(), ids=ONE_CALL)
def test_deltas_of_one_call_are_merged(events: list[Any]) -> None:
    """However the deltas are split and labelled, they are one call."""
    deltas, calls = read_calls(*events)
    assert joined_calls(deltas) == ONE
    assert calls == (ToolCall("1", "f", '{"a":1}', parsed={"a": 1}),)


TWO_CALLS = {
    "in sequence": [
        *(call(0, "1", "f", '{"a"'), call(0, arguments=":1}")),
        *(call(1, "2", "g", '{"b"'), call(1, arguments=":2}")),
    ],
    "interleaved": [
        *(call(0, "1", "f"), call(1, "2", "g"), call(1, arguments='{"b"')),
        *(call(0, arguments='{"a":1}'), call(1, arguments=":2}")),
    ],
    "several in one event": [
        [call(0, "1", "f", '{"a"'), call(1, "2", "g", '{"b"')],
        [call(0, arguments=":1}"), call(1, arguments=":2}")],
    ],
    "index reused with another id": [
        *(call(0, "1", "f", '{"a"'), call(0, arguments=":1}")),
        *(call(0, "2", "g", '{"b"'), call(0, arguments=":2}")),
    ],
    "index reused, ids interleaved": [
        *(call(0, "1", "f", '{"a"'), call(0, "2", "g", '{"b"')),
        *(call(0, "1", None, ":1}"), call(0, "2", None, ":2}")),
    ],
    "ids without index": [
        *(call(..., "1", "f", '{"a"'), call(..., "2", "g", '{"b"')),
        *(call(..., "1", ..., ":1}"), call(..., "2", ..., ":2}")),
    ],
    "complete calls without index": [
        call(..., "1", "f", '{"a":1}'),
        call(..., "2", "g", '{"b":2}'),
    ],
}


@pytest.mark.parametrize("events", TWO_CALLS.values(), ids=TWO_CALLS)
def test_deltas_of_two_calls_are_kept_apart(events: list[Any]) -> None:
    """However the deltas are mixed, they are two calls."""
    deltas, calls = read_calls(*events)
    assert joined_calls(deltas) == TWO
    assert [(c.id, c.name, c.arguments) for c in calls] == TWO


def test_without_index_and_id_a_name_begins_a_new_call() -> None:
    """That is another name, or the same name after complete arguments."""
    deltas, calls = read_calls(
        call(name="f", arguments='{"a":1}'),
        call(name="f", arguments='{"a":2}'),
        call(name="g", arguments='{"a"'),
        call(arguments=":3}"),
    )
    assert [(c.name, c.parsed["a"]) for c in calls] == [("f", 1), ("f", 2), ("g", 3)]
    assert [name for _, name, _ in joined_calls(deltas)] == ["f", "f", "g"]


# --- ids and names ---


@pytest.mark.parametrize("call_id", [None, "", 5])
def test_a_call_without_an_id_gets_a_generated_one(call_id: Any) -> None:
    """The id is the same in the deltas, in the final reply and in a complete reply."""
    parts = [call(0, call_id, "f", "{}"), call(1, call_id, "g", "{}")]
    deltas, calls = read_calls(*parts)
    assert [c.id for c in calls] == ["call_gen-1_0", "call_gen-1_1"]
    assert [generated for generated, _, _ in joined_calls(deltas)] == [c.id for c in calls]
    assert read_body(completion({"tool_calls": parts})).tool_calls == calls


def test_generated_ids_differ_between_replies_without_ids() -> None:
    """Two replies in one conversation must not have the same call ids."""
    body = completion({"tool_calls": [call(0, None, "f", "{}")]}, id=None)
    assert read_body(body).tool_calls[0].id != read_body(body).tool_calls[0].id


def test_a_call_that_never_gets_a_name_is_kept_with_an_empty_one() -> None:
    """The streamed reply and the complete one are equal."""
    _, (tool_call,) = read_calls(call(0, "1", ..., "{}"))
    assert tool_call == ToolCall("1", "", "{}", parsed={})
    complete = read_body(completion({"tool_calls": [call(0, "1", ..., "{}")]}))
    assert complete.tool_calls == (tool_call,)


def test_the_name_of_a_tool_is_decoded_in_the_delta_and_in_the_final_reply() -> None:
    """Both have the caller's name."""
    delta = call(0, "1", "shop_find", "{}")
    deltas = read_stream(chunk({"tool_calls": [delta]}), chunk(finish="stop"), names=["shop.find"])
    assert joined_calls(deltas) == [("1", "shop.find", "{}")]
    assert final_reply(deltas).tool_calls[0].name == "shop.find"


@pytest.mark.parametrize("tool_calls", [None, [], {}, "x", [None]])
def test_tool_calls_that_are_null_empty_or_no_list_are_none(tool_calls: Any) -> None:
    """The reply has its text and no call."""
    message = {"content": "Hi", "tool_calls": tool_calls}
    assert read_body(completion(message)).tool_calls == ()
    deltas = read_stream(chunk(message, "stop"))
    assert joined_calls(deltas) == []
    assert final_reply(deltas).tool_calls == ()


# --- arguments ---


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [
        ("", {}),
        (None, {}),
        ("  ", {}),
        ("{}", {}),
        (' {"a": 1}\n', {"a": 1}),
        ('{"a": {"b": [null]}}', {"a": {"b": [None]}}),
        ({"a": 1}, {"a": 1}),
        ({}, {}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_valid_arguments_are_parsed(stream: bool, arguments: Any, parsed: Any) -> None:
    """They are one JSON object, as a string or as an object; blank ones are an empty object."""
    tool_call = read_one_call(call(0, "1", "f", arguments), "tool_calls", stream=stream)
    assert (tool_call.parsed, tool_call.error) == (parsed, None)


@pytest.mark.parametrize(
    "arguments",
    [
        *('{"a": 1', '{"a": 1}}', "{'a': 1}", '{"a": 1,}', '{"a": 1} {"a": 2}', "[1]", '"x"'),
        *("null", "1", "oops", "[" * 5000, ["é"], 5, False),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_invalid_arguments_are_an_error_and_never_repaired(stream: bool, arguments: Any) -> None:
    """The call keeps the text, and its error says that it is not a JSON object."""
    tool_call = read_one_call(call(0, "1", "f", arguments), "tool_calls", stream=stream)
    assert tool_call.parsed is None
    assert tool_call.error is not None
    assert tool_call.error.startswith("The arguments are not a JSON object.")
    text = json.dumps(arguments, ensure_ascii=False)
    assert tool_call.arguments == (arguments if isinstance(arguments, str) else text)


@pytest.mark.parametrize("arguments", ["", '{"path": "/', "{"])
@pytest.mark.parametrize("stream", [False, True])
def test_arguments_that_the_length_limit_cut_are_an_error(stream: bool, arguments: str) -> None:
    """Blank arguments are no empty object then."""
    tool_call = read_one_call(call(0, "1", "f", arguments), "length", stream=stream)
    assert tool_call.parsed is None
    assert tool_call.error is not None
    assert tool_call.error.startswith("The arguments were cut off.")


def test_a_complete_call_before_the_length_limit_is_valid() -> None:
    """The limit cut the last call only."""
    _, (first, last) = read_calls(
        call(0, "1", "f", '{"a":1}'), call(1, "2", "g", '{"b'), finish="length"
    )
    assert (first.parsed, first.error) == ({"a": 1}, None)
    assert (last.parsed, last.error is None) == (None, False)
