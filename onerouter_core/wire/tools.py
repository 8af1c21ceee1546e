"""Tools, tool choice and tool calls of a request, encoded and decoded.

This module knows every key of a tool that the API takes (source: the API page), and the forms of
a tool choice that users of both frameworks write.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from onerouter_core.errors import ConfigurationError
from onerouter_core.model_json import has_non_finite, is_json_object, parse_json, to_strict_json
from onerouter_core.strict_schema import inline_root_ref, to_strict_schema
from onerouter_core.types import Json, NamedTool, Request, Tool, ToolCall, ToolChoice
from onerouter_core.wire.content_parts import add_cache_control, decode_cache_control
from onerouter_core.wire.tool_names import ToolNames

Body = dict[str, Any]

_TOOL_CHOICES: dict[str | bool | None, ToolChoice | None] = {
    None: None,
    False: None,
    "auto": "auto",
    "none": "none",
    True: "required",
    "any": "required",
    "required": "required",
}


def encode_tools(request: Request, names: ToolNames) -> Body:
    """Return the tools and the tool choice of a body; an empty dict for a request without tools.

    Raises ConfigurationError for a tool choice that the tools cannot satisfy.
    """
    choice = request.tool_choice
    check_tool_choice(choice, request.tools)
    if not request.tools:
        return {}
    body: Body = {"tools": [encode_tool(tool, names) for tool in request.tools]}
    if isinstance(choice, NamedTool):
        body["tool_choice"] = {"type": "function", "function": {"name": names.encode(choice.name)}}
    elif choice is not None:
        body["tool_choice"] = choice
    return body


def encode_tool(tool: Tool | Mapping[str, Any], names: ToolNames) -> Mapping[str, Any]:
    """Return a tool as the API takes it; a mapping, a tool of the gateway, is sent as it is."""
    if not isinstance(tool, Tool):
        return tool
    function: Body = {"name": names.encode(tool.name)}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = _with_properties(tool.parameters)
    if tool.strict:  # never false: some upstreams reject the key itself
        function |= {"parameters": to_strict_schema(function["parameters"]), "strict": True}
    return add_cache_control({"type": "function", "function": function}, tool.cache)


def _with_properties(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema of arguments with a type and properties; those of its objects stay as is.

    OpenAI refuses an object schema without properties, as MCP servers send for a tool without
    arguments (langchain-ai/langchain-mcp-adapters#406).
    """
    if parameters.get("type") and isinstance(parameters.get("properties"), Mapping):
        return parameters
    root = {key: value for key, value in inline_root_ref(parameters).items() if value is not None}
    return {"type": "object", "properties": {}, **root}


# Raises ConfigurationError for a function without a name.
def decode_tool(tool: Mapping[str, Any]) -> Tool | Mapping[str, Any]:
    """Return the value of a function tool in the API's form; return any other tool as it is."""
    match tool:
        case {"type": "function", "function": {"name": str(name)} as function}:
            return Tool(
                name,
                function.get("description") or "",
                function.get("parameters") or {},
                function.get("strict"),
                decode_cache_control(tool),
            )
        case {"type": "function"}:
            raise ConfigurationError(f"A function tool needs a name; there is none in {tool!r}.")
    return tool


def check_tool_choice(choice: ToolChoice | None, tools: Sequence[Tool | Mapping[str, Any]]) -> None:
    """Raise ConfigurationError if the tools cannot satisfy the choice."""
    if not tools and choice not in (None, "auto", "none"):
        raise ConfigurationError(f"tool_choice {choice!r} needs tools; none were given.")
    names = [tool.name for tool in tools if isinstance(tool, Tool)]
    if isinstance(choice, NamedTool) and choice.name not in names:
        raise ConfigurationError(f"tool_choice {choice.name!r} names no tool of {names}.")


# Accepted are a bool, "auto", "none", "any", "required", the name of a tool, a NamedTool, and
# the dicts of OpenAI and Anthropic. Raises ConfigurationError for anything else.
def decode_tool_choice(choice: Any) -> ToolChoice | None:
    """Return the value of a tool choice; None means that there is none."""
    match choice:
        case str() | bool() | None:
            return _TOOL_CHOICES[choice] if choice in _TOOL_CHOICES else NamedTool(str(choice))
        case {"type": "auto" | "none" | "any" as kind}:
            return _TOOL_CHOICES[kind]
        case {"type": "function", "function": {"name": str(name)}} | {"name": str(name)}:
            return NamedTool(name)
        case NamedTool():
            return choice
    raise ConfigurationError(
        f"tool_choice must be auto, none, any, required or a tool, not {choice!r}."
    )


def encode_tool_call(call: ToolCall, names: ToolNames) -> Body:
    """Return a tool call of an assistant message in the history."""
    function = {"name": names.encode(call.name), "arguments": _encode_arguments(call)}
    return {
        **call.extra,
        "id": call.id,
        "type": "function",
        "function": {**call.extra.get("function", {}), **function},
    }


def arguments_text(arguments: Json, received: Any) -> str:
    """Return the text of arguments as it was received, else encode them.

    It has all digits of long numbers. Arguments that the user has edited are not equal to it.
    """
    if isinstance(received, str):
        with suppress(ValueError):
            if parse_json(received) == arguments:
                return received
    return json.dumps(arguments, ensure_ascii=False, default=str)


def _encode_arguments(call: ToolCall) -> str:
    """Return the text of a JSON object, also for a call with invalid arguments.

    Strict upstreams reject a history with arguments that are not a JSON object. Those of a valid
    call keep their text, and with it all digits of their numbers.
    """
    arguments = call.arguments.strip() or "{}"
    is_checked = call.parsed is not None and not has_non_finite(arguments)
    if call.error is None and (is_checked or is_json_object(arguments)):
        return to_strict_json(arguments)
    invalid = json.dumps({"invalid_arguments": call.arguments}, ensure_ascii=False)
    return to_strict_json(invalid)
