"""Response bodies with the fewest possible fields: a completion, a chunk, a tool call.

Knows the gateway's reply format. Knows no request: the caller gives the content.
"""

from collections.abc import Mapping
from typing import Any

from onerouter_simulator.scripts import compact_json

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


def common_fields(object_type: str) -> JSON:
    """Return the root fields of completions and chunks."""
    return {
        "id": "chatcmpl-simulated",
        "object": object_type,
        "created": 1700000000,
        "model": MODEL,
    }


def completion(
    text: str | None = "Hello!",
    *,
    message: Mapping[str, Any] | None = None,
    finish_reason: str | None = "stop",
    **fields: Any,
) -> dict[str, Any]:
    """Return the body of a complete reply, for `Script(json=...)`.

    Args:
        text: Content of the assistant message.
        message: More keys of the message, such as `tool_calls`; they replace those of `text`.
        finish_reason: Finish reason of the only choice.
        fields: More keys at the root, such as `usage` or `cost`.
    """
    whole_message = {"role": "assistant", "content": text} | dict(message or {})
    choice = {
        "index": 0,
        "message": whole_message,
        "finish_reason": finish_reason,
        "logprobs": None,
    }
    return common_fields("chat.completion") | {"choices": [choice], "usage": USAGE} | fields


def chunk(
    delta: Mapping[str, Any] | str | None = None,
    *,
    finish_reason: str | None = None,
    index: int = 0,
    **fields: Any,
) -> dict[str, Any]:
    """Return the body of one stream event, for `Script(events=[...])`.

    Args:
        delta: Delta of the choice; a string is a delta of the content. Without a delta, the chunk
            has an empty list of choices.
        finish_reason: Finish reason of the choice.
        index: Index of the choice, from 0.
        fields: More keys at the root, such as `usage` or `cost`.
    """
    body = common_fields("chat.completion.chunk") | {"choices": []}
    if delta is not None:
        delta = {"content": delta} if isinstance(delta, str) else dict(delta)
        body["choices"] = [{"index": index, "delta": delta, "finish_reason": finish_reason}]
    return body | fields


def tool_call(
    name: str, arguments: Mapping[str, Any] | str, call_id: str = "call_1", index: int | None = None
) -> dict[str, Any]:
    """Return one tool call, for `tool_calls` of a message or a delta.

    Args:
        name: Name of the function.
        arguments: Arguments as a mapping, or as text that is sent unchanged.
        call_id: Id of the call.
        index: Index of the call in a delta, from 0; a call of a complete message has none.
    """
    text = arguments if isinstance(arguments, str) else compact_json(arguments)
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}
    return call if index is None else {"index": index} | call
