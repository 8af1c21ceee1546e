"""Strict JSON schemas, and names for schemas.

This module knows JSON schema and the rules of strict decoding (source: OpenAI's guide to structured
outputs, "Supported schemas"). It knows no framework and no key of the API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from onerouter_core.errors import ConfigurationError
from onerouter_core.types import Json

_TYPE_KEYWORDS = {"type", "enum", "const", "anyOf", "$ref"}
_ALTERNATIVE_KEYWORDS = {"anyOf", "oneOf", "allOf", "$ref"}
_DROPPED_KEYWORDS = {"default", "discriminator"}  # strict decoders reject them
_REJECTED_KEYWORDS = ("prefixItems", "patternProperties")
_ILLEGAL_CHARACTERS = re.compile(r"[^a-zA-Z0-9_-]+")
_MAX_NAME_LENGTH = 64


def schema_name(schema: Json | str) -> str:
    """Return a name for a schema that the API allows: 1 to 64 letters, digits, "_" and "-".

    Args:
        schema: the schema, whose title is used, or the title itself. Without a usable title the
            name is "output".

    """
    title = schema if isinstance(schema, str) else str(schema.get("title") or "")
    return _ILLEGAL_CHARACTERS.sub("_", title).strip("_")[:_MAX_NAME_LENGTH] or "output"


def inline_root_ref(schema: Json) -> dict[str, Any]:
    """Return a copy whose root is the definition that it refers to.

    pydantic writes a reference at the root of a recursive class. A schema without one, or with a
    reference to another document, is copied as it is.
    """
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    target = schema.get("$defs", schema.get("definitions", {})).get(name)
    if target is None:
        return dict(schema)
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


class _StrictSchema(dict[str, Any]):
    """A schema that is strict: a tool is bound once, and its schema sent with each call.

    Copies, which may be changed, are plain dicts: they are made strict again.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def to_strict_schema(schema: Json) -> dict[str, Any]:
    """Return a strict copy of a schema: all properties required, no additional properties.

    What this function has returned is strict, and not copied again.

    Args:
        schema: JSON schema of an object; it is not changed.

    Raises:
        ConfigurationError: the schema allows values that no strict schema can describe, for example
            an object with any keys. The message names the place.

    """
    if isinstance(schema, _StrictSchema):
        return schema
    root = inline_root_ref(schema)
    if root.get("type") != "object":
        raise _not_strict(f"type must be 'object' at the root, not {root.get('type')!r}")
    return _StrictSchema(_to_strict(root, "the root"))


def _to_strict(schema: Any, place: str) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise _not_strict(f"{place} must be a schema, not {schema!r}")
    schema = _normalize_alternatives(schema, place)
    if not schema.keys() & _TYPE_KEYWORDS:
        raise _not_strict(f"{place} needs a type, enum, const, anyOf or $ref")
    result = {
        key: _strict_value(key, value, place)
        for key, value in schema.items()
        if key not in _DROPPED_KEYWORDS
    }
    if _has_type(result, "object"):
        result |= _closed_object_keys(result, place)
    if _has_type(result, "array") and "items" not in result:
        raise _not_strict(f"{place} is an array and needs items")
    return result


def _not_strict(reason: str) -> ConfigurationError:
    return ConfigurationError(f"The schema cannot be strict: {reason}.")


def _normalize_alternatives(schema: Json, place: str) -> dict[str, Any]:
    """Write oneOf, an allOf of one schema, and a $ref with siblings as anyOf."""
    schema = dict(schema)
    if len(schema.keys() & _ALTERNATIVE_KEYWORDS) > 1:
        raise _not_strict(f"{place} may have only one of anyOf, oneOf, allOf and $ref")
    for keyword in _REJECTED_KEYWORDS:
        if keyword in schema:
            raise _not_strict(f"{place} may not have {keyword}")
    if "oneOf" in schema:
        schema["anyOf"] = schema.pop("oneOf")
    if "allOf" in schema:
        schemas = schema.pop("allOf")
        if len(schemas) != 1:
            raise _not_strict(f"{place} may not have allOf with more than one schema")
        schema["anyOf"] = schemas
    if "$ref" in schema and schema.keys() - {"$ref"} - _DROPPED_KEYWORDS:
        schema["anyOf"] = [{"$ref": schema.pop("$ref")}]
    return schema


def _strict_value(key: str, value: Any, place: str) -> Any:
    """Make the schemas under a keyword strict; copy a value that is not a schema."""
    match key:
        case "properties":
            return {
                name: _to_strict(schema, f"property {name!r}") for name, schema in value.items()
            }
        case "$defs" | "definitions":
            return {
                name: _to_strict(schema, f"definition {name!r}") for name, schema in value.items()
            }
        case "items":
            return _to_strict(value, f"an item of {place}")
        case "anyOf":
            return [_to_strict(schema, f"an alternative of {place}") for schema in value]
        case _:
            return json.loads(json.dumps(value))


def _has_type(schema: Json, name: str) -> bool:
    types = schema.get("type")
    return types == name or (isinstance(types, list) and name in types)


def _closed_object_keys(schema: Json, place: str) -> dict[str, Any]:
    """Return the keywords that require all properties and allow no others."""
    if "properties" not in schema or schema.get("additionalProperties") not in (None, False):
        raise _not_strict(f"{place} must list its properties, with additionalProperties false")
    return {"additionalProperties": False, "required": list(schema["properties"])}
