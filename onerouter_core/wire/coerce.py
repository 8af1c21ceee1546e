"""Coerce JSON values of unexpected types to the types that the decoder needs.

Each `as_*` function takes any value and never raises. No function here knows a key of the API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from typing import Any

from pydantic_core import from_json

from onerouter_core.model_json import (
    MAX_LEVELS,
    NestingError,
    check_nesting,
    parse_int_or_infinity,
    without_surrogates,
)
from onerouter_core.types import Json

_NO_JSON = re.compile(rb"\s*[<A-Za-z]")
"""Beginning of bytes that are no JSON, once the fast parser has rejected them: of an error page."""

_MAX_QUOTED_BYTES = 2**15

MAX_NUMBER = 1e15
"""Larger than any token count or cost; also excludes infinities and NaN."""


# pydantic_core's parser is fast, and rejects some input that servers do send: bytes that are
# not UTF-8, unpaired surrogates, control characters in strings and very long integers. Such
# input is parsed again by the standard library, with invalid bytes replaced. `clean` replaces the
# unpaired surrogates: in an event, the other half may be in the next one. Numbers may be infinite
# or NaN: a tool call that has one in its arguments is invalid, and elsewhere the decoder replaces
# them.
def parse_json_bytes(
    data: bytes | bytearray, clean: Callable[[Any], Any] = without_surrogates
) -> Any:
    """Return the JSON value in UTF-8 bytes.

    Raises:
        ValueError: the bytes are no JSON.
        NestingError: the value is nested beyond MAX_LEVELS; also a ValueError.

    """
    try:
        value = from_json(data)
    except ValueError as error:
        if "recursion" in str(error):
            raise NestingError from None
    else:
        brackets = data.count(b"[") + data.count(b"{")
        return value if brackets <= MAX_LEVELS else check_nesting(value)
    if _NO_JSON.match(data):  # it is rejected at its first character
        data = data[:_MAX_QUOTED_BYTES]
    try:
        text = data.decode("utf-8-sig", "replace").strip()
        value = json.loads(text, strict=False, parse_int=parse_int_or_infinity)
    except RecursionError:
        raise NestingError from None
    return clean(check_nesting(value))


def beginning_of_text(data: bytes | bytearray) -> str:
    """Return the beginning of a text in UTF-8 bytes, for a message that quotes it."""
    return data[:_MAX_QUOTED_BYTES].decode("utf-8", "replace")


def as_mapping(value: Any) -> Json:
    """Return a JSON object as it is; an empty one for any other value."""
    return value if isinstance(value, dict) else {}


def as_items(value: Any) -> list[Json]:
    """Return the JSON objects in a list, without its other items; an empty list for no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def as_text(value: Any) -> str | None:
    """Return a string that is not empty; None for any other value."""
    return value if isinstance(value, str) and value else None


def as_number(value: Any) -> float | None:
    """Return a number, also one written as a string.

    None for a bool, NaN, infinity, an absolute value of 1e15 or more, and everything else.
    """
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) < MAX_NUMBER else None


def as_count(value: Any) -> int | None:
    """Return a number as an integer, its fraction cut off; None as for `as_number`."""
    if type(value) is int and abs(value) < MAX_NUMBER:
        return value
    number = as_number(value)
    return None if number is None else int(number)


def as_json_text(value: Any) -> str:
    """Return a string as it is, "" for None, and any other value encoded as JSON.

    Tool arguments should be a string with JSON in it; some gateways send the object itself.
    """
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def omit(value: Json, keys: Collection[str]) -> dict[str, Any]:
    """Return a copy of a mapping without these keys."""
    return {key: item for key, item in value.items() if key not in keys}
