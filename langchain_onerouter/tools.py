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

from onerouter_core import Json, Tool, inline_root_ref, to_strict_schema
from onerouter_core.errors import ConfigurationError
from onerouter_core.wire import (
    ToolNames,
    as_mapping,
    check_tool_choice,
    decode_cache_control,
    decode_tool,
    decode_tool_choice,
    encode_tool,
    omit,
)

AnyTool = dict[str, Any] | type | Callable[..., Any] | BaseTool


def to_dicts(tools: Sequence[AnyTool], *, strict: bool | None) -> list[dict[str, Any]]:
    """Return the tools in the API's form; their names are spelled for it only when sent."""
    return [dict(encode_tool(to_tool(tool, strict=strict), ToolNames())) for tool in tools]


def to_tools(tools: Iterable[AnyTool]) -> tuple[Tool | Mapping[str, Any], ...]:
    """Return the tools of one call; those that were bound are in the API's form already."""
    return tuple(decode_tool(tool) if _is_encoded(tool) else to_tool(tool) for tool in tools)


def _is_encoded(tool: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(tool, Mapping) and tool.get("type") == "function"


def to_tool(tool: AnyTool, *, strict: bool | None = None) -> Tool | Mapping[str, Any]:
    """Return a tool of ours, or a dict that names one of the gateway's own tools."""
    if isinstance(tool, dict) and _is_gateway_tool(tool):
        return tool
    try:
        prepared = _prepare_tool(tool)
        converted = _restore_recursion(decode_tool(convert_to_openai_tool(prepared)), prepared)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"That cannot be made a tool: {error}") from error
    if not isinstance(converted, Tool):
        return converted
    if mark := decode_cache_control(
        tool if isinstance(tool, dict) else getattr(tool, "extras", None) or {}
    ):
        converted = replace(converted, cache=mark)
    if strict:
        parameters = converted.parameters or {"type": "object", "properties": {}}
        converted = replace(converted, parameters=to_strict_schema(parameters), strict=True)
    return converted


def schema_tool(schema: dict[str, Any] | type | None) -> Tool:
    """Return a schema as a tool; every way to ask for an object needs a name and properties."""
    if schema is None:
        raise ConfigurationError('Give a schema, or method="json_mode" to do without.')
    tool = to_tool(schema)
    if not isinstance(tool, Tool) or not tool.name:
        raise ConfigurationError("The schema has no name: give it a title.")
    if not tool.parameters:
        raise ConfigurationError("The schema has no properties, or is not a JSON schema.")
    return tool


def _prepare_tool(tool: AnyTool) -> AnyTool:
    """Return a dict with an object at its root, and a function's arguments as a class."""
    if isinstance(tool, dict):
        return inline_root_ref(tool)
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


def _restore_recursion(converted: Tool | Json, prepared: AnyTool) -> Tool | Json:
    """Put a recursion back: LangChain's converter lets anything stand in its place."""
    schema = _schema_of(prepared)
    if not isinstance(converted, Tool) or not _is_recursive(schema, _definitions(schema)):
        return converted
    return replace(converted, parameters=omit(inline_root_ref(schema), ("title", "description")))


def _schema_of(prepared: Any) -> Json:
    """Return the schema of a tool or class, of whichever generation of pydantic it is."""
    prepared = prepared.tool_call_schema if isinstance(prepared, BaseTool) else prepared
    read = getattr(prepared, "model_json_schema", None) or getattr(prepared, "schema", None)
    return as_mapping(read() if read else prepared)


def _definitions(schema: Json) -> Json:
    return as_mapping(schema.get("$defs", schema.get("definitions")))


def _is_recursive(node: Any, definitions: Json, above: tuple[str, ...] = ("#",)) -> bool:
    """Tell whether a definition leads back to itself."""
    if isinstance(node, list):
        return any(_is_recursive(one, definitions, above) for one in node)
    if not isinstance(node, dict):
        return False
    name = str(node.get("$ref")).rpartition("/")[2]
    return (
        name in above
        or any(_is_recursive(one, definitions, above) for one in node.values())
        or _is_recursive(definitions.get(name), definitions, (*above, name))
    )


def _is_gateway_tool(tool: dict[str, Any]) -> bool:
    return tool.get("type", "function") != "function" and not tool.keys() & {
        "input_schema",
        "title",
    }


def check_choice(choice: Any, tools: Sequence[Mapping[str, Any]]) -> None:
    """Raise ConfigurationError if the choice is none of these tools."""
    check_tool_choice(decode_tool_choice(choice), [decode_tool(tool) for tool in tools])
