"""JSON schemas made strict and named, and JSON read out of an answer.

This module knows JSON schema, the rules of strict decoding (source: OpenAI's structured outputs
guide) and the ways models wrap JSON. It knows no framework and no key of the API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from onerouter_core.errors import ConfigurationError
from onerouter_core.types import Json

_TYPE_KEYWORDS = {"type", "enum", "const", "anyOf", "$ref"}
_UNSUPPORTED_KEYWORDS = {"default", "discriminator"}  # strict decoders refuse the words
_ILLEGAL_CHARACTERS = re.compile(r"[^a-zA-Z0-9_-]+")
_MAX_NAME_LENGTH = 64


def schema_name(schema: Json | str) -> str:
    """Return a legal name for a schema, from its title."""
    title = schema if isinstance(schema, str) else str(schema.get("title") or "")
    return _ILLEGAL_CHARACTERS.sub("_", title).strip("_")[:_MAX_NAME_LENGTH] or "output"


def inline_root_ref(schema: Json) -> dict[str, Any]:
    """Return the schema with an object at its root; a recursive class has a reference there."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    target = schema.get("$defs", schema.get("definitions", {})).get(name)
    if target is None:
        return dict(schema)
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def to_strict_schema(schema: Json) -> dict[str, Any]:
    """Return a copy in which every object has all of its properties and no others.

    Raises ConfigurationError if that cannot be said of it, as of a dict with any keys.
    """
    root = inline_root_ref(schema)
    if root.get("type") != "object":
        raise ConfigurationError("A strict schema needs an object at its root.")
    return _to_strict(root, "the root")


def _to_strict(schema: Any, where: str) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise ConfigurationError(f"Not a strict schema: {where} is {schema!r}.")
    schema = _normalize_alternatives(schema)
    if not schema.keys() & _TYPE_KEYWORDS:
        raise ConfigurationError(f"Not a strict schema: {where} may be anything.")
    result = {
        key: _strict_value(key, value, where)
        for key, value in schema.items()
        if key not in _UNSUPPORTED_KEYWORDS
    }
    if _has_type(result, "object"):
        result |= _closed_object_keys(result, where)
    if _has_type(result, "array") and "items" not in result:
        raise ConfigurationError(f"Not a strict schema: {where} is a list of anything.")
    return result


def _normalize_alternatives(schema: Json) -> dict[str, Any]:
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
    if "$ref" in schema and schema.keys() - {"$ref"} - _UNSUPPORTED_KEYWORDS:
        schema["anyOf"] = [{"$ref": schema.pop("$ref")}]
    return schema


def _strict_value(key: str, value: Any, where: str) -> Any:
    """Make the schemas under a key strict, and copy what is none."""
    match key:
        case "properties" | "$defs" | "definitions":
            return {name: _to_strict(one, f"{name!r}") for name, one in value.items()}
        case "items":
            return _to_strict(value, f"an item of {where}")
        case "anyOf":
            return [_to_strict(one, f"an alternative of {where}") for one in value]
        case _:
            return json.loads(json.dumps(value))


def _has_type(schema: Json, kind: str) -> bool:
    of = schema.get("type")
    return of == kind or (isinstance(of, list) and kind in of)


def _closed_object_keys(schema: Json, where: str) -> dict[str, Any]:
    """Return the keys that close an object."""
    if "properties" not in schema or schema.get("additionalProperties") not in (None, False):
        raise ConfigurationError(f"Not a strict schema: {where} may have any keys.")
    return {"additionalProperties": False, "required": list(schema["properties"])}
