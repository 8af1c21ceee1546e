"""The shapes of the wire: a completion, a chunk, a tool call, with as little in them as can be.

Knows the gateway's reply format. Knows no request; what is in the shapes is the caller's.
"""

from collections.abc import Mapping
from typing import Any

from onerouter_simulator.scripts import compact

JSON = dict[str, Any]

MODEL = "simulated/echo"
USAGE = {
    "prompt_tokens": 8,
    "completion_tokens": 4,
    "total_tokens": 12,
    "prompt_tokens_details": {
        "cached_tokens": 0,
        "cache_write_tokens": 0,
        "audio_tokens": 0,
        "video_tokens": 0,
    },
    "completion_tokens_details": {"reasoning_tokens": 0, "image_tokens": 0, "audio_tokens": 0},
}


def root(kind: str) -> JSON:
    """Return what completions and chunks have in common."""
    return {"id": "chatcmpl-simulated", "object": kind, "created": 1700000000, "model": MODEL}


def completion(
    text: str | None = "Hello!",
    *,
    message: Mapping[str, Any] | None = None,
    finish_reason: str | None = "stop",
    **fields: Any,
) -> JSON:
    """Make a complete reply; `message` adds to its message, `fields` to the root."""
    whole = {"role": "assistant", "content": text} | dict(message or {})
    choice = {"index": 0, "message": whole, "finish_reason": finish_reason, "logprobs": None}
    return root("chat.completion") | {"choices": [choice], "usage": USAGE} | fields


def chunk(
    delta: Mapping[str, Any] | str | None = None,
    *,
    finish_reason: str | None = None,
    index: int = 0,
    **fields: Any,
) -> JSON:
    """One event of a stream; a string is the delta of the text, without a delta: no choices."""
    body = root("chat.completion.chunk") | {"choices": []}
    if delta is not None:
        delta = {"content": delta} if isinstance(delta, str) else dict(delta)
        body["choices"] = [{"index": index, "delta": delta, "finish_reason": finish_reason}]
    return body | fields


def tool_call(
    name: str,
    arguments: Mapping[str, Any] | str,
    call_id: str = "call_1",
    index: int | None = None,
) -> JSON:
    """Make a tool call; with an `index` it is one for a delta."""
    written = arguments if isinstance(arguments, str) else compact(arguments)
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": written}}
    return call if index is None else {"index": index} | call
