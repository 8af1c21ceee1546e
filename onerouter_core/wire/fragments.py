"""Merge the fragments of a streamed message, and find what a complete message adds to them.

The rule for keys that this package does not know: strings are concatenated, lists are extended,
objects are merged key by key with the same rule, and any other value replaces the earlier one. A
null takes nothing back. The result is what the complete reply would have.

A text of several fragments is a TextBuffer until `joined` is called: to add a fragment to a string
copies all of it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from onerouter_core.types import Json
from onerouter_core.wire.coerce import as_text
from onerouter_core.wire.text_buffer import TextBuffer

# Keys of facts, which servers repeat from fragment to fragment: they stay single.
_FACT_KEYS = {"id", "type", "index", "name", "role", "format", "model", "object"}
_AUDIO_FRAGMENT_KEYS = ("data", "transcript")
_MAX_LEVELS = 30  # far below Python's limit on recursion, which a reply must not reach


def merge_fragments(
    known: dict[str, Any], update: Json, levels: int = _MAX_LEVELS
) -> dict[str, Any]:
    """Add the fragments in `update` to the values so far; return these, for `joined`.

    The values so far are changed in place; lists and objects of `update` are copied. Objects that
    are nested deeper than `levels` are replaced as they are.
    """
    for key, fragment in update.items():
        match known.get(key), fragment:
            case value, None | "":
                known[key] = fragment if value is None else value
            case str() | TextBuffer(), str() if key not in _FACT_KEYS:
                append_text(known, key, fragment)
            case list(items), list():
                items.extend(fragment)
            case dict(fields), dict() if levels:
                merge_fragments(fields, fragment, levels - 1)
            case _, list():
                known[key] = list(fragment)
            case _, dict() if levels:
                known[key] = merge_fragments({}, fragment, levels - 1)
            case _:
                known[key] = fragment
    return known


def append_text(fields: dict[str, Any], key: str, fragment: Any) -> None:
    """Append a fragment to the text under a key; a value of another type counts as no text."""
    known, text = fields.get(key), as_text(fragment) or ""
    if isinstance(known, str) and known and text:
        fields[key] = buffer = TextBuffer()
        buffer.add(known)
        buffer.add(text)
    elif isinstance(known, TextBuffer):
        known.add(text)
    else:
        fields[key] = as_text(known) or text


def joined(fields: Json, levels: int = _MAX_LEVELS) -> dict[str, Any]:
    """Return a copy of merged fields, at the end of a stream, with each text as one string."""
    return {key: _joined_value(value, levels) for key, value in fields.items()}


def _joined_value(value: Any, levels: int) -> Any:
    if isinstance(value, TextBuffer):
        value.flush()
        return str(value)
    return joined(value, levels - 1) if levels and isinstance(value, dict) else value


def replace_known(known: dict[str, Any], update: Json, excluded: Collection[str] = ()) -> None:
    """Replace the known values; a null or an empty string does not replace a value."""
    for key, value in update.items():
        if key not in excluded and (key not in known or value not in (None, "")):
            known[key] = value


def extend_lists(lists: dict[str, Any], update: Json) -> None:
    """Append the items of each list in the update to the list under the same key."""
    for key, items in update.items():
        if isinstance(items, list) and items:
            lists.setdefault(key, []).extend(items)


def append_audio(audio: dict[str, Any], update: Json) -> None:
    """Append base64 data and transcript to the audio so far; replace its other fields."""
    for key, value in update.items():
        if key in _AUDIO_FRAGMENT_KEYS and isinstance(value, str):
            append_text(audio, key, value)
        elif value is not None:
            audio[key] = value


# --- complete values after their fragments ---


def remaining_text(streamed: str, complete: str) -> str | None:
    """Return the end of a complete text that was not streamed; None if it is another text.

    Some servers strip the complete text, so white space at both ends of the streamed text may be
    missing in it.
    """
    for begun in (streamed, streamed.lstrip()):
        if complete.startswith(begun):
            return complete[len(begun) :]
        if begun.rstrip() == complete.rstrip():
            return ""
    return "" if not complete else None


def remaining_lists(streamed: Json, complete: Json) -> dict[str, Any]:
    """Return the items of each complete list behind those that were streamed under its key."""
    return {
        key: items[len(streamed.get(key) or ()) :] if isinstance(items, list) else items
        for key, items in complete.items()
    }
