"""Validation of JSON schemas, and of the limits of strict mode.

Knows schemas. Knows no tool and no response format.
"""

from collections.abc import Iterator
from typing import Any

from onerouter_simulator.errors import bad_request

JSON = dict[str, Any]

TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
# Keywords with an object of schemas, and keywords with a list of schemas.
OBJECT_KEYWORDS = ("properties", "$defs", "definitions")
LIST_KEYWORDS = ("anyOf", "oneOf", "allOf", "prefixItems")


def check_schema(schema: JSON, path: str) -> None:
    """Reject a malformed JSON schema, and one with a reference that has no target."""
    for subschema in iterate_schemas(schema, path):
        reference = subschema.get("$ref", "#")
        if not is_well_formed(subschema) or not has_target(reference, schema):
            raise bad_request(f"Not a JSON schema: {subschema!r} ({path})", path)


def check_strict(schema: JSON, path: str) -> None:
    """Reject a strict schema that allows additional properties or has optional ones."""
    if schema.get("type") != "object":
        raise bad_request(f"A strict schema is an object at its root, {path} is not", path)
    for subschema in iterate_schemas(schema, path):
        if subschema.get("type") != "object" and "properties" not in subschema:
            continue
        if subschema.get("additionalProperties") is not False:
            raise bad_request(f"A strict object needs additionalProperties: false ({path})", path)
        if set(subschema.get("required", ())) != set(subschema.get("properties", ())):
            raise bad_request(f"A strict object requires all its properties ({path})", path)


def is_well_formed(schema: JSON) -> bool:
    """Whether the keywords of one schema, without its subschemas, have the right types."""
    types, required = schema.get("type", []), schema.get("required", [])
    return (
        all(isinstance(schema.get(key, {}), dict) for key in OBJECT_KEYWORDS)
        and all(isinstance(schema.get(key, []), list) for key in LIST_KEYWORDS)
        and all(name in TYPES for name in (types if isinstance(types, list) else [types]))
        and isinstance(required, list)
        and all(isinstance(name, str) for name in required)
        and schema.get("enum", [...]) not in ([], None)
    )


def has_target(reference: Any, root: JSON) -> bool:
    """Whether a reference points to a schema in the same document."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return False
    target: Any = root
    for step in filter(None, reference.removeprefix("#").split("/")):
        key = step.replace("~1", "/").replace("~0", "~")
        target = target.get(key) if isinstance(target, dict) else None
    return isinstance(target, dict)


def iterate_schemas(schema: Any, path: str) -> Iterator[JSON]:
    """Yield a schema and its subschemas at any depth, except `true` and `false`."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise bad_request(f"Not a JSON schema: {schema!r} ({path})", path)
    yield schema
    for key, subschema in direct_subschemas(schema):
        yield from iterate_schemas(subschema, f"{path}.{key}")


def direct_subschemas(schema: JSON) -> Iterator[tuple[str, Any]]:
    """Yield the direct subschemas of a well-formed schema, each with its keyword or name."""
    for key in OBJECT_KEYWORDS:
        yield from schema.get(key, {}).items()
    for key in LIST_KEYWORDS:
        yield from ((key, subschema) for subschema in schema.get(key, []))
    yield "items", schema.get("items", True)
