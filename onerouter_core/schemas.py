"""JSON schemas made strict and named, and JSON read out of an answer.

This module knows JSON schema, the rules of strict decoding (source: OpenAI's structured outputs
guide) and the ways models wrap JSON. It knows no framework and no key of the API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from onerouter_core.errors import ConfigurationError
from onerouter_core.values import Json

_SAYS_WHAT = {"type", "enum", "const", "anyOf", "$ref"}
_DROPPED = {"default", "discriminator"}  # strict decoders refuse the words
_BARRED = re.compile(r"[^a-zA-Z0-9_-]+")
_LONGEST_NAME = 64


def schema_name(schema: Json | str) -> str:
    """Return a legal name for a schema, from its title."""
    title = schema if isinstance(schema, str) else str(schema.get("title") or "")
    return _BARRED.sub("_", title).strip("_")[:_LONGEST_NAME] or "output"


def rooted(schema: Json) -> dict[str, Any]:
    """Return the schema with an object at its root; a recursive class has a reference there."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    target = schema.get("$defs", schema.get("definitions", {})).get(name)
    if target is None:
        return dict(schema)
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def strict(schema: Json) -> dict[str, Any]:
    """Return a copy in which every object has all of its properties and no others.

    Raises ConfigurationError if that cannot be said of it, as of a dict with any keys.
    """
    root = rooted(schema)
    if root.get("type") != "object":
        raise ConfigurationError("A strict schema needs an object at its root.")
    return _strict(root, "the root")


def _strict(schema: Any, where: str) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise ConfigurationError(f"Not a strict schema: {where} is {schema!r}.")
    schema = _with_any_of(schema)
    if not schema.keys() & _SAYS_WHAT:
        raise ConfigurationError(f"Not a strict schema: {where} may be anything.")
    strict_one = {
        key: _inside(key, value, where) for key, value in schema.items() if key not in _DROPPED
    }
    if _is(strict_one, "object"):
        strict_one |= _closed(strict_one, where)
    if _is(strict_one, "array") and "items" not in strict_one:
        raise ConfigurationError(f"Not a strict schema: {where} is a list of anything.")
    return strict_one


def _with_any_of(schema: Json) -> dict[str, Any]:
    """Spell alternatives, and a reference that has a description, the one way there is."""
    schema = dict(schema)
    if len(schema.keys() & {"anyOf", "oneOf", "allOf", "$ref"}) > 1:
        raise ConfigurationError("A strict schema says alternatives in one way only.")
    if odd := schema.keys() & {"prefixItems", "patternProperties"}:
        raise ConfigurationError(f"A strict schema has no {odd.pop()}.")
    if "oneOf" in schema:
        schema["anyOf"] = schema.pop("oneOf")
    if "allOf" in schema:
        inherited = schema.pop("allOf")
        if len(inherited) != 1:
            raise ConfigurationError("A strict schema has no allOf.")
        schema["anyOf"] = inherited
    if "$ref" in schema and schema.keys() - {"$ref"} - _DROPPED:
        schema["anyOf"] = [{"$ref": schema.pop("$ref")}]
    return schema


def _inside(key: str, value: Any, where: str) -> Any:
    """Make the schemas under a key strict, and copy what is none."""
    match key:
        case "properties" | "$defs" | "definitions":
            return {name: _strict(one, f"{name!r}") for name, one in value.items()}
        case "items":
            return _strict(value, f"an item of {where}")
        case "anyOf":
            return [_strict(one, f"an alternative of {where}") for one in value]
        case _:
            return json.loads(json.dumps(value))


def _is(schema: Json, kind: str) -> bool:
    of = schema.get("type")
    return of == kind or (isinstance(of, list) and kind in of)


def _closed(schema: Json, where: str) -> dict[str, Any]:
    """Return the keys that close an object."""
    if "properties" not in schema or schema.get("additionalProperties") not in (None, False):
        raise ConfigurationError(f"Not a strict schema: {where} may have any keys.")
    return {"additionalProperties": False, "required": list(schema["properties"])}


def instruction(schema: Json) -> str:
    """Return the words that ask for the object, for a model that can be held to no schema."""
    spelled = json.dumps(schema, ensure_ascii=False)
    return f"Answer with nothing but a JSON object that fits this JSON schema:\n{spelled}"


# --- JSON in an answer ---

# Where JSON begins: with the text, else behind a fence, else behind words; brackets around words or
# numbers, as in [Note] and [1], begin none.
_BRACKET = r"""(?=\{\s*(?:["}]|\Z)|\[\s*(?:["\[{\]\d-]|true|false|null|\Z))"""
_BEGINNINGS = tuple(re.compile(before + _BRACKET) for before in (r"\A\s*", r"```[\w-]*\s*", ""))
# Some servers leave the thoughts in the text, and some of these without the tag that begins them.
_THOUGHTS = re.compile(r"\s*<think>(?:.*?</think>|.*)|(?!\s*[\[{`]).*?</think>", re.DOTALL)
_MARK = re.compile(r"\[[\d\s,]*\]")


def read_json(text: str) -> Any:
    """Return the JSON in an answer, fenced or behind words or neither; raise ValueError."""
    try:
        begins = _beginning(text)
        return (
            json.loads(text) if begins is None else json.JSONDecoder().raw_decode(text, begins)[0]
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_growing_json(text: str) -> Any:
    """Return as much as there is of JSON that still streams in, None if there is nothing yet."""
    begins = _beginning(text)
    if begins is None:
        return None
    try:
        return from_json(text[begins:], allow_partial="trailing-strings")
    except ValueError:
        return None


def _beginning(text: str) -> int | None:
    thoughts = _THOUGHTS.match(text)
    begins = _bracket(text, thoughts.end() if thoughts else 0)
    while begins is not None and (mark := _MARK.match(text, begins)):
        behind = _bracket(text, mark.end())
        if behind is None:  # then it is no mark, but the answer
            break
        begins = behind
    return begins


def _bracket(text: str, start: int) -> int | None:
    return next((found.end() for b in _BEGINNINGS if (found := b.search(text, start))), None)
