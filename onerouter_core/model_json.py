"""JSON as models write it: a parser, and the text that strict upstreams read.

Models write raw line breaks into strings, halves of surrogate pairs, NaN, and numbers that no
computer holds. The first two are read: nothing is missing. The others are errors, since any value
in their place would be a guess. So is JSON that is nested beyond `MAX_LEVELS`. This module knows no
key of the API.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from math import inf, isfinite
from typing import Any, NoReturn

MAX_LEVELS = 100
"""Deepest nesting of a JSON value from outside. Python's limit is 1000 calls in all: copying a
value takes two or three for each level, and frameworks have a hundred or two around it."""

_MAX_DIGITS = 4300  # Python's default limit: beyond, int() and str() raise ValueError

_SURROGATE = re.compile("[\ud800-\udfff]")
_HIGH, _LOW = r"\\u[dD][89abAB][\da-fA-F]{2}", r"\\u[dD][c-fC-F][\da-fA-F]{2}"
_UNFINISHED = re.compile(rf"(?:{_HIGH})?(?:\\(?:u[\da-fA-F]{{0,3}})?)?\Z")
_ESCAPE = re.compile(rf"{_HIGH}{_LOW}|(?P<half>{_HIGH}|{_LOW})|\\.", re.DOTALL)
# Without the optional backslash, a text that ends in one is read again from each of its quotes.
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f]")
_NON_FINITE = re.compile("NaN|Infinity")


class NestingError(ValueError):
    """JSON that is nested too deeply."""

    def __init__(self) -> None:
        super().__init__(f"nested too deeply: more than {MAX_LEVELS} levels")


def parse_json(text: str) -> Any:
    """Return the value of a JSON text, without unpaired surrogates.

    Raw control characters in strings are read (MoonshotAI/kimi-cli#1378, livekit/agents#4196).

    Raises:
        ValueError: the text is no JSON, or has a number beyond any limit.
        NestingError: it is nested beyond MAX_LEVELS; also a ValueError.

    """
    try:
        value = _DECODER.decode(replace_half_escapes(join_surrogates(text)))
    except RecursionError:
        raise NestingError from None
    return check_nesting(value, text.count("[") + text.count("{"))


def parse_json_at(text: str, start: int) -> Any:
    """Return the JSON value that begins at an index; any text may follow it.

    Raises ValueError as `parse_json` does.
    """
    rest = replace_half_escapes(join_surrogates(text[start:]))
    try:
        value = _DECODER.raw_decode(rest)[0]
    except RecursionError:
        raise NestingError from None
    return check_nesting(value, rest.count("[") + rest.count("{"))


def check_nesting(value: Any, brackets: int = MAX_LEVELS + 1) -> Any:
    """Return a JSON value; raise NestingError if it is nested beyond MAX_LEVELS.

    `brackets` are the opening ones in its text: few of them, as usual, need no look at the value.
    """
    if brackets <= MAX_LEVELS:
        return value
    containers = [value]
    for _ in range(MAX_LEVELS):
        containers = [item for outer in containers for item in _inner_containers(outer)]
        if not containers:
            return value
    raise NestingError


def _inner_containers(value: Any) -> list[Any]:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [item for item in items if isinstance(item, (dict, list))]


def nests_too_deeply(text: str) -> bool:
    """Return whether JSON, whole or a part of it, is nested beyond MAX_LEVELS."""
    if text.count("[") + text.count("{") <= MAX_LEVELS:
        return False
    depth, deepest, in_string = 0, 0, False
    for mark in MARKS.findall(text):
        if mark == '"':
            in_string = not in_string
        elif not in_string and len(mark) == 1:
            depth += 1 if mark in "{[" else -1
            deepest = max(deepest, depth)
    return deepest > MAX_LEVELS


MARKS = re.compile(r'["{}\[\]]|\\.', re.DOTALL)
"""Quotes, brackets and escapes: what must be read to know the depth of JSON."""


def is_json_object(text: str) -> bool:
    """Return whether a text is one JSON object, as `parse_json` reads it."""
    try:
        return isinstance(parse_json(text), dict)
    except ValueError:
        return False


def is_json(text: str) -> bool:
    """Return whether a text is one JSON value, of any depth and with any numbers."""
    try:
        json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return False
    return True


def has_non_finite(text: str) -> bool:
    """Return whether a text may hold NaN or Infinity, as a number or within a string."""
    return _NON_FINITE.search(text) is not None


def is_reproduced(text: str, value: Any) -> bool:
    """Return whether a value, encoded again, has all digits of the JSON text it was parsed from."""
    if not any(mark in text for mark in (".", "e", "E")):
        return True
    decoder = json.JSONDecoder(strict=False, parse_float=Decimal)
    try:
        return bool(decoder.decode(text) == decoder.decode(json.dumps(value)))
    except InvalidOperation:  # an exponent beyond those of Decimal
        return False


def to_strict_json(text: str) -> str:
    """Return a JSON text with control characters in strings escaped, and surrogates replaced."""
    text = replace_half_escapes(join_surrogates(text))
    if not _CONTROL.search(text):
        return text
    return _STRING.sub(lambda string: _CONTROL.sub(_escape, string[0]), text)


def _escape(character: re.Match[str]) -> str:
    return f"\\u{ord(character[0]):04x}"


# --- surrogates ---


def join_surrogates(text: str) -> str:
    """Join the surrogate pairs of a text into characters, and replace unpaired surrogates (U+FFFD).

    JSON escapes a character above U+FFFF as a pair of surrogates, and some servers split the
    pair between two events. A string with a surrogate in it cannot be encoded as UTF-8, so it
    could be written to no file and no socket.
    """
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def replace_half_escapes(text: str) -> str:
    r"""Replace escapes of unpaired surrogates in a JSON text, such as \\ud83d, by that of U+FFFD.

    Models cut emojis in two (NousResearch/hermes-agent#102757).
    """
    if "\\ud" not in text and "\\uD" not in text:
        return text
    return _ESCAPE.sub(lambda match: "\\ufffd" if match["half"] else match[0], text)


def split_unfinished_escape(text: str) -> tuple[str, str]:
    """Split a fragment of JSON before an escape, or a pair of escapes, that has not ended.

    The fragment begins outside of an escape.
    """
    if "\\" not in text[-12:]:
        return text, ""
    end = 0
    for match in _ESCAPE.finditer(text):
        if _UNFINISHED.match(text, match.start()):
            return text[: match.start()], text[match.start() :]
        end = match.end()
    unfinished = _UNFINISHED.search(text, end)
    start = unfinished.start() if unfinished else len(text)
    return text[:start], text[start:]


# A string under one of the `kept` keys may be a fragment, and stays as it is.
def without_surrogates(value: Any, kept: frozenset[str] = frozenset()) -> Any:
    """Return a copy of a JSON value with the surrogates in its strings joined or replaced."""
    match value:
        case str():
            return join_surrogates(value)
        case list():
            return [without_surrogates(item, kept) for item in value]
        case dict():
            return {
                join_surrogates(key): item
                if key in kept and isinstance(item, str)
                else without_surrogates(item, kept)
                for key, item in value.items()
            }
    return value


_FLOATS = (float, list, dict)  # a float, or what may hold one


def without_non_finite(value: Any) -> Any:
    """Return a JSON value with null for numbers that are not finite: a request cannot hold them."""
    match value:
        case float() if not isfinite(value):
            return None
        case list():
            return [without_non_finite(v) if isinstance(v, _FLOATS) else v for v in value]
        case dict():
            items = value.items()
            return {k: without_non_finite(v) if isinstance(v, _FLOATS) else v for k, v in items}
    return value


# --- numbers ---


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _parse_float(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise ValueError(f"the number {digits[:20]} is too large")
    return number


def _parse_int(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number has more than {_MAX_DIGITS} digits")
    return int(digits)


def parse_int_or_infinity(digits: str) -> int | float:
    """Return an integer; infinity if it has more digits than Python reads."""
    return int(digits) if len(digits) <= _MAX_DIGITS else inf


_DECODER = json.JSONDecoder(
    strict=False,
    parse_constant=_reject_constant,
    parse_float=_parse_float,
    parse_int=_parse_int,
)
