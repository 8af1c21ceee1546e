"""Tools as LangChain's users give them, to the API's form.

This module knows functions, classes, BaseTools and dicts; which keys a tool has on the wire, the
wire room knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeGuard

from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from onerouter_core.errors import ConfigurationError
from onerouter_core.schemas import rooted
from onerouter_core.schemas import strict as strict_schema
from onerouter_core.values import Tool
from onerouter_core.wire.names import Names
from onerouter_core.wire.parts import read_mark
from onerouter_core.wire.requests import (
    check_tool_choice,
    read_tool,
    read_tool_choice,
    spell_tool,
)

AnyTool = dict[str, Any] | type | Callable[..., Any] | BaseTool


def to_dicts(tools: Sequence[AnyTool], *, strict: bool | None) -> list[dict[str, Any]]:
    """Return the tools in the API's form; their names are spelled for it only when sent."""
    return [dict(spell_tool(to_tool(tool, strict=strict), Names())) for tool in tools]


def to_tools(tools: Iterable[AnyTool]) -> tuple[Tool | Mapping[str, Any], ...]:
    """Return the tools of one call; those that were bound are in the API's form already."""
    return tuple(read_tool(tool) if _is_bound(tool) else to_tool(tool) for tool in tools)


def _is_bound(tool: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(tool, Mapping) and tool.get("type") == "function"


def to_tool(tool: AnyTool, *, strict: bool | None = None) -> Tool | Mapping[str, Any]:
    """Return a tool of ours, or a dict that names one of the gateway's own tools."""
    if isinstance(tool, dict) and _is_the_gateways_own(tool):
        return tool
    try:
        known = read_tool(convert_to_openai_tool(_uncut(tool)))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"That cannot be made a tool: {error}") from error
    if not isinstance(known, Tool):
        return known
    if mark := read_mark(tool if isinstance(tool, dict) else getattr(tool, "extras", None) or {}):
        known = replace(known, cache=mark)
    if strict:
        parameters = known.parameters or {"type": "object", "properties": {}}
        known = replace(known, parameters=strict_schema(parameters), strict=True)
    return known


def _uncut(tool: AnyTool) -> AnyTool:
    """Give a recursive class as its schema: LangChain's converter would cut the recursion off."""
    is_class = isinstance(tool, type) and hasattr(tool, "model_json_schema")
    schema = tool.model_json_schema() if is_class else tool  # type: ignore[union-attr]
    return rooted(schema) if isinstance(schema, dict) and "$ref" in schema else tool


def _is_the_gateways_own(tool: dict[str, Any]) -> bool:
    return tool.get("type", "function") != "function" and not tool.keys() & {
        "input_schema",
        "title",
    }


def check_choice(choice: Any, tools: Sequence[Mapping[str, Any]]) -> None:
    """Raise ConfigurationError if the choice is none of these tools."""
    check_tool_choice(read_tool_choice(choice), [read_tool(tool) for tool in tools])
