"""Calls in: what an agent relies on, also where a server bends the rules; and calls sent back."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.tools import FunctionTool

from onerouter_simulator import tool_call
from tests.llama_index.conformance.answers import (
    ADD,
    CHATS,
    add_call,
    answer,
    arguments,
    call_deltas,
    calls,
    message,
    stream,
)
from tests.llama_index.conformance.bench import Bench, say

WORD = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def selected(bench: Bench, response: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return what is to be called: names and arguments."""
    found = bench.llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
    return [(one.tool_name, one.tool_kwargs) for one in found]


def test_a_call_comes_in(bench: Bench) -> None:
    """Name, arguments and id."""
    for endpoint in CHATS:
        bench.script(calls(endpoint, add_call("c1")))
        response = bench.last(f"{endpoint}_with_tools", [ADD], "Hello")
        (selection,) = bench.llm.get_tool_calls_from_response(response)
        assert (selection.tool_id, selection.tool_name) == ("c1", "add")
        assert selection.tool_kwargs == {"a": 1, "b": 2}


def test_calls_in_parallel(bench: Bench) -> None:
    """All of them, in order."""
    for endpoint in CHATS:
        bench.script(calls(endpoint, add_call("c1", a=1), add_call("c2", a=2)))
        options = {"allow_parallel_tool_calls": True}
        response = bench.last(f"{endpoint}_with_tools", [ADD], "Hello", **options)
        assert [one["a"] for _, one in selected(bench, response)] == [1, 2]


START = {"index": 0, "id": "c1", "type": "function", "function": {"name": "add", "arguments": ""}}
OTHER = {**START, "index": 1, "id": "c2"}
TWICE = [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


def whole_delta(call_id: str, index: int | None, a: int, b: int) -> dict[str, Any]:
    """Return a whole call as one delta."""
    return tool_call("add", {"a": a, "b": b}, call_id, index)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param(
            call_deltas(START, *(arguments(0, part) for part in ('{"a"', ': 1, "b', '": 2}'))),
            TWICE[:1],
            id="in pieces",
        ),
        pytest.param(
            stream({"tool_calls": [whole_delta("c1", 0, 1, 2), whole_delta("c2", 1, 3, 4)]}),
            TWICE,
            id="two in one delta",
        ),
        pytest.param(
            call_deltas(
                *(START, OTHER, arguments(0, '{"a": 1,'), arguments(1, '{"a": 3,')),
                *(arguments(0, '"b": 2}'), arguments(1, '"b": 4}')),
            ),
            TWICE,
            id="interleaved",
        ),
        pytest.param(
            call_deltas(whole_delta("c1", None, 1, 2), whole_delta("c2", None, 3, 4)),
            TWICE,
            id="no index",
        ),
        pytest.param(
            call_deltas(whole_delta("c1", 0, 1, 2), whole_delta("c2", 0, 3, 4)),
            TWICE,
            id="one index for two ids",
        ),
        pytest.param(
            call_deltas(
                tool_call("add", '{"a": 1, ', "c1", 0),
                tool_call("add", '"b": 2}', "c1", 0),
            ),
            TWICE[:1],
            id="id and name repeated",
        ),
        pytest.param(
            call_deltas(
                {"index": 0, "id": "c1", "type": "function"},
                {"index": 0, "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}},
            ),
            TWICE[:1],
            id="no function at first",
        ),
    ],
)
def test_a_streamed_call_comes_in(bench: Bench, script: Any, expected: Any) -> None:
    """However servers cut it up, the last item has the calls whole."""
    bench.script(script)
    options = {"allow_parallel_tool_calls": True}
    response = bench.last("stream_chat_with_tools", [ADD], "Hello", **options)
    assert selected(bench, response) == [("add", one) for one in expected]


def test_calls_without_ids_get_some(bench: Bench) -> None:
    """Results are matched with calls by id, so each has one of its own."""
    nameless = [add_call() | {"id": missing} for missing in (None, "")]
    for endpoint in CHATS:
        bench.script(calls(endpoint, *nameless))
        options = {"allow_parallel_tool_calls": True}
        response = bench.last(f"{endpoint}_with_tools", [ADD], "Hello", **options)
        ids = [one.tool_id for one in bench.llm.get_tool_calls_from_response(response)]
        assert len(set(ids)) == 2
        assert all(ids)


@pytest.mark.parametrize(
    ("given", "expected"),
    [({"a": 1, "b": 2}, {"a": 1, "b": 2}), (None, {}), ("", {})],
    ids=["a dict", "null", "empty"],
)
def test_arguments_that_are_no_json_text(bench: Bench, given: Any, expected: Any) -> None:
    """Servers send an object instead of its text, or nothing for a tool that takes nothing."""
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": given}}
    bench.script(message("chat", "tool_calls", tool_calls=[call]))
    response = bench.last("chat_with_tools", [ADD], "Hello")
    assert selected(bench, response) == [("add", expected)]


@pytest.mark.parametrize("endpoint", CHATS)
def test_one_call_is_one_call(bench: Bench, endpoint: str) -> None:
    """A model that calls twice all the same is held to one, and one goes back with its result."""
    bench.script(calls(endpoint, add_call("c1", a=1), add_call("c2", a=2)), answer("chat"))
    response = bench.last(f"{endpoint}_with_tools", [ADD], "Hello")
    assert [one["a"] for _, one in selected(bench, response)] == [1]
    bench.last("chat", turn(response.message, "c1"))
    assert arrived(bench)[0] == "c1"


def test_no_call_is_an_error_unless_it_is_not(bench: Bench) -> None:
    """LlamaIndex asks for a ValueError, or for an empty list."""
    bench.script(answer("chat"))
    response = bench.last("chat_with_tools", [ADD], "Hello")
    assert selected(bench, response) == []
    with pytest.raises(ValueError, match="tool call"):
        bench.llm.get_tool_calls_from_response(response)


def test_a_name_with_a_dot_comes_back(bench: Bench) -> None:
    """The API takes words only; the user's tool keeps its name."""
    dotted = FunctionTool.from_defaults(lambda a, b: a + b, name="math.add", description="Add.")
    bench.script(answer("chat"))
    bench.last("chat_with_tools", [dotted], "Hello")
    name = bench.body["tools"][0]["function"]["name"]
    assert WORD.fullmatch(name)
    for endpoint in CHATS:
        bench.script(calls(endpoint, tool_call(name, {"a": 1, "b": 2})))
        response = bench.last(f"{endpoint}_with_tools", [dotted], "Hello")
        assert selected(bench, response) == [("math.add", {"a": 1, "b": 2})]


# --- histories ---


def turn(made: ChatMessage, call_id: str) -> list[ChatMessage]:
    """Return a conversation in which a tool was called and has answered."""
    result = ChatMessage("3", role="tool", additional_kwargs={"tool_call_id": call_id})
    return [*say(), made, result]


def arrived(bench: Bench) -> tuple[Any, ...]:
    """Return the one call in the history that arrived, and whose result the last message is."""
    _, made, result = bench.body["messages"]
    (call,) = made["tool_calls"]
    read = json.loads(call["function"]["arguments"])
    return call["id"], call["function"]["name"], read, result["tool_call_id"], result["content"]


def in_blocks(bench: Bench) -> ChatMessage:
    """Return a call as the class itself gives it."""
    bench.script(calls("chat", add_call("c1")))
    made: ChatMessage = bench.last("chat_with_tools", [ADD], "Hello").message
    return made


def through_json(bench: Bench) -> ChatMessage:
    """Return a call that was written down and read again."""
    return ChatMessage.model_validate_json(in_blocks(bench).model_dump_json())


def as_dicts(_: Bench) -> ChatMessage:
    """Return a call as histories of other classes have it: a dict beside the blocks."""
    return ChatMessage(role="assistant", additional_kwargs={"tool_calls": [add_call("c1")]})


@pytest.mark.parametrize("source", [in_blocks, through_json, as_dicts])
def test_a_call_goes_back(bench: Bench, source: Any) -> None:
    """Id, name and arguments are those that came, and the result names the id."""
    history = turn(source(bench), "c1")
    bench.script(answer("chat"))
    bench.last("chat", history)
    assert arrived(bench) == ("c1", "add", {"a": 1, "b": 2}, "c1", "3")


@pytest.mark.parametrize("lost", ["call", "result"])
def test_half_a_turn_is_not_sent(bench: Bench, lost: str) -> None:
    """Memories that are cut to a length lose one half; the API refuses the other by itself."""
    first, made, result = turn(as_dicts(bench), "c1")
    kept = [first, made] if lost == "result" else [result]
    bench.script(answer("chat"))
    attempt = bench.attempt("chat", [*kept, *say("And now?")])
    if attempt.error is None:
        sent = bench.body["messages"]
        called = [call["id"] for one in sent for call in one.get("tool_calls") or ()]
        assert called == [one["tool_call_id"] for one in sent if one["role"] == "tool"]
    else:
        assert bench.subject.typed(attempt.error)


def test_a_restored_call_can_be_read(plain_bench: Bench) -> None:
    """Calls in dicts are calls."""
    response = ChatResponse(message=as_dicts(plain_bench))
    assert selected(plain_bench, response) == [("add", {"a": 1, "b": 2})]
