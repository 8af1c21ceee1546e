"""A reply to a valid request, whole or as a stream of chunks.

Knows the order of things in a reply. Knows no rule of what to say and no HTTP.
"""

import secrets
import time
from collections.abc import Iterator

from onerouter_simulator.bodies import JSON, chunk, completion
from onerouter_simulator.counting import LETTERS_PER_TOKEN, cost_of, usage_of
from onerouter_simulator.messages import logprobs, message_of, pieces_of
from onerouter_simulator.routing import served_model, upstream
from onerouter_simulator.rules import answer
from onerouter_simulator.scripts import Script

# What comes whole, after the pieces.
LAST = ("annotations", "images", "audio")


def reply(request: JSON, chunk_size: int, delay: float) -> Script:
    """Make the script that answers a request."""
    model = served_model(request)
    message, reason = message_of(request, answer(request))
    bill = bill_of(request, message, model)
    fields = root_fields(model)
    if request.get("stream"):
        size = whole_tokens(chunk_size) if request.get("logprobs") else chunk_size
        events = stream(request, message, reason, size, bill)
        return Script(events=[event | fields for event in events], delay=delay, chunk_delay=delay)
    body = completion(**fields, **bill, choices=choices(request, message, reason))
    return Script(json=body, delay=delay)


def root_fields(model: str) -> JSON:
    """Return what stands at the root of a completion and of every chunk."""
    return {
        "id": f"chatcmpl-{secrets.token_hex(16)}",
        "created": int(time.time()),
        "model": model,
        "request_id": secrets.token_hex(16),
        "system_fingerprint": None,
    }


def bill_of(request: JSON, message: JSON, model: str) -> JSON:
    """Who served, what was used and what it costs."""
    provider = upstream(request, model)
    usage = usage_of(request, message, request.get("n", 1))
    return {"provider": provider, "usage": usage} | cost_of(usage, model, provider)


def choices(request: JSON, message: JSON, reason: str) -> list[JSON]:
    """Return the same message as often as `n` says."""
    choice = {
        "message": message,
        "finish_reason": reason,
        "logprobs": logprobs(request, message["content"] or ""),
    }
    return [{"index": index} | choice for index in range(request.get("n", 1))]


def stream(request: JSON, message: JSON, reason: str, size: int, bill: JSON) -> Iterator[JSON]:
    """Yield the chunks: choice by choice, then the bill if it is asked for."""
    for index in range(request.get("n", 1)):
        for delta in deltas(message, size):
            event = chunk(delta, index=index)
            event["choices"][0]["logprobs"] = logprobs(request, delta.get("content") or "")
            yield event
        yield chunk({}, finish_reason=reason, index=index)
    if bill_wanted(request):
        yield chunk(**bill)


def whole_tokens(size: int) -> int:
    """Return a size of pieces that cuts no token in two."""
    return -(-size // LETTERS_PER_TOKEN) * LETTERS_PER_TOKEN


def bill_wanted(request: JSON) -> bool:
    """Whether a streamed reply is to tell usage and cost."""
    by_usage = request.get("usage", {}).get("include", False)
    by_options = request.get("stream_options", {}).get("include_usage", False)
    return bool(by_usage or by_options)


def deltas(message: JSON, size: int) -> Iterator[JSON]:
    """Yield a message in pieces, in the order in which it came to be."""
    yield {"role": "assistant", "content": ""}
    for detail in message.get("reasoning_details", ()):
        yield from reasoning_deltas(detail, size)
    for key in ("content", "refusal"):
        for piece in pieces_of(message.get(key) or "", size):
            yield {key: piece}
    for index, call in enumerate(message.get("tool_calls", ())):
        yield from call_deltas(index, call, size)
    rest: JSON = {key: message[key] for key in LAST if key in message}
    if rest:
        yield rest


def reasoning_deltas(detail: JSON, size: int) -> Iterator[JSON]:
    """Reasoning as text and as details, side by side; the signature comes last."""
    shell = {key: detail[key] for key in ("type", "format", "index")}
    for piece in pieces_of(detail["text"], size):
        yield {"reasoning": piece, "reasoning_details": [shell | {"text": piece}]}
    yield {"reasoning_details": [shell | {"signature": detail["signature"]}]}


def call_deltas(index: int, call: JSON, size: int) -> Iterator[JSON]:
    """Yield a tool call: id and name once, then its arguments in pieces."""
    function = call["function"]
    head = {"index": index} | call | {"function": function | {"arguments": ""}}
    yield {"tool_calls": [head]}
    for piece in pieces_of(function["arguments"], size):
        yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
