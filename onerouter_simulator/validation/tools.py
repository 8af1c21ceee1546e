"""Validation of `tools` and `tool_choice`.

Knows the definitions of tools. Knows no rule by which tools are called.
"""

from typing import Any

from onerouter_simulator.errors import bad_request
from onerouter_simulator.validation.messages import NAME
from onerouter_simulator.validation.parts import check_cache_control
from onerouter_simulator.validation.schemas import check_schema, check_strict

JSON = dict[str, Any]


def check_tools(body: JSON) -> None:
    """Check `tools` and `tool_choice`, if the body has them."""
    names = check_definitions(body["tools"]) if "tools" in body else []
    if "tool_choice" in body:
        check_tool_choice(body["tool_choice"], names)


def check_definitions(tools: Any) -> list[str]:
    """Check all tools and return their names."""
    if not isinstance(tools, list) or not tools:
        raise bad_request("tools is not a list of at least one tool", "tools")
    names = [check_definition(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
    if len(set(names)) < len(names):
        raise bad_request(f"Tool names are not unique: {names}", "tools")
    return names


def check_definition(tool: Any, path: str) -> str:
    """Check one tool and return its name."""
    match tool:
        case {"type": "function", "function": {"name": str() as name, **options}}:
            if NAME.fullmatch(name) and are_valid_options(options):
                check_arguments_schema(tool["function"], f"{path}.function.parameters")
                check_cache_control(tool, path)
                return name
    raise bad_request(f"Malformed tool in {path}: {tool!r}", path)


def check_arguments_schema(function: JSON, path: str) -> None:
    """Check the schema of a tool's arguments."""
    schema = function.get("parameters", {})
    check_schema(schema, path)
    if function.get("strict"):
        check_strict(schema, path)


def are_valid_options(options: dict[Any, Any]) -> bool:
    """Whether the optional keys parameters, description and strict have the right types."""
    parameters = options.get("parameters", {})
    return (
        isinstance(parameters, dict)
        and parameters.get("type", "object") == "object"
        and isinstance(options.get("description", ""), str)
        and isinstance(options.get("strict", False), bool)
    )


def check_tool_choice(choice: Any, names: list[str]) -> None:
    """Check that there are tools, and that a tool chosen by name is one of them."""
    if not names:
        raise bad_request("tool_choice is given without tools", "tool_choice")
    match choice:
        case "auto" | "none" | "required":
            return
        case {"type": "function", "function": {"name": name}} if name in names:
            return
    raise bad_request(f"Invalid tool_choice: {choice!r}", "tool_choice")
