"""A Request to the JSON body of `POST /chat/completions`.

This module knows every key the API takes (source: the API page; where it is silent, the gateway's
docs on multimodal input, routing and reasoning). It knows no framework and sends nothing.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from onerouter_core.errors import ConfigurationError, UnsupportedContentError
from onerouter_core.values import (
    Audio,
    CacheMark,
    File,
    Image,
    Message,
    NamedTool,
    Part,
    Request,
    Text,
    Tool,
    ToolCall,
    Video,
)
from onerouter_core.wire.names import Names

Body = dict[str, Any]


def encode(request: Request, *, stream: bool = False) -> tuple[Body, Names]:
    """Return the body, and the names its tools go by; raise ConfigurationError if it cannot be."""
    names = Names(_tool_names(request))
    parameters = dict(request.parameters)
    file_form = parameters.pop("file_form", "data")
    stream_usage = parameters.pop("stream_usage", True)
    extra_body = parameters.pop("extra_body", {})
    body = {
        "model": request.model,
        "messages": _messages(request.messages, names, file_form),
        **_tools(request, names),
        **_parameters(parameters),
    }
    if stream:
        body["stream"] = True
    if stream_usage:
        body["usage"] = {"include": True}
        if stream:
            body["stream_options"] = {"include_usage": True}
    return {**body, **extra_body}, names


# --- parameters ---


def _parameters(given: Mapping[str, Any]) -> Body:
    """Spell the parameters; all but one have their name on the wire."""
    body = {
        name: value.to_dict() if hasattr(value, "to_dict") else value
        for name, value in given.items()
        if value != []  # an empty `stop` stops nothing, and strict servers refuse it
    }
    if (effort := body.pop("reasoning_effort", None)) is not None:
        body["reasoning"] = {**body.get("reasoning", {}), "effort": effort}
    if "response_format" in body:
        _check_response_format(body["response_format"])
    return body


def _check_response_format(wanted: Any) -> None:
    match wanted:
        case {"type": "json_schema", "json_schema": {"name": str(name), "schema": Mapping()}}:
            if not name:
                raise ConfigurationError("response_format: the json_schema needs a name.")
        case {"type": "json" | "json_object" | "text"}:
            pass
        case _:
            raise ConfigurationError(
                "response_format must be a json_schema with name and schema, json, json_object "
                f"or text, not {wanted!r}."
            )


# --- tools ---


def _tool_names(request: Request) -> Iterator[str]:
    yield from (tool.name for tool in request.tools if isinstance(tool, Tool))
    yield from (call.name for message in request.messages for call in message.tool_calls)


def _tools(request: Request, names: Names) -> Body:
    """Spell tools and tool choice; without tools neither is sent."""
    choice = request.tool_choice
    if not request.tools:
        if choice in (None, "auto", "none"):
            return {}
        raise ConfigurationError(f"tool_choice {choice!r} needs tools; none were given.")
    body: Body = {"tools": [_tool(tool, names) for tool in request.tools]}
    if isinstance(choice, NamedTool):
        known = [tool.name for tool in request.tools if isinstance(tool, Tool)]
        if choice.name not in known:
            raise ConfigurationError(f"tool_choice names no tool: {choice.name!r} of {known}.")
        body["tool_choice"] = {"type": "function", "function": {"name": names.out(choice.name)}}
    elif choice is not None:
        body["tool_choice"] = choice
    return body


def _tool(tool: Tool | Mapping[str, Any], names: Names) -> Mapping[str, Any]:
    if not isinstance(tool, Tool):
        return tool
    function: Body = {"name": names.out(tool.name)}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    if tool.strict:  # only when true: some upstreams refuse the very word
        function["strict"] = True
    return _marked({"type": "function", "function": function}, tool.cache)


def _tool_call(call: ToolCall, names: Names) -> Body:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": names.out(call.name), "arguments": _arguments(call)},
    }


def _arguments(call: ToolCall) -> str:
    """Return a JSON object string, always: strict upstreams refuse a history with broken JSON."""
    if call.error is not None:
        return json.dumps({"invalid_arguments": call.arguments}, ensure_ascii=False)
    return call.arguments.strip() or "{}"


# --- messages ---


def _messages(messages: tuple[Message, ...], names: Names, file_form: str) -> list[Body]:
    if not messages:
        raise ConfigurationError("There are no messages to send.")
    body: list[Body] = []
    for is_tool, turns in groupby(messages, key=lambda message: message.role == "tool"):
        if is_tool:
            body.extend(_tool_results(list(turns), file_form))
        else:
            body.extend(_message(turn, names, file_form) for turn in turns)
    return body


def _message(message: Message, names: Names, file_form: str) -> Body:
    body: Body = {"role": message.role, "content": _content(message, file_form)}
    if message.name is not None:
        body["name"] = message.name
    if message.role == "assistant":
        if message.tool_calls:
            body["tool_calls"] = [_tool_call(call, names) for call in message.tool_calls]
        if message.refusal is not None:
            body["refusal"] = message.refusal
        if message.reasoning_details:
            body["reasoning_details"] = list(message.reasoning_details)
        elif message.reasoning:
            body["reasoning"] = message.reasoning
    return body


def _tool_results(messages: list[Message], file_form: str) -> Iterator[Body]:
    """Spell tool results; media, which that role cannot carry, follow in one user message."""
    media: list[Part] = []
    for message in messages:
        if not message.tool_call_id:
            raise ConfigurationError("A tool message needs the tool_call_id of its call.")
        texts = tuple(part for part in message.parts if isinstance(part, Text))
        others = [part for part in message.parts if not isinstance(part, Text)]
        if others:
            media += [Text(f"Content of tool result {message.tool_call_id}:"), *others]
        content = _parts(texts, file_form)
        yield {"role": "tool", "tool_call_id": message.tool_call_id, "content": content}
    if media:
        yield {"role": "user", "content": [_part(part, file_form) for part in media]}


def _content(message: Message, file_form: str) -> str | list[Body] | None:
    if not message.parts and (message.tool_calls or message.refusal is not None):
        return None
    if message.role != "user":
        for part in message.parts:
            if not isinstance(part, Text):
                kind = type(part).__name__.lower()
                raise UnsupportedContentError(
                    f"The API carries no {kind} in a message of role {message.role!r}; "
                    "put it into a user message."
                )
    return _parts(message.parts, file_form)


def _parts(parts: tuple[Part, ...], file_form: str) -> str | list[Body]:
    match parts:
        case ():
            return ""
        case (Text(text=text, cache=None),):
            return text
        case _:
            return [_part(part, file_form) for part in parts]


def _part(part: Part, file_form: str) -> Body:
    match part:
        case Text():
            body: Body = {"type": "text", "text": part.text}
        case Image():
            detail = {} if part.detail is None else {"detail": part.detail}
            body = {"type": "image_url", "image_url": {"url": _url(part), **detail}}
        case Audio():
            audio = {"data": part.data, "format": part.format}
            body = {"type": "input_audio", "input_audio": audio}
        case Video():
            body = {"type": "video_url", "video_url": {"url": _url(part)}}
        case File():
            body = {"type": "file", "file": _file(part, file_form)}
        case _:
            raise UnsupportedContentError(f"The API has no part for {part!r}.")
    return _marked(body, part.cache)


def _file(part: File, file_form: str) -> Body:
    """Spell a document; only OpenRouter's form takes a URL."""
    if part.url is None and file_form == "data":
        _url(part)  # raises if there is nothing to send
        return {"data": part.data, "media_type": part.media_type, "filename": _filename(part)}
    return {"filename": _filename(part), "file_data": _url(part)}


def _filename(part: File) -> str:
    if part.filename:
        return part.filename
    return "document" + (mimetypes.guess_extension(part.media_type or "application/pdf") or "")


def _url(part: Image | Video | File) -> str:
    if part.url is not None:
        return part.url
    if part.data is None or part.media_type is None:
        kind = type(part).__name__
        raise UnsupportedContentError(f"{kind} needs a url, or data with its media_type.")
    return f"data:{part.media_type};base64,{part.data}"


def _marked(body: Body, mark: CacheMark | None) -> Body:
    if mark is not None:
        ttl = {} if mark.ttl is None else {"ttl": mark.ttl}
        body["cache_control"] = {"type": "ephemeral", **ttl}
    return body
