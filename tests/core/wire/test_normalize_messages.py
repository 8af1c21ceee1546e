"""Normalized conversations: one result directly after each tool call, media only from the user."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from onerouter_core import (
    Audio,
    CacheControl,
    ConnectionSettings,
    File,
    Gateway,
    Image,
    Message,
    Request,
    Text,
    ToolCall,
    Video,
)
from onerouter_core.errors import ConfigurationError, UnsupportedContentError
from onerouter_core.wire.encode import encode_request
from onerouter_simulator import Simulator

USER = Message("user", (Text("Hello"),))
IMAGE = Image(url="https://a/b.png")
ENCODED_IMAGE = {"type": "image_url", "image_url": {"url": "https://a/b.png"}}
NO_RESULT = "There is no result of this call."


def calls(*ids: str) -> Message:
    """Return an assistant message with tool calls of these ids."""
    return Message("assistant", tool_calls=tuple(ToolCall(i, "find", parsed={}) for i in ids))


def result(call_id: Any, text: str = "42", *more: Any) -> Message:
    """Return a tool result."""
    return Message("tool", (Text(text), *more), tool_call_id=call_id)


def sent(*messages: Message) -> list[Any]:
    """Return the messages of the request body."""
    body: list[Any] = encode_request(Request("m", messages))[0]["messages"]
    return body


def outline(*messages: Message) -> list[tuple[str, Any]]:
    """Return role and content of the messages in the body; of a part its text, or its type."""
    pairs = []
    for message in sent(*messages):
        content = message["content"]
        if isinstance(content, list):
            content = [part.get("text", part["type"]) for part in content]
        pairs.append((message["role"], content))
    return pairs


# --- tool calls and results ---


def test_a_result_is_sent_with_the_id_of_its_call() -> None:
    """Its name is not sent; a result without parts has empty content."""
    message = Message("tool", (Text("42"),), name="find", tool_call_id="1")
    expected = {"role": "tool", "tool_call_id": "1", "content": "42"}
    assert sent(USER, calls("1"), message)[2:] == [expected]
    empty = Message("tool", tool_call_id="1")
    assert sent(calls("1"), empty)[1]["content"] == ""


@pytest.mark.parametrize("call_id", [None, ""])
def test_a_result_without_an_id_is_rejected(call_id: Any) -> None:
    """It could belong to any call."""
    with pytest.raises(ConfigurationError, match="needs the tool_call_id"):
        sent(calls("1"), result(call_id))


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (
            [result("1"), USER],
            [("user", ["Content of tool result 1:", "42"]), ("user", "Hello")],
        ),
        (
            [calls("1"), result("2"), result("1"), USER],
            [
                ("assistant", None),
                ("tool", "42"),
                ("user", ["Content of tool result 2:", "42"]),
                ("user", "Hello"),
            ],
        ),
        (
            [calls("1"), result("1", "a"), result("1", "b")],
            [
                ("assistant", None),
                ("tool", "a"),
                ("user", ["Content of tool result 1:", "b"]),
            ],
        ),
        (
            [calls("1"), USER, result("1")],
            [
                ("assistant", None),
                ("tool", NO_RESULT),
                ("user", "Hello"),
                ("user", ["Content of tool result 1:", "42"]),
            ],
        ),
        (
            [result("1", "a", IMAGE)],
            [("user", ["Content of tool result 1:", "a", "image_url"])],
        ),
    ],
    ids=["its call was cut off", "of another call", "second result", "too late", "with an image"],
)
def test_a_result_without_its_call_is_sent_as_a_user_message(
    history: list[Message], expected: Any
) -> None:
    """It comes after the results that have their call, with all its parts."""
    assert outline(*history) == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([USER, calls("1")], [("user", "Hello"), ("assistant", None), ("tool", NO_RESULT)]),
        (
            [calls("1", "2", "3"), result("2"), USER],
            [
                ("assistant", None),
                ("tool", "42"),
                ("tool", NO_RESULT),
                ("tool", NO_RESULT),
                ("user", "Hello"),
            ],
        ),
        (
            [calls("1"), calls("2"), result("2")],
            [("assistant", None), ("tool", NO_RESULT), ("assistant", None), ("tool", "42")],
        ),
    ],
    ids=["at the end", "among others", "before another call"],
)
def test_a_call_without_a_result_gets_one_that_says_so(
    history: list[Message], expected: Any
) -> None:
    """It comes before the next message that is no result."""
    assert outline(*history) == expected


def test_two_calls_with_one_id_have_two_results() -> None:
    """A vendor that gives no ids may have the tool's name in their place."""
    messages = outline(calls("f", "f"), result("f", "a"), result("f", "b"))
    assert messages == [("assistant", None), ("tool", "a"), ("tool", "b")]


def test_a_moved_result_and_a_missing_one_are_logged_by_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log has no content of the conversation."""
    with caplog.at_level(logging.INFO, "onerouter_core"):
        sent(calls("1"), result("2", "secret"))
    assert [record.getMessage()[-1] for record in caplog.records] == ["2", "1"]
    assert "secret" not in caplog.text


@pytest.mark.parametrize("cut", range(8))
def test_a_strict_gateway_takes_a_cut_history(sim: Simulator, cut: int) -> None:
    """A history can be sent wherever a memory cut off its beginning or its end."""
    history = (
        USER,
        calls("1", "2"),
        result("1"),
        result("2", "x", IMAGE),
        Message("assistant", (Text("So."),)),
        USER,
        calls("3"),
        result("3"),
    )
    connection = ConnectionSettings(api_key=lambda: sim.api_key, base_url=sim.base_url)
    with Gateway(connection) as gateway:
        for part in (history[cut:], history[: cut + 1]):
            assert gateway.complete(Request("simulated/echo", part)).finish_reason


# --- media ---


@pytest.mark.parametrize("role", ["system", "developer"])
@pytest.mark.parametrize(
    "part", [Image(url="u"), Audio("QUJD", "wav"), Video(url="u"), File(url="u")]
)
def test_media_in_a_system_message_are_rejected(role: Any, part: Any) -> None:
    """The error names the kind of the part and the role."""
    kind = type(part).__name__.lower()
    with pytest.raises(UnsupportedContentError, match=f"no {kind} in a message of role '{role}'"):
        sent(Message(role, (Text("a"), part)))


def test_media_of_an_assistant_are_sent_in_a_user_message() -> None:
    """An image that the model made comes after the results of the message's calls."""
    call = ToolCall("1", "find", "{}", parsed={})
    message = Message("assistant", (Text("Here."), IMAGE), tool_calls=(call,))
    assert outline(message, result("1"), USER) == [
        ("assistant", "Here."),
        ("tool", "42"),
        ("user", ["Content of the answer above:", "image_url"]),
        ("user", "Hello"),
    ]


def test_media_of_tool_results_are_sent_in_one_user_message() -> None:
    """A line of text before them names their call; results of media only have empty content."""
    messages = sent(
        calls("1", "2", "3"),
        result("1", "one", IMAGE),
        result("2", "two"),
        Message("tool", (IMAGE,), tool_call_id="3"),
        USER,
    )
    assert [(m["role"], m["content"]) for m in messages[1:4]] == [
        ("tool", "one"),
        ("tool", "two"),
        ("tool", ""),
    ]
    lines = [{"type": "text", "text": f"Content of tool result {n}:"} for n in (1, 3)]
    expected = [lines[0], ENCODED_IMAGE, lines[1], ENCODED_IMAGE]
    assert messages[4] == {"role": "user", "content": expected}
    assert messages[5]["content"] == "Hello"


def test_a_moved_part_keeps_its_cache_control() -> None:
    """A result without its call is moved with it."""
    (message,) = sent(Message("tool", (Text("42", CacheControl()),), tool_call_id="1"))
    assert message["content"][1]["cache_control"] == {"type": "ephemeral"}
