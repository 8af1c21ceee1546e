"""Validation of JSON schemas and of strict mode, in tools and in response formats."""

from __future__ import annotations

import pytest

from tests.simulator.conftest import JSON, Post
from tests.simulator.validation.conftest import (
    OPEN_OBJECT,
    STRICT,
    rejected_param,
    with_schema,
    with_strict_tool,
    with_tool,
)

REJECTED: dict[str, tuple[JSON, str]] = {
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
    "tool-schema": (
        with_tool(parameters={"type": "object", "properties": []}),
        "tools[0].function.parameters",
    ),
    "tool-schema-deep": (
        with_tool(parameters={"properties": {"a": {"items": "string"}}}),
        "tools[0].function.parameters.a.items",
    ),
    "tool-strict-open": (with_strict_tool(OPEN_OBJECT), "tools[0].function.parameters"),
}


@pytest.mark.parametrize(("body", "param"), REJECTED.values(), ids=REJECTED)
def test_a_malformed_or_open_schema_is_rejected(post: Post, body: JSON, param: str) -> None:
    """Strict mode requires all properties and allows no others."""
    assert rejected_param(post(**body)) == param


ALLOWED: dict[str, JSON] = {
    "tool-closed": with_strict_tool(STRICT),
    "schema-any": with_schema({"properties": {"a": True, "b": {}}, "required": ["a", "b"]}),
    "schema-strict-reference": with_schema(
        STRICT | {"properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": STRICT}}, strict=True
    ),
}


@pytest.mark.parametrize("body", ALLOWED.values(), ids=ALLOWED)
def test_a_valid_schema_is_allowed(post: Post, body: JSON) -> None:
    """A strict schema may have references, and `true` is a schema."""
    reply = post(**body)
    assert reply.status_code == 200, reply.text
