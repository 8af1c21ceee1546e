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
    "two deltas in one event": [[call(0, "1", "f", ""), call(0, arguments='{"a":1}')]],
    "two deltas in one event, then the rest": [
        [call(0, "1", "f", ""), call(0, arguments='{"a"')],
        call(0, arguments=":1}"),
    ],
    "three deltas without index in one event": [
        [call(..., "1", "f", ""), call(arguments='{"a"'), call(arguments=":1}")]
    ],
    "index of the tool, then of the call": [call(3, "1", "f", ""), call(0, arguments='{"a":1}')],
    "index of the tool, then of the call with the id": [
        call(3, "1", "f", ""),
        call(0, "1", ..., '{"a":1}'),
    ],
    "index of the tool, then of the call with id and name": [
        call(3, "1", "f", ""),
        call(0, "1", "f", '{"a":1}'),
    ],
    "index of the tool in one event": [[call(3, "1", "f", ""), call(0, arguments='{"a":1}')]],
    "index -1, then 0": [call(-1, "1", "f", ""), call(0, arguments='{"a":1}')],
    "index -1": [call(-1, "1", "f", ""), call(-1, arguments='{"a":1}')],
    "index missing, then 0": [call(..., "1", "f", ""), call(0, arguments='{"a":1}')],
    "another id in later deltas": [
        *(call(0, "1", "f", ""), call(0, "x", ..., '{"a"'), call(0, "x", ..., ":1}")),
    ],
    "another id in every delta": [
        *(call(0, "1", "f", ""), call(0, "x", ..., '{"a"'), call(0, "y", ..., ":1}")),
    ],
    "blank id in later deltas": [call(0, "1", "f", ""), call(0, " ", ..., '{"a":1}')],
    "name repeated after whole arguments": [
        call(0, "1", "f", '{"a":1}'),
        call(0, "1", "f", ""),
        call(0, "1", "f", None),
    ],
    "arguments before the first name": [call(0, arguments='{"a"'), call(3, "1", "f", ":1}")],
    "id late with a repeated name": [call(0, ..., "f", '{"a"'), call(0, "1", "f", ":1}")],
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
    "several deltas of each in one event": [
        [
            *(call(0, "1", "f", ""), call(0, arguments='{"a"'), call(0, arguments=":1}")),
            *(call(1, "2", "g", ""), call(1, arguments='{"b"'), call(1, arguments=":2}")),
        ]
    ],
    "all with index 0, deltas in one event": [
        [
            *(call(0, "1", "f", ""), call(0, arguments='{"a":1}')),
            *(call(0, "2", "g", ""), call(0, arguments='{"b"'), call(0, arguments=":2}")),
        ]
    ],
    "index of the tool, then of the call": [
        *(call(3, "1", "f", ""), call(0, arguments='{"a":1}')),
        *(call(2, "2", "g", ""), call(1, arguments='{"b":2}')),
    ],
    "index of the tool is that of the other call": [
        *(call(1, "1", "f", ""), call(0, arguments='{"a":1}')),
        *(call(0, "2", "g", ""), call(1, arguments='{"b"'), call(1, arguments=":2}")),
    ],
    "index of the tool, then 0": [
        *(call(3, "1", "f", ""), call(0, arguments='{"a":1}')),
        *(call(2, "2", "g", ""), call(0, arguments='{"b"'), call(0, arguments=":2}")),
    ],
    "indices of the tools first": [
        *(call(3, "1", "f", ""), call(2, "2", "g", "")),
        *(call(0, arguments='{"a":1}'), call(1, arguments='{"b":2}')),
    ],
    "index missing, then that of the call": [
        *(call(..., "1", "f", ""), call(0, arguments='{"a":1}')),
        *(call(..., "2", "g", ""), call(1, arguments='{"b":2}')),
    ],
    "index from -1": [
        *(call(-1, "1", "f", ""), call(-1, arguments='{"a":1}')),
        *(call(0, "2", "g", ""), call(0, arguments='{"b":2}')),
    ],
    "another id in every delta": [
        *(call(0, "1", "f", ""), call(0, "x", ..., '{"a":1}')),
        *(call(1, "2", "g", ""), call(1, "y", ..., '{"b":2}')),
    ],
    "id and name of both repeated": [
        *(call(0, "1", "f", '{"a"'), call(0, "1", "f", ":1}"), call(0, "1", "f", "")),
        *(call(0, "2", "g", '{"b"'), call(0, "2", "g", ":2}"), call(0, "2", "g", "")),
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


SAME_FUNCTION = {
    "index 0, complete": [call(0, ..., "f", '{"a":1}'), call(0, ..., "f", '{"a":2}')],
    "index 0, in one event": [[call(0, ..., "f", '{"a":1}'), call(0, ..., "f", '{"a":2}')]],
    "index -1": [call(-1, ..., "f", '{"a":1}'), call(-1, ..., "f", '{"a":2}')],
    "index 0, names before arguments": [
        *(call(0, ..., "f", ""), call(0, arguments='{"a":1}')),
        *(call(0, ..., "f", ""), call(0, arguments='{"a"'), call(0, arguments=":2}")),
    ],
    "index 0, deltas in one event": [
        [
            *(call(0, ..., "f", ""), call(0, arguments='{"a":1}')),
            *(call(0, ..., "f", ""), call(0, arguments='{"a":2}')),
        ]
    ],
    "indices 0 and 1": [
        *(call(0, ..., "f", ""), call(1, ..., "f", "")),
        *(call(0, arguments='{"a":1}'), call(1, arguments='{"a":2}')),
    ],
}


@pytest.mark.parametrize("call_id", [..., None, "", "c"])
@pytest.mark.parametrize("events", SAME_FUNCTION.values(), ids=SAME_FUNCTION)
def test_calls_of_one_function_without_ids_or_with_one_id(events: list[Any], call_id: Any) -> None:
    """A name after whole arguments, or with the next index, begins a call; ids are distinct."""

    def with_id(delta: dict[str, Any]) -> dict[str, Any]:
        has_id = call_id is not ... and "name" in delta["function"]
        return {**delta, "id": call_id} if has_id else delta

    lists = (event if isinstance(event, list) else [event] for event in events)
    deltas, calls = read_calls(*([with_id(delta) for delta in event] for event in lists))
    assert [(c.name, c.parsed) for c in calls] == [("f", {"a": 1}), ("f", {"a": 2})]
    ids = ["c", "c_1"] if call_id == "c" else ["call_gen-1_0", "call_gen-1_1"]
    assert [c.id for c in calls] == [received for received, _, _ in joined_calls(deltas)] == ids


MIXED_UP = {
    "names first, one index": [
        *(call(0, "1", "f", ""), call(0, "2", "g", "")),
        *(call(0, arguments='{"a":1}'), call(0, arguments='{"b":2}')),
    ],
    "names first, index of another": [
        *(call(3, "1", "f", ""), call(0, "2", "g", "")),
        *(call(0, arguments='{"a":1}'), call(1, arguments='{"b":2}')),
    ],
}


@pytest.mark.parametrize("events", MIXED_UP.values(), ids=MIXED_UP)
def test_calls_are_invalid_if_their_arguments_cannot_be_told_apart(events: list[Any]) -> None:
    """No tool runs without the arguments that went to another call."""
    _, calls = read_calls(*events)
    assert [c.parsed for c in calls] == [None, None]
    assert all(c.error for c in calls)
    complete = [call(0, "1", "f", ""), call(1, "2", "g", '{"a":1}{"b":2}')]
    assert read_body(completion({"tool_calls": complete})).tool_calls == calls


def test_an_event_has_one_delta_per_call() -> None:
    """LangChain would take two deltas in one chunk for two calls."""
    deltas, _ = read_calls(
        [call(0, "1", "f", ""), call(1, "2", "g", "{"), call(0, arguments="{}"), call(1)]
    )
    assert [(c.index, c.id, c.name, c.arguments) for c in deltas[0].tool_calls] == [
        (0, "1", "f", "{}"),
        (1, "2", "g", "{"),
    ]


# --- ids and names ---


def test_two_calls_with_one_id_get_distinct_ids() -> None:
    """They are the same in a stream and in a complete reply, and differ from the other ids."""
    parts = [call(i, call_id, "f", '{"a":1}') for i, call_id in enumerate(["c", "c", "c_1", "c"])]
    deltas, calls = read_calls(*parts)
    assert [c.id for c in calls] == ["c", "c_1", "c_1_1", "c_2"]
    assert [received for received, _, _ in joined_calls(deltas)] == [c.id for c in calls]
    assert read_body(completion({"tool_calls": parts})).tool_calls == calls


SPLIT_NAMES = {
    "no id in the second": [call(0, "1", "get_", ""), call(0, ..., "weather", "")],
    "same id": [call(0, "1", "get_", ""), call(0, "1", "weather", "")],
    "no index": [call(..., "1", "get_", ""), call(..., ..., "weather", "")],
    "three pieces": [call(0, "1", "get"), call(0, None, "_wea"), call(0, "", "ther")],
    "one event": [[call(0, "1", "get_", ""), call(0, ..., "weather", "")]],
    "index of the tool": [call(4, "1", "get_", ""), call(0, ..., "weather", "")],
    "whole": [call(0, "1", "get_weather", "")],
    "repeated": [call(0, "1", "get_weather", ""), call(0, "1", "get_weather", "")],
}


@pytest.mark.parametrize("pieces", SPLIT_NAMES.values(), ids=SPLIT_NAMES)
def test_the_pieces_of_an_offered_name_are_joined(pieces: list[Any]) -> None:
    """The name is handed out once, when it is whole."""
    chunks = [
        chunk({"tool_calls": deltas if isinstance(deltas, list) else [deltas]})
        for deltas in (*pieces, call(0, arguments='{"a":1}'))
    ]
    deltas = read_stream(*chunks, chunk(finish="tool_calls"), names=["get_weather", "get.city"])
    assert joined_calls(deltas) == [("1", "get_weather", '{"a":1}')]
    names = [c.name for delta in deltas for c in delta.tool_calls if c.name]
    assert names == ["get_weather"]
    assert final_reply(deltas).tool_calls[0].name == "get_weather"


@pytest.mark.parametrize(
    ("pieces", "names"),
    [
        ([call(0, "1", "get", ""), call(0, ..., "_weather", "")], ["get", "_weather"]),
        ([call(0, "1", "look", ""), call(0, ..., "_up", "")], ["look", "_up"]),
        ([call(0, "1", "get_", "{}"), call(0, ..., "weather", "{}")], ["get_", "weather"]),
        ([call(0, "1", "get_", "")], ["get_"]),
        ([call(0, "1", "get_", ""), call(0, "2", "weather", "")], ["get_", "weather"]),
    ],
)
def test_other_names_are_not_joined(pieces: list[Any], names: list[str]) -> None:
    """The first is a tool itself, the whole is none, arguments came between, or the id is new."""
    chunks = [chunk({"tool_calls": [piece]}) for piece in pieces]
    deltas = read_stream(*chunks, chunk(finish="stop"), names=["get", "get_weather"][-len(names) :])
    assert [name for _, name, _ in joined_calls(deltas)] == names
    assert [c.name for c in final_reply(deltas).tool_calls] == names


def test_unknown_keys_of_a_call_are_merged() -> None:
    """They are in the raw reply as a complete one has them."""
    signatures = [{"google": {"thought_signature": "ab"}}, {"google": {"thought_signature": "cd"}}]
    parts = [call(0, "1", "f", ""), call(0, arguments="{}")]
    deltas, _ = read_calls(
        *({**part, "extra_content": s} for part, s in zip(parts, signatures, strict=True))
    )
    (raw,) = final_reply(deltas).raw["choices"][0]["message"]["tool_calls"]
    assert raw["extra_content"] == {"google": {"thought_signature": "abcd"}}


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
