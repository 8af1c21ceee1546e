"""Streamed text as it is added up: surrogate pairs that arrive in two fragments are joined.

This module knows Unicode and no JSON key.
"""

from __future__ import annotations

import re

_SURROGATE = re.compile("[\ud800-\udfff]")
_HIGH_SURROGATES = ("\ud800", "\udbff")


def join_surrogates(text: str) -> str:
    """Return text with halves of characters joined, or replaced: no file and no socket takes one.

    JSON spells a character beyond the first 65,536 as two escapes, and some servers cut between.
    """
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class TextBuffer:
    """A text that comes in pieces: half a character waits for its other half."""

    __slots__ = ("_fragments", "_high_surrogate")

    def __init__(self) -> None:
        self._high_surrogate = ""
        self._fragments: list[str] = []

    def __str__(self) -> str:
        """Return all that could be said so far."""
        return "".join(self._fragments)

    def add(self, text: str) -> str:
        """Return what can be said now."""
        if self._high_surrogate or not text.isascii():
            text = self._join(text)
        self._fragments.append(text)
        if len(self._fragments) > _MAX_FRAGMENTS:
            self._fragments = ["".join(self._fragments)]
        return text

    def _join(self, text: str) -> str:
        text, self._high_surrogate = self._high_surrogate + text, ""
        if text and _HIGH_SURROGATES[0] <= text[-1] <= _HIGH_SURROGATES[1]:
            text, self._high_surrogate = text[:-1], text[-1]
        return join_surrogates(text)

    def flush(self) -> str:
        """Return what is left when no more comes."""
        half, self._high_surrogate = join_surrogates(self._high_surrogate), ""
        self._fragments.append(half)
        return half


_MAX_FRAGMENTS = 1000  # pieces of a text: each takes ten times the memory of its letters
