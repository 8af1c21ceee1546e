"""Tools, tool choice and tool calls of a request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from onerouter_core import CacheControl, Message, NamedTool, Request, Text, Tool, ToolCall
from onerouter_core.errors import ConfigurationError
from onerouter_core.wire.encode import encode_request
from onerouter_core.wire.tool_names import ToolNames
from onerouter_core.wire.tools import (
    decode_tool,
    decode_tool_choice,
    encode_tool,
    encode_tool_call,
    encode_tools,
)

FIND = Tool("find", "Finds.", {"type": "object", "properties": {"what": {"type": "string"}}})
WEB_SEARCH = {"type": "web_search"}
USER = Message("user", (Text("Hello"),))


def encode(*tools: Any, choice: Any = None) -> dict[str, Any]:
    """Return tools and tool choice as they are in a body."""
    return encode_tools(Request("m", (USER,), tools, choice), ToolNames())


# --- tools ---


def test_a_tool_is_encoded_as_a_function() -> None:
    """It has name, description and schema."""
    function = {"name": "find", "description": "Finds.", "parameters": FIND.parameters}
    assert encode(FIND) == {"tools": [{"type": "function", "function": function}]}


@pytest.mark.parametrize("strict", [None, False])
def test_optional_keys_of_a_tool_are_left_out(strict: bool | None) -> None:
    """A tool without parameters takes an empty object; `strict` is sent only when true."""
    function = {"name": "f", "parameters": {"type": "object", "properties": {}}}
    expected = {"type": "function", "function": function}
    assert encode_tool(Tool("f", strict=strict), ToolNames()) == expected


def test_strict_and_cache_control_of_a_tool_are_encoded() -> None:
    """`strict` belongs to the function, cache control to the tool."""
    tool = encode_tool(Tool("f", strict=True, cache=CacheControl("5m")), ToolNames())
    assert tool["function"]["strict"] is True
    assert tool["cache_control"] == {"type": "ephemeral", "ttl": "5m"}


def test_a_tool_of_the_gateway_is_sent_as_it_is() -> None:
    """It is a mapping."""
    assert encode(WEB_SEARCH) == {"tools": [WEB_SEARCH]}


@pytest.mark.parametrize(
    "tool",
    [
        Tool("f"),
        Tool(
            "f",
            "Does.",
            {"type": "object", "properties": {"a": {"enum": [1]}}},
            True,
            CacheControl("5m"),
        ),
    ],
)
def test_an_encoded_tool_is_decoded_to_an_equal_tool(tool: Tool) -> None:
    """The decoded tool has the same encoding."""
    encoded = encode_tool(tool, ToolNames())
    assert encode_tool(decode_tool(encoded), ToolNames()) == encoded


@pytest.mark.parametrize("tool", [WEB_SEARCH, {}])
def test_a_tool_of_another_type_is_not_decoded(tool: dict[str, Any]) -> None:
    """It is returned as it is."""
    assert decode_tool(tool) is tool


def test_a_function_without_a_name_is_rejected() -> None:
    """It is not taken for a tool of the gateway."""
    with pytest.raises(ConfigurationError, match="needs a name"):
        decode_tool({"type": "function", "function": {}})


# --- tool choice ---


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_a_tool_choice_is_sent_by_its_name(choice: Any) -> None:
    """The three choices without a tool are strings."""
    assert encode(FIND, choice=choice)["tool_choice"] == choice


def test_a_named_tool_is_sent_as_a_function() -> None:
    """The choice of one tool is an object."""
    expected = {"type": "function", "function": {"name": "find"}}
    assert encode(FIND, choice=NamedTool("find"))["tool_choice"] == expected


@pytest.mark.parametrize("choice", [None, "auto", "none"])
def test_without_tools_nothing_is_sent(choice: Any) -> None:
    """OpenAI rejects a tool choice without tools."""
    assert encode(choice=choice) == {}
    body, _ = encode_request(Request("m", (USER,), (), choice))
    assert body.keys() == {"model", "messages", "usage"}


@pytest.mark.parametrize("choice", ["required", NamedTool("find")])
def test_a_forced_tool_without_tools_is_rejected(choice: Any) -> None:
    """The model could not obey."""
    with pytest.raises(ConfigurationError, match="needs tools"):
        encode(choice=choice)


def test_a_forced_tool_that_is_not_given_is_rejected() -> None:
    """The error names the tools of the request."""
    with pytest.raises(ConfigurationError, match=r"'lose' names no tool of \['find'\]"):
        encode(FIND, WEB_SEARCH, choice=NamedTool("lose"))


@pytest.mark.parametrize(
    ("choice", "decoded"),
    [
        (None, None),
        (False, None),
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("any", "required"),
        (True, "required"),
        ("find", NamedTool("find")),
        (NamedTool("auto"), NamedTool("auto")),
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "function", "function": {"name": "find"}}, NamedTool("find")),
        ({"type": "tool", "name": "find"}, NamedTool("find")),
    ],
)
def test_a_tool_choice_is_decoded_from_every_form_in_use(choice: Any, decoded: Any) -> None:
    """The forms are those of OpenAI, Anthropic and the two frameworks."""
    assert decode_tool_choice(choice) == decoded


@pytest.mark.parametrize("choice", [5, {}, {"type": "function"}, ["find"]])
def test_a_tool_choice_in_another_form_is_rejected(choice: Any) -> None:
    """The error shows the value."""
    with pytest.raises(ConfigurationError, match="tool_choice must be") as caught:
        decode_tool_choice(choice)
    assert repr(choice) in caught.value.message


# --- tool calls ---


def test_a_tool_call_is_sent_with_its_arguments_as_received() -> None:
    """Only space around the arguments is removed."""
    call = ToolCall("1", "find", ' {"what": "é"}\n', parsed={"what": "é"})
    function = {"name": "find", "arguments": '{"what": "é"}'}
    expected = {"id": "1", "type": "function", "function": function}
    assert encode_tool_call(call, ToolNames()) == expected


@pytest.mark.parametrize("arguments", ["", " \n", "{}"])
def test_blank_arguments_are_sent_as_an_empty_object(arguments: str) -> None:
    """Strict upstreams reject an empty string."""
    call = encode_tool_call(ToolCall("1", "find", arguments, parsed={}), ToolNames())
    assert call["function"]["arguments"] == "{}"


@pytest.mark.parametrize("text", ['{"path": "/', "[1]", "", 'é "quoted"'])
@pytest.mark.parametrize("error", ["cut off", None])
def test_invalid_arguments_are_sent_inside_a_json_object(text: str, error: str | None) -> None:
    """A call is invalid by its error, or by arguments that were never parsed."""
    call = encode_tool_call(ToolCall("1", "find", text, error=error), ToolNames())
    expected = {"invalid_arguments": text} if text or error else {}
    assert json.loads(call["function"]["arguments"]) == expected


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, {}),
        ({"type": "object"}, {}),
        ({"properties": {"a": {"type": "object"}}}, {"properties": {"a": {"type": "object"}}}),
        ({"type": "object", "additionalProperties": False}, {"additionalProperties": False}),
        ({"type": "object", "properties": None}, {}),
        ({"type": None}, {}),
        (
            {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}},
            {"$defs": {"A": {"type": "object"}}},
        ),
    ],
)
def test_a_schema_of_arguments_has_properties(
    parameters: dict[str, Any], expected: dict[str, Any]
) -> None:
    """At its root; objects in it are left alone."""
    encoded = encode_tool(Tool("f", parameters=parameters), ToolNames())
    assert encoded["function"]["parameters"] == {"type": "object", "properties": {}, **expected}


def test_a_strict_tool_is_made_strict() -> None:
    """Also one without arguments; the caller's schema stays as it is."""
    schema = {"type": "object", "properties": {"a": {"type": "string", "default": ""}}}
    encoded = encode_tool(Tool("f", parameters=schema, strict=True), ToolNames())["function"]
    assert encoded["parameters"] == {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "additionalProperties": False,
        "required": ["a"],
    }
    assert schema["properties"] == {"a": {"type": "string", "default": ""}}
    bare = encode_tool(Tool("f", strict=True), ToolNames())["function"]["parameters"]
    assert bare == {
        "type": "object",
        "properties": {},
        "additionalProperties": False,
        "required": [],
    }
