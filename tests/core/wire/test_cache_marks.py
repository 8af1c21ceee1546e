"""Cache marks of `cache_prompt`: which texts of a request have one, and with which time to live."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from onerouter_core import CacheControl, Image, Message, Request, Text, Tool, ToolCall
from onerouter_core.wire.encode import encode_request

EPHEMERAL = {"type": "ephemeral"}
FIVE, HOUR = CacheControl("5m"), CacheControl("1h")
IMAGE = Image(url="https://a/b.png")


def system(*parts: Any) -> Message:
    """Return a system message."""
    return Message("system", _parts(parts))


def user(*parts: Any) -> Message:
    """Return a user message."""
    return Message("user", _parts(parts))


def model(text: str, *call_ids: str) -> Message:
    """Return an answer, with calls."""
    calls = tuple(ToolCall(call_id, "f") for call_id in call_ids)
    return Message("assistant", _parts((text,)), tool_calls=calls)


def result(call_id: str, *parts: Any) -> Message:
    """Return the result of a tool."""
    return Message("tool", _parts(parts), tool_call_id=call_id)


def _parts(parts: Any) -> Any:
    return tuple(Text(part) if isinstance(part, str) else part for part in parts)


def body_of(*messages: Message, cache_prompt: Any = True, **fields: Any) -> Any:
    """Return the body of a request."""
    parameters = {"cache_prompt": cache_prompt, **fields.pop("parameters", {})}
    return encode_request(Request("m", messages, parameters=parameters, **fields))[0]


def marks(body: Any) -> dict[str, Any]:
    """Return the marks of a body: time to live by text."""
    return {part["text"]: part["cache_control"].get("ttl") for part in _marked_parts(body)}


def _marked_parts(body: Any) -> Iterator[Any]:
    for message in body["messages"]:
        if isinstance(content := message["content"], list):
            yield from (part for part in content if "cache_control" in part)


AGENT = (
    system("Rules"),
    user("Task"),
    model("", "1", "2"),
    result("1", "One"),
    result("2", "Two"),
    model("", "3"),
    result("3", "Three"),
)


@pytest.mark.parametrize(
    ("messages", "marked"),
    [
        ([user("Hi")], ["Hi"]),
        ([system("S"), user("Hi")], ["S", "Hi"]),
        ([Message("developer", (Text("D"),)), user("Hi")], ["D", "Hi"]),
        ([system("S"), system("T"), user("Hi")], ["T", "Hi"]),
        ([system("S", "T"), user("a", "b")], ["T", "b"]),
        ([user("1"), model("a"), user("2"), model("b"), user("3")], ["2", "3"]),
        ([user("1"), user("2"), model("b"), user("3"), user("4")], ["2", "4"]),
        (AGENT, ["Rules", "Two", "Three"]),
        (AGENT[:-2], ["Rules", "Task", "Two"]),
        ([*AGENT, model("Done")], ["Rules", "Two", "Three"]),
        ([user("1"), model("a"), user("Look", IMAGE)], ["1", "Look"]),
        ([user("1"), model("a"), user("2"), model("b"), user(IMAGE)], ["1", "2"]),
        ([user("1"), model("a"), user("2", " \n")], ["1", "2"]),
        ([user(IMAGE)], []),
        ([user("")], []),
        ([model("a")], []),
    ],
)
def test_the_system_and_the_two_newest_turns_end_with_a_mark(
    messages: Any, marked: list[str]
) -> None:
    """A turn is a row of user messages and tool results; a blank text has no mark."""
    body = body_of(*messages)
    assert [*marks(body)] == marked
    assert all(part["cache_control"] == EPHEMERAL for part in _marked_parts(body))


def test_each_request_of_an_agent_has_a_mark_where_the_last_one_ended() -> None:
    """There it reads what that one wrote; and the text before it is the same."""
    written: Any = None
    for end in (2, 5, 7):
        body = body_of(*AGENT[:end])
        texts = [*marks(body)]
        assert written is None or written in texts
        written = texts[-1]


def test_marks_change_no_text() -> None:
    """Without its marks the body is that without `cache_prompt`, one text being a string."""
    body, plain = body_of(*AGENT), body_of(*AGENT, cache_prompt=False)
    for message in body["messages"]:
        match message["content"]:
            case [{"cache_control": _, "text": text}]:
                message["content"] = text
    assert body == plain
    assert "cache_prompt" not in plain


@pytest.mark.parametrize(
    ("cache_prompt", "ttl"), [(True, None), ("5m", "5m"), ("1h", "1h")], ids=str
)
def test_the_time_to_live_is_that_of_the_field(cache_prompt: Any, ttl: Any) -> None:
    """True leaves it to the upstream."""
    assert marks(body_of(*AGENT, cache_prompt=cache_prompt)) == dict.fromkeys(
        ["Rules", "Two", "Three"], ttl
    )


@pytest.mark.parametrize("off", [False, None])
def test_without_it_there_are_only_the_marks_of_the_user(off: Any) -> None:
    """So is it if a call switches it off."""
    body = body_of(system(Text("S", HOUR)), user("Hi"), cache_prompt=off)
    assert marks(body) == {"S": "1h"}
    assert body["messages"][1]["content"] == "Hi"


# --- marks of the user ---

TOOL = {"type": "function", "function": {"name": "t"}}
CHAT = (system("S"), user("1"), model("a"), user("2"), model("b"), user("3"))


def with_own_marks(count: int) -> tuple[Message, ...]:
    """Return a conversation whose first message has this many marks."""
    return (user(*[Text(f"own {n}", FIVE) for n in range(count)]), model("a"), *CHAT)


@pytest.mark.parametrize(
    ("count", "added"), [(0, ["S", "2", "3"]), (2, ["2", "3"]), (3, ["3"]), (4, []), (5, [])]
)
def test_there_are_four_marks_at_most(count: int, added: list[str]) -> None:
    """The user's count, and stay; what is left goes to the newest turns first."""
    body = body_of(*with_own_marks(count))
    assert sorted(marks(body)) == sorted([*added, *[f"own {n}" for n in range(count)]])


@pytest.mark.parametrize(
    "tools",
    [
        {"tools": (Tool("t", cache=FIVE), Tool("u", cache=FIVE))},
        {"tools": ({**TOOL, "cache_control": EPHEMERAL},) * 2},
        {"parameters": {"extra_body": {"tools": [{**TOOL, "cache_control": EPHEMERAL}] * 2}}},
    ],
    ids=["tools", "mappings", "extra_body"],
)
def test_marks_of_tools_count(tools: Any) -> None:
    """Anthropic takes four in all."""
    assert [*marks(body_of(*CHAT, **tools))] == ["2", "3"]


def test_a_mark_of_the_user_wins() -> None:
    """It keeps its time to live, and takes no second place."""
    own = (system(Text("S", HOUR)), user("1"), model("a"), user(Text("2", FIVE)))
    assert marks(body_of(*own)) == {"S": "1h", "1": None, "2": "5m"}


@pytest.mark.parametrize(
    ("cache_prompt", "messages", "expected"),
    [
        ("1h", [system(Text("S", FIVE)), user("1")], {"S": "5m", "1": None}),
        ("1h", [system(Text("S", CacheControl())), user("1")], {"S": None, "1": None}),
        ("5m", [system("S"), user(Text("1", HOUR))], {"S": "1h", "1": "1h"}),
        (True, [user(Text("1", HOUR)), system("S")], {"1": "1h", "S": "1h"}),
        ("1h", [user(Text("1", FIVE)), system("S")], {"1": "5m", "S": "1h"}),
        ("5m", [system(Text("S", HOUR)), user("1")], {"S": "1h", "1": "5m"}),
        (
            "1h",
            [system("S"), user("1"), model("a"), user(Text("2", FIVE), "3")],
            {"S": "1h", "1": "1h", "2": "5m", "3": None},
        ),
    ],
)
def test_no_mark_of_an_hour_follows_one_of_five_minutes(
    cache_prompt: Any, messages: Any, expected: Any
) -> None:
    """Anthropic refuses it; it reads tools, then system messages, then the others."""
    assert marks(body_of(*messages, cache_prompt=cache_prompt)) == expected


@pytest.mark.parametrize("control", [EPHEMERAL, {"type": "ephemeral", "ttl": "5m"}, {}])
def test_a_tool_is_read_before_all_messages(control: Any) -> None:
    """Its mark of five minutes rules out an hour for all that follows."""
    body = body_of(*CHAT, cache_prompt="1h", tools=({**TOOL, "cache_control": control},))
    assert marks(body) == {"S": None, "2": None, "3": None}


def test_nothing_of_the_caller_is_changed() -> None:
    """Messages and their parts are copied."""
    request = Request("m", AGENT, parameters={"cache_prompt": "1h", "extra_body": {}})
    before = deepcopy(request)
    encode_request(request)
    assert request == before
