"""Field values of a text: each kind, in the order of the text, and none twice."""

from __future__ import annotations

from typing import Any

import pytest

from onerouter_simulator.field_values import (
    ABSENT,
    MAX_PHRASE_LENGTH,
    FieldValues,
    is_match,
    parse_number,
    shorten,
    simplest_match,
    split_name,
    split_phrases,
)


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("title: The Sea, and 'more'", "title", "The Sea"),
        ("title is 'The Sea'", "title", "The Sea"),
        ("Say 'one' or `two`", "title", "one"),
        ("Weather in Oslo, NO", "city", "Oslo, NO"),
        ("Weather in Oslo, NO", "text", ABSENT),
        ("A book by Ada Lovelace", "author", "Ada Lovelace"),
        ("A book by Ada Lovelace", "title", ABSENT),
        ("don't won't", "title", ABSENT),
    ],
)
def test_a_string_is_labelled_quoted_a_place_or_a_name(text: str, name: str, expected: Any) -> None:
    """The label is preferred; places and names need a field that asks for them."""
    assert FieldValues(text).take_string(name) == expected


def test_a_quoted_string_is_taken_once() -> None:
    """The strings are taken in the order of the text."""
    values = FieldValues("'one' and \"two\"")
    assert [values.take_string("a") for _ in range(3)] == ["one", "two", ABSENT]


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("5 and age 36", "age", 36),
        ("born 1815", "age", 1815),
        ("age: 1,250.5", "age", 1250.5),
        ("gpt4 v1.2.3", "age", ABSENT),
        ("-7 or 9", "age", -7),
    ],
)
def test_a_number_is_labelled_or_the_next(text: str, name: str, expected: Any) -> None:
    """Digits within words and versions are no numbers."""
    assert FieldValues(text).take_number(name, lambda _: True) == expected


def test_a_number_is_taken_once_and_must_be_valid() -> None:
    """A number that is not valid for one field stays for another."""
    values = FieldValues("3 and 50")
    assert values.take_number("a", lambda number: number > 10) == 50
    assert values.take_number("a", lambda number: number > 10) is ABSENT
    assert values.take_number("a", lambda _: True) == 3


def test_an_option_is_taken_once() -> None:
    """Options are compared without case; an underscore equals a space."""
    values = FieldValues("Red and ice cream")
    options = ["ice_cream", "red", "blue"]
    assert [values.take_option(options) for _ in range(3)] == ["ice_cream", "red", ABSENT]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("fast: yes", True), ("fast is FALSE", False), ("fast no", False), ("fast", ABSENT)],
)
def test_a_boolean_follows_its_name(text: str, expected: Any) -> None:
    """True, false, yes and no are understood."""
    assert FieldValues(text).take_boolean("fast") is expected


@pytest.mark.parametrize(
    ("format_name", "pattern", "expected"),
    [
        ("date", None, "2025-03-04"),
        ("email", None, "ada@example.org"),
        ("uuid", None, ABSENT),
        (None, r"^[A-Z]{2}-\d+$", "LH-400"),
        (None, r"^\d{9}$", ABSENT),
        ("unknown", None, ABSENT),
    ],
)
def test_a_formatted_value_is_found(
    format_name: str | None, pattern: str | None, expected: Any
) -> None:
    """A format is found anywhere in the text; a pattern must match a word."""
    values = FieldValues("Flight LH-400, on 2025-03-04, for ada@example.org.")
    assert values.find_formatted(format_name, pattern) == expected


def test_phrases_are_returned_in_turn() -> None:
    """After the last phrase the first comes again."""
    values = FieldValues("One. Two!")
    assert [values.next_phrase() for _ in range(3)] == ["One", "Two", "One"]


@pytest.mark.parametrize(
    ("text", "phrases"),
    [("", ["text"]), ("a. b? c\nd", ["a", "b", "c", "d"]), ("v1.2 is out", ["v1.2 is out"])],
)
def test_a_text_is_split_into_phrases(text: str, phrases: list[str]) -> None:
    """A dot within a word ends no phrase; an empty text gives a placeholder."""
    assert split_phrases(text) == phrases


def test_a_long_text_is_cut_at_the_end_of_a_word() -> None:
    """A word that is too long is cut."""
    assert shorten("one two three", 9) == "one two"
    assert shorten("one two", 7) == "one two"
    assert shorten("a" * 100) == "a" * MAX_PHRASE_LENGTH


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("first_name", ["first", "name"]),
        ("firstName", ["first", "name"]),
        ("HTTPServer2", ["http", "server", "2"]),
        ("kebab-case", ["kebab", "case"]),
    ],
)
def test_a_name_is_split_into_words(name: str, words: list[str]) -> None:
    """Words are in lower case."""
    assert split_name(name) == words


@pytest.mark.parametrize(("text", "number"), [("1,250", 1250), ("-3.50", -3.5), ("7", 7)])
def test_a_number_is_parsed(text: str, number: float) -> None:
    """A number without a decimal point is an int."""
    assert parse_number(text) == number
    assert isinstance(parse_number(text), type(number))


@pytest.mark.parametrize(
    ("pattern", "match"),
    [(r"^[A-Z]{3}\.?\d+$", "AAA1"), (r"\w{2}-[xyz]", "aa-x"), (r"a*b", "b")],
)
def test_the_simplest_match_matches_its_pattern(pattern: str, match: str) -> None:
    """Optional atoms are left out; the first character of a class is taken."""
    assert simplest_match(pattern) == match
    assert is_match(pattern, match)


def test_a_pattern_that_cannot_be_compiled_matches_nothing() -> None:
    """JavaScript patterns may be invalid in Python."""
    assert not is_match("(?<bad", "bad")
