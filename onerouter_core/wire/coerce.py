"""JSON whose types may be anything, read without ever raising.

This module knows Python's types. It knows no key.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json

from onerouter_core.types import Json

_MAX_NUMBER = 1e15  # no count and no cost is larger; infinities and NaN are not smaller


def parse_json_bytes(data: bytes) -> Any:
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
    return number if abs(number) < _MAX_NUMBER else None


def as_count(value: Any) -> int | None:
    """Return a whole number."""
    if type(value) is int and abs(value) < _MAX_NUMBER:
        return value
    number = as_number(value)
    return None if number is None else int(number)


def omit(value: Json, known: tuple[str, ...]) -> dict[str, Any]:
    """Return all but the known keys."""
    return {key: item for key, item in value.items() if key not in known}
