"""JSON whose types may be anything, read without ever raising.

This module knows Python's types. It knows no key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from onerouter_core.values import Json

_ABSURD = 1e15  # no count and no cost is larger; infinities and NaN are not smaller


def parse(data: bytes) -> Any:
    """Return the JSON value; raise ValueError if it is none.

    The quick parser refuses a few things that some servers send (bytes that are no UTF-8, halves
    of surrogate pairs); for these the standard library's stands in.
    """
    try:
        return from_json(data)
    except ValueError:
        try:
            return json.loads(data.decode("utf-8-sig", "replace"))
        except RecursionError:
            raise ValueError("nested too deeply") from None


def as_mapping(value: Any) -> Json:
    """Return a mapping, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_items(value: Any) -> list[Json]:
    """Return the mappings in a list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def as_text(value: Any) -> str | None:
    """Return a string that says something."""
    return value if isinstance(value, str) and value else None


def is_text_or_null(value: Any) -> bool:
    """Tell whether a value is what a string field may hold: a string, or nothing."""
    return value is None or isinstance(value, str)


def as_number(value: Any) -> float | None:
    """Return a number, also one in a string; no bool, no NaN, nothing absurd."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) < _ABSURD else None


def as_count(value: Any) -> int | None:
    """Return a whole number."""
    number = as_number(value)
    return None if number is None else int(number)


def without(value: Json, known: tuple[str, ...]) -> dict[str, Any]:
    """Return all but the known keys."""
    return {key: item for key, item in value.items() if key not in known}
