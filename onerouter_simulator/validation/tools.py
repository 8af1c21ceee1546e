"""Tools and the choice among them.

Knows definitions of tools. Knows not which tool will be called.
"""

from typing import Any

from onerouter_simulator.errors import bad_request
from onerouter_simulator.validation.messages import NAME
from onerouter_simulator.validation.schemas import check_schema, check_strict

JSON = dict[str, Any]


def check_tools(body: JSON) -> None:
    """Check `tools` and `tool_choice`."""
    names = check_definitions(body["tools"]) if "tools" in body else []
    if "tool_choice" in body:
        check_choice(body["tool_choice"], names)


def check_definitions(tools: Any) -> list[str]:
    """Check all tools; these are their names."""
    if not isinstance(tools, list) or not tools:
        raise bad_request("tools is not a list of at least one tool", "tools")
    names = [check_definition(tool, f"tools[{number}]") for number, tool in enumerate(tools)]
    if len(set(names)) < len(names):
        raise bad_request(f"Tool names are not unique: {names}", "tools")
    return names


def check_definition(tool: Any, place: str) -> str:
    """Check one tool; this is its name."""
    match tool:
        case {"type": "function", "function": {"name": str() as name, **more}}:
            if NAME.fullmatch(name) and is_well_formed(more):
                check_parameters_of(tool["function"], f"{place}.function.parameters")
                return name
    raise bad_request(f"Malformed tool in {place}: {tool!r}", place)


def check_parameters_of(function: JSON, place: str) -> None:
    """Check the schema of a tool's arguments."""
    schema = function.get("parameters", {})
    check_schema(schema, place)
    if function.get("strict"):
        check_strict(schema, place)


def is_well_formed(function: dict[Any, Any]) -> bool:
    """Whether what a function has besides its name is of the right type."""
    parameters = function.get("parameters", {})
    return (
        isinstance(parameters, dict)
        and parameters.get("type", "object") == "object"
        and isinstance(function.get("description", ""), str)
        and isinstance(function.get("strict", False), bool)
    )


def check_choice(choice: Any, names: list[str]) -> None:
    """Check that there is something to choose from, and that the chosen one is among it."""
    if not names:
        raise bad_request("tool_choice is given without tools", "tool_choice")
    match choice:
        case "auto" | "none" | "required":
            return
        case {"type": "function", "function": {"name": name}} if name in names:
            return
    raise bad_request(f"Invalid tool_choice: {choice!r}", "tool_choice")
