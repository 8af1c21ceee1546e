"""Replies to valid requests: a complete body, or the chunks of a stream.

Knows the fields of a reply and their order in a stream. Knows no rule of the answers and no HTTP.
"""

import secrets
import time
from collections.abc import Callable, Iterator

from onerouter_simulator.bodies import JSON, chunk, completion
from onerouter_simulator.counting import (
    CHARACTERS_PER_TOKEN,
    NO_CACHE,
    CacheUse,
    compute_cost,
    count_usage,
)
from onerouter_simulator.messages import build_logprobs, build_message, split_text
from onerouter_simulator.routing import select_model, select_provider
from onerouter_simulator.rules import choose_answer
from onerouter_simulator.scripts import Script

# Message fields that a stream sends complete, in one last delta.
UNSPLIT_FIELDS = ("annotations", "images", "audio")


def build_reply(
    request: JSON,
    chunk_size: int,
    delay: float,
    rewrite: Callable[[JSON, JSON], JSON] = lambda message, _: message,
    use_cache: Callable[[JSON, str], CacheUse] = lambda *_: NO_CACHE,
) -> Script:
    """Return the script that answers a request.

    `chunk_size` is in characters; `delay` is in seconds, before the answer and between chunks.
    `rewrite` returns the message to send; usage is that of the message by the rules. `use_cache`
    reads and writes the prompt cache of a model.
    """
    model = select_model(request)
    message, finish_reason = build_message(request, choose_answer(request))
    usage = usage_and_cost(request, message, model, use_cache(request, model))
    message = rewrite(message, request)
    fields = root_fields(model)
    if request.get("stream"):
        size = round_up_to_tokens(chunk_size) if request.get("logprobs") else chunk_size
        chunks = stream_chunks(request, message, finish_reason, size, usage)
        return Script(events=[body | fields for body in chunks], delay=delay, chunk_delay=delay)
    choices = build_choices(request, message, finish_reason)
    return Script(json=completion(**fields, **usage, choices=choices), delay=delay)


def root_fields(model: str) -> JSON:
    """Return the root fields that a completion and every chunk of a stream have."""
    return {
        "id": f"chatcmpl-{secrets.token_hex(16)}",
        "created": int(time.time()),
        "model": model,
        "request_id": secrets.token_hex(16),
        "system_fingerprint": None,
    }


def usage_and_cost(request: JSON, message: JSON, model: str, cache: CacheUse) -> JSON:
    """Return the root fields provider, usage, cost and cost_details."""
    provider = select_provider(request, model)
    usage = count_usage(request, message, request.get("n", 1), cache)
    return {"provider": provider, "usage": usage} | compute_cost(usage, model, provider, cache)


def build_choices(request: JSON, message: JSON, finish_reason: str) -> list[JSON]:
    """Return `n` choices with the same message."""
    choice = {
        "message": message,
        "finish_reason": finish_reason,
        "logprobs": build_logprobs(request, message["content"] or ""),
    }
    return [{"index": index} | choice for index in range(request.get("n", 1))]


def stream_chunks(
    request: JSON, message: JSON, finish_reason: str, size: int, usage: JSON
) -> Iterator[JSON]:
    """Yield the chunks of each choice in turn, then usage and cost if they are requested."""
    for index in range(request.get("n", 1)):
        for delta in split_into_deltas(message, size):
            body = chunk(delta, index=index)
            body["choices"][0]["logprobs"] = build_logprobs(request, delta.get("content") or "")
            yield body
        yield chunk({}, finish_reason=finish_reason, index=index)
    if is_usage_requested(request):
        yield chunk(**usage)


def round_up_to_tokens(size: int) -> int:
    """Round a chunk size up to whole tokens, so that no token is split between chunks."""
    return -(-size // CHARACTERS_PER_TOKEN) * CHARACTERS_PER_TOKEN


def is_usage_requested(request: JSON) -> bool:
    """Whether a streamed reply must end with usage and cost."""
    by_usage = request.get("usage", {}).get("include", False)
    by_options = request.get("stream_options", {}).get("include_usage", False)
    return bool(by_usage or by_options)


def split_into_deltas(message: JSON, size: int) -> Iterator[JSON]:
    """Yield the deltas of a message: role, reasoning, text or refusal, tool calls, the rest."""
    yield {"role": "assistant", "content": ""}
    details = message.get("reasoning_details", ())
    for detail in details:
        yield from reasoning_deltas(detail, size)
    for key in ("content", "refusal") if details else ("reasoning", "content", "refusal"):
        for text in split_text(message.get(key) or "", size):
            yield {key: text}
    for index, call in enumerate(message.get("tool_calls", ())):
        yield from tool_call_deltas(index, call, size)
    rest: JSON = {key: message[key] for key in UNSPLIT_FIELDS if key in message}
    if rest:
        yield rest


def reasoning_deltas(detail: JSON, size: int) -> Iterator[JSON]:
    """Yield deltas with the reasoning as text and as details; the signature comes last."""
    fields = {key: detail[key] for key in ("type", "format", "index")}
    for text in split_text(detail["text"], size):
        yield {"reasoning": text, "reasoning_details": [fields | {"text": text}]}
    yield {"reasoning_details": [fields | {"signature": detail["signature"]}]}


def tool_call_deltas(index: int, call: JSON, size: int) -> Iterator[JSON]:
    """Yield the deltas of a tool call: id and name once, then parts of the arguments."""
    function = call["function"]
    first = {"index": index} | call | {"function": function | {"arguments": ""}}
    yield {"tool_calls": [first]}
    for text in split_text(function["arguments"], size):
        yield {"tool_calls": [{"index": index, "function": {"arguments": text}}]}
