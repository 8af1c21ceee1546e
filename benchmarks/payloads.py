"""Request and response payloads: made before the clock starts, the same for every target.

This module knows the gateway's JSON and the sizes of payloads. It knows no client.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

MODEL = "vendor/model"
API_KEY = "key"
TIMESTAMP = b"00000000000000000000"
"""Placeholder that the server replaces by its monotonic clock in nanoseconds, same length."""

_HEAD = {"id": "chatcmpl-1", "created": 1677652288, "model": MODEL}
_WORD = " word"
_ARGUMENTS = ('{"path": "notes.md", "text": "', '"}')
_CALL_HEAD = {"index": 0, "id": "call_1", "type": "function"}


@dataclass(frozen=True)
class CallSpec:
    """One benchmark call: the response, its delivery, and the size of the request.

    Attributes:
        response: Kind and size, such as "text-200" for 200 streamed words. Kinds: "text",
            "reasoning", "tool", "timestamp" (text after a first event with the server's clock), and
            "complete" (not streamed).
        delivery: "immediate", all bytes in one write; "burst", the same without an HTTP chunk for
            each event; "paced", an event each millisecond; "concurrent", when no further request
            has come for a while; "timestamped", with the server's clock in the first event.
        message_count: Messages in the request.
        tool_count: Tools in the request.
    """

    response: str
    delivery: str = "immediate"
    message_count: int = 1
    tool_count: int = 0

    @property
    def path(self) -> str:
        """Path below the server's URL at which this response is served."""
        return f"/{self.delivery}/{self.response}/v1"

    @property
    def kind(self) -> str:
        """Kind of the response."""
        return self.response.partition("-")[0]

    @property
    def size(self) -> int:
        """Number of words or tool-call deltas in the response."""
        return int(self.response.partition("-")[2])

    def messages(self) -> list[dict[str, str]]:
        """Return a conversation that ends with a user message."""
        count = self.message_count
        roles = ("user" if (count - index) % 2 else "assistant" for index in range(count))
        return [
            {"role": role, "content": f"{index}: " + _WORD * 40} for index, role in enumerate(roles)
        ]

    def body(self, *, stream: bool) -> dict[str, Any]:
        """Return the request body in the form of the API page."""
        tools = [encode_tool(function) for function in tool_functions(self.tool_count)]
        optional: dict[str, Any] = {"tools": tools} if tools else {}
        if stream:
            optional |= {"stream": True, "stream_options": {"include_usage": True}}
        return {"model": MODEL, "messages": self.messages(), **optional}


# --- tools ---


@cache
def tool_functions(count: int) -> tuple[Callable[..., str], ...]:
    """Return functions with different names, to be converted to tools."""
    return tuple(_tool_function(number) for number in range(count))


def _tool_function(number: int) -> Callable[..., str]:
    def look_up(city: str, days: int = 3, units: list[str] | None = None) -> str:
        """Look the weather up, for a city and some days ahead."""
        return f"{city} {days} {units}"

    look_up.__name__ = f"look_up_{number}"
    return look_up


def encode_tool(function: Callable[..., str]) -> dict[str, Any]:
    """Encode a tool in the form of the API page."""
    optional_list = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]}
    properties = {
        "city": {"type": "string"},
        "days": {"type": "integer", "default": 3},
        "units": {**optional_list, "default": None},
    }
    parameters = {"type": "object", "properties": properties, "required": ["city"]}
    definition = {
        "name": function.__name__,
        "description": function.__doc__,
        "parameters": parameters,
    }
    return {"type": "function", "function": definition}


# --- responses ---


@cache
def encode_response(response: str) -> tuple[bytes, ...]:
    """Encode a response as SSE events, or as one JSON body if its kind is "complete"."""
    kind, _, size = response.partition("-")
    if kind == "complete":
        return (_completion(int(size)),)
    encoders = {
        "text": _text_events,
        "reasoning": _reasoning_events,
        "tool": _tool_call_events,
        "timestamp": _timestamp_events,
    }
    last = _event({}, "tool_calls" if kind == "tool" else "stop", usage=_usage(int(size)))
    return (*encoders[kind](int(size)), last, b"data: [DONE]\n\n")


def _text_events(size: int) -> list[bytes]:
    return [_event({"content": _WORD})] * size


def _reasoning_events(size: int) -> list[bytes]:
    return [_event({"reasoning": _WORD})] * size + _text_events(1)


def _timestamp_events(size: int) -> list[bytes]:
    return [_event({"content": TIMESTAMP.decode()}), *_text_events(size)]


def _tool_call_events(size: int) -> list[bytes]:
    """Encode one tool call with four characters of its arguments in each delta."""
    head, tail = _ARGUMENTS
    untrimmed = head + "word\\n " * size
    arguments = untrimmed[: 4 * size - len(tail)].rstrip("\\") + tail
    fragments = [arguments[start : start + 4] for start in range(0, len(arguments), 4)]
    first = {**_CALL_HEAD, "function": {"name": "look_up_0", "arguments": ""}}
    rest = [{"index": 0, "function": {"arguments": fragment}} for fragment in fragments]
    return [_event({"tool_calls": [call]}) for call in (first, *rest)]


def _event(delta: dict[str, Any], finish_reason: str | None = None, **root: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk = {**_HEAD, "object": "chat.completion.chunk", "choices": [choice], **root}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _completion(size: int) -> bytes:
    message = {"role": "assistant", "content": _WORD * size}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    completion = {**_HEAD, "object": "chat.completion", "system_fingerprint": None}
    completion |= {"choices": [choice], "usage": _usage(size)}
    return json.dumps(completion).encode()


def _usage(size: int) -> dict[str, int]:
    return {"prompt_tokens": 5, "completion_tokens": size, "total_tokens": 5 + size}
