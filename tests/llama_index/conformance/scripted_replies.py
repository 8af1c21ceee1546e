"""Scripted replies: the same text, tool call or error, in the form that an endpoint expects.

This module knows the chat completions API, and the one tool of the tests. It knows no class under
test.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llama_index.core.tools import FunctionTool

from onerouter_simulator import Script, chunk, completion, failure, tool_call

USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
RETRY_SOON = {"retry-after-ms": "1"}
CHAT_ENDPOINTS = ("chat", "stream_chat")


def is_streaming(endpoint: str) -> bool:
    """Whether an endpoint streams."""
    return "stream" in endpoint


def complete_reply(text: str | None = "Hello!", **fields: Any) -> Script:
    """Return a complete reply."""
    return Script(json=completion(text, **{"usage": USAGE, **fields}))


def stream_reply(
    *deltas: Mapping[str, Any] | str, finish_reason: str = "stop", **fields: Any
) -> Script:
    """Return a stream as OpenAI's server sends it: deltas, finish reason, usage."""
    events = [chunk(delta, **fields) for delta in deltas]
    end = [chunk({}, finish_reason=finish_reason, **fields), chunk(usage=USAGE, **fields)]
    return Script(events=[*events, *end])


def text_reply(endpoint: str, text: str = "Hello!", finish_reason: str = "stop") -> Script:
    """Return a text, complete or in deltas of four characters."""
    if is_streaming(endpoint):
        deltas = [text[at : at + 4] for at in range(0, len(text), 4)]
        return stream_reply(*deltas, finish_reason=finish_reason)
    return complete_reply(text, finish_reason=finish_reason)


def message_reply(endpoint: str, finish_reason: str = "stop", **fields: Any) -> Script:
    """Return the fields of an assistant message, complete or in one delta."""
    if is_streaming(endpoint):
        return stream_reply({"role": "assistant", **fields}, finish_reason=finish_reason)
    return complete_reply(None, message=fields, finish_reason=finish_reason)


def tool_calls_reply(endpoint: str, *calls: Any, finish_reason: str = "tool_calls") -> Script:
    """Return tool calls, in one message or each in its own delta."""
    if is_streaming(endpoint):
        deltas = [{"tool_calls": [{"index": at, **call}]} for at, call in enumerate(calls)]
        return stream_reply(*deltas, finish_reason=finish_reason)
    return complete_reply(None, message={"tool_calls": list(calls)}, finish_reason=finish_reason)


def tool_call_stream(*deltas: Mapping[str, Any], finish_reason: str = "tool_calls") -> Script:
    """Return a stream of tool-call deltas, one per event."""
    return stream_reply(*({"tool_calls": [delta]} for delta in deltas), finish_reason=finish_reason)


def arguments_delta(index: int | None, text: str, **fields: Any) -> dict[str, Any]:
    """Return a tool-call delta that adds text to the arguments."""
    delta = {"function": {"arguments": text}, **fields}
    return delta if index is None else {"index": index, **delta}


def error_reply(status: int, message: str, **headers: str) -> Script:
    """Return an HTTP error; without headers, its retry-after is 1 millisecond."""
    body = failure(status, message).json
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return Script(status, json=body, headers=headers or RETRY_SOON)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool.from_defaults(add)


def add_call(call_id: str = "c1", a: int = 1, b: int = 2) -> dict[str, Any]:
    """Return a call of the tool `add`."""
    return tool_call("add", {"a": a, "b": b}, call_id)
