"""Fragments: merged as the complete reply would have them, and compared with complete values."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest

from onerouter_core.wire.fragments import (
    append_audio,
    append_text,
    extend_lists,
    joined,
    merge_fragments,
    remaining_lists,
    remaining_text,
    replace_known,
)


@pytest.mark.parametrize(
    ("fragments", "merged"),
    [
        (["ab", "cd"], "abcd"),
        (["ab", "", "cd"], "abcd"),
        (["ab", None], "ab"),
        ([None, "ab"], "ab"),
        ([None, None], None),
        ([[1], [2, 3]], [1, 2, 3]),
        ([[1], None, []], [1]),
        ([1, 2], 2),
        ([True, False], False),
        ([0, None], 0),
        ([{"a": "x"}, {"a": "y", "b": 1}], {"a": "xy", "b": 1}),
        ([{"a": {"b": ["x"]}}, {"a": {"b": ["y"]}}], {"a": {"b": ["x", "y"]}}),
        ([{"type": "x", "id": "1", "s": "a"}] * 2, {"type": "x", "id": "1", "s": "aa"}),
        (["ab", ["x"]], ["x"]),
        ([{"a": 1}, "ab"], "ab"),
    ],
)
def test_fragments_of_an_unknown_key_are_merged(fragments: list[Any], merged: Any) -> None:
    """Strings are concatenated, lists extended, objects merged, other values replaced."""
    updates = [{"key": fragment} for fragment in fragments]
    assert joined(reduce(merge_fragments, updates, {})) == {"key": merged}


@pytest.mark.parametrize("key", ["id", "type", "index", "name", "role", "model"])
def test_facts_that_servers_repeat_stay_single(key: str) -> None:
    """They are the same on every fragment, and an empty one takes nothing back."""
    fragments: list[dict[str, Any]] = [{key: "a"}, {key: "a"}, {key: ""}]
    assert reduce(merge_fragments, fragments, {}) == {key: "a"}


def test_fragments_are_not_changed() -> None:
    """Merged lists and objects are copies."""
    first = {"list": [1], "object": {"list": [1]}}
    merge_fragments(merge_fragments({}, first), {"list": [2], "object": {"list": [2]}})
    assert first == {"list": [1], "object": {"list": [1]}}


def test_deeply_nested_objects_are_replaced() -> None:
    """Merging them would reach Python's limit on recursion."""
    deep: dict[str, Any] = {"s": "a"}
    for _ in range(5000):
        deep = {"x": deep}
    assert merge_fragments(merge_fragments({}, deep), deep).keys() == {"x"}
    assert merge_fragments({"a": {"b": {"s": "x"}}}, {"a": {"b": {"s": "y"}}}, 1) == {
        "a": {"b": {"s": "y"}}
    }


def test_null_and_empty_strings_replace_no_known_value() -> None:
    """Other values do, zero and false included."""
    known: dict[str, Any] = {"a": 1, "b": "x", "c": True}
    replace_known(known, {"a": None, "b": "", "c": False, "d": None, "e": 5}, ("e",))
    assert known == {"a": 1, "b": "x", "c": False, "d": None}


def test_lists_are_extended_and_audio_is_joined() -> None:
    """Values of another type are left out of lists, and replace fields of an audio."""
    lists: dict[str, Any] = {}
    for update in ({"content": [1], "refusal": None}, {"content": [2]}):
        extend_lists(lists, update)
    audio: dict[str, Any] = {}
    for update in ({"data": "ab", "id": "1"}, {"data": "cd", "id": "2", "transcript": None}):
        append_audio(audio, update)
    assert (lists, joined(audio)) == ({"content": [1, 2]}, {"data": "abcd", "id": "2"})


@pytest.mark.parametrize(
    ("fragments", "text"),
    [
        (["a"], "a"),
        (["a", "b", "c"], "abc"),
        ([None, "a"], "a"),
        (["a", 1, None, "b"], "ab"),
        ([1], ""),
        (["a\ud83d", "\ude42b"], "a🙂b"),
        (["a", "b\ud83d"], "ab\ufffd"),
    ],
)
def test_a_text_is_joined_at_the_end(fragments: list[Any], text: str) -> None:
    """Values of another type count as no text; halves of a surrogate pair are joined."""
    fields: dict[str, Any] = {}
    for fragment in fragments:
        append_text(fields, "key", fragment)
    assert joined({"outer": fields}) == {"outer": {"key": text}}
    assert joined(joined({"outer": fields})) == {"outer": {"key": text}}


@pytest.mark.parametrize(
    ("streamed", "complete", "rest"),
    [
        ("", "Hello", "Hello"),
        ("Hel", "Hello", "lo"),
        ("Hello", "Hello", ""),
        ("Hello", "", ""),
        ("Hello\n", "Hello", ""),
        ("\n\nHel", "Hello", "lo"),
        (" Hello ", "Hello", ""),
        ("Hello", "Goodbye", None),
        ("Hello there", "Hello", None),
    ],
)
def test_the_rest_of_a_complete_text(streamed: str, complete: str, rest: str | None) -> None:
    """White space that servers strip makes no other text."""
    assert remaining_text(streamed, complete) == rest


def test_the_rest_of_complete_lists() -> None:
    """Items are counted; values of another type are returned as they are."""
    rest = remaining_lists({"content": [1]}, {"content": [1, 2], "refusal": [3], "x": None})
    assert rest == {"content": [2], "refusal": [3], "x": None}
