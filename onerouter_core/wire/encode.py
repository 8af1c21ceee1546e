"""A Request to the JSON body of `POST /chat/completions`.

This module knows every key the API takes (source: the API page; where it is silent, the gateway's
docs on multimodal input, routing and reasoning). It knows no framework and sends nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from onerouter_core.errors import ConfigurationError
from onerouter_core.types import (
    JsonSchema,
    Message,
    NamedTool,
    Part,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
)
from onerouter_core.wire.content_parts import add_cache_control, decode_cache_control, encode_part
from onerouter_core.wire.normalize_messages import normalize
from onerouter_core.wire.tool_names import ToolNames

Body = dict[str, Any]


def encode_request(request: Request, *, stream: bool = False) -> tuple[Body, ToolNames]:
    """Return the body, and the names its tools go by; raise ConfigurationError if it cannot be."""
    names = ToolNames(_tool_names(request))
    parameters = dict(request.parameters)
    file_form = parameters.pop("file_form", "data")
    stream_usage = parameters.pop("stream_usage", True)
    extra_body = parameters.pop("extra_body", {})
    body = {
        "model": request.model,
        "messages": _encode_messages(request.messages, names, file_form),
        **_encode_tools(request, names),
        **_encode_parameters(parameters),
    }
    if stream:
        if extra_body.get("n", 1) != 1:
            raise ConfigurationError("A stream carries one answer: n must be 1.")
        body["stream"] = True
    if stream_usage:
        body["usage"] = {"include": True}
        if stream:
            body["stream_options"] = {"include_usage": True}
    return {**body, **extra_body}, names


# --- parameters ---


def _encode_parameters(given: Mapping[str, Any]) -> Body:
    """Spell the parameters; all but one have their name on the wire."""
    body = {
        name: value.to_dict() if hasattr(value, "to_dict") else value
        for name, value in given.items()
        if value != []  # an empty `stop` stops nothing, and strict servers refuse it
    }
    if (effort := body.pop("reasoning_effort", None)) is not None:
        body["reasoning"] = {**body.get("reasoning", {}), "effort": effort}
    if (wanted := body.get("response_format")) is not None:
        body["response_format"] = _encode_response_format(wanted)
    return body


def _encode_response_format(wanted: Any) -> Any:
    match wanted:
        case JsonSchema():
            facts = {"description": wanted.description, "strict": wanted.strict or None}
            facts = {key: value for key, value in facts.items() if value is not None}
            spelled = {"name": wanted.name, "schema": wanted.schema, **facts}
            return _encode_response_format({"type": "json_schema", "json_schema": spelled})
        case str():
            return _encode_response_format({"type": wanted})
        case {"type": "json_schema", "json_schema": {"name": str(name), "schema": Mapping()}}:
            if name:
                return wanted
            raise ConfigurationError("response_format: the json_schema needs a name.")
        case {"type": "json" | "json_object" | "text"}:
            return wanted
        case _:
            raise ConfigurationError(
                "response_format must be a json_schema with name and schema, json, json_object "
                f"or text, not {wanted!r}."
            )


# --- tools ---


def _tool_names(request: Request) -> Iterator[str]:
    yield from (tool.name for tool in request.tools if isinstance(tool, Tool))
    yield from (call.name for message in request.messages for call in message.tool_calls)


def _encode_tools(request: Request, names: ToolNames) -> Body:
    """Spell tools and tool choice; without tools neither is sent."""
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


def check_tool_choice(choice: ToolChoice | None, tools: Sequence[Tool | Mapping[str, Any]]) -> None:
    """Raise ConfigurationError if the choice cannot be met."""
    if not tools and choice not in (None, "auto", "none"):
        raise ConfigurationError(f"tool_choice {choice!r} needs tools; none were given.")
    known = [tool.name for tool in tools if isinstance(tool, Tool)]
    if isinstance(choice, NamedTool) and choice.name not in known:
        raise ConfigurationError(f"tool_choice names no tool: {choice.name!r} of {known}.")


def encode_tool(tool: Tool | Mapping[str, Any], names: ToolNames) -> Mapping[str, Any]:
    """Return a tool as the API takes it; one of the gateway's own is so already."""
    if not isinstance(tool, Tool):
        return tool
    function: Body = {"name": names.encode(tool.name)}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    if tool.strict:  # only when true: some upstreams refuse the very word
        function["strict"] = True
    return add_cache_control({"type": "function", "function": function}, tool.cache)


def decode_tool(tool: Mapping[str, Any]) -> Tool | Mapping[str, Any]:
    """Return the value of a tool that is spelled as the API takes it; the gateway's own stay.

    Raises ConfigurationError for a function without a name.
    """
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


_TOOL_CHOICES: dict[str | bool | None, ToolChoice | None] = {
    None: None,
    False: None,
    "auto": "auto",
    "none": "none",
    True: "required",
    "any": "required",
    "required": "required",
}


def decode_tool_choice(choice: Any) -> ToolChoice | None:
    """Return the value of a tool choice in any form that is in use; None is no choice."""
    match choice:
        case str() | bool() | None:
            return _TOOL_CHOICES[choice] if choice in _TOOL_CHOICES else NamedTool(str(choice))
        case {"type": "auto" | "none" | "any" as kind}:
            return _TOOL_CHOICES[kind]
        case {"type": "function", "function": {"name": str(name)}} | {"name": str(name)}:
            return NamedTool(name)
        case NamedTool():
            return choice
    raise ConfigurationError(f"tool_choice must be auto, none, any or a tool, not {choice!r}.")


def _encode_tool_call(call: ToolCall, names: ToolNames) -> Body:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": names.encode(call.name), "arguments": _encode_arguments(call)},
    }


def _encode_arguments(call: ToolCall) -> str:
    """Return a JSON object string, always: strict upstreams refuse a history with broken JSON."""
    arguments = call.arguments.strip() or "{}"
    if call.error is None and (call.parsed is not None or _is_json_object(arguments)):
        return arguments
    return json.dumps({"invalid_arguments": call.arguments}, ensure_ascii=False)


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


# --- messages ---


def _encode_messages(messages: tuple[Message, ...], names: ToolNames, file_form: str) -> list[Body]:
    """Spell a conversation, in an order that the API takes."""
    if not messages:
        raise ConfigurationError("There are no messages to send.")
    return [
        _encode_message(one, _encode_parts(one.parts, file_form), names)
        for one in normalize(messages)
    ]


def _encode_message(message: Message, content: str | list[Body], names: ToolNames) -> Body:
    body: Body = {"role": message.role, "content": content}
    if message.name is not None and message.role != "tool":
        body["name"] = message.name
    if message.role == "tool":
        body["tool_call_id"] = message.tool_call_id
    if message.role == "assistant":
        body.update(_encode_assistant_fields(message, names))
        if not content and (message.tool_calls or message.refusal is not None):
            body["content"] = None
    return body


def _encode_assistant_fields(message: Message, names: ToolNames) -> Body:
    """Spell what only an assistant says."""
    body: Body = {}
    if message.tool_calls:
        body["tool_calls"] = [_encode_tool_call(call, names) for call in message.tool_calls]
    if message.refusal is not None:
        body["refusal"] = message.refusal
    if message.reasoning_details:
        body["reasoning_details"] = list(message.reasoning_details)
    elif message.reasoning:
        body["reasoning"] = message.reasoning
    return body


def _encode_parts(parts: tuple[Part, ...], file_form: str) -> str | list[Body]:
    match parts:
        case ():
            return ""
        case (Text(text=text, cache=None),):
            return text
        case _:
            return [encode_part(part, file_form) for part in parts]
