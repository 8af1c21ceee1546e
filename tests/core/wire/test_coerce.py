"""JSON values of any type: each function returns its own type, and none raises."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onerouter_core.model_json import MAX_LEVELS
from onerouter_core.wire.coerce import (
    as_count,
    as_items,
    as_json_text,
    as_mapping,
    as_number,
    as_text,
    omit,
    parse_json_bytes,
)
from tests.core.generated import values


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        (b'\n "x" ', "x"),
        ('"é漢🙂"'.encode(), "é漢🙂"),
        (b'"\\ud83d\\ude42"', "🙂"),
        (b'"\\ud83d"', "\ufffd"),
        (b'"\xff"', "\ufffd"),
        (b"\xef\xbb\xbf[]", []),
    ],
    ids=["object", "space", "UTF-8", "pair", "surrogate", "not UTF-8", "BOM"],
)
def test_json_bytes_are_parsed(data: bytes, value: Any) -> None:
    """Invalid UTF-8 and an unpaired surrogate are replaced."""
    assert parse_json_bytes(data) == value


@pytest.mark.parametrize("data", [b"", b"oops", b"{", b"{'a': 1}", b"<html>", b"\xff"])
def test_bytes_that_are_not_json_raise_value_error(data: bytes) -> None:
    """The caller decides which error of the package it is."""
    with pytest.raises(ValueError, match="Expecting"):
        parse_json_bytes(data)


@pytest.mark.parametrize("depth", [MAX_LEVELS, 300, 100_000])
@pytest.mark.parametrize("text", ["", '"\\ud800", '], ids=["pydantic_core", "json"])
def test_json_nested_too_deeply_raises_value_error(text: str, depth: int) -> None:
    """It is no RecursionError in either parser; both have one limit."""
    data = f"[{text}{'[' * depth}{']' * depth}]".encode()
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json_bytes(data)


@pytest.mark.parametrize("text", ["", '"\\ud800", '], ids=["pydantic_core", "json"])
@pytest.mark.parametrize("inner", ["[" * 9, '"{{{"'], ids=["brackets", "brackets in a string"])
def test_json_within_the_limit_is_parsed(text: str, inner: str) -> None:
    """Brackets in strings, and those of values beside each other, are no levels."""
    levels, end = MAX_LEVELS - 10, "]" * 9 if inner.startswith("[") else ""
    data = f"[{text}{'[' * levels}{inner}{end}{']' * levels}, {'[1], ' * 200}0]".encode()
    assert len(parse_json_bytes(data)) >= 202


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *((0, 0.0), (-2.5, -2.5), ("3", 3.0), (" 1e3 ", 1000.0), (999_999_999_999_999, 1e15 - 1)),
        *((True, None), (None, None), ("", None), ("many", None), ([1], None), ({}, None)),
        *((float("nan"), None), (float("inf"), None), ("-inf", None), (1e15, None)),
        (10**400, None),
    ],
)
def test_numbers(value: Any, number: float | None) -> None:
    """A number, or one in a string, is a float; bools, NaN and absurd numbers are None."""
    assert as_number(value) == number


@pytest.mark.parametrize(
    ("value", "count"),
    [(0, 0), (7, 7), (7.9, 7), ("8", 8), (True, None), (None, None), ("x", None), (10**16, None)],
)
def test_counts(value: Any, count: int | None) -> None:
    """A number is cut to an integer."""
    assert as_count(value) == count
    assert type(as_count(value)) in (int, type(None))


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), ("", ""), ('{"a": 1', '{"a": 1'), ({"a": "é"}, '{"a": "é"}'), (5, "5")],
)
def test_json_texts(value: Any, text: str) -> None:
    """A string stays, also if it is no JSON; any other value is encoded."""
    assert as_json_text(value) == text


def test_omit_returns_a_copy_without_the_keys() -> None:
    """The mapping itself is not changed; a key that is not there does not matter."""
    value = {"a": 1, "b": 2}
    assert omit(value, ("b", "c")) == {"a": 1}
    assert value == {"a": 1, "b": 2}


@given(value=values | st.integers())
def test_any_value_is_coerced(value: Any) -> None:
    """No value raises, and a value of the right type is returned as it is."""
    assert as_mapping(value) == (value if isinstance(value, dict) else {})
    items = value if isinstance(value, list) else []
    assert as_items(value) == [item for item in items if isinstance(item, dict)]
    assert as_text(value) == (value if isinstance(value, str) and value else None)
    assert isinstance(as_number(value), (float, type(None)))
    assert isinstance(as_count(value), (int, type(None)))
    assert isinstance(as_json_text(value), str)
