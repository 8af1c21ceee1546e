"""Streamed text: joins its fragments, and the surrogate pairs that a server split between two.

This module knows Unicode and no key of the API.
"""

from __future__ import annotations

import re

_SURROGATE = re.compile("[\ud800-\udfff]")
_FIRST_HIGH_SURROGATE, _LAST_HIGH_SURROGATE = "\ud800", "\udbff"

_MAX_FRAGMENTS = 1000  # then they are joined: a short string takes ten times its length in memory


def join_surrogates(text: str) -> str:
    """Join the surrogate pairs of a text into characters, and replace unpaired surrogates (U+FFFD).

    JSON escapes a character above U+FFFF as a pair of surrogates, and some servers split the
    pair between two events. A string with a surrogate in it cannot be encoded as UTF-8, so it
    could be written to no file and no socket.
    """
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class TextBuffer:
    """The text of a stream so far.

    A high surrogate at the end of a fragment is held back until the next fragment, which should
    begin with its low surrogate.
    """

    __slots__ = ("_fragments", "_high_surrogate")

    def __init__(self) -> None:
        self._high_surrogate = ""
        self._fragments: list[str] = []

    def __str__(self) -> str:
        """Return the text so far, without a surrogate that is held back."""
        return "".join(self._fragments)

    def add(self, text: str) -> str:
        """Add a fragment; return the part of it that is complete text."""
        if self._high_surrogate or not text.isascii():
            text = self._join(text)
        self._fragments.append(text)
        if len(self._fragments) > _MAX_FRAGMENTS:
            self._fragments = ["".join(self._fragments)]
        return text

    def _join(self, text: str) -> str:
        text, self._high_surrogate = self._high_surrogate + text, ""
        if text and _FIRST_HIGH_SURROGATE <= text[-1] <= _LAST_HIGH_SURROGATE:
            text, self._high_surrogate = text[:-1], text[-1]
        return join_surrogates(text)

    def flush(self) -> str:
        """Add and return the replacement of a surrogate that is held back; "" if there is none."""
        replaced, self._high_surrogate = join_surrogates(self._high_surrogate), ""
        self._fragments.append(replaced)
        return replaced
