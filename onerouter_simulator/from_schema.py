"""JSON made from a schema and a text: what the text offers, else a default, else made up.

Knows JSON schemas. Knows no tool, no request, no answer.
"""

import itertools
from typing import Any, TypeAlias

from onerouter_simulator.field_values import ABSENT, FORMATS, Offers, from_pattern, matches

JSON = dict[str, Any]
Path: TypeAlias = tuple[str, ...]
Plain: TypeAlias = list[tuple[JSON, Path]]
MOST_ITEMS = 10
LIMITS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")


def generate(schema: JSON, text: str) -> Any:
    """Make a value that fits the schema, the same for the same text."""
    return Maker(schema, Offers(text)).value(schema, "", ())


class Maker:
    """Makes one value. A path holds the references that have been followed to a place."""

    def __init__(self, root: JSON, offers: Offers) -> None:
        self.root = root
        self.offers = offers

    def value(self, schema: JSON, name: str, path: Path) -> Any:
        """Make a value for a place that must be filled."""
        options = self.alternatives(schema, path)
        offered = self.offered(options, name)
        if offered is not ABSENT:
            return offered
        if isinstance(schema, dict) and "default" in schema:
            return schema["default"]
        if not options or any(kind(option) == "null" for option, _ in options):
            return None
        return self.made_up(*options[0], name)

    def offered(self, options: Plain, name: str) -> Any:
        """Take what the text offers for the first alternative for which it has anything."""
        for option, path in options:
            found = self.for_one(option, name, path)
            if found is not ABSENT:
                return found
        return ABSENT

    def for_one(self, schema: JSON, name: str, path: Path) -> Any:
        """Take what a plain schema prescribes or the text offers for it, else ABSENT."""
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.offers.option(schema["enum"])
        found = ABSENT
        match kind(schema):
            case "object":
                found = self.object(schema, path)
            case "array":
                found = self.array(schema, name, path) or ABSENT
            case "integer" | "number":
                found = self.offers.number(name, lambda number: fits(number, schema))
            case "boolean":
                found = self.offers.flag(name)
            case "string":
                found = self.string(schema, name)
        return found

    def string(self, schema: JSON, name: str) -> Any:
        """Take a string out of the text."""
        if "format" in schema or "pattern" in schema:
            return self.offers.shaped(schema.get("format"), schema.get("pattern"))
        found = self.offers.string(name)
        return found if found is ABSENT else of_right_length(found, schema)

    def object(self, schema: JSON, path: Path) -> JSON:
        """All required properties, and the optional ones for which the text has something."""
        properties: JSON = schema.get("properties", {})
        required = schema.get("required", [])
        made = {}
        for name, place in properties.items():
            if name in required:
                made[name] = self.value(place, name, path)
                continue
            options = self.alternatives(place, path)
            offered = self.offered([one for one in options if self.is_scalar(*one)], name)
            if offered is not ABSENT:
                made[name] = offered
        return made | {name: self.offers.phrase() for name in required if name not in properties}

    def is_scalar(self, schema: JSON, path: Path) -> bool:
        """Whether a schema asks for something that a text can offer or not, or a list of such."""
        if kind(schema) == "array":
            items = self.alternatives(schema.get("items", {}), path)
            return all(self.is_scalar(*one) for one in items)
        return kind(schema) != "object" and "const" not in schema

    def array(self, schema: JSON, name: str, path: Path) -> list[Any]:
        """Return an item for each thing that the text offers, within the limits."""
        if "prefixItems" in schema:
            return [self.value(item, name, path) for item in schema["prefixItems"]]
        options = self.alternatives(schema.get("items", {}), path)
        scalar = all(self.is_scalar(*one) for one in options)
        most = min(schema.get("maxItems", MOST_ITEMS), MOST_ITEMS if scalar else 1)
        taken = (self.offered(options, name) for _ in range(most))
        items = list(itertools.takewhile(lambda item: item is not ABSENT, taken))
        missing = schema.get("minItems", 0) - len(items) if items else 0
        return items + [self.value(schema.get("items", {}), name, path) for _ in range(missing)]

    def made_up(self, schema: JSON, path: Path, name: str) -> Any:
        """Make a value for which the text has nothing."""
        if "enum" in schema:
            return schema["enum"][0]
        match kind(schema):
            case "array":
                items = schema.get("items", {})
                number = 1 if self.alternatives(items, path) else 0  # a tree ends here
                made = range(schema.get("minItems", number))
                return [self.value(items, name, path) for _ in made]
            case "integer" | "number":
                return nearest(schema)
            case "boolean":
                return True
            case _:
                return self.made_up_string(schema)

    def made_up_string(self, schema: JSON) -> str:
        """Make a sample of the format, a match of the pattern, or take a phrase of the text."""
        if schema.get("format") in FORMATS:
            return FORMATS[schema["format"]][1]
        if "pattern" in schema:
            sample = from_pattern(schema["pattern"])
            if matches(schema["pattern"], sample):
                return sample
        return of_right_length(self.offers.phrase(), schema)

    def alternatives(self, schema: JSON, path: Path) -> Plain:
        """Return the plain schemas that a schema stands for; no reference is followed twice."""
        schema = dict(schema) if isinstance(schema, dict) else {}  # `true` allows anything
        if "$ref" in schema:
            reference = schema.pop("$ref")
            if reference in path:
                return []
            return self.alternatives(merged(self.pointed(reference), schema), (*path, reference))
        for part in schema.pop("allOf", []):
            schema = merged(self.pointed(part["$ref"]) if "$ref" in part else part, schema)
        for union in ("anyOf", "oneOf"):
            if union in schema:
                options = schema.pop(union)
                plain = [self.alternatives(merged(schema, option), path) for option in options]
                return [one for some in plain for one in some]
        if isinstance(schema.get("type"), list):
            return [(schema | {"type": one}, path) for one in schema["type"]]
        return [(schema, path)]

    def pointed(self, reference: str) -> JSON:
        """Where a reference such as `#/$defs/Point` points to."""
        place = self.root
        for step in reference.removeprefix("#").strip("/").split("/"):
            place = place[step.replace("~1", "/").replace("~0", "~")] if step else place
        return place


def merged(first: JSON, second: JSON) -> JSON:
    """Both schemas at once: the second wins but for properties and required, which add up."""
    both = {**first, **second}
    if "properties" in first and "properties" in second:
        both["properties"] = {**first["properties"], **second["properties"]}
    if "required" in first and "required" in second:
        both["required"] = [*first["required"], *second["required"]]
    return both


def kind(schema: JSON) -> str:
    """Return the type that a plain schema asks for; one that asks for nothing gets a string."""
    implied = {"properties": "object", "items": "array", "prefixItems": "array"}
    fallback = next((kind for key, kind in implied.items() if key in schema), "string")
    return str(schema.get("type", fallback))


def fits(number: float, schema: JSON) -> bool:
    """Whether a number keeps the limits of a schema."""
    if schema["type"] == "integer" and not isinstance(number, int):
        return False
    limits = (
        number >= schema.get("minimum", number),
        number <= schema.get("maximum", number),
        number > schema.get("exclusiveMinimum", number - 1),
        number < schema.get("exclusiveMaximum", number + 1),
        number % schema.get("multipleOf", number or 1) == 0,
    )
    return all(limits)


def nearest(schema: JSON) -> float:
    """Return the first number near one, or near a limit, that fits a schema."""
    step: float = schema.get("multipleOf", 1)
    starts: list[float] = [0, *(schema[key] for key in LIMITS if key in schema)]
    candidates = [1, *(start + move for start in starts for move in (0, step, -step, 0.5, -0.5))]
    return next((number for number in candidates if fits(number, schema)), starts[-1])


def of_right_length(text: str, schema: JSON) -> str:
    """Cut or fill up a string to the lengths that a schema allows."""
    return text[: schema.get("maxLength")].ljust(schema.get("minLength", 0), ".")
