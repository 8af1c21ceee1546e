"""JSON schemas made strict and named, and JSON read out of an answer."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from onerouter_core.errors import ConfigurationError, format_validation_errors
from onerouter_core.json_text import json_instruction, parse_incomplete_json, parse_json_text
from onerouter_core.strict_schema import inline_root_ref, schema_name, to_strict_schema

TEXT = {"type": "string"}


def of(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object."""
    return {"type": "object", "properties": properties}


def closed(**properties: Any) -> dict[str, Any]:
    """Return the strict schema of an object."""
    return {**of(**properties), "additionalProperties": False, "required": [*properties]}


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
def test_names(schema: Any, name: str) -> None:
    """A schema is named after its title, in letters the API takes."""
    assert schema_name(schema) == name


STRICT = {
    "a plain object": (of(a=TEXT), closed(a=TEXT)),
    "optional becomes required": (
        {**of(a=TEXT, b=TEXT), "required": ["b"]},
        closed(a=TEXT, b=TEXT),
    ),
    "no properties": (of(), closed()),
    "already closed": (closed(a=TEXT), closed(a=TEXT)),
    "within": (of(a=of(b=TEXT)), closed(a=closed(b=TEXT))),
    "within a list": (
        of(a={"type": "array", "items": of(b=TEXT)}),
        closed(a={"type": "array", "items": closed(b=TEXT)}),
    ),
    "within alternatives": (
        of(a={"oneOf": [of(b=TEXT), {"type": "null"}], "discriminator": {"propertyName": "b"}}),
        closed(a={"anyOf": [closed(b=TEXT), {"type": "null"}]}),
    ),
    "within definitions": (
        {**of(a={"$ref": "#/$defs/B"}), "$defs": {"B": of(b=TEXT)}},
        {**closed(a={"$ref": "#/$defs/B"}), "$defs": {"B": closed(b=TEXT)}},
    ),
    "a reference with a description": (
        of(a={"$ref": "#/$defs/B", "description": "d", "default": None}),
        closed(a={"anyOf": [{"$ref": "#/$defs/B"}], "description": "d"}),
    ),
    "a reference with a default": (
        of(a={"$ref": "#/$defs/B", "default": 1}),
        closed(a={"$ref": "#/$defs/B"}),
    ),
    "allOf of one": (
        of(a={"allOf": [{"$ref": "#/$defs/B"}]}),
        closed(a={"anyOf": [{"$ref": "#/$defs/B"}]}),
    ),
    "default dropped": (of(a={**TEXT, "default": "x"}), closed(a=TEXT)),
    "the rest kept": (
        {"title": "T", **of(a={"enum": ["x", 1]}, b={"const": None})},
        {"title": "T", **closed(a={"enum": ["x", 1]}, b={"const": None})},
    ),
    "several types": (
        of(a={"type": ["object", "null"], "properties": {}}),
        closed(a={**closed(), "type": ["object", "null"]}),
    ),
}


@pytest.mark.parametrize(("schema", "expected"), STRICT.values(), ids=STRICT)
def test_strict(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    """A strict schema has all of its properties and no others; what it was made of stays."""
    before = deepcopy(schema)
    assert to_strict_schema(schema) == expected
    assert schema == before
    assert to_strict_schema(expected) == expected


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "array", "items": TEXT}, "needs an object at its root"),
        ({}, "needs an object at its root"),
        ({"type": "object"}, "the root may have any keys"),
        (of(a={"type": "object"}), "'a' may have any keys"),
        ({**of(a=TEXT), "additionalProperties": TEXT}, "the root may have any keys"),
        ({**of(a=TEXT), "additionalProperties": True}, "the root may have any keys"),
        (of(a={}), "'a' may be anything"),
        (of(a={"description": "d"}), "'a' may be anything"),
        (of(a=True), "'a' is True"),
        (of(a={"type": "array"}), "'a' is a list of anything"),
        (of(a={"type": "array", "items": {}}), "an item of 'a' may be anything"),
        (of(a={"anyOf": [{}]}), "an alternative of 'a' may be anything"),
        (of(a={"allOf": [TEXT, TEXT]}), "has no allOf"),
        (of(a={"anyOf": [TEXT], "oneOf": [TEXT]}), "in one way only"),
        (of(a={"allOf": [TEXT], "anyOf": [TEXT]}), "in one way only"),
        (of(a={"type": "array", "items": TEXT, "prefixItems": [TEXT]}), "no prefixItems"),
        (of(a={**of(b=TEXT), "patternProperties": {"x": TEXT}}), "no patternProperties"),
    ],
)
def test_what_cannot_be_strict(schema: dict[str, Any], reason: str) -> None:
    """What may be anything cannot be strict; the error says where."""
    with pytest.raises(ConfigurationError, match=reason):
        to_strict_schema(schema)


def test_a_recursive_class() -> None:
    """A class that holds itself has an object at its root, and keeps its definitions."""

    class Node(BaseModel):
        value: int
        below: list[Node] = Field(default_factory=list)

    Node.model_rebuild(_types_namespace={"Node": Node})
    schema = Node.model_json_schema()
    assert "$ref" in schema
    assert inline_root_ref(schema)["type"] == "object"
    made = to_strict_schema(schema)
    assert made["required"] == ["value", "below"]
    assert made["$defs"]["Node"]["additionalProperties"] is False


def test_a_schema_that_has_its_root() -> None:
    """A schema without a reference at its root, or with one to elsewhere, is copied as it is."""
    older = {"$ref": "#/definitions/A", "definitions": {"A": of(a=TEXT)}}
    assert inline_root_ref(older) == {**of(a=TEXT), "definitions": {"A": of(a=TEXT)}}
    for schema in (of(a=TEXT), {"$ref": "https://elsewhere"}, {"$ref": "#/$defs/X", "$defs": {}}):
        assert inline_root_ref(schema) == schema
        assert inline_root_ref(schema) is not schema


def test_a_schema_in_words() -> None:
    """A schema can be asked for in words, which hold it as it is."""
    schema = of(a={"description": "é"})
    assert json_instruction(schema).endswith(json.dumps(schema, ensure_ascii=False))


ANSWERS = {
    "bare": ('{"a": 1}', {"a": 1}),
    "space around": ('\n {"a": 1} \n', {"a": 1}),
    "a list": ("[1, 2]", [1, 2]),
    "fenced": ('```json\n{"a": 1}\n```', {"a": 1}),
    "fenced without a name": ('```\n{"a": 1}\n```', {"a": 1}),
    "words before a fence": ('Look at {this}:\n```json\n{"a": 1}\n```\nDone.', {"a": 1}),
    "words around": ('Sure! {"a": 1} is it.', {"a": 1}),
    "a fence within": ('{"a": "```{"}', {"a": "```{"}),
    "behind a mark": ('According to [1], and [2, 3]: {"a": 1}', {"a": 1}),
    "nothing but a mark": ("See [1].", [1]),
    "behind a note": ('[Note: guessed]\n```json\n{"a": 1}\n```', {"a": 1}),
    "behind thoughts": ('<think>Perhaps {"a": 9}? No {a}.</think>\n{"a": 1}', {"a": 1}),
    "behind thoughts without a beginning": ('Perhaps {"a": 9}?</think>{"a": 1}', {"a": 1}),
    "with a tag in it": ('{"a": "</think>{}"}', {"a": "</think>{}"}),
    "a scalar": ("5", 5),
    "a string": ('"x"', "x"),
    "null": ("null", None),
}


@pytest.mark.parametrize(("text", "value"), ANSWERS.values(), ids=ANSWERS)
def test_json_in_an_answer(text: str, value: Any) -> None:
    """JSON is read fenced, behind words, or bare."""
    assert parse_json_text(text) == value


NO_ANSWERS = ("", "Sorry.", '{"a": 1', "```json\n```", "{a: 1}", "[" * 9999, '<think>{"a": 9}')


def test_json_behind_a_thousand_marks() -> None:
    """However many sources an answer names before it begins."""
    text = "[1]" * 2_000 + '{"a": 1}'
    assert parse_json_text(text) == parse_incomplete_json(text) == {"a": 1}


@pytest.mark.parametrize("text", [*NO_ANSWERS, '{"a": {"b": 1}, "c": {"d": '])
def test_no_json_in_an_answer(text: str) -> None:
    """Where there is no whole JSON it is a ValueError; nothing is mended."""
    with pytest.raises(ValueError, match=r".+"):
        parse_json_text(text)


@given(value=st.dictionaries(st.text(), st.integers() | st.text() | st.none()), cut=st.integers(0))
def test_json_that_grows(value: dict[str, Any], cut: int) -> None:
    """Any beginning of JSON is the beginning of its value; the whole is the value."""
    text = "```json\n" + json.dumps(value)
    seen = parse_incomplete_json(text[: cut % (len(text) + 1)])
    assert seen is None or seen.keys() <= value.keys()
    assert parse_incomplete_json(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("Sure: ", None),
        ("{", {}),
        ('{"a": "He', {"a": "He"}),
        ('{"a": [1, 2', {"a": [1, 2]}),
        ("{oops", None),
        ('[1] says {"a": "He', {"a": "He"}),
        ('<think>{"a": 9}', None),
        ('<think>{"a": 9}</think>{"a": 1', {"a": 1}),
    ],
)
def test_json_that_has_begun(text: str, value: Any) -> None:
    """As much as there is of JSON is read; None if there is nothing yet, or nothing to read."""
    assert parse_incomplete_json(text) == value


def test_findings() -> None:
    """What an error found is one line; of pydantic's the places, and no values."""

    class Answer(BaseModel):
        count: int
        inner: dict[str, int]

    with pytest.raises(ValueError, match="validation error") as caught:
        Answer.model_validate({"count": "secret", "inner": {"a": "secret"}})
    line = format_validation_errors(caught.value)
    assert "count: Input should be a valid integer" in line
    assert "; inner.a: " in line
    assert "secret" not in line
    assert format_validation_errors(ValueError("two\n lines")) == "two lines"
