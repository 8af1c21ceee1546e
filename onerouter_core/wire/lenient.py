"""JSON whose types may be anything, read without ever raising.

This module knows Python's types. It knows no key.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic_core import from_json

from onerouter_core.values import Json

_ABSURD = 1e15  # no count and no cost is larger; infinities and NaN are not smaller


def parse(data: bytes) -> Any:
    """Return the JSON value; raise ValueError if it is none.

    The quick parser refuses a few things that some servers send (bytes that are no UTF-8, halves
    of surrogate pairs); for these the standard library's stands in. What is nested more than some
    two hundred times it refuses, too, and so do we: others would fail on it later, as they copy it.
    """
    try:
        return from_json(data)
    except ValueError as error:
        if "recursion" in str(error):
            raise ValueError("nested too deeply") from None
    try:
        return json.loads(data.decode("utf-8-sig", "replace"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def as_mapping(value: Any) -> Json:
    """Return an object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_items(value: Any) -> list[Json]:
    """Return the objects in a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def as_text(value: Any) -> str | None:
    """Return a string that says something."""
    return value if isinstance(value, str) and value else None


def is_text_or_null(value: Any) -> bool:
    """Tell whether a value is what a string field may hold: a string, or nothing."""
    return value is None or isinstance(value, str)


def as_number(value: Any) -> float | None:
    """Return a number, also one in a string; no bool, no NaN, nothing absurd."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) < _ABSURD else None


def as_count(value: Any) -> int | None:
    """Return a whole number."""
    if type(value) is int and abs(value) < _ABSURD:
        return value
    number = as_number(value)
    return None if number is None else int(number)


def without(value: Json, known: tuple[str, ...]) -> dict[str, Any]:
    """Return all but the known keys."""
    return {key: item for key, item in value.items() if key not in known}


# --- characters that come in halves ---

_HALF = re.compile("[\ud800-\udfff]")
_FIRST_HALVES = ("\ud800", "\udbff")


def in_whole_characters(text: str) -> str:
    """Return text with halves of characters joined, or replaced: no file and no socket takes one.

    JSON spells a character beyond the first 65,536 as two escapes, and some servers cut between.
    """
    if text.isascii() or not _HALF.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Growing:
    """A text that comes in pieces: half a character waits for its other half."""

    __slots__ = ("_half", "_pieces")

    def __init__(self) -> None:
        self._half = ""
        self._pieces: list[str] = []

    def __str__(self) -> str:
        """Return all that could be said so far."""
        return "".join(self._pieces)

    def add(self, text: str) -> str:
        """Return what can be said now."""
        if self._half or not text.isascii():
            text = self._in_whole_characters(text)
        self._pieces.append(text)
        if len(self._pieces) > _FEW:
            self._pieces = ["".join(self._pieces)]
        return text

    def _in_whole_characters(self, text: str) -> str:
        text, self._half = self._half + text, ""
        if text and _FIRST_HALVES[0] <= text[-1] <= _FIRST_HALVES[1]:
            text, self._half = text[:-1], text[-1]
        return in_whole_characters(text)

    def end(self) -> str:
        """Return what is left when no more comes."""
        half, self._half = in_whole_characters(self._half), ""
        self._pieces.append(half)
        return half


_FEW = 1000  # pieces of a text: each takes ten times the memory of its letters
