"""The order of a conversation: what may follow what, and what happens where a history was cut."""

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
PICTURE = Image(url="https://a/b.png")
IMAGE = {"type": "image_url", "image_url": {"url": "https://a/b.png"}}
NOTHING = "There is no result of this call."


def calling(*ids: str) -> Message:
    """Return an answer that calls."""
    return Message("assistant", tool_calls=tuple(ToolCall(i, "find", parsed={}) for i in ids))


def result(call_id: Any, text: str = "42", *more: Any) -> Message:
    """Return a tool's result."""
    return Message("tool", (Text(text), *more), tool_call_id=call_id)


def sent(*messages: Message) -> list[Any]:
    """Return the messages that go out."""
    body: list[Any] = encode_request(Request("m", messages))[0]["messages"]
    return body


def outline(*messages: Message) -> list[tuple[str, Any]]:
    """Return who says what: an id and a text for a result, the texts for parts."""
    said = []
    for message in sent(*messages):
        content = message["content"]
        if isinstance(content, list):
            content = [part.get("text", part["type"]) for part in content]
        said.append((message["role"], content))
    return said


# --- calls and results ---


def test_a_result_follows_its_call() -> None:
    """A result has the id of its call and its text; its name is not sent."""
    message = Message("tool", (Text("42"),), name="find", tool_call_id="1")
    expected = {"role": "tool", "tool_call_id": "1", "content": "42"}
    assert sent(USER, calling("1"), message)[2:] == [expected]
    empty = Message("tool", tool_call_id="1")
    assert sent(calling("1"), empty)[1]["content"] == ""


@pytest.mark.parametrize("call_id", [None, ""])
def test_a_result_needs_an_id(call_id: Any) -> None:
    """A tool result that names no call is an error."""
    with pytest.raises(ConfigurationError, match="needs the tool_call_id"):
        sent(calling("1"), result(call_id))


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (
            [result("1"), USER],
            [("user", ["Content of tool result 1:", "42"]), ("user", "Hello")],
        ),
        (
            [calling("1"), result("2"), result("1"), USER],
            [
                ("assistant", None),
                ("tool", "42"),
                ("user", ["Content of tool result 2:", "42"]),
                ("user", "Hello"),
            ],
        ),
        (
            [calling("1"), result("1", "a"), result("1", "b")],
            [
                ("assistant", None),
                ("tool", "a"),
                ("user", ["Content of tool result 1:", "b"]),
            ],
        ),
        (
            [calling("1"), USER, result("1")],
            [
                ("assistant", None),
                ("tool", NOTHING),
                ("user", "Hello"),
                ("user", ["Content of tool result 1:", "42"]),
            ],
        ),
        (
            [result("1", "a", PICTURE)],
            [("user", ["Content of tool result 1:", "a", "image_url"])],
        ),
    ],
    ids=["its call was cut off", "of another call", "twice", "too late", "with a picture"],
)
def test_a_result_without_its_call(history: list[Message], expected: Any) -> None:
    """It goes out as the user's, behind the results that have their call; nothing is lost."""
    assert outline(*history) == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([USER, calling("1")], [("user", "Hello"), ("assistant", None), ("tool", NOTHING)]),
        (
            [calling("1", "2", "3"), result("2"), USER],
            [
                ("assistant", None),
                ("tool", "42"),
                ("tool", NOTHING),
                ("tool", NOTHING),
                ("user", "Hello"),
            ],
        ),
        (
            [calling("1"), calling("2"), result("2")],
            [("assistant", None), ("tool", NOTHING), ("assistant", None), ("tool", "42")],
        ),
    ],
    ids=["at the end", "among others", "before another"],
)
def test_a_call_without_its_result(history: list[Message], expected: Any) -> None:
    """It gets a result that says that there is none."""
    assert outline(*history) == expected


def test_two_calls_may_have_one_id() -> None:
    """Where a vendor gives no ids, a name may stand in for several."""
    said = outline(calling("f", "f"), result("f", "a"), result("f", "b"))
    assert said == [("assistant", None), ("tool", "a"), ("tool", "b")]


def test_what_was_moved_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Who looks is told, by id and without a word of content."""
    with caplog.at_level(logging.INFO, "onerouter_core"):
        sent(calling("1"), result("2", "secret"))
    assert [record.getMessage()[-1] for record in caplog.records] == ["2", "1"]
    assert "secret" not in caplog.text


@pytest.mark.parametrize("cut", range(8))
def test_a_strict_gateway_takes_a_cut_history(sim: Simulator, cut: int) -> None:
    """Wherever a memory cuts a history, at its head or its end, it can be sent."""
    history = (
        USER,
        calling("1", "2"),
        result("1"),
        result("2", "x", PICTURE),
        Message("assistant", (Text("So."),)),
        USER,
        calling("3"),
        result("3"),
    )
    connection = ConnectionSettings(api_key=lambda: sim.api_key, base_url=sim.base_url)
    with Gateway(connection) as gateway:
        gateway.complete(Request("simulated/echo", history[cut:]))
        gateway.complete(Request("simulated/echo", history[: cut + 1]))


# --- media ---


@pytest.mark.parametrize("role", ["system", "developer"])
@pytest.mark.parametrize(
    "part", [Image(url="u"), Audio("QUJD", "wav"), Video(url="u"), File(url="u")]
)
def test_media_belong_to_the_user(role: Any, part: Any) -> None:
    """Media in another role is an error that names both."""
    kind = type(part).__name__.lower()
    with pytest.raises(UnsupportedContentError, match=f"no {kind} in a message of role '{role}'"):
        sent(Message(role, (Text("a"), part)))


def test_media_of_an_answer_follow_it() -> None:
    """A picture that the model made goes back in a user message, after its calls' results."""
    call = ToolCall("1", "find", "{}", parsed={})
    made = Message("assistant", (Text("Here."), PICTURE), tool_calls=(call,))
    assert outline(made, result("1"), USER) == [
        ("assistant", "Here."),
        ("tool", "42"),
        ("user", ["Content of the answer above:", "image_url"]),
        ("user", "Hello"),
    ]


def test_media_of_tool_results_move_to_the_user() -> None:
    """Media in tool results follow them in one user message that says whose they are."""
    messages = sent(
        calling("1", "2", "3"),
        result("1", "one", PICTURE),
        result("2", "two"),
        Message("tool", (PICTURE,), tool_call_id="3"),
        USER,
    )
    assert [(m["role"], m["content"]) for m in messages[1:4]] == [
        ("tool", "one"),
        ("tool", "two"),
        ("tool", ""),
    ]
    said = [{"type": "text", "text": f"Content of tool result {n}:"} for n in (1, 3)]
    assert messages[4] == {"role": "user", "content": [said[0], IMAGE, said[1], IMAGE]}
    assert messages[5]["content"] == "Hello"


def test_marks_move_with_their_part() -> None:
    """A result that moves keeps its cache mark."""
    orphan = Message("tool", (Text("42", CacheControl()),), tool_call_id="1")
    (message,) = sent(orphan)
    assert message["content"][1]["cache_control"] == {"type": "ephemeral"}
