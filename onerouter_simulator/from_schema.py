"""JSON values generated from a schema and a text.

A value comes from the text, else from the schema's default, else it is a placeholder. Knows JSON
schemas. Knows no tool, no request and no answer.
"""

import itertools
from typing import Any, TypeAlias

from onerouter_simulator.field_values import ABSENT, FORMATS, FieldValues, is_match, simplest_match

JSON = dict[str, Any]
# The references followed on the way to a schema: following one of them again would never end.
References: TypeAlias = tuple[str, ...]
# Schemas without references, unions and allOf, each with the references followed to reach it.
PlainSchemas: TypeAlias = list[tuple[JSON, References]]
MAX_ITEMS = 10
LIMITS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")


def generate(schema: JSON, text: str) -> Any:
    """Return a value that is valid for the schema; the same text gives the same value."""
    return ValueGenerator(schema, FieldValues(text)).value(schema, "", ())


class ValueGenerator:
    """Generates one value of the schema `root` from the field values of a text."""

    def __init__(self, root: JSON, field_values: FieldValues) -> None:
        self.root = root
        self.field_values = field_values

    def value(self, schema: JSON, name: str, references: References) -> Any:
        """Return a value for a required field: from the text, the default, null or placeholder."""
        options = self.alternatives(schema, references)
        found = self.find_value(options, name)
        if found is not ABSENT:
            return found
        if isinstance(schema, dict) and "default" in schema:
            return schema["default"]
        if not options or any(type_of(option) == "null" for option, _ in options):
            return None
        return self.placeholder(*options[0], name)

    def find_value(self, options: PlainSchemas, name: str) -> Any:
        """Return a value for the first alternative that the text has a value for, else ABSENT."""
        for option, references in options:
            found = self.find_plain_value(option, name, references)
            if found is not ABSENT:
                return found
        return ABSENT

    def find_plain_value(self, schema: JSON, name: str, references: References) -> Any:
        """Return the constant of a plain schema or a value from the text, else ABSENT."""
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.field_values.take_option(schema["enum"])
        found = ABSENT
        match type_of(schema):
            case "object":
                found = self.object(schema, references)
            case "array":
                found = self.array(schema, name, references) or ABSENT
            case "integer" | "number":
                found = self.field_values.take_number(name, lambda n: is_valid_number(n, schema))
            case "boolean":
                found = self.field_values.take_boolean(name)
            case "string":
                found = self.find_string(schema, name)
        return found

    def find_string(self, schema: JSON, name: str) -> Any:
        """Return a string from the text, else ABSENT."""
        if "format" in schema or "pattern" in schema:
            return self.field_values.find_formatted(schema.get("format"), schema.get("pattern"))
        found = self.field_values.take_string(name)
        return found if found is ABSENT else fit_length(found, schema)

    def object(self, schema: JSON, references: References) -> JSON:
        """Return all required properties, and the optional ones that the text has a value for."""
        properties: JSON = schema.get("properties", {})
        required = schema.get("required", [])
        result = {}
        for name, property_schema in properties.items():
            if name in required:
                result[name] = self.value(property_schema, name, references)
                continue
            options = self.alternatives(property_schema, references)
            found = self.find_value([plain for plain in options if self.is_scalar(*plain)], name)
            if found is not ABSENT:
                result[name] = found
        undeclared = (name for name in required if name not in properties)
        return result | {name: self.field_values.next_phrase() for name in undeclared}

    def is_scalar(self, schema: JSON, references: References) -> bool:
        """Whether a text can have a value of this schema: a scalar or a list of scalars."""
        if type_of(schema) == "array":
            items = self.alternatives(schema.get("items", {}), references)
            return all(self.is_scalar(*plain) for plain in items)
        return type_of(schema) != "object" and "const" not in schema

    def array(self, schema: JSON, name: str, references: References) -> list[Any]:
        """Return an item for each value in the text, within the limits of the schema."""
        if "prefixItems" in schema:
            return [self.value(item, name, references) for item in schema["prefixItems"]]
        options = self.alternatives(schema.get("items", {}), references)
        are_scalars = all(self.is_scalar(*plain) for plain in options)
        limit = min(schema.get("maxItems", MAX_ITEMS), MAX_ITEMS if are_scalars else 1)
        found = (self.find_value(options, name) for _ in range(limit))
        items = list(itertools.takewhile(lambda item: item is not ABSENT, found))
        missing = range(schema.get("minItems", 0) - len(items) if items else 0)
        return items + [self.value(schema.get("items", {}), name, references) for _ in missing]

    def placeholder(self, schema: JSON, references: References, name: str) -> Any:
        """Return a value of a plain schema that the text has no value for."""
        if "enum" in schema:
            return schema["enum"][0]
        match type_of(schema):
            case "array":
                items = schema.get("items", {})
                # A schema that contains itself has no alternatives left: the array stays empty.
                length = 1 if self.alternatives(items, references) else 0
                numbers = range(schema.get("minItems", length))
                return [self.value(items, name, references) for _ in numbers]
            case "integer" | "number":
                return placeholder_number(schema)
            case "boolean":
                return True
            case _:
                return self.placeholder_string(schema)

    def placeholder_string(self, schema: JSON) -> str:
        """Return a sample of the format, a match of the pattern, or a phrase of the text."""
        if schema.get("format") in FORMATS:
            return FORMATS[schema["format"]][1]
        if "pattern" in schema:
            sample = simplest_match(schema["pattern"])
            if is_match(schema["pattern"], sample):
                return sample
        return fit_length(self.field_values.next_phrase(), schema)

    def alternatives(self, schema: JSON, references: References) -> PlainSchemas:
        """Return the plain schemas of a schema; no reference is followed twice."""
        schema = dict(schema) if isinstance(schema, dict) else {}  # `true` allows any value
        if "$ref" in schema:
            reference = schema.pop("$ref")
            if reference in references:
                return []
            target = merge_schemas(self.resolve(reference), schema)
            return self.alternatives(target, (*references, reference))
        for part in schema.pop("allOf", []):
            schema = merge_schemas(self.resolve(part["$ref"]) if "$ref" in part else part, schema)
        for union in ("anyOf", "oneOf"):
            if union in schema:
                options = [merge_schemas(schema, option) for option in schema.pop(union)]
                return [plain for one in options for plain in self.alternatives(one, references)]
        if isinstance(schema.get("type"), list):
            return [(schema | {"type": one}, references) for one in schema["type"]]
        return [(schema, references)]

    def resolve(self, reference: str) -> JSON:
        """Return the schema at a JSON pointer such as `#/$defs/Point` (RFC 6901)."""
        target = self.root
        for step in reference.removeprefix("#").strip("/").split("/"):
            target = target[step.replace("~1", "/").replace("~0", "~")] if step else target
        return target


def merge_schemas(first: JSON, second: JSON) -> JSON:
    """Return both schemas in one: the second wins; properties and required are combined."""
    merged = {**first, **second}
    if "properties" in first and "properties" in second:
        merged["properties"] = {**first["properties"], **second["properties"]}
    if "required" in first and "required" in second:
        merged["required"] = [*first["required"], *second["required"]]
    return merged


def type_of(schema: JSON) -> str:
    """Return the type of a plain schema: declared, or implied by a keyword, else string."""
    implied = {"properties": "object", "items": "array", "prefixItems": "array"}
    fallback = next((name for key, name in implied.items() if key in schema), "string")
    return str(schema.get("type", fallback))


def is_valid_number(number: float, schema: JSON) -> bool:
    """Whether a number has the type of a schema and is within its limits."""
    if schema["type"] == "integer" and not isinstance(number, int):
        return False
    checks = (
        number >= schema.get("minimum", number),
        number <= schema.get("maximum", number),
        number > schema.get("exclusiveMinimum", number - 1),
        number < schema.get("exclusiveMaximum", number + 1),
        number % schema.get("multipleOf", number or 1) == 0,
    )
    return all(checks)


def placeholder_number(schema: JSON) -> float:
    """Return 1, else the first valid number near 0 or near a limit, else the last limit."""
    step: float = schema.get("multipleOf", 1)
    starts: list[float] = [0, *(schema[key] for key in LIMITS if key in schema)]
    candidates = [1, *(start + move for start in starts for move in (0, step, -step, 0.5, -0.5))]
    return next((number for number in candidates if is_valid_number(number, schema)), starts[-1])


def fit_length(text: str, schema: JSON) -> str:
    """Cut a string to maxLength, or fill it with dots to minLength."""
    return text[: schema.get("maxLength")].ljust(schema.get("minLength", 0), ".")
