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
    """Its name is not sent."""
    message = Message("tool", (Text("42"),), name="find", tool_call_id="1")
    expected = {"role": "tool", "tool_call_id": "1", "content": "42"}
    assert sent(USER, calls("1"), message)[2:] == [expected]


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
            [result("1", "a", IMAGE)],
            [("user", ["Content of tool result 1:", "a", "image_url"])],
        ),
    ],
    ids=["its call was cut off", "of another call", "second result", "with an image"],
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
    assert sorted(record.getMessage()[-1] for record in caplog.records) == ["1", "2"]
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
    """A line of text before them names their call; results of media only say that more follows."""
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
        ("tool", "The content follows in a user message."),
    ]
    lines = [{"type": "text", "text": f"Content of tool result {n}:"} for n in (1, 3)]
    expected = [lines[0], ENCODED_IMAGE, lines[1], ENCODED_IMAGE]
    assert messages[4] == {"role": "user", "content": expected}
    assert messages[5]["content"] == "Hello"


def test_a_moved_part_keeps_its_cache_control() -> None:
    """A result without its call is moved with it."""
    (message,) = sent(Message("tool", (Text("42", CacheControl()),), tool_call_id="1"))
    assert message["content"][1]["cache_control"] == {"type": "ephemeral"}


# --- late results ---

SO = Message("assistant", (Text("So."),))


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([calls("1"), USER, result("1")], ["assistant", "42", "Hello"]),
        ([calls("1"), SO, USER, result("1"), USER], ["assistant", "42", "So.", "Hello", "Hello"]),
        (
            [calls("1", "2"), result("2", "b"), USER, result("1", "a")],
            ["assistant", "b", "a", "Hello"],
        ),
        (
            [calls("1"), USER, calls("2"), result("1", "a"), result("2", "b")],
            ["assistant", "a", "Hello", "assistant", "b"],
        ),
        (
            [calls("1"), USER, result("1", "a", IMAGE)],
            ["assistant", "a", ["Content of tool result 1:", "image_url"], "Hello"],
        ),
        (
            [result("1", "a"), calls("1")],
            [["Content of tool result 1:", "a"], "assistant", NO_RESULT],
        ),
    ],
    ids=["behind a user", "behind an answer", "one of two", "of two turns", "media", "before"],
)
def test_a_late_result_is_moved_to_its_call(history: list[Message], expected: list[Any]) -> None:
    """From anywhere later; one that stands before its call is none of it."""
    assert [content or role for role, content in outline(*history)] == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([calls("x"), result("x", "a"), calls("x"), result("x", "b")], ["a", "b"]),
        ([calls("x"), USER, result("x", "a"), calls("x"), USER, result("x", "b")], ["a", "b"]),
        ([calls("x"), calls("x"), result("x", "a"), result("x", "b")], ["a", "b"]),
        ([calls("x"), USER, calls("x"), result("x", "b")], [NO_RESULT, "b"]),
        ([calls("x"), USER, calls("x"), result("x", "b"), USER, result("x", "a")], ["a", "b"]),
        ([calls("x", "x"), result("x", "a"), result("x", "b")], ["a", "b"]),
        ([calls("x", "x"), result("x", "a")], ["a", NO_RESULT]),
    ],
)
def test_calls_of_one_id_are_sent_with_different_ids(
    history: list[Message], expected: list[str]
) -> None:
    """Each has the next result behind it; the first call keeps the id."""
    messages = sent(*history)
    call_ids = [call["id"] for message in messages for call in message.get("tool_calls", ())]
    results = [message for message in messages if message["role"] == "tool"]
    assert call_ids == [message["tool_call_id"] for message in results] == ["x", "x_2"]
    assert [message["content"] for message in results] == expected


# --- blank texts and empty messages ---

BLANK = ["", " ", "\n\n\t"]


@pytest.mark.parametrize("blank", BLANK)
@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant", "tool"])
def test_blank_texts_are_left_out(role: Any, blank: str) -> None:
    """A cache breakpoint behind one is that of the text before it."""
    parts = (Text(blank), Text("a"), Text(blank, CacheControl()))
    message = Message(role, parts, tool_call_id="1" if role == "tool" else None)
    body = sent(calls("1"), message)[-1]
    cached = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    assert (body["role"], body["content"]) == (role, [cached])


@pytest.mark.parametrize("parts", [(), *[(Text(blank),) for blank in BLANK], (Text(""), Text(""))])
@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_an_empty_message_is_left_out_unless_it_is_the_last(role: Any, parts: Any) -> None:
    """Upstreams refuse it in the middle."""
    empty = Message(role, parts)
    assert outline(empty, USER, empty, SO, empty) == [
        ("user", "Hello"),
        ("assistant", "So."),
        (role, ""),
    ]


@pytest.mark.parametrize("parts", [(), *[(Text(blank),) for blank in BLANK]])
def test_an_empty_result_says_so(parts: Any) -> None:
    """Anthropic refuses an empty result."""
    messages = outline(calls("1"), Message("tool", parts, tool_call_id="1"))
    assert messages[1] == ("tool", "The result is empty.")


@pytest.mark.parametrize("blank", BLANK)
def test_a_turn_of_calls_and_blank_text_has_no_content(blank: str) -> None:
    """Claude writes line breaks before its calls, and refuses them later."""
    turn = Message("assistant", (Text(blank),), tool_calls=calls("1").tool_calls)
    assert outline(turn, result("1"))[0] == ("assistant", None)


def test_a_turn_of_reasoning_alone_is_sent_with_a_text() -> None:
    """Its reasoning goes back; as the last message it is sent as it is."""
    turn = Message("assistant", reasoning="Hm.")
    first, _, last = sent(turn, USER, turn)
    assert (first["content"], first["reasoning"]) == ("The answer has no text.", "Hm.")
    assert (last["content"], last["reasoning"]) == ("", "Hm.")


def test_a_turn_of_media_alone_is_sent_with_a_text() -> None:
    """The media follow in a user message."""
    assert outline(USER, Message("assistant", (IMAGE,)), USER)[1:3] == [
        ("assistant", "The content follows in a user message."),
        ("user", ["Content of the answer above:", "image_url"]),
    ]
