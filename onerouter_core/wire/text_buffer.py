"""Streamed text: joins its fragments, and the surrogate pairs that a server split between two.

This module knows Unicode and no key of the API.
"""

from __future__ import annotations

from onerouter_core.model_json import (
    MARKS,
    is_json,
    join_surrogates,
    replace_half_escapes,
    split_unfinished_escape,
)

_FIRST_HIGH_SURROGATE, _LAST_HIGH_SURROGATE = "\ud800", "\udbff"

_MAX_FRAGMENTS = 64  # then they are joined: a short string takes ten times its length in memory


class TextBuffer:
    """The text of a stream so far.

    A high surrogate at the end of a fragment is held back until the next fragment, which should
    begin with its low surrogate. In a JSON text, so is its escape, and an escape that has not
    ended; the escape of an unpaired surrogate is replaced.
    """

    __slots__ = ("_fragments", "_held", "_is_json", "_joined")

    def __init__(self, *, is_json: bool = False) -> None:
        self._held = ""
        self._is_json = is_json
        self._fragments: list[str] = []
        self._joined = 0  # how many of the first ones were joined, and are not joined again

    def __str__(self) -> str:
        """Return the text so far, without what is held back."""
        return "".join(self._fragments)

    def add(self, text: str) -> str:
        """Add a fragment; return the part of it that is complete text."""
        if self._held or not text.isascii() or (self._is_json and "\\" in text):
            text = self._join(text)
        self._fragments.append(text)
        if len(self._fragments) - self._joined > _MAX_FRAGMENTS:
            self._join_fragments()
        return text

    def _join_fragments(self) -> None:
        self._fragments[self._joined :] = ["".join(self._fragments[self._joined :])]
        self._joined += 1

    def _join(self, text: str) -> str:
        text, self._held = self._held + text, ""
        if text and _FIRST_HIGH_SURROGATE <= text[-1] <= _LAST_HIGH_SURROGATE:
            text, self._held = text[:-1], text[-1]
        text = join_surrogates(text)
        if not self._is_json:
            return text
        text, unfinished = split_unfinished_escape(text)
        self._held = unfinished + self._held
        return replace_half_escapes(text)

    def flush(self) -> str:
        """Add and return what is held back, with unpaired surrogates replaced; often ""."""
        if not self._held:
            return ""
        replaced, self._held = join_surrogates(self._held), ""
        if self._is_json:
            replaced = replace_half_escapes(replaced)
        self._fragments.append(replaced)
        return replaced


class JSONBuffer(TextBuffer):
    """The text of a JSON value so far, which can be asked any number of times if it is complete.

    Each fragment is read once, so that the time is linear: see `benchmarks/growth.py`.
    """

    __slots__ = ("_depth", "_in_string", "_is_broken", "_known", "_read")

    def __init__(self) -> None:
        super().__init__(is_json=True)
        self._read = 0  # fragments that were read
        self._depth = 0  # open brackets
        self._in_string = False
        self._is_broken = False  # a value has ended, and the text is not JSON: nor will it be
        self._known: bool | None = None  # the answer, until the next fragment

    def is_complete(self) -> bool:
        """Return whether the text is a JSON value: an object, a list or a string."""
        self._read_fragments()
        if self._is_broken or self._depth or self._in_string:
            return False
        if self._known is None:
            self._known = is_json(str(self))
            self._is_broken = not self._known
        return self._known

    def _read_fragments(self) -> None:
        """Count the brackets that new fragments open and close; an escape is in one fragment."""
        text = "".join(self._fragments[self._read :])
        self._read = len(self._fragments)
        if text and not text.isspace():
            self._known = None
        for mark in MARKS.findall(text):
            if mark == '"':
                self._in_string = not self._in_string
            elif not self._in_string and len(mark) == 1:
                self._depth += 1 if mark in "{[" else -1
        self._is_broken = self._is_broken or self._depth < 0

    def _join_fragments(self) -> None:
        self._read_fragments()
        super()._join_fragments()
        self._read = len(self._fragments)
