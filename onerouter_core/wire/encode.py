"""Encode a Request as the JSON body of `POST /chat/completions`.

This module knows every key of a request that the API takes (source: the API page; where it says
nothing, the gateway's docs on multimodal input, routing and reasoning). It sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onerouter_core.errors import ConfigurationError
from onerouter_core.json_text import json_instruction
from onerouter_core.strict_schema import inline_root_ref, to_strict_schema
from onerouter_core.types import JsonSchema, Message, Request, Text, Tool
from onerouter_core.wire.cache_marks import add_cache_marks
from onerouter_core.wire.content_parts import encode_part
from onerouter_core.wire.normalize_messages import normalize
from onerouter_core.wire.tool_names import NO_TOOL_NAMES, ToolNames, encode_illegal_names
from onerouter_core.wire.tools import encode_tool_call, encode_tools

Body = dict[str, Any]


def encode_request(request: Request, *, stream: bool = False) -> tuple[Body, ToolNames]:
    """Return the body of a request, and the names of its tools, with which to decode the reply.

    Raises ConfigurationError for a request that the API cannot carry.
    """
    offered = [tool.name for tool in request.tools if isinstance(tool, Tool)]
    called = [call.name for message in request.messages for call in message.tool_calls]
    names = ToolNames([*offered, *called], offered) if offered or called else NO_TOOL_NAMES
    parameters = dict(request.parameters)
    file_form = parameters.pop("file_form", "data")
    stream_usage = parameters.pop("stream_usage", True)
    extra_body = parameters.pop("extra_body", {})
    cache_prompt = parameters.pop("cache_prompt", False)
    if not (request.tools or extra_body.get("tools")):
        parameters.pop("parallel_tool_calls", None)  # OpenAI rejects it without tools
    messages = _messages_of(request)
    if cache_prompt:
        messages = add_cache_marks(messages, cache_prompt, extra_body.get("tools") or request.tools)
    body = {
        "model": request.model,
        "messages": _encode_messages(messages, names, file_form),
        **(encode_tools(request, names) if request.tools or request.tool_choice else {}),
        **(_encode_parameters(parameters) if parameters else {}),
    }
    if stream:
        if (n := extra_body.get("n", 1)) != 1:
            raise ConfigurationError(f"A stream carries one answer: n must be 1, not {n!r}.")
        body["stream"] = True
    if stream_usage:
        body["usage"] = {"include": True}
        if stream:
            body["stream_options"] = {"include_usage": True}
    return {**body, **extra_body}, names


def _messages_of(request: Request) -> list[Message]:
    """Return the messages in an order that the API accepts, after one that asks for JSON."""
    messages = request.messages
    match request.parameters.get("response_format"):
        case JsonSchema(in_prompt=True, schema=schema) if schema:
            messages = Message("system", (Text(json_instruction(schema)),)), *messages
    if ordered := [*normalize(messages)]:
        return ordered
    raise ConfigurationError("There are no messages to send.")


# --- parameters ---


def _encode_parameters(parameters: Mapping[str, Any]) -> Body:
    """Return the parameters for the body; all but `reasoning_effort` keep their names."""
    body = {
        name: value.to_dict() if hasattr(value, "to_dict") else value
        for name, value in parameters.items()
        if value != []  # an empty `stop` has no effect, and strict servers reject it
    }
    if (effort := body.pop("reasoning_effort", None)) is not None:
        body["reasoning"] = {**body.get("reasoning", {}), "effort": effort}
    if (response_format := body.get("response_format")) is not None:
        body["response_format"] = _encode_response_format(response_format)
    return body


def _encode_response_format(response_format: Any) -> Any:
    """Return a response format: a JsonSchema, the name of a type, or a dict in the API's form."""
    match response_format:
        case JsonSchema(in_prompt=True):
            return {"type": "json_object"}
        case JsonSchema():
            return _encode_response_format(_encode_json_schema(response_format))
        case str():
            return _encode_response_format({"type": response_format})
        case {"type": "json_schema", "json_schema": {"name": str(name), "schema": Mapping()}}:
            if name:
                return _with_strict_schema(response_format)
            raise ConfigurationError("response_format: the json_schema needs a name.")
        case {"type": "json" | "json_object" | "text"}:
            return response_format
        case _:
            raise ConfigurationError(
                "response_format must be a json_schema with name and schema, json, json_object "
                f"or text, not {response_format!r}."
            )


def _with_strict_schema(response_format: Body) -> Body:
    """Return a json_schema format; an object schema that must be strict is made strict.

    A schema of another type stays as it is: llama.cpp's server takes a constant, for example.
    """
    json_schema = response_format["json_schema"]
    is_object = inline_root_ref(json_schema["schema"]).get("type") == "object"
    if not json_schema.get("strict") or not is_object:
        return response_format
    json_schema = {**json_schema, "schema": to_strict_schema(json_schema["schema"])}
    return {**response_format, "json_schema": json_schema}


def _encode_json_schema(schema: JsonSchema) -> Body:
    optional = {"description": schema.description, "strict": schema.strict or None}
    optional = {key: value for key, value in optional.items() if value is not None}
    json_schema = {"name": schema.name, "schema": schema.schema, **optional}
    return {"type": "json_schema", "json_schema": json_schema}


# --- messages ---


def _encode_messages(messages: list[Message], names: ToolNames, file_form: str) -> list[Body]:
    # OpenAI: '^[a-zA-Z0-9_-]+$' (microsoft/semantic-kernel#9340); agents are "Research Agent"
    named = [message.name for message in messages if message.name]
    authors = encode_illegal_names(named) if named else {}
    return [_encode_message(message, file_form, names, authors) for message in messages]


def _encode_message(
    message: Message, file_form: str, names: ToolNames, authors: Mapping[str, str]
) -> Body:
    match message.parts:
        case ():
            content: str | list[Body] = ""
        case (Text(text=text, cache=None),):
            content = text
        case parts:
            content = [encode_part(part, file_form) for part in parts]
    body: Body = {"role": message.role, "content": content}
    if message.name and message.name.strip() and message.role != "tool":
        body["name"] = authors.get(message.name, message.name)
    if message.role == "tool":
        body["tool_call_id"] = message.tool_call_id
    if message.role == "assistant":
        body.update(_encode_assistant_fields(message, names))
        if not content and (message.tool_calls or message.refusal is not None):
            body["content"] = None
    return body


def _encode_assistant_fields(message: Message, names: ToolNames) -> Body:
    """Return the keys that only an assistant message has."""
    body: Body = {**message.extra, **_encode_reasoning(message)}
    if message.tool_calls:
        body["tool_calls"] = [encode_tool_call(call, names) for call in message.tool_calls]
    if message.refusal is not None:
        body["refusal"] = message.refusal
    return body


def _encode_reasoning(message: Message) -> Body:
    """Return the reasoning under the keys with which it came: see `Message.reasoning_keys`."""
    body: Body = {}
    if message.reasoning_details:
        body["reasoning_details"] = list(message.reasoning_details)
    elif message.reasoning and "reasoning" in message.reasoning_keys:
        body["reasoning"] = message.reasoning
    if message.reasoning is not None and "reasoning_content" in message.reasoning_keys:
        body["reasoning_content"] = message.reasoning
    return body
