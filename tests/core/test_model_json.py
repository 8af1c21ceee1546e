"""JSON as models write it: what is read, what is an error, and what strict upstreams get."""

from __future__ import annotations

import json
from typing import Any

import pytest

from onerouter_core.model_json import (
    is_json_object,
    is_reproduced,
    parse_json,
    replace_half_escapes,
    split_unfinished_escape,
    to_strict_json,
    without_non_finite,
    without_surrogates,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "one\ntwo\tthree\x01"}', {"a": "one\ntwo\tthree\x01"}),
        (r'["\ud83d"]', ["\ufffd"]),
        (r'["\ude00 \uD83D\uDE00"]', ["\ufffd 😀"]),
        (r'["\\ud83d"]', ["\\ud83d"]),
        (r'{"\ud83d": 1}', {"\ufffd": 1}),
        ('["\ud83d"]', ["\ufffd"]),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ('["NaN"]', ["NaN"]),
    ],
    ids=["control", "half", "low half", "backslash", "key", "raw half", "twice", "text"],
)
def test_what_models_write_is_read(text: str, value: Any) -> None:
    """Strict upstreams read the same value from the strict text."""
    assert parse_json(text) == value
    strict = to_strict_json(text)
    assert json.loads(strict.encode("utf-8")) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": NaN}', "NaN is not JSON"),
        ("[-Infinity]", "-Infinity is not JSON"),
        ("[1e999]", "too large"),
        ("[" + "9" * 5000 + "]", "4300 digits"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": 1', "delimiter"),
        ("{'a': 1}", "property name"),
    ],
    ids=["NaN", "infinity", "overflow", "digits", "depth", "cut", "quotes"],
)
def test_other_text_is_an_error(text: str, reason: str) -> None:
    """The reason is in the message."""
    with pytest.raises(ValueError, match=reason):
        parse_json(text)
    assert not is_json_object(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 0.12345678901234567890}', False),
        ('{"a": [1.0, 2.50, 1e3]}', True),
        ('{"a": 123456789012345678901234567890, "e": "1.2"}', True),
    ],
    ids=["long", "short", "integer"],
)
def test_digits_that_a_float_loses_are_noticed(text: str, expected: bool) -> None:
    """Numbers are compared, not their form."""
    assert is_reproduced(text, parse_json(text)) is expected


@pytest.mark.parametrize(
    "text",
    [r"a\n\\", r"x\ud83d\ude00y", r"\\ud83d", r"\ud83d\n", r"\ud83d\ud83d\ude00", r"\u0041\ud83"],
)
def test_fragments_of_a_text_are_replaced_as_the_whole(text: str) -> None:
    """Wherever it is cut, an escape that has not ended waits for its rest."""
    for place in range(len(text) + 1):
        first, unfinished = split_unfinished_escape(text[:place])
        rest, end = split_unfinished_escape(unfinished + text[place:])
        parts = [replace_half_escapes(part) for part in (first, rest, end)]
        assert "".join(parts) == replace_half_escapes(text)


def test_strings_and_numbers_of_a_value_are_made_writable() -> None:
    """Keys too; a fragment under a kept key waits for its other half."""
    value = {"\ud83d": ["\ude00", {"content": "\ud83d"}], "n": [float("inf"), 1.5]}
    replaced = without_surrogates(value, frozenset(["content"]))
    assert replaced["\ufffd"] == ["\ufffd", {"content": "\ud83d"}]
    assert without_non_finite(value)["n"] == [None, 1.5]
