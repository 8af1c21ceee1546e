"""Conversion of LangChain tools to `onerouter_core.Tool` and to the API's tool dicts.

Tools are functions, classes, BaseTools or dicts. The keys of a tool dict on the wire are known to
`onerouter_core.wire` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeGuard, cast

from langchain_core.tools import BaseTool, create_schema_from_function
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_core.utils.json_schema import dereference_refs
from langchain_core.utils.pydantic import is_basemodel_subclass

from onerouter_core import (
    Json,
    ObjectSchema,
    Tool,
    cached_by_class,
    class_schema,
    inline_root_ref,
)
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

AnyTool = dict[str, Any] | type | Callable[..., Any] | BaseTool | Tool


def to_dicts(tools: Sequence[AnyTool], *, strict: bool | None) -> list[dict[str, Any]]:
    """Convert tools to tool dicts of the API; names are encoded for the API only when sent.

    Raises:
        ConfigurationError: a tool cannot be converted or its schema cannot be made strict.

    """
    return [dict(encode_tool(to_tool(tool, strict=strict), ToolNames())) for tool in tools]


def to_tools(tools: Iterable[AnyTool]) -> tuple[Tool | Mapping[str, Any], ...]:
    """Convert the tools of one call; tool dicts of the API, as `bind_tools` stores, are decoded."""
    return tuple([decode_tool(tool) if _is_encoded(tool) else to_tool(tool) for tool in tools])


def _is_encoded(tool: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(tool, Mapping) and tool.get("type") == "function"


def to_tool(tool: AnyTool, *, strict: bool | None = None) -> Tool | Mapping[str, Any]:
    """Convert a tool; the dict of a tool that the gateway runs itself is returned unchanged."""
    if isinstance(tool, dict) and _is_gateway_tool(tool):
        return tool
    if isinstance(tool, Tool):
        return replace(tool, strict=True) if strict else tool
    if isinstance(tool, dict) and _is_untitled_schema(inline_root_ref(tool)):
        raise ConfigurationError(
            "The schema has no name and cannot be converted to a tool: add a `title` to it."
        )
    try:
        converted = _convert(_prepare_tool(tool))
    except (KeyError, TypeError, ValueError) as error:
        kind = getattr(tool, "__name__", type(tool).__name__)
        raise ConfigurationError(f"{kind} cannot be converted to a tool: {error}") from error
    if not isinstance(converted, Tool):
        return converted
    extras = tool if isinstance(tool, dict) else getattr(tool, "extras", None) or {}
    if cache_control := decode_cache_control(extras):
        converted = replace(converted, cache=cache_control)
    return replace(converted, strict=True) if strict else converted


def object_schema(
    schema: dict[str, Any] | type | None, *, needs_title: bool = True
) -> ObjectSchema:
    """Convert the schema of structured output; JSON mode needs neither a title nor a schema."""
    if not needs_title and schema is None:
        return ObjectSchema("", {})
    if schema is None:
        raise ConfigurationError('schema is None: only method="json_mode" works without a schema.')
    if isinstance(schema, type):
        return _class_object_schema(schema)
    if not needs_title and isinstance(schema, dict) and _is_untitled_schema(schema):
        return ObjectSchema("", schema)
    return _object_schema(schema)


def _object_schema(schema: AnyTool) -> ObjectSchema:
    tool = to_tool(schema)
    if not isinstance(tool, Tool) or not tool.name:
        raise ConfigurationError("The schema has no name: add a `title` to it.")
    if not tool.parameters:
        raise ConfigurationError(
            f"The schema {tool.name!r} has no properties: give a JSON schema of type object."
        )
    return ObjectSchema(tool.name, tool.parameters, tool.description or None)


_class_object_schema = cached_by_class(_object_schema)


# A dict gets an object schema at its root instead of a reference; a function becomes a pydantic
# class of its arguments.
def _prepare_tool(tool: AnyTool) -> AnyTool:
    """Prepare a tool for LangChain's converter."""
    if isinstance(tool, dict):
        return inline_root_ref(tool)
    if isinstance(tool, type | BaseTool) or not callable(tool):
        return tool
    return create_schema_from_function(  # with the arguments of langchain-core's own converter
        tool.__name__,
        tool,
        filter_args=(),
        parse_docstring=True,
        error_on_invalid_docstring=False,
        include_injected=False,
    )


def _convert(prepared: Any) -> Tool | Json:
    if isinstance(prepared, type):
        return _class_tool(prepared)
    converted = decode_tool(convert_to_openai_tool(prepared))
    source = prepared.tool_call_schema if isinstance(prepared, BaseTool) else prepared
    schema = class_schema(source).schema if isinstance(source, type) else as_mapping(source)
    if not isinstance(converted, Tool) or not _is_recursive(schema, _definitions(schema)):
        return converted
    # LangChain's converter replaces recursive references with `{}`.
    parameters = omit(inline_root_ref(schema), ("title", "description"))
    return replace(converted, parameters=parameters)


@cached_by_class
def _class_tool(cls: type) -> Tool:
    """Convert a class as LangChain does, except a recursive one; its schema is made once."""
    if not is_basemodel_subclass(cls):
        return cast("Tool", decode_tool(convert_to_openai_tool(cls)))  # a TypedDict
    made = class_schema(cls)
    schema = made.schema
    if not _is_recursive(schema, _definitions(schema)):
        flat = dereference_refs(dict(schema))
        schema = _without_titles(omit(flat, ("$defs", "definitions")))
    return Tool(made.title, made.description or "", omit(schema, ("title", "description")))


def _without_titles(schema: Json, parent: str = "") -> Json:
    """Return a schema without titles, as LangChain sends it; properties may have this name."""
    return {
        key: _without_titles(value, key) if isinstance(value, dict) else value
        for key, value in schema.items()
        if key != "title" or (parent == "properties" and isinstance(value, dict))
    }


def _definitions(schema: Json) -> Json:
    return as_mapping(schema.get("$defs", schema.get("definitions")))


def _is_recursive(node: Any, definitions: Json, ancestors: tuple[str, ...] = ("#",)) -> bool:
    """Return whether a definition below the node refers to itself or to one of its ancestors."""
    if isinstance(node, list):
        return any(_is_recursive(item, definitions, ancestors) for item in node)
    if not isinstance(node, dict):
        return False
    name = str(node.get("$ref")).rpartition("/")[2]
    return (
        name in ancestors
        or any(_is_recursive(value, definitions, ancestors) for value in node.values())
        or _is_recursive(definitions.get(name), definitions, (*ancestors, name))
    )


def _is_gateway_tool(tool: dict[str, Any]) -> bool:
    """Return whether a dict is a tool that the gateway runs: its type is not "function"."""
    kind = tool.get("type", "function")
    return kind not in {"function", "object"} and not tool.keys() & {"input_schema", "title"}


def _is_untitled_schema(schema: Json) -> bool:
    """Return whether a dict is a JSON schema of an object without a name."""
    is_schema = schema.get("type") == "object" or "properties" in schema or not schema
    return is_schema and not (schema.get("title") or schema.get("name"))


def check_choice(choice: Any, tools: Sequence[Mapping[str, Any]]) -> None:
    """Raise ConfigurationError if `tool_choice` names none of the tools."""
    check_tool_choice(decode_tool_choice(choice), [decode_tool(tool) for tool in tools])
