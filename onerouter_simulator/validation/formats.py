"""Validation of `response_format`.

Knows its four forms: text, json_object, json_schema and json. Knows no answer.
"""

from typing import Any

from onerouter_simulator.errors import bad_request
from onerouter_simulator.validation.messages import NAME
from onerouter_simulator.validation.schemas import check_schema, check_strict

JSON = dict[str, Any]


def check_response_format(body: JSON) -> None:
    """Check `response_format`, if the body has it."""
    if "response_format" not in body:
        return
    match body["response_format"]:
        case {"type": "text"} | {"type": "json_object"}:
            return
        case {
            "type": "json_schema",
            "json_schema": {"name": str() as name, "schema": schema, **options},
        }:
            if NAME.fullmatch(name) and isinstance(schema, dict) and are_valid_options(options):
                check_schema(schema, "response_format.json_schema.schema")
                if options.get("strict"):
                    check_strict(schema, "response_format.json_schema.schema")
                return
        case {"type": "json", **options}:
            schema = options.get("schema", {})
            if isinstance(schema, dict) and are_valid_options(options):
                check_schema(schema, "response_format.schema")
                return
    raise bad_request(f"Invalid response_format: {body['response_format']!r}", "response_format")


def are_valid_options(options: dict[Any, Any]) -> bool:
    """Whether the optional keys name, description and strict have the right types."""
    return (
        isinstance(options.get("name", ""), str)
        and isinstance(options.get("description", ""), str)
        and isinstance(options.get("strict", False), bool)
    )
