"""What the response format may be.

Knows the four forms of `response_format`. Knows not what is answered in them.
"""

from typing import Any

from onerouter_simulator.errors import bad_request
from onerouter_simulator.validation.messages import NAME
from onerouter_simulator.validation.schemas import check_schema, check_strict

JSON = dict[str, Any]


def check_response_format(body: JSON) -> None:
    """Check `response_format`, if it is there."""
    if "response_format" not in body:
        return
    match body["response_format"]:
        case {"type": "text"} | {"type": "json_object"}:
            return
        case {
            "type": "json_schema",
            "json_schema": {"name": str() as name, "schema": schema, **more},
        }:
            if NAME.fullmatch(name) and isinstance(schema, dict) and are_details(more):
                check_schema(schema, "response_format.json_schema.schema")
                if more.get("strict"):
                    check_strict(schema, "response_format.json_schema.schema")
                return
        case {"type": "json", **more}:
            if isinstance(schema := more.get("schema", {}), dict) and are_details(more):
                check_schema(schema, "response_format.schema")
                return
    raise bad_request(f"Invalid response_format: {body['response_format']!r}", "response_format")


def are_details(more: dict[Any, Any]) -> bool:
    """Whether the optional keys of a format are of the right type."""
    return (
        isinstance(more.get("name", ""), str)
        and isinstance(more.get("description", ""), str)
        and isinstance(more.get("strict", False), bool)
    )
