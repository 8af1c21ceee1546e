"""Our replies and pieces to LangChain's messages and chunks.

This module knows what LangChain's users and its merging code expect of a message: counts in
`usage_metadata`, facts in `response_metadata`, and each fact on one chunk only, because adding
chunks up adds their facts up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata
from langchain_core.messages.tool import (
    ToolCallChunk,
    invalid_tool_call,
    tool_call,
    tool_call_chunk,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.json import parse_partial_json

from langchain_onerouter.messages import PROVIDER
from onerouter_core import Image, Reply, ReplyDelta, Usage

_METADATA_FIELDS = (
    *("finish_reason", "native_finish_reason", "id", "provider", "request_id", "created"),
    *("system_fingerprint", "service_tier", "cost", "cost_details"),
)
_NORMALIZED_FINISH_REASONS = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "content_filter": "content_filter",
}


def to_result(reply: Reply, *, cost_in_usage: bool = False) -> ChatResult:
    """Return the result of a call, with a generation for each choice."""
    choices = (reply, *reply.alternatives)
    facts = _response_metadata(reply)
    return ChatResult(
        generations=[
            ChatGeneration(message=to_message(one, cost_in_usage=cost_in_usage)) for one in choices
        ],
        llm_output={name: facts[name] for name in ("token_usage", "model_name") if name in facts},
    )


def combine_llm_outputs(outputs: Iterable[dict[str, Any] | None]) -> dict[str, Any]:
    """Return what the calls of one `generate` used together."""
    total: dict[str, Any] = {}
    for output in outputs:
        if output:  # a streamed call has none
            used = _add_counts(total.get("token_usage"), output.get("token_usage"))
            total = {**output, "token_usage": used}
    return total


def _add_counts(one: Any, other: Any) -> Any:
    """Add counts, also nested ones; what is no count stays as it was."""
    match one, other:
        case {}, {}:
            return {key: _add_counts(one.get(key), other.get(key)) for key in {**one, **other}}
        case (int() | float(), int() | float()):
            return one + other
        case _:
            return other if one is None else one


def to_message(reply: Reply, *, cost_in_usage: bool = False) -> AIMessage:
    """Return a whole answer as a message."""
    return AIMessage(
        content=_message_content(reply.text, reply.images, reply),
        additional_kwargs=_additional_kwargs(reply, reasoning=True),
        tool_calls=[
            tool_call(name=call.name, args=dict(call.parsed), id=call.id)
            for call in reply.tool_calls
            if call.parsed is not None
        ],
        invalid_tool_calls=[
            invalid_tool_call(name=call.name, args=call.arguments, id=call.id, error=call.error)
            for call in reply.tool_calls
            if call.parsed is None
        ],
        usage_metadata=_usage_metadata(reply, cost_in_usage=cost_in_usage),
        response_metadata=_response_metadata(reply)
        | ({"logprobs": reply.logprobs} if reply.logprobs else {}),
    )


def to_chunks(delta: ReplyDelta, *, cost_in_usage: bool = False) -> list[ChatGenerationChunk]:
    """Return a piece as a chunk; the end is one more, with all there is to say of the reply."""
    messages = []
    if delta.text or delta.reasoning or delta.tool_calls or delta.images or delta.logprobs:
        messages.append(_to_message_chunk(delta))
    if delta.final_reply is not None:
        if bad := _invalid_call_suffixes(delta.final_reply):
            messages.append(
                AIMessageChunk(
                    content="", tool_call_chunks=bad, response_metadata={"model_provider": PROVIDER}
                )
            )
        messages.append(_last_chunk(delta.final_reply, cost_in_usage=cost_in_usage))
    return [ChatGenerationChunk(message=message) for message in messages]


def _to_message_chunk(delta: ReplyDelta) -> AIMessageChunk:
    fields: dict[str, Any] = {
        "content": _message_content(delta.text, delta.images) if delta.images else delta.text,
        "response_metadata": {"model_provider": PROVIDER} | _logprobs(delta),
    }
    if delta.reasoning:
        fields["additional_kwargs"] = {"reasoning_content": delta.reasoning}
    if not delta.tool_calls:
        return AIMessageChunk(**fields)
    parts = [
        tool_call_chunk(name=part.name, args=part.arguments, id=part.id, index=part.index)
        for part in delta.tool_calls
    ]
    if any(part.id or part.name for part in delta.tool_calls):
        return AIMessageChunk(**fields, tool_call_chunks=parts)
    chunk = AIMessageChunk(**fields)
    chunk.tool_call_chunks = parts  # the constructor would parse each fragment of JSON: 27 us
    return chunk


def _logprobs(fields: Reply | ReplyDelta) -> dict[str, Any]:
    return {"logprobs": fields.logprobs} if fields.logprobs else {}


def _last_chunk(reply: Reply, *, cost_in_usage: bool) -> AIMessageChunk:
    return AIMessageChunk(
        content=_message_content("", (), reply),
        additional_kwargs=_additional_kwargs(reply, reasoning=False),
        usage_metadata=_usage_metadata(reply, cost_in_usage=cost_in_usage),
        response_metadata=_response_metadata(reply),
        chunk_position="last",
    )


def _message_content(text: str, images: tuple[Image, ...], reply: Reply | None = None) -> Any:
    """Return a string as long as there are only words: LangChain's users expect one."""
    media: list[dict[str, Any]] = [_image(image) for image in images]
    if reply is not None and reply.audio is not None:
        kind = f"audio/{reply.audio.format}"
        fields = {"extras": {"transcript": words}} if (words := reply.audio.transcript) else {}
        media.append({"type": "audio", "base64": reply.audio.data, "mime_type": kind, **fields})
    if not media:
        return text
    return [{"type": "text", "text": text}, *media] if text else media


def _image(image: Image) -> dict[str, Any]:
    head, _, data = (image.url or "").partition(";base64,")
    if head.startswith("data:") and data:
        return {"type": "image", "base64": data, "mime_type": head.removeprefix("data:")}
    return {"type": "image", "url": image.url}


def _additional_kwargs(reply: Reply, *, reasoning: bool) -> dict[str, Any]:
    extras = {
        "reasoning_content": reply.reasoning if reasoning else None,
        "reasoning_details": list(reply.reasoning_details),
        "refusal": reply.refusal,
        "annotations": list(reply.annotations),
    }
    return {key: value for key, value in extras.items() if value}


def _response_metadata(reply: Reply) -> dict[str, Any]:
    facts = {name: getattr(reply, name) for name in _METADATA_FIELDS}
    facts["model_name"] = reply.model
    facts["headers"] = dict(reply.headers) or None
    facts["attempts"] = reply.attempts if reply.attempts > 1 else None
    refused = reply.refusal is not None
    facts["normalized_finish_reason"] = (
        "refusal" if refused else _NORMALIZED_FINISH_REASONS.get(reply.finish_reason or "")
    )
    facts["token_usage"] = dict(reply.usage.raw) if reply.usage else None
    known = {key: value for key, value in facts.items() if value is not None}
    return {**reply.extra, **known, "model_provider": PROVIDER}


def _usage_metadata(reply: Reply, *, cost_in_usage: bool) -> UsageMetadata | None:
    """Return the counts, and if asked for the cost (USD) under the name that LangSmith reads."""
    if reply.usage is None:
        return None
    counts = to_usage(reply.usage)
    if cost_in_usage and reply.cost is not None:
        counts["total_cost"] = reply.cost  # type: ignore[typeddict-unknown-key]
    return counts


def to_usage(usage: Usage) -> UsageMetadata:
    """Return the counts under LangChain's names; what the gateway does not count is left out."""
    inputs = {
        "audio": usage.input_audio_tokens,
        "cache_creation": usage.cache_write_tokens,
        "cache_read": usage.cached_tokens,
        "image": usage.input_image_tokens,
        "video": usage.input_video_tokens,
    }
    outputs = {
        "audio": usage.output_audio_tokens,
        "image": usage.output_image_tokens,
        "reasoning": usage.reasoning_tokens,
    }
    counts = UsageMetadata(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.total_tokens,
    )
    if known := {key: count for key, count in inputs.items() if count is not None}:
        counts["input_token_details"] = InputTokenDetails(**known)  # type: ignore[typeddict-item]
    if known := {key: count for key, count in outputs.items() if count is not None}:
        counts["output_token_details"] = OutputTokenDetails(**known)  # type: ignore[typeddict-item]
    return counts


# --- invalid calls stay invalid ---

_INVALIDATING_SUFFIXES = ("]", "}", '"]', '"}', '\\"]', '\\"}')


def _invalid_call_suffixes(reply: Reply) -> list[ToolCallChunk]:
    """Return the pieces that keep invalid calls invalid when LangChain adds the chunks up.

    It reads arguments leniently then: a call that was cut would turn into one that can be run.
    """
    return [
        tool_call_chunk(name=None, id=None, index=index, args=breaker)
        for index, call in enumerate(reply.tool_calls)
        if call.parsed is None and (breaker := _invalidating_suffix(call.arguments))
    ]


def _invalidating_suffix(arguments: str) -> str:
    """Return what makes these arguments unreadable: a bracket that closes what is not open."""
    return next(
        (end for end in ("", *_INVALIDATING_SUFFIXES) if not _parses_leniently(arguments + end)),
        _INVALIDATING_SUFFIXES[0],
    )


def _parses_leniently(arguments: str) -> bool:
    """Tell whether LangChain would make an object of these; it takes none at all for one."""
    try:
        return not arguments or isinstance(parse_partial_json(arguments), dict)
    except ValueError:
        return False
