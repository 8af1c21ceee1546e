"""Tools out: what a model is told that it may call, and how that is said."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.llama_index.conformance.answers import ADD, answer
from tests.llama_index.conformance.bench import Bench, say

TOOL_CHATS = ("chat_with_tools", "stream_chat_with_tools")
NAMED = {"type": "function", "function": {"name": "add"}}


def offered(bench: Bench, endpoint: str = "chat_with_tools", **options: Any) -> Any:
    """Offer `add` and return the request; an endpoint that streams is answered by a stream."""
    bench.script(answer(endpoint))
    bench.last(endpoint, [ADD], "Hello", **options)
    return bench.body


def test_a_tool_goes_out(bench: Bench) -> None:
    """Name, description and parameters are the tool's."""
    for endpoint in TOOL_CHATS:
        (tool,) = offered(bench, endpoint)["tools"]
        assert tool["function"]["name"] == "add"
        assert "Add two numbers." in tool["function"]["description"]
        assert tool["function"]["parameters"]["properties"].keys() == {"a", "b"}
        assert sorted(tool["function"]["parameters"]["required"]) == ["a", "b"]


def test_without_tools_nothing_is_said_of_them(bench: Bench) -> None:
    """Servers refuse a null and an empty list."""
    bench.script(answer("chat"))
    bench.last("chat_with_tools", [], "Hello")
    assert not bench.body.keys() & {"tools", "tool_choice", "parallel_tool_calls"}


@pytest.mark.parametrize(
    ("choice", "spelled"),
    [("none", "none"), ("required", "required"), ("add", NAMED), (NAMED, NAMED)],
    ids=["none", "required", "a name", "a dict"],
)
def test_a_choice_of_tools(bench: Bench, choice: Any, spelled: Any) -> None:
    """Agents choose by a name, users in the API's words."""
    assert offered(bench, tool_choice=choice)["tool_choice"] == spelled


def test_a_tool_can_be_required(bench: Bench) -> None:
    """`tool_required` is LlamaIndex's word for it, streamed too."""
    for endpoint in TOOL_CHATS:
        body = offered(bench, endpoint, tool_required=True)
        assert body["tool_choice"] in ("required", NAMED)


def test_one_call_at_a_time_is_asked_for(bench: Bench) -> None:
    """LlamaIndex's default is one call, and models must be told."""
    assert offered(bench)["parallel_tool_calls"] is False
    assert offered(bench, allow_parallel_tool_calls=True).get("parallel_tool_calls", True) is True


def test_strict_is_said_only_when_asked_for(bench: Bench) -> None:
    """Servers that do not know the word refuse it, false or not."""
    assert "strict" not in offered(bench)["tools"][0]["function"]


def test_a_history_is_left_as_it_is(bench: Bench) -> None:
    """The user's message goes out, and is not added to the caller's list."""
    history = say("first")
    before = copy.deepcopy(history)
    assert [one["content"] for one in offered(bench, chat_history=history)["messages"]] == [
        "first",
        "Hello",
    ]
    assert history == before
