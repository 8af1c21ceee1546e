"""What strict mode asks of a JSON schema.

Knows schemas. Knows not whether one belongs to a tool or to an answer.
"""

from collections.abc import Iterator
from typing import Any

from onerouter_simulator.errors import bad_request

JSON = dict[str, Any]


TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
BY_NAME = ("properties", "$defs", "definitions")
IN_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")


def check_schema(schema: JSON, place: str) -> None:
    """Reject what is no JSON schema, or points to where there is nothing."""
    for part in schemas_in(schema, place):
        if not is_well_formed(part) or not leads_somewhere(part.get("$ref", "#"), schema):
            raise bad_request(f"Not a JSON schema: {part!r} ({place})", place)


def check_strict(schema: JSON, place: str) -> None:
    """Reject a schema with an object that leaves open what it holds."""
    if schema.get("type") != "object":
        raise bad_request(f"A strict schema is an object at its root, {place} is not", place)
    for part in schemas_in(schema, place):
        if part.get("type") != "object" and "properties" not in part:
            continue
        if part.get("additionalProperties") is not False:
            raise bad_request(f"A strict object needs additionalProperties: false ({place})", place)
        if set(part.get("required", ())) != set(part.get("properties", ())):
            raise bad_request(f"A strict object requires all its properties ({place})", place)


def is_well_formed(schema: JSON) -> bool:
    """Whether the keywords of one schema, that of its parts aside, are of the right type."""
    kinds, required = schema.get("type", []), schema.get("required", [])
    return (
        all(isinstance(schema.get(key, {}), dict) for key in BY_NAME)
        and all(isinstance(schema.get(key, []), list) for key in IN_LISTS)
        and all(kind in TYPES for kind in (kinds if isinstance(kinds, list) else [kinds]))
        and isinstance(required, list)
        and all(isinstance(name, str) for name in required)
        and schema.get("enum", [...]) not in ([], None)
    )


def leads_somewhere(reference: Any, root: JSON) -> bool:
    """Whether a reference points to a schema inside the same document."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return False
    place: Any = root
    for step in filter(None, reference.removeprefix("#").split("/")):
        key = step.replace("~1", "/").replace("~0", "~")
        place = place.get(key) if isinstance(place, dict) else None
    return isinstance(place, dict)


def schemas_in(schema: Any, place: str) -> Iterator[JSON]:
    """Yield a schema and all those in it, at any depth; `true` and `false` are schemas too."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise bad_request(f"Not a JSON schema: {schema!r} ({place})", place)
    yield schema
    for key, part in parts_of(schema):
        yield from schemas_in(part, f"{place}.{key}")


def parts_of(schema: JSON) -> Iterator[tuple[str, Any]]:
    """Yield the schemas right below a well-formed schema, each with the keyword or name it has."""
    for key in BY_NAME:
        yield from schema.get(key, {}).items()
    for key in IN_LISTS:
        yield from ((key, part) for part in schema.get(key, []))
    yield "items", schema.get("items", True)
