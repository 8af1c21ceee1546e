"""Tools: the encoded tools and options of a request."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.llama_index.conformance.harness import Harness, user_messages
from tests.llama_index.conformance.scripted_replies import ADD, text_reply

TOOL_CHATS = ("chat_with_tools", "stream_chat_with_tools")
NAMED = {"type": "function", "function": {"name": "add"}}


def sent_body(harness: Harness, endpoint: str = "chat_with_tools", **options: Any) -> Any:
    """Send a request that offers `add`, and return its body."""
    harness.script(text_reply(endpoint))
    harness.final(endpoint, [ADD], "Hello", **options)
    return harness.last_body


def test_a_tool_is_sent_with_name_description_and_parameters(harness: Harness) -> None:
    """Streamed or not."""
    for endpoint in TOOL_CHATS:
        (tool,) = sent_body(harness, endpoint)["tools"]
        assert tool["function"]["name"] == "add"
        assert "Add two numbers." in tool["function"]["description"]
        assert tool["function"]["parameters"]["properties"].keys() == {"a", "b"}
        assert sorted(tool["function"]["parameters"]["required"]) == ["a", "b"]


def test_a_request_without_tools_has_no_tool_keys(harness: Harness) -> None:
    """Servers reject a null and an empty list."""
    harness.script(text_reply("chat"))
    harness.final("chat_with_tools", [], "Hello")
    assert not harness.last_body.keys() & {"tools", "tool_choice", "parallel_tool_calls"}


@pytest.mark.parametrize(
    ("choice", "encoded"),
    [("none", "none"), ("required", "required"), ("add", NAMED), (NAMED, NAMED)],
    ids=["none", "required", "name", "dict"],
)
def test_each_form_of_tool_choice_is_encoded(harness: Harness, choice: Any, encoded: Any) -> None:
    """Agents give a name, users the API's own form."""
    assert sent_body(harness, tool_choice=choice)["tool_choice"] == encoded


def test_tool_required_forces_a_tool_call(harness: Harness) -> None:
    """`tool_required` is LlamaIndex's keyword. Streamed or not."""
    for endpoint in TOOL_CHATS:
        body = sent_body(harness, endpoint, tool_required=True)
        assert body["tool_choice"] in ("required", NAMED)


def test_parallel_tool_calls_are_off_by_default(harness: Harness) -> None:
    """This is LlamaIndex's default; the API's is the opposite."""
    assert sent_body(harness)["parallel_tool_calls"] is False
    assert (
        sent_body(harness, allow_parallel_tool_calls=True).get("parallel_tool_calls", True) is True
    )


def test_strict_is_not_sent_by_default(harness: Harness) -> None:
    """Servers that do not know the key reject it, whatever its value."""
    assert "strict" not in sent_body(harness)["tools"][0]["function"]


def test_chat_history_is_not_changed(harness: Harness) -> None:
    """The user message is added to a copy."""
    history = user_messages("first")
    before = copy.deepcopy(history)
    assert [m["content"] for m in sent_body(harness, chat_history=history)["messages"]] == [
        "first",
        "Hello",
    ]
    assert history == before
