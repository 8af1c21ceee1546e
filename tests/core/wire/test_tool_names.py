"""Tool names: illegal ones are encoded in requests and decoded in replies."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onerouter_core import Message, NamedTool, Request, Text, Tool, ToolCall
from onerouter_core.wire.encode import encode_request
from onerouter_core.wire.tool_names import ToolNames

USER = Message("user", (Text("Hello"),))
LONG = "a" * 65
ILLEGAL = {
    "dots": ["shop.find"],
    "brackets": ["find[item]", "find(item)"],
    "spaces and letters": ["finde Bücher", "查找"],
    "too long": [LONG, LONG + "b", LONG + "c"],
    "equal when encoded": ["a.b", "a b", "a_b", "a-b"],
    "empty": [""],
    "slashes": ["a/b", "a//b"],
}


@pytest.mark.parametrize("illegal", ILLEGAL.values(), ids=ILLEGAL)
def test_illegal_names_are_encoded_and_decoded(illegal: list[str]) -> None:
    """Encoded names are legal, all different, the same in each request, and can be decoded."""
    request = Request("m", (USER,), tuple(map(Tool, illegal)), NamedTool(illegal[0]))
    body, names = encode_request(request)
    sent = [tool["function"]["name"] for tool in body["tools"]]
    assert len({*sent}) == len(illegal)
    assert all(1 <= len(name) <= 64 and name.isascii() for name in sent)
    assert not any({*name} & {*". []()/"} for name in sent)
    assert [names.decode(name) for name in sent] == illegal
    assert body["tool_choice"]["function"]["name"] == sent[0]
    assert encode_request(request)[0] == body


def test_legal_names_are_not_encoded() -> None:
    """A legal name is sent as it is, also where another name would have that encoding."""
    legal = ["a_b", "A-9", "a" * 64, "_"]
    names = ToolNames(["a.b", *legal])
    assert [names.encode(name) for name in legal] == legal
    assert names.encode("a.b") not in legal
    assert [names.decode(name) for name in legal] == legal


def test_a_call_in_the_history_has_the_encoded_name_of_its_tool() -> None:
    """That holds also for a call whose tool is not in the request."""
    message = Message("assistant", tool_calls=(ToolCall("1", "a.b"), ToolCall("2", "x.y")))
    body, _ = encode_request(Request("m", (message,), (Tool("a_b"), Tool("a.b"))))
    sent = [tool["function"]["name"] for tool in body["tools"]]
    calls = [call["function"]["name"] for call in body["messages"][0]["tool_calls"]]
    assert calls == [sent[1], "x_y"]


def test_only_tools_of_the_request_are_offered() -> None:
    """Names of earlier calls are encoded, but the model cannot call them."""
    message = Message("assistant", tool_calls=(ToolCall("1", "get_"), ToolCall("2", "old_tool")))
    _, names = encode_request(Request("m", (message,), (Tool("get.weather"), Tool("get"))))
    beginnings = ["g", "ge", "get", "get_", "get_weather", "old", "get_weather2"]
    assert [name for name in beginnings if names.begins_offered(name)] == beginnings[:5]
    assert [name for name in beginnings if names.is_beginning(name)] == ["g", "ge", "get_"]
    assert not ToolNames().begins_offered("g")
    assert ToolNames(["get"]).begins_offered("g")


def test_an_unknown_name_is_decoded_as_it_is() -> None:
    """A model may call a tool that is not in the request."""
    names = ToolNames(["a.b"])
    assert (names.decode("a_c"), names.decode("a_b")) == ("a_c", "a.b")
    assert (ToolNames().encode("a.b"), ToolNames().decode("a_b")) == ("a.b", "a_b")


@settings(deadline=None)
@given(names=st.lists(st.text(max_size=70) | st.text("a._-\ud800", max_size=3), max_size=6))
def test_any_names_are_encoded_and_decoded(names: list[str]) -> None:
    """Encoded names match the API's pattern, and each is decoded to its own name."""
    tool_names = ToolNames(names)
    encoded = {name: tool_names.encode(name) for name in names}
    assert all(re.fullmatch("[a-zA-Z0-9_-]{1,64}", name) for name in encoded.values())
    decoded = {name: tool_names.decode(sent) for name, sent in encoded.items()}
    assert decoded == {name: name for name in names}
