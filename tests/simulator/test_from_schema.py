"""JSON values from a schema and a text: values of the text, defaults and placeholders."""

from __future__ import annotations

from typing import Any

import pytest

from onerouter_simulator.from_schema import generate
from tests.simulator.conftest import INTEGER, JSON, STRING

NUMBER = {"type": "number"}
BOOLEAN = {"type": "boolean"}


def object_schema(*required: str, **properties: JSON) -> JSON:
    """Return the schema of an object; all its properties are required unless some are named."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required or properties),
    }


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        # numbers
        (INTEGER, "magic_function(3)", 3),
        (INTEGER, "gpt4 costs 1,250 dollars", 1250),
        (object_schema(a=INTEGER, b=INTEGER), "What is 12 * 7?", {"a": 12, "b": 7}),
        (object_schema(a=INTEGER, b=INTEGER), "What is 12 - 7?", {"a": 12, "b": 7}),
        (object_schema(a=INTEGER, b=INTEGER), "3", {"a": 3, "b": 1}),
        (NUMBER, "It is -3.5 degrees", -3.5),
        (INTEGER, "It is 3.5, no, 4", 4),
        (INTEGER | {"minimum": 10}, "5 or 50", 50),
        (INTEGER | {"minimum": 10}, "none", 10),
        (INTEGER | {"exclusiveMinimum": 10, "multipleOf": 5}, "none", 15),
        (INTEGER | {"maximum": -10}, "none", -10),
        (NUMBER | {"exclusiveMinimum": 0, "exclusiveMaximum": 1}, "none", 0.5),
        (INTEGER | {"minimum": 3, "maximum": 2}, "none", 2),
        (
            object_schema(age=INTEGER, year=INTEGER),
            "Born in 1815, age 36",
            {"age": 36, "year": 1815},
        ),
        # strings
        (STRING, "Create a customer named '你好啊集团' today", "你好啊集团"),
        (object_schema(a=STRING, b=STRING), 'Use "x y" and `z`', {"a": "x y", "b": "z"}),
        (STRING, "It's what's said. More", "It's what's said"),
        (object_schema(a=STRING, b=STRING), "One. Two", {"a": "One", "b": "Two"}),
        (
            object_schema(location=STRING),
            "Weather in San Francisco, CA?",
            {"location": "San Francisco, CA"},
        ),
        (object_schema(location=STRING), "weather here", {"location": "weather here"}),
        (
            object_schema(origin=STRING, destination=STRING),
            "From here: fly from Paris to New York.",
            {"origin": "Paris", "destination": "New York"},
        ),
        (object_schema(author=STRING), "A book by Ada Lovelace.", {"author": "Ada Lovelace"}),
        (object_schema(firstName=STRING), "first name: Ada, born 1815", {"firstName": "Ada"}),
        (STRING | {"maxLength": 3}, "abcdef", "abc"),
        (STRING | {"minLength": 5}, "abc", "abc.."),
        (STRING, "", "text"),
        (STRING, "word " * 30, ("word " * 16).strip()),
        ({}, "Anything.", "Anything"),
        # formats and patterns
        (STRING | {"format": "date"}, "on 2025-03-04", "2025-03-04"),
        (STRING | {"format": "date"}, "today", "2025-01-01"),
        (STRING | {"format": "email"}, "ada@example.org wrote", "ada@example.org"),
        (STRING | {"format": "unheard-of"}, "abc", "abc"),
        (STRING | {"pattern": r"^[A-Z]{2}-\d+$"}, "Flight LH-400.", "LH-400"),
        (STRING | {"pattern": r"^[A-Z]{3}\.?\d+$"}, "none", "AAA1"),
        (STRING | {"pattern": r"^\w\s.x*[\d]$"}, "", "a a1"),
        (STRING | {"pattern": r"^(a|b){9}$"}, "no match", "no match"),
        (STRING | {"pattern": r"(?<bad"}, "no regex", "no regex"),
        # choices
        ({"enum": ["red", "green"]}, "A green door", "green"),
        ({"enum": ["red", "green"]}, "A door", "red"),
        ({"enum": ["ice_cream", 3]}, "Ice cream", "ice_cream"),
        ({"enum": ["red", "green"], "default": "green"}, "A door", "green"),
        ({"const": 5}, "7", 5),
        (object_schema(fast=BOOLEAN, warm=BOOLEAN), "fast: no", {"fast": False, "warm": True}),
        (BOOLEAN | {"default": False}, "", False),
        (object_schema(k=INTEGER | {"default": 4}), "none", {"k": 4}),
        (object_schema(k=INTEGER | {"default": 4}), "9", {"k": 9}),
        # unions
        ({"anyOf": [INTEGER, {"type": "null"}]}, "7", 7),
        ({"anyOf": [INTEGER, {"type": "null"}]}, "none", None),
        ({"anyOf": [{"type": "null"}, STRING]}, "a 'b'", "b"),
        ({"oneOf": [INTEGER, STRING]}, "a 'b'", "b"),
        ({"oneOf": [INTEGER, STRING]}, "none", 1),
        ({"type": ["integer", "null"]}, "none", None),
        ({"allOf": [INTEGER, {"minimum": 5}]}, "3 4 6", 6),
        (
            {
                "allOf": [object_schema(a=INTEGER), {"$ref": "#/$defs/b"}],
                "$defs": {"b": object_schema(b=INTEGER)},
            },
            "1 2",
            {"b": 1, "a": 2},
        ),
        # arrays
        ({"type": "array", "items": INTEGER}, "1, 2 and 3", [1, 2, 3]),
        ({"type": "array", "items": INTEGER, "maxItems": 2}, "1, 2 and 3", [1, 2]),
        ({"type": "array", "items": STRING}, "'a' and 'b'", ["a", "b"]),
        ({"type": "array", "items": STRING}, "none", ["none"]),
        ({"type": "array", "items": STRING, "minItems": 2}, "x. y", ["x", "y"]),
        ({"type": "array", "items": STRING, "minItems": 2}, "'a'", ["a", "'a'"]),
        ({"type": "array", "items": {"enum": ["a", "b", "c"]}}, "c, a", ["a", "c"]),
        ({"type": "array", "items": {"const": 1}}, "", [1]),
        ({"items": object_schema(n=INTEGER)}, "1 2", [{"n": 1}]),
        ({"prefixItems": [INTEGER, STRING]}, "1 'a'", [1, "a"]),
        ({"type": "array", "items": True}, "x", ["x"]),
        # objects
        (object_schema(inner=object_schema(n=INTEGER)), "4", {"inner": {"n": 4}}),
        ({"type": "object", "required": ["extra"]}, "Hi", {"extra": "Hi"}),
        (object_schema("q", q=STRING, k=INTEGER), "search", {"q": "search"}),
        (object_schema("q", q=STRING, k=INTEGER), "search 5", {"q": "search 5", "k": 5}),
        (object_schema("q", q=STRING, o=object_schema(n=INTEGER)), "5", {"q": "5"}),
        (object_schema("q", q=STRING, c={"const": 1}), "5", {"q": "5"}),
    ],
)
def test_a_value_is_from_the_text_else_default_null_or_placeholder(
    schema: JSON, text: str, value: Any
) -> None:
    """The value is valid for the schema."""
    assert generate(schema, text) == value


def test_references_are_resolved() -> None:
    """Names may be escaped, and a reference may have a description."""
    schema = object_schema(point={"$ref": "#/$defs/a~1b", "description": "Where."})
    schema["$defs"] = {"a/b": object_schema(x=INTEGER, y=INTEGER)}
    assert generate(schema, "3 and 4") == {"point": {"x": 3, "y": 4}}


def test_circular_references_end() -> None:
    """A reference is followed once; then a required value is null or an empty list."""
    schema = object_schema(
        "n",
        "next",
        n=INTEGER,
        next={"anyOf": [{"$ref": "#"}, {"type": "null"}]},
        others={"type": "array", "items": {"$ref": "#"}},
    )
    assert generate(schema, "1 2 3") == {"n": 1, "next": {"n": 2, "next": None}}
    circular = {
        "$ref": "#/$defs/node",
        "$defs": {"node": object_schema(child={"$ref": "#/$defs/node"})},
    }
    assert generate(circular, "") == {"child": None}
    children = {"type": "array", "items": {"$ref": "#/$defs/tree"}}
    tree = {
        "$ref": "#/$defs/tree",
        "$defs": {"tree": object_schema("n", "children", n=INTEGER, children=children)},
    }
    assert generate(tree, "1 2") == {"n": 1, "children": []}
