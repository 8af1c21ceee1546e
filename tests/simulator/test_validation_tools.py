"""Strict validation: tools, tool choice, response formats, JSON schemas and strict mode."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.conftest import JSON, STRING, Post, function, rejected_param

TOOL = function("search", q=STRING)
OPEN_OBJECT = {"type": "object", "properties": {"a": STRING}, "required": ["a"]}
STRICT = OPEN_OBJECT | {"additionalProperties": False}


def with_tool(**changes: Any) -> JSON:
    """Return a request with one tool; these fields replace those of its function."""
    return {"tools": [TOOL | {"function": TOOL["function"] | changes}]}


def with_strict_tool(parameters: JSON) -> JSON:
    """Return a request with a strict tool."""
    return with_tool(parameters=parameters, strict=True)


def with_schema(schema: Any, **fields: Any) -> JSON:
    """Return a request for JSON by a schema, with these fields beside the schema."""
    json_schema = {"name": "answer", "schema": schema} | fields
    return {"response_format": {"type": "json_schema", "json_schema": json_schema}}


REJECTED: dict[str, tuple[JSON, str]] = {
    # tools
    "tools-empty": ({"tools": []}, "tools"),
    "tools-null": ({"tools": None}, "tools"),
    "tools-twice": ({"tools": [TOOL, TOOL]}, "tools"),
    "tool-text": ({"tools": ["search"]}, "tools[0]"),
    "tool-bare": ({"tools": [TOOL["function"]]}, "tools[0]"),
    "tool-input-schema": ({"tools": [{"name": "a", "input_schema": {}}]}, "tools[0]"),
    "tool-type": ({"tools": [TOOL | {"type": "web"}]}, "tools[0]"),
    "tool-name-dot": (with_tool(name="a.b"), "tools[0]"),
    "tool-name-long": (with_tool(name="a" * 65), "tools[0]"),
    "tool-name-empty": (with_tool(name=""), "tools[0]"),
    "tool-description": (with_tool(description=None), "tools[0]"),
    "tool-strict": (with_tool(strict="yes"), "tools[0]"),
    "tool-parameters-list": (with_tool(parameters=[]), "tools[0]"),
    "tool-parameters-string": (with_tool(parameters={"type": "string"}), "tools[0]"),
    "tool-schema": (
        with_tool(parameters={"type": "object", "properties": []}),
        "tools[0].function.parameters",
    ),
    "tool-schema-deep": (
        with_tool(parameters={"properties": {"a": {"items": "string"}}}),
        "tools[0].function.parameters.a.items",
    ),
    "tool-strict-open": (with_strict_tool(OPEN_OBJECT), "tools[0].function.parameters"),
    # tool choice
    "choice-null": ({"tools": [TOOL], "tool_choice": None}, "tool_choice"),
    "choice-any": ({"tools": [TOOL], "tool_choice": "any"}, "tool_choice"),
    "choice-name": ({"tools": [TOOL], "tool_choice": "search"}, "tool_choice"),
    "choice-unknown-tool": (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "x"}}},
        "tool_choice",
    ),
    "choice-alone": ({"tool_choice": "auto"}, "tool_choice"),
    # response format
    "format-null": ({"response_format": None}, "response_format"),
    "format-text": ({"response_format": "json"}, "response_format"),
    "format-type": ({"response_format": {"type": "xml"}}, "response_format"),
    "format-bare": (
        {"response_format": {"type": "json_schema", "json_schema": STRICT}},
        "response_format",
    ),
    "format-name": (with_schema(STRICT, name="my answer"), "response_format"),
    "format-schema": (with_schema(None), "response_format"),
    "format-strict": (with_schema(STRICT, strict=1), "response_format"),
    "format-json-schema": ({"response_format": {"type": "json", "schema": 7}}, "response_format"),
    "format-json-name": ({"response_format": {"type": "json", "name": 7}}, "response_format"),
    "format-json-schema-type": (
        {"response_format": {"type": "json", "schema": {"type": "text"}}},
        "response_format.schema",
    ),
    "schema-type": (with_schema({"type": "str"}), "response_format.json_schema.schema"),
    "schema-enum": (with_schema({"enum": []}), "response_format.json_schema.schema"),
    "schema-union": (with_schema({"anyOf": {"a": 1}}), "response_format.json_schema.schema"),
    "schema-required": (with_schema({"required": "a"}), "response_format.json_schema.schema"),
    "schema-required-numbers": (
        with_schema({"required": [1]}),
        "response_format.json_schema.schema",
    ),
    "schema-reference": (with_schema({"$ref": "#/$defs/a"}), "response_format.json_schema.schema"),
    "schema-reference-deep": (
        with_schema({"$defs": {"a": True}, "$ref": "#/$defs/a/b"}),
        "response_format.json_schema.schema",
    ),
    "schema-reference-external": (
        with_schema({"$ref": "https://a.b/c"}),
        "response_format.json_schema.schema",
    ),
    "strict-root": (
        with_schema({"anyOf": [STRICT]}, strict=True),
        "response_format.json_schema.schema",
    ),
    "strict-open": (with_schema(OPEN_OBJECT, strict=True), "response_format.json_schema.schema"),
    "strict-optional": (
        with_schema(STRICT | {"required": []}, strict=True),
        "response_format.json_schema.schema",
    ),
    "strict-deep": (
        with_schema(
            {
                "type": "object",
                "properties": {"list": {"type": "array", "items": OPEN_OBJECT}},
                "required": ["list"],
                "additionalProperties": False,
            },
            strict=True,
        ),
        "response_format.json_schema.schema",
    ),
}


@pytest.mark.parametrize(("body", "param"), REJECTED.values(), ids=REJECTED)
def test_a_tool_or_schema_that_the_api_page_does_not_allow_is_rejected(
    post: Post, body: JSON, param: str
) -> None:
    """The error is a 400 with the gateway's body and the path of the parameter."""
    assert rejected_param(post(**body)) == param


ALLOWED: dict[str, JSON] = {
    "tool-closed": with_strict_tool(STRICT),
    "tool-no-type": with_tool(parameters={}),
    "schema-any": with_schema({"properties": {"a": True, "b": {}}, "required": ["a", "b"]}),
    "schema-strict-reference": with_schema(
        STRICT | {"properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": STRICT}}, strict=True
    ),
    "choice-by-name": {
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "search"}},
    },
    "format-json": {"response_format": {"type": "json"}},
}


@pytest.mark.parametrize("body", ALLOWED.values(), ids=ALLOWED)
def test_a_tool_or_schema_that_the_api_page_allows_is_answered(post: Post, body: JSON) -> None:
    """A strict schema may have references, and a tool may have no parameters."""
    reply = post(**body)
    assert reply.status_code == 200, reply.text
