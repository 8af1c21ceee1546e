"""Tool calls: calls in a response, in every form that servers send, and calls in a history."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.tools import FunctionTool

from onerouter_simulator import tool_call
from tests.llama_index.conformance.harness import Harness, user_messages
from tests.llama_index.conformance.scripted_replies import (
    ADD,
    CHAT_ENDPOINTS,
    add_call,
    arguments_delta,
    message_reply,
    stream_reply,
    text_reply,
    tool_call_stream,
    tool_calls_reply,
)

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def selections(harness: Harness, response: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return names and arguments of the tool selections."""
    calls = harness.llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
    return [(call.tool_name, call.tool_kwargs) for call in calls]


def test_a_tool_call_has_id_name_and_arguments(harness: Harness) -> None:
    """Streamed or not."""
    for endpoint in CHAT_ENDPOINTS:
        harness.script(tool_calls_reply(endpoint, add_call("c1")))
        response = harness.final(f"{endpoint}_with_tools", [ADD], "Hello")
        (selection,) = harness.llm.get_tool_calls_from_response(response)
        assert (selection.tool_id, selection.tool_name) == ("c1", "add")
        assert selection.tool_kwargs == {"a": 1, "b": 2}


def test_parallel_calls_are_kept_in_order(harness: Harness) -> None:
    """Streamed or not."""
    for endpoint in CHAT_ENDPOINTS:
        harness.script(tool_calls_reply(endpoint, add_call("c1", a=1), add_call("c2", a=2)))
        options = {"allow_parallel_tool_calls": True}
        response = harness.final(f"{endpoint}_with_tools", [ADD], "Hello", **options)
        assert [kwargs["a"] for _, kwargs in selections(harness, response)] == [1, 2]


FIRST_CALL = {
    "index": 0,
    "id": "c1",
    "type": "function",
    "function": {"name": "add", "arguments": ""},
}
SECOND_CALL = {**FIRST_CALL, "index": 1, "id": "c2"}
TWO_CALLS = [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


def complete_delta(call_id: str, index: int | None, a: int, b: int) -> dict[str, Any]:
    """Return a complete call as one delta."""
    return tool_call("add", {"a": a, "b": b}, call_id, index)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param(
            tool_call_stream(
                FIRST_CALL, *(arguments_delta(0, part) for part in ('{"a"', ': 1, "b', '": 2}'))
            ),
            TWO_CALLS[:1],
            id="arguments in three deltas",
        ),
        pytest.param(
            stream_reply(
                {"tool_calls": [complete_delta("c1", 0, 1, 2), complete_delta("c2", 1, 3, 4)]}
            ),
            TWO_CALLS,
            id="two in one delta",
        ),
        pytest.param(
            tool_call_stream(
                *(
                    FIRST_CALL,
                    SECOND_CALL,
                    arguments_delta(0, '{"a": 1,'),
                    arguments_delta(1, '{"a": 3,'),
                ),
                *(arguments_delta(0, '"b": 2}'), arguments_delta(1, '"b": 4}')),
            ),
            TWO_CALLS,
            id="interleaved",
        ),
        pytest.param(
            tool_call_stream(complete_delta("c1", None, 1, 2), complete_delta("c2", None, 3, 4)),
            TWO_CALLS,
            id="no index",
        ),
        pytest.param(
            tool_call_stream(complete_delta("c1", 0, 1, 2), complete_delta("c2", 0, 3, 4)),
            TWO_CALLS,
            id="one index for two ids",
        ),
        pytest.param(
            tool_call_stream(
                tool_call("add", '{"a": 1, ', "c1", 0),
                tool_call("add", '"b": 2}', "c1", 0),
            ),
            TWO_CALLS[:1],
            id="id and name repeated",
        ),
        pytest.param(
            tool_call_stream(
                {"index": 0, "id": "c1", "type": "function"},
                {"index": 0, "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}},
            ),
            TWO_CALLS[:1],
            id="first delta without a function",
        ),
    ],
)
def test_the_last_stream_item_has_the_complete_calls(
    harness: Harness, script: Any, expected: Any
) -> None:
    """For each form of deltas that servers send."""
    harness.script(script)
    options = {"allow_parallel_tool_calls": True}
    response = harness.final("stream_chat_with_tools", [ADD], "Hello", **options)
    assert selections(harness, response) == [("add", kwargs) for kwargs in expected]


def test_calls_without_ids_get_distinct_ids(harness: Harness) -> None:
    """Results are matched with calls by id."""
    without_ids = [add_call() | {"id": missing} for missing in (None, "")]
    for endpoint in CHAT_ENDPOINTS:
        harness.script(tool_calls_reply(endpoint, *without_ids))
        options = {"allow_parallel_tool_calls": True}
        response = harness.final(f"{endpoint}_with_tools", [ADD], "Hello", **options)
        ids = [call.tool_id for call in harness.llm.get_tool_calls_from_response(response)]
        assert len(set(ids)) == 2
        assert all(ids)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [({"a": 1, "b": 2}, {"a": 1, "b": 2}), (None, {}), ("", {})],
    ids=["object", "null", "empty"],
)
def test_arguments_that_are_an_object_null_or_empty_are_accepted(
    harness: Harness, arguments: Any, expected: Any
) -> None:
    """Servers send an object instead of its text, or nothing for no arguments."""
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": arguments}}
    harness.script(message_reply("chat", "tool_calls", tool_calls=[call]))
    response = harness.final("chat_with_tools", [ADD], "Hello")
    assert selections(harness, response) == [("add", expected)]


@pytest.mark.parametrize("endpoint", CHAT_ENDPOINTS)
def test_only_the_first_call_is_kept_without_parallel_tool_calls(
    harness: Harness, endpoint: str
) -> None:
    """Some models ignore the option; the one call is sent back with its result."""
    harness.script(
        tool_calls_reply(endpoint, add_call("c1", a=1), add_call("c2", a=2)), text_reply("chat")
    )
    response = harness.final(f"{endpoint}_with_tools", [ADD], "Hello")
    assert [kwargs["a"] for _, kwargs in selections(harness, response)] == [1]
    harness.final("chat", tool_turn(response.message, "c1"))
    assert received_turn(harness)[0] == "c1"


def test_no_tool_call_raises_value_error_or_gives_an_empty_list(harness: Harness) -> None:
    """`error_on_no_tool_call` decides."""
    harness.script(text_reply("chat"))
    response = harness.final("chat_with_tools", [ADD], "Hello")
    assert selections(harness, response) == []
    with pytest.raises(ValueError, match="tool call"):
        harness.llm.get_tool_calls_from_response(response)


def test_a_tool_name_with_a_dot_is_restored(harness: Harness) -> None:
    """The API does not allow a dot: another name is sent."""
    dotted = FunctionTool.from_defaults(lambda a, b: a + b, name="math.add", description="Add.")
    harness.script(text_reply("chat"))
    harness.final("chat_with_tools", [dotted], "Hello")
    name = harness.last_body["tools"][0]["function"]["name"]
    assert TOOL_NAME.fullmatch(name)
    for endpoint in CHAT_ENDPOINTS:
        harness.script(tool_calls_reply(endpoint, tool_call(name, {"a": 1, "b": 2})))
        response = harness.final(f"{endpoint}_with_tools", [dotted], "Hello")
        assert selections(harness, response) == [("math.add", {"a": 1, "b": 2})]


# --- tool calls in a history ---


def tool_turn(call_message: ChatMessage, call_id: str) -> list[ChatMessage]:
    """Return a conversation with a tool call and its result."""
    result = ChatMessage("3", role="tool", additional_kwargs={"tool_call_id": call_id})
    return [*user_messages(), call_message, result]


def received_turn(harness: Harness) -> tuple[Any, ...]:
    """Return id, name and arguments of the call, and id and text of the result, as received."""
    _, call_message, result = harness.last_body["messages"]
    (call,) = call_message["tool_calls"]
    arguments = json.loads(call["function"]["arguments"])
    return (
        call["id"],
        call["function"]["name"],
        arguments,
        result["tool_call_id"],
        result["content"],
    )


def own_message(harness: Harness) -> ChatMessage:
    """Return a tool call as the class itself returns it."""
    harness.script(tool_calls_reply("chat", add_call("c1")))
    message: ChatMessage = harness.final("chat_with_tools", [ADD], "Hello").message
    return message


def restored_message(harness: Harness) -> ChatMessage:
    """Return a tool call after a JSON dump."""
    return ChatMessage.model_validate_json(own_message(harness).model_dump_json())


def dict_message(_: Harness) -> ChatMessage:
    """Return a tool call as other classes store it: a dict in `additional_kwargs`."""
    return ChatMessage(role="assistant", additional_kwargs={"tool_calls": [add_call("c1")]})


@pytest.mark.parametrize("source", [own_message, restored_message, dict_message])
def test_a_tool_call_and_its_result_are_sent_back(harness: Harness, source: Any) -> None:
    """Id, name and arguments are unchanged."""
    history = tool_turn(source(harness), "c1")
    harness.script(text_reply("chat"))
    harness.final("chat", history)
    assert received_turn(harness) == ("c1", "add", {"a": 1, "b": 2}, "c1", "3")


@pytest.mark.parametrize("lost", ["call", "result"])
def test_a_call_without_a_result_or_a_result_without_a_call_is_not_sent(
    harness: Harness, lost: str
) -> None:
    """Memories cut off one of them, and the API rejects the other alone."""
    question, call_message, result = tool_turn(dict_message(harness), "c1")
    kept = [question, call_message] if lost == "result" else [result]
    harness.script(text_reply("chat"))
    outcome = harness.outcome("chat", [*kept, *user_messages("And now?")])
    if outcome.error is None:
        sent = harness.last_body["messages"]
        call_ids = [call["id"] for message in sent for call in message.get("tool_calls") or ()]
        assert call_ids == [m["tool_call_id"] for m in sent if m["role"] == "tool"]
    else:
        harness.assert_error(outcome)


def test_a_stored_tool_call_gives_a_selection(sync_harness: Harness) -> None:
    """It is a dict in `additional_kwargs`."""
    response = ChatResponse(message=dict_message(sync_harness))
    assert selections(sync_harness, response) == [("add", {"a": 1, "b": 2})]
