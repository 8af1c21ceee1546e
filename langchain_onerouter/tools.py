"""Tools as LangChain's users give them, to the API's form.

This module knows functions, classes, BaseTools and dicts; which keys a tool has on the wire, the
wire room knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeGuard

from langchain_core.tools import BaseTool, create_schema_from_function
from langchain_core.utils.function_calling import convert_to_openai_tool

from onerouter_core.errors import ConfigurationError
from onerouter_core.schemas import rooted
from onerouter_core.schemas import strict as strict_schema
from onerouter_core.values import Json, Tool
from onerouter_core.wire.lenient import as_mapping, without
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
        form = _form(tool)
        known = _uncut(read_tool(convert_to_openai_tool(form)), form)
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


def named_tool(schema: dict[str, Any] | type | None) -> Tool:
    """Return a schema as a tool; every way to ask for an object needs a name and properties."""
    if schema is None:
        raise ConfigurationError('Give a schema, or method="json_mode" to do without.')
    tool = to_tool(schema)
    if not isinstance(tool, Tool) or not tool.name:
        raise ConfigurationError("The schema has no name: give it a title.")
    if not tool.parameters:
        raise ConfigurationError("The schema has no properties, or is not a JSON schema.")
    return tool


def _form(tool: AnyTool) -> AnyTool:
    """Return a dict with an object at its root, and a function's arguments as a class."""
    if isinstance(tool, dict):
        return rooted(tool)
    if isinstance(tool, type | BaseTool) or not callable(tool):
        return tool
    return create_schema_from_function(  # as LangChain's converter does it
        tool.__name__,
        tool,
        filter_args=(),
        parse_docstring=True,
        error_on_invalid_docstring=False,
        include_injected=False,
    )


def _uncut(known: Tool | Json, form: AnyTool) -> Tool | Json:
    """Put a recursion back: LangChain's converter lets anything stand in its place."""
    schema = _schema(form)
    if not isinstance(known, Tool) or not _recurs(schema, _definitions(schema)):
        return known
    return replace(known, parameters=without(rooted(schema), ("title", "description")))


def _schema(form: Any) -> Json:
    """Return the schema of a tool or class, of whichever generation of pydantic it is."""
    form = form.tool_call_schema if isinstance(form, BaseTool) else form
    read = getattr(form, "model_json_schema", None) or getattr(form, "schema", None)
    return as_mapping(read() if read else form)


def _definitions(schema: Json) -> Json:
    return as_mapping(schema.get("$defs", schema.get("definitions")))


def _recurs(node: Any, definitions: Json, above: tuple[str, ...] = ("#",)) -> bool:
    """Tell whether a definition leads back to itself."""
    if isinstance(node, list):
        return any(_recurs(one, definitions, above) for one in node)
    if not isinstance(node, dict):
        return False
    name = str(node.get("$ref")).rpartition("/")[2]
    return (
        name in above
        or any(_recurs(one, definitions, above) for one in node.values())
        or _recurs(definitions.get(name), definitions, (*above, name))
    )


def _is_the_gateways_own(tool: dict[str, Any]) -> bool:
    return tool.get("type", "function") != "function" and not tool.keys() & {
        "input_schema",
        "title",
    }


def check_choice(choice: Any, tools: Sequence[Mapping[str, Any]]) -> None:
    """Raise ConfigurationError if the choice is none of these tools."""
    check_tool_choice(read_tool_choice(choice), [read_tool(tool) for tool in tools])
