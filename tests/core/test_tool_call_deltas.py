"""Tool calls, streamed and whole: put together in spite of everything, and never mended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from onerouter_core import ReplyDelta, ToolCall
from tests.core.payloads import added_up, chunk, completion, end_of, streamed, whole


def call(
    index: Any = ..., call_id: Any = ..., name: Any = ..., arguments: Any = ...
) -> dict[str, Any]:
    """Return a delta with what is given."""
    function = {"name": name, "arguments": arguments}
    function = {key: value for key, value in function.items() if value is not ...}
    delta = {"index": index, "id": call_id, "function": function or ...}
    return {key: value for key, value in delta.items() if value is not ...}


def called(
    *events: Any, finish: str = "tool_calls"
) -> tuple[list[ReplyDelta], tuple[ToolCall, ...]]:
    """Return the pieces and the calls of a stream whose events have these deltas."""
    lists = (event if isinstance(event, list) else [event] for event in events)
    chunks = (chunk({"tool_calls": deltas}) for deltas in lists)
    pieces = streamed(*chunks, chunk(finish=finish))
    return pieces, end_of(pieces).tool_calls


PLAIN = [("1", "f", '{"a":1}')]
TWO = [("1", "f", '{"a":1}'), ("2", "g", '{"b":2}')]

ONE_CALL = {
    "as it should be": [call(0, "1", "f", ""), call(0, arguments='{"a"'), call(0, arguments=":1}")],
    "all in one delta": [call(0, "1", "f", '{"a":1}')],
    "index missing": [call(..., "1", "f", '{"a"'), call(arguments=":1}")],
    "index null": [call(None, "1", "f", '{"a"'), call(None, arguments=":1}")],
    "index a string": [call("0", "1", "f", '{"a"'), call(0, arguments=":1}")],
    "index a list": [call([], "1", "f", '{"a"'), call({}, arguments=":1}")],
    "index that begins late": [call(3, "1", "f", '{"a"'), call(3, arguments=":1}")],
    "index missing at times": [call(0, "1", "f", '{"a"'), call(arguments=":1}")],
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
    "deltas that are none": [[None, "x"], call(0, "1", "f", '{"a":1}'), []],
}


@pytest.mark.parametrize("events", ONE_CALL.values(), ids=ONE_CALL)
def test_one_call(events: list[Any]) -> None:
    """However its deltas are broken up and labelled, one call is one call."""
    pieces, calls = called(*events)
    assert added_up(pieces) == PLAIN
    assert calls == (ToolCall("1", "f", '{"a":1}', parsed={"a": 1}),)


TWO_CALLS = {
    "one after the other": [
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
    "index reused, ids to and fro": [
        *(call(0, "1", "f", '{"a"'), call(0, "2", "g", '{"b"')),
        *(call(0, "1", None, ":1}"), call(0, "2", None, ":2}")),
    ],
    "ids without index": [
        *(call(..., "1", "f", '{"a"'), call(..., "2", "g", '{"b"')),
        *(call(..., "1", ..., ":1}"), call(..., "2", ..., ":2}")),
    ],
    "whole ones without index": [
        call(..., "1", "f", '{"a":1}'),
        call(..., "2", "g", '{"b":2}'),
    ],
}


@pytest.mark.parametrize("events", TWO_CALLS.values(), ids=TWO_CALLS)
def test_two_calls(events: list[Any]) -> None:
    """However they are mixed, two calls are two calls."""
    pieces, calls = called(*events)
    assert added_up(pieces) == TWO
    assert [(c.id, c.name, c.arguments) for c in calls] == TWO


def test_calls_with_nothing_but_names() -> None:
    """Without index and id a new name, or the same after whole arguments, is a new call."""
    pieces, calls = called(
        call(name="f", arguments='{"a":1}'),
        call(name="f", arguments='{"a":2}'),
        call(name="g", arguments='{"a"'),
        call(arguments=":3}"),
    )
    assert [(c.name, c.parsed["a"]) for c in calls] == [("f", 1), ("f", 2), ("g", 3)]
    assert [name for _, name, _ in added_up(pieces)] == ["f", "f", "g"]


@pytest.mark.parametrize("call_id", [None, "", 5])
def test_an_id_is_made_up_where_there_is_none(call_id: Any) -> None:
    """Calls without an id get one, the same whole and streamed, before or with the end."""
    pieces, calls = called(call(0, call_id, "f", "{}"), call(1, call_id, "g", "{}"))
    assert [c.id for c in calls] == ["call_gen-1_0", "call_gen-1_1"]
    assert [made_up for made_up, _, _ in added_up(pieces)] == [c.id for c in calls]
    deltas = [call(0, call_id, "f", "{}"), call(1, call_id, "g", "{}")]
    assert whole(completion({"tool_calls": deltas})).tool_calls == calls


def test_made_up_ids_differ_between_replies() -> None:
    """Made-up ids of two replies differ, though the replies have no ids themselves."""
    body = completion({"tool_calls": [call(0, None, "f", "{}")]}, id=None)
    assert whole(body).tool_calls[0].id != whole(body).tool_calls[0].id


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
def test_arguments_that_are_valid(stream: bool, arguments: Any, parsed: Any) -> None:
    """Arguments are one JSON object, as a string or as it is; none at all are an empty one."""
    made = call(0, "1", "f", arguments)
    if stream:
        _, (read,) = called(made)
    else:
        (read,) = whole(completion({"tool_calls": [made]}, "tool_calls")).tool_calls
    assert (read.parsed, read.error) == (parsed, None)


@pytest.mark.parametrize(
    "arguments",
    [
        *('{"a": 1', '{"a": 1}}', "{'a': 1}", '{"a": 1,}', '{"a": 1} {"a": 2}', "[1]", '"x"'),
        *("null", "1", "oops", "[" * 5000, ["é"], 5, False),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_arguments_that_are_invalid(stream: bool, arguments: Any) -> None:
    """Anything but one JSON object is an error that keeps the text, and is never mended."""
    made = call(0, "1", "f", arguments)
    if stream:
        _, (read,) = called(made)
    else:
        (read,) = whole(completion({"tool_calls": [made]}, "tool_calls")).tool_calls
    assert read.parsed is None
    assert read.error is not None
    assert read.error.startswith("The arguments are not a JSON object.")
    text = json.dumps(arguments, ensure_ascii=False)
    assert read.arguments == (arguments if isinstance(arguments, str) else text)


@pytest.mark.parametrize("arguments", ["", '{"path": "/', "{"])
@pytest.mark.parametrize("stream", [False, True])
def test_arguments_that_were_cut(stream: bool, arguments: str) -> None:
    """What the length limit cut is invalid, also where nothing is left of it."""
    made = call(0, "1", "f", arguments)
    if stream:
        _, (read,) = called(made, finish="length")
    else:
        (read,) = whole(completion({"tool_calls": [made]}, "length")).tool_calls
    assert read.parsed is None
    assert read.error is not None
    assert read.error.startswith("The arguments were cut off.")


def test_a_call_before_the_cut_is_valid() -> None:
    """The length limit cuts the last call; the whole ones before it are valid."""
    _, (first, last) = called(
        call(0, "1", "f", '{"a":1}'), call(1, "2", "g", '{"b'), finish="length"
    )
    assert (first.parsed, first.error) == ({"a": 1}, None)
    assert (last.parsed, last.error is None) == (None, False)


def test_a_call_without_a_name_is_kept() -> None:
    """A call that never gets a name has the empty one, whole and streamed."""
    _, (read,) = called(call(0, "1", ..., "{}"))
    assert read == ToolCall("1", "", "{}", parsed={})
    assert whole(completion({"tool_calls": [call(0, "1", ..., "{}")]})).tool_calls == (read,)


@pytest.mark.parametrize("calls", [None, [], {}, "x", [None]])
def test_calls_that_are_none(calls: Any) -> None:
    """A list of calls that is null, empty or odd holds none."""
    assert whole(completion({"content": "Hi", "tool_calls": calls})).tool_calls == ()
    pieces = streamed(chunk({"content": "Hi", "tool_calls": calls}, "stop"))
    assert added_up(pieces) == []
    assert end_of(pieces).tool_calls == ()


def test_names_are_spelled_back_once() -> None:
    """A tool's name comes back as its owner spells it, in the piece and in the end."""
    delta = call(0, "1", "shop_find", "{}")
    pieces = streamed(chunk({"tool_calls": [delta]}), chunk(finish="stop"), names=["shop.find"])
    assert added_up(pieces) == [("1", "shop.find", "{}")]
    assert end_of(pieces).tool_calls[0].name == "shop.find"
