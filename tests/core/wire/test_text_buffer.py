"""Streamed text: fragments are joined, split surrogate pairs too, unpaired surrogates replaced."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onerouter_core.wire.text_buffer import TextBuffer, join_surrogates
from tests.core.generated import cut


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("", ""),
        ("abc", "abc"),
        ("é漢🙂", "é漢🙂"),
        ("a\ud83d\ude42b", "a🙂b"),
        ("a\ud83db", "a\ufffdb"),
        ("\ude42\ud83d", "\ufffd\ufffd"),
    ],
)
def test_surrogates_are_joined_or_replaced(text: str, joined: str) -> None:
    """A pair is one character; a surrogate without its other half is U+FFFD."""
    assert join_surrogates(text) == joined


def test_a_high_surrogate_is_held_back_until_the_next_fragment() -> None:
    """The text before it is returned at once, the character with the next fragment."""
    buffer = TextBuffer()
    assert buffer.add("a\ud83d") == "a"
    assert str(buffer) == "a"
    assert buffer.add("\ude42b") == "🙂b"
    assert buffer.flush() == ""
    assert str(buffer) == "a🙂b"


@pytest.mark.parametrize(("following", "returned"), [("b", "\ufffdb"), ("\ud83d", "\ufffd")])
def test_a_high_surrogate_before_another_character_is_replaced(
    following: str, returned: str
) -> None:
    """Neither a letter nor another high surrogate completes it."""
    buffer = TextBuffer()
    assert buffer.add("\ud83d") == ""
    assert buffer.add(following) == returned


def test_flush_replaces_a_high_surrogate_that_is_held_back() -> None:
    """It is replaced once, and is part of the text."""
    buffer = TextBuffer()
    buffer.add("a\ud83d")
    assert [buffer.flush(), buffer.flush()] == ["\ufffd", ""]
    assert str(buffer) == "a\ufffd"


def test_many_fragments_keep_their_order() -> None:
    """The buffer joins its fragments from time to time; the text is not changed by it."""
    buffer, fragments = TextBuffer(), [f"{number} " for number in range(2500)]
    assert [buffer.add(fragment) for fragment in fragments] == fragments
    assert str(buffer) == "".join(fragments)


@settings(deadline=None)
@given(text=st.text(st.sampled_from("aé🙂\ud83d\ude42"), max_size=8), data=st.data())
def test_a_text_may_be_cut_anywhere(text: str, data: st.DataObject) -> None:
    """The fragments of a text add up to the text with its surrogates joined, valid as UTF-8."""
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=4))
    buffer = TextBuffer()
    returned = [buffer.add(fragment) for fragment in cut(text, sorted(places))]
    joined = "".join(returned) + buffer.flush()
    assert joined == str(buffer) == join_surrogates(text)
    assert joined.encode().decode() == joined
