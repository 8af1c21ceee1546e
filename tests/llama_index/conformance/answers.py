"""Answers to script: the same words, call or failure for the endpoint that asks.

Knows the chat completions API and the one tool that is called. Knows no class under test.
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
SOON = {"retry-after-ms": "1"}
CHATS = ("chat", "stream_chat")


def streams(endpoint: str) -> bool:
    """Tell whether an endpoint streams."""
    return "stream" in endpoint


def whole(text: str | None = "Hello!", **fields: Any) -> Script:
    """Return a whole answer."""
    return Script(json=completion(text, **{"usage": USAGE, **fields}))


def stream(*deltas: Mapping[str, Any] | str, finish_reason: str = "stop", **fields: Any) -> Script:
    """Return a stream as OpenAI's server sends it: deltas, finish reason, usage."""
    events = [chunk(delta, **fields) for delta in deltas]
    end = [chunk({}, finish_reason=finish_reason, **fields), chunk(usage=USAGE, **fields)]
    return Script(events=[*events, *end])


def answer(endpoint: str, text: str = "Hello!", finish_reason: str = "stop") -> Script:
    """Return words, whole or in pieces of a few letters."""
    if streams(endpoint):
        pieces = [text[at : at + 4] for at in range(0, len(text), 4)]
        return stream(*pieces, finish_reason=finish_reason)
    return whole(text, finish_reason=finish_reason)


def message(endpoint: str, finish_reason: str = "stop", **parts: Any) -> Script:
    """Return an answer of anything, as a message or as one delta."""
    if streams(endpoint):
        return stream({"role": "assistant", **parts}, finish_reason=finish_reason)
    return whole(None, message=parts, finish_reason=finish_reason)


def calls(endpoint: str, *made: Any, finish_reason: str = "tool_calls") -> Script:
    """Return tool calls, all in one message or each in a delta of its own."""
    if streams(endpoint):
        deltas = [{"tool_calls": [{"index": at, **call}]} for at, call in enumerate(made)]
        return stream(*deltas, finish_reason=finish_reason)
    return whole(None, message={"tool_calls": list(made)}, finish_reason=finish_reason)


def call_deltas(*deltas: Mapping[str, Any], finish_reason: str = "tool_calls") -> Script:
    """Return a stream of one tool call delta after the other, exactly as given."""
    return stream(*({"tool_calls": [delta]} for delta in deltas), finish_reason=finish_reason)


def arguments(index: int | None, text: str, **more: Any) -> dict[str, Any]:
    """Return a delta that adds to a call's arguments."""
    delta = {"function": {"arguments": text}, **more}
    return delta if index is None else {"index": index, **delta}


def refuse(status: int, words: str, **headers: str) -> Script:
    """Return a failure that need not be waited for before the next try."""
    body = failure(status, words).json
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Script(status, json=body, headers=named or SOON)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool.from_defaults(add)


def add_call(call_id: str = "c1", a: int = 1, b: int = 2) -> dict[str, Any]:
    """Return a call of the tool `add`."""
    return tool_call("add", {"a": a, "b": b}, call_id)
