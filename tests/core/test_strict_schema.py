"""Strict JSON schemas, and names for schemas."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy, deepcopy
from typing import Any

import pytest
from pydantic import BaseModel, Field

from onerouter_core.errors import ConfigurationError
from onerouter_core.strict_schema import inline_root_ref, schema_name, to_strict_schema

TEXT = {"type": "string"}


def object_schema(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object."""
    return {"type": "object", "properties": properties}


def strict_object(**properties: Any) -> dict[str, Any]:
    """Return the strict schema of an object."""
    closed = {"additionalProperties": False, "required": [*properties]}
    return {**object_schema(**properties), **closed}


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ({"title": "Answer"}, "Answer"),
        ({"title": "Page[int] of ü"}, "Page_int_of"),
        ({"title": "a" * 99}, "a" * 64),
        ({"title": "漢"}, "output"),
        ({"title": None}, "output"),
        ({}, "output"),
        ("My Answer!", "My_Answer"),
    ],
)
def test_schema_name(schema: Any, name: str) -> None:
    """The title, in characters that the API allows; "output" without one."""
    assert schema_name(schema) == name


STRICT = {
    "plain object": (object_schema(a=TEXT), strict_object(a=TEXT)),
    "optional property becomes required": (
        {**object_schema(a=TEXT, b=TEXT), "required": ["b"]},
        strict_object(a=TEXT, b=TEXT),
    ),
    "no properties": (object_schema(), strict_object()),
    "already closed": (strict_object(a=TEXT), strict_object(a=TEXT)),
    "nested object": (
        object_schema(a=object_schema(b=TEXT)),
        strict_object(a=strict_object(b=TEXT)),
    ),
    "object in an array": (
        object_schema(a={"type": "array", "items": object_schema(b=TEXT)}),
        strict_object(a={"type": "array", "items": strict_object(b=TEXT)}),
    ),
    "object in alternatives": (
        object_schema(
            a={
                "oneOf": [object_schema(b=TEXT), {"type": "null"}],
                "discriminator": {"propertyName": "b"},
            }
        ),
        strict_object(a={"anyOf": [strict_object(b=TEXT), {"type": "null"}]}),
    ),
    "object in definitions": (
        {**object_schema(a={"$ref": "#/$defs/B"}), "$defs": {"B": object_schema(b=TEXT)}},
        {**strict_object(a={"$ref": "#/$defs/B"}), "$defs": {"B": strict_object(b=TEXT)}},
    ),
    "reference with a description": (
        object_schema(a={"$ref": "#/$defs/B", "description": "d", "default": None}),
        strict_object(a={"anyOf": [{"$ref": "#/$defs/B"}], "description": "d"}),
    ),
    "reference with a default": (
        object_schema(a={"$ref": "#/$defs/B", "default": 1}),
        strict_object(a={"$ref": "#/$defs/B"}),
    ),
    "allOf of one": (
        object_schema(a={"allOf": [{"$ref": "#/$defs/B"}]}),
        strict_object(a={"anyOf": [{"$ref": "#/$defs/B"}]}),
    ),
    "default is dropped": (object_schema(a={**TEXT, "default": "x"}), strict_object(a=TEXT)),
    "other keywords kept": (
        {"title": "T", **object_schema(a={"enum": ["x", 1]}, b={"const": None})},
        {"title": "T", **strict_object(a={"enum": ["x", 1]}, b={"const": None})},
    ),
    "several types": (
        object_schema(a={"type": ["object", "null"], "properties": {}}),
        strict_object(a={**strict_object(), "type": ["object", "null"]}),
    ),
}


@pytest.mark.parametrize(("schema", "expected"), STRICT.values(), ids=STRICT)
def test_to_strict_schema(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    """The argument is not changed, and a strict schema stays as it is."""
    before = deepcopy(schema)
    assert to_strict_schema(schema) == expected
    assert schema == before
    assert to_strict_schema(expected) == expected


ANY_KEYS = "must list its properties, with additionalProperties false"
NO_TYPE = "needs a type, enum, const, anyOf or \\$ref"
ONE_KEYWORD = "'a' may have only one of anyOf, oneOf, allOf and"


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "array", "items": TEXT}, "must be 'object' at the root, not 'array'"),
        ({}, "must be 'object' at the root, not None"),
        ({"type": "object"}, f"the root {ANY_KEYS}"),
        (object_schema(a={"type": "object"}), f"property 'a' {ANY_KEYS}"),
        ({**object_schema(a=TEXT), "additionalProperties": TEXT}, f"the root {ANY_KEYS}"),
        ({**object_schema(a=TEXT), "additionalProperties": True}, f"the root {ANY_KEYS}"),
        ({**object_schema(), "$defs": {"B": {}}}, f"definition 'B' {NO_TYPE}"),
        (object_schema(a={}), f"property 'a' {NO_TYPE}"),
        (object_schema(a={"description": "d"}), f"property 'a' {NO_TYPE}"),
        (object_schema(a=True), "property 'a' must be a schema, not True"),
        (object_schema(a={"type": "array"}), "property 'a' is an array and needs items"),
        (object_schema(a={"type": "array", "items": {}}), f"an item of property 'a' {NO_TYPE}"),
        (object_schema(a={"anyOf": [{}]}), f"an alternative of property 'a' {NO_TYPE}"),
        (object_schema(a={"allOf": [TEXT, TEXT]}), "may not have allOf with more than one"),
        (object_schema(a={"anyOf": [TEXT], "oneOf": [TEXT]}), ONE_KEYWORD),
        (object_schema(a={"allOf": [TEXT], "anyOf": [TEXT]}), ONE_KEYWORD),
        (
            object_schema(a={"type": "array", "items": TEXT, "prefixItems": [TEXT]}),
            "property 'a' may not have prefixItems",
        ),
        (
            object_schema(a={**object_schema(b=TEXT), "patternProperties": {"x": TEXT}}),
            "property 'a' may not have patternProperties",
        ),
    ],
)
def test_a_schema_that_cannot_be_strict_is_an_error_that_names_the_place(
    schema: dict[str, Any], reason: str
) -> None:
    """It says what to change."""
    with pytest.raises(ConfigurationError, match=f"^The schema cannot be strict: .*{reason}"):
        to_strict_schema(schema)


def test_a_recursive_class_has_a_strict_schema() -> None:
    """Its reference at the root is replaced by the definition, which is kept as well."""

    class Node(BaseModel):
        value: int
        below: list[Node] = Field(default_factory=list)

    Node.model_rebuild(_types_namespace={"Node": Node})
    schema = Node.model_json_schema()
    assert "$ref" in schema
    assert inline_root_ref(schema)["type"] == "object"
    strict = to_strict_schema(schema)
    assert strict["required"] == ["value", "below"]
    assert strict["$defs"]["Node"]["additionalProperties"] is False


def test_inline_root_ref_copies_a_schema_without_a_local_reference() -> None:
    """References to `definitions`, of older drafts, are local, too."""
    older = {"$ref": "#/definitions/A", "definitions": {"A": object_schema(a=TEXT)}}
    assert inline_root_ref(older) == {
        **object_schema(a=TEXT),
        "definitions": {"A": object_schema(a=TEXT)},
    }
    elsewhere, missing = {"$ref": "https://elsewhere"}, {"$ref": "#/$defs/X", "$defs": {}}
    for schema in (object_schema(a=TEXT), elsewhere, missing):
        assert inline_root_ref(schema) == schema
        assert inline_root_ref(schema) is not schema


@pytest.mark.parametrize("make_copy", [dict, copy, deepcopy])
def test_a_strict_schema_is_made_once_and_a_changed_copy_again(
    make_copy: Callable[[Any], dict[str, Any]],
) -> None:
    """Each call sends the schema that binding a tool has made."""
    strict = to_strict_schema({"type": "object", "properties": {"a": {"type": "string"}}})
    assert to_strict_schema(strict) is strict
    changed = make_copy(strict)
    changed["properties"] = {**changed["properties"], "b": {"type": "string"}}
    assert to_strict_schema(changed)["required"] == ["a", "b"]
