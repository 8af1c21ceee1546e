"""Arguments of tool calls: incomplete or malformed ones make an invalid call."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import add
from typing import Any

import pytest

from langchain_onerouter import ChatOneRouter
from onerouter_simulator import Simulator, tool_call
from tests.langchain.conftest import CallModel, Mode
from tests.langchain.scripted_replies import (
    arguments_delta,
    call_delta,
    complete_and_streamed,
    complete_reply,
    streamed_reply,
    tool_call_message,
)

NESTED = (
    '{"what": "a\\"b", "list": [1, {"x": [true, null, "\\u00e9"]}], "n": -1.5e3, "y": {"z": {}}}'
)
MALFORMED = [
    '{"what": "a"} and more',
    "[1]",
    "5",
    '"x"',
    "null",
    "{'what': 1}",
    '{"what": }',
    "not JSON",
]
TRUNCATED = [NESTED[:end] for end in range(1, len(NESTED))]


def incomplete_arguments() -> Iterator[Any]:
    """Yield arguments that are not a complete object, and finish reasons."""
    for arguments in [*TRUNCATED, *MALFORMED]:
        yield pytest.param(arguments, "tool_calls", id=arguments)
    yield pytest.param(NESTED[:40], "length", id="length")
    yield pytest.param("", "length", id="length, no arguments")


@pytest.mark.parametrize(("arguments", "finish_reason"), list(incomplete_arguments()))
def test_incomplete_arguments_are_an_invalid_call(
    llm: ChatOneRouter, sim: Simulator, arguments: str, finish_reason: str
) -> None:
    """Complete replies and added chunks agree; the raw text is kept."""
    sim.script(
        complete_reply(tool_call_message(tool_call("remember", arguments, "c")), finish_reason),
        streamed_reply(
            [
                call_delta("remember", "c"),
                arguments_delta(arguments[:5]),
                arguments_delta(arguments[5:]),
            ],
            finish_reason,
        ),
    )
    complete, total = llm.invoke("Hi"), reduce(add, llm.stream("Hi"))
    assert complete.tool_calls == []
    (invalid_call,) = complete.invalid_tool_calls
    assert (invalid_call["name"], invalid_call["id"], invalid_call["args"]) == (
        "remember",
        "c",
        arguments,
    )
    assert invalid_call["error"]
    if arguments:
        assert total.tool_calls == []
        (invalid_call,) = total.invalid_tool_calls
        assert (invalid_call["name"], invalid_call["id"]) == ("remember", "c")
        assert invalid_call["args"].startswith(arguments)


def test_empty_arguments_are_invalid_only_after_a_length_limit(
    llm: ChatOneRouter, sim: Simulator
) -> None:
    """Otherwise they are an empty object."""
    sim.script(
        streamed_reply([call_delta("remember", "c")], "length"),
        streamed_reply([call_delta("remember", "c")]),
    )
    after_limit = reduce(add, llm.stream("Hi"))
    assert (len(after_limit.tool_calls), len(after_limit.invalid_tool_calls)) == (0, 1)
    after_stop = reduce(add, llm.stream("Hi"))
    assert [call["args"] for call in after_stop.tool_calls] == [{}]


def test_a_valid_call_beside_an_invalid_one(llm: ChatOneRouter, sim: Simulator, mode: Mode) -> None:
    """Each call is parsed on its own."""
    valid_call, invalid_call = tool_call("f", '{"a": 1}', "c"), tool_call("g", '{"a": "', "d")
    deltas = [
        call_delta("f", "c"),
        arguments_delta('{"a": 1}'),
        call_delta("g", "d", 1),
        arguments_delta('{"a": "', 1),
    ]
    complete, total = complete_and_streamed(
        llm,
        sim,
        mode,
        complete_reply(tool_call_message(valid_call, invalid_call)),
        streamed_reply(deltas),
    )
    for message in (complete, total):
        assert [call["name"] for call in message.tool_calls] == ["f"]
        assert [call["name"] for call in message.invalid_tool_calls] == ["g"]


def test_arguments_as_an_object(llm: ChatOneRouter, sim: Simulator, call_model: CallModel) -> None:
    """Some gateways send an object instead of a string."""
    call = tool_call("f", "", "c")
    call["function"]["arguments"] = {"a": [1]}
    sim.script(complete_reply(tool_call_message(call)))
    assert call_model(llm, "Hi").tool_calls[0]["args"] == {"a": [1]}


def test_a_call_without_an_id_gets_one(
    llm: ChatOneRouter, sim: Simulator, call_model: CallModel
) -> None:
    """A tool result needs it; two calls of a reply get different ids."""
    calls = [{**tool_call("f", "{}"), "id": None} for _ in range(2)]
    sim.script(complete_reply(tool_call_message(*calls)))
    ids = {call["id"] for call in call_model(llm, "Hi").tool_calls}
    assert len(ids) == 2
    assert all(ids)
