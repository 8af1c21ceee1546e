"""JSON in the text of an answer: the instruction that asks for it, and the parsers that find it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onerouter_core import json_instruction, parse_incomplete_json, parse_json_text


def test_the_instruction_contains_the_schema() -> None:
    """Characters beyond ASCII are not escaped: models read them better."""
    schema = {"type": "object", "properties": {"a": {"description": "é"}}}
    assert json_instruction(schema).endswith(json.dumps(schema, ensure_ascii=False))


ANSWERS: dict[str, tuple[str, Any]] = {
    "bare": ('{"a": 1}', {"a": 1}),
    "surrounded by spaces": ('\n {"a": 1} \n', {"a": 1}),
    "a list": ("[1, 2]", [1, 2]),
    "fenced": ('```json\n{"a": 1}\n```', {"a": 1}),
    "fenced without language": ('```\n{"a": 1}\n```', {"a": 1}),
    "fence after prose": ('Look at {this}:\n```json\n{"a": 1}\n```\nDone.', {"a": 1}),
    "surrounded by prose": ('Sure! {"a": 1} is it.', {"a": 1}),
    "fence in a string": ('{"a": "```{"}', {"a": "```{"}),
    "after citation marks": ('According to [1], and [2, 3]: {"a": 1}', {"a": 1}),
    "citation mark only": ("See [1].", [1]),
    "after a note in brackets": ('[Note: guessed]\n```json\n{"a": 1}\n```', {"a": 1}),
    "after reasoning": ('<think>Perhaps {"a": 9}? No {a}.</think>\n{"a": 1}', {"a": 1}),
    "after reasoning without opening tag": ('Perhaps {"a": 9}?</think>{"a": 1}', {"a": 1}),
    "closing tag in a string": ('{"a": "</think>{}"}', {"a": "</think>{}"}),
    "a scalar": ("5", 5),
    "a string": ('"x"', "x"),
    "null": ("null", None),
}


@pytest.mark.parametrize(("text", "value"), ANSWERS.values(), ids=ANSWERS)
def test_json_is_found_in_an_answer(text: str, value: Any) -> None:
    """It may be bare, fenced, or after prose."""
    assert parse_json_text(text) == value


@pytest.mark.parametrize(
    "text",
    [
        *("", "Sorry.", '{"a": 1', "```json\n```", "{a: 1}", "[" * 9999, '<think>{"a": 9}'),
        '{"a": {"b": 1}, "c": {"d": ',
    ],
)
def test_an_answer_without_complete_json_is_a_value_error(text: str) -> None:
    """Nothing is repaired."""
    with pytest.raises(ValueError, match=r".+"):
        parse_json_text(text)


def test_json_after_thousands_of_citation_marks_is_found() -> None:
    """The search does not recurse."""
    text = "[1]" * 2_000 + '{"a": 1}'
    assert parse_json_text(text) == parse_incomplete_json(text) == {"a": 1}


@given(value=st.dictionaries(st.text(), st.integers() | st.text() | st.none()), cut=st.integers(0))
def test_a_prefix_of_json_is_a_prefix_of_its_value(value: dict[str, Any], cut: int) -> None:
    """The complete text is the complete value."""
    text = "```json\n" + json.dumps(value)
    prefix_value = parse_incomplete_json(text[: cut % (len(text) + 1)])
    assert prefix_value is None or prefix_value.keys() <= value.keys()
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
def test_incomplete_json_is_parsed_as_far_as_it_has_come(text: str, value: Any) -> None:
    """None: no JSON has started, or the text is not JSON."""
    assert parse_incomplete_json(text) == value
