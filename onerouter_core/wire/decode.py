"""A completion to a Reply, and an error body to one of our errors.

This module knows every key the gateway answers with, and how it varies them (gateway docs and
recorded calls). It trusts no type: what is not as expected is kept in `Reply.extra`, and what
holds no answer raises. It knows no framework and no transport.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from onerouter_core.errors import (
    ContentFilterError,
    LengthLimitError,
    MalformedReplyError,
    OneRouterError,
)
from onerouter_core.types import Audio, Image, Json, Reply, ToolCall, Usage
from onerouter_core.wire.coerce import (
    as_count,
    as_items,
    as_mapping,
    as_number,
    as_text,
    is_text_or_null,
    omit,
    parse_json_bytes,
)
from onerouter_core.wire.error_bodies import decode_error
from onerouter_core.wire.text_buffer import join_surrogates
from onerouter_core.wire.tool_names import ToolNames

_ROOT_KEYS = (
    *("id", "object", "created", "model", "provider", "request_id", "system_fingerprint"),
    *("service_tier", "cost", "cost_details", "usage", "choices"),
)
_TEXT_KEYS = ("provider", "service_tier", "system_fingerprint")
_CHOICE_KEYS = ("index", "message", "finish_reason", "native_finish_reason", "logprobs")
MESSAGE_KEYS = (
    *("role", "content", "reasoning", "reasoning_content", "reasoning_details", "tool_calls"),
    *("refusal", "images", "audio", "annotations"),
)


def decode_reply(completion: Any, names: ToolNames, headers: Mapping[str, str]) -> Reply:
    """Return the answer in a completion; raise the error it is, or that it has none."""
    choices = as_items(as_mapping(completion).get("choices"))
    if not choices or completion.get("error"):
        raise decode_error(
            completion,
            headers=headers,
            partial=partial_reply(completion, names, headers) if choices else None,
        )
    replies = [_decode_reply(completion, choice, names, headers) for choice in choices]
    first, *others = sorted(replies, key=_is_empty)  # an answer first, if one is there
    reply_with_alternatives = replace(first, alternatives=tuple(others)) if others else first
    for reply in replies:
        _raise_for_failed_choice(reply, reply_with_alternatives)
    if _is_empty(reply_with_alternatives):
        raise _empty_reply_error(reply_with_alternatives)
    return reply_with_alternatives


def partial_reply(completion: Json, names: ToolNames, headers: Mapping[str, str]) -> Reply:
    """Return what there is of an answer, however little, and never raise."""
    choice = omit(next(iter(as_items(completion.get("choices"))), {}), _ERROR_KEYS)
    said = {**omit(completion, _ERROR_KEYS), "choices": [choice]}
    return _decode_reply(said, choice, names, headers, cut=True)


_ERROR_KEYS = ("error", "code")  # it says so itself, without the secrets that some servers echo


def _decode_reply(
    root: Json, choice: Json, names: ToolNames, headers: Mapping[str, str], *, cut: bool = False
) -> Reply:
    message = as_mapping(choice.get("message"))
    text, images = decode_content(message.get("content"))
    usage = as_mapping(root.get("usage"))
    finish_reason = as_text(choice.get("finish_reason"))
    cut = cut or finish_reason == "length"
    # The gateway says it at the root, others among the counts, a LiteLLM proxy in a header.
    said = (root.get("cost"), usage.get("cost"), headers.get("x-litellm-response-cost"))
    costs = (cost for cost in map(as_number, said) if cost is not None)
    return Reply(
        text=join_surrogates(text),
        reasoning=join_surrogates(decode_reasoning(message)),
        reasoning_details=tuple(as_items(message.get("reasoning_details"))),
        tool_calls=tuple(_decode_tool_calls(root, message, names, cut=cut)),
        refusal=as_text(message.get("refusal")),
        images=(*images, *decode_images(message)),
        audio=_decode_audio(message.get("audio")),
        annotations=tuple(as_items(message.get("annotations"))),
        logprobs=as_mapping(choice.get("logprobs")) or None,
        finish_reason=finish_reason,
        native_finish_reason=as_text(choice.get("native_finish_reason")),
        usage=decode_usage(usage) if usage else None,
        cost=next(costs, None),
        cost_details=as_mapping(root.get("cost_details")) or None,
        **_decode_identity(root, headers),
        extra=_unknown_keys(root, choice, message),
        raw=root,
    )


def _decode_identity(root: Json, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return who answered, and the names the answer goes by."""
    return {
        "model": as_text(root.get("model")),
        "provider": as_text(root.get("provider")),
        "id": as_text(root.get("id")),
        "request_id": as_text(headers.get("x-infron-request-id"))
        or as_text(root.get("request_id")),
        "headers": {k: v for k, v in headers.items() if k.startswith("x-ratelimit-")},
        "created": as_count(root.get("created")),
        "system_fingerprint": as_text(root.get("system_fingerprint")),
        "service_tier": as_text(root.get("service_tier")),
    }


def _unknown_keys(root: Json, choice: Json, message: Json) -> Json:
    """Return what has no field of its own; also a known key whose value is of another type."""
    odd = {key: root[key] for key in _TEXT_KEYS if not is_text_or_null(root.get(key))}
    return {
        **omit(root, _ROOT_KEYS),
        **omit(choice, _CHOICE_KEYS),
        **omit(message, MESSAGE_KEYS),
        **odd,
    }


def _raise_for_failed_choice(reply: Reply, reply_with_alternatives: Reply) -> None:
    """Raise if a choice says that it failed, with all there is."""
    failure = reply.extra.get("error")
    if failure or reply.finish_reason == "error":
        failure = failure or "The upstream failed while it answered."
        raise decode_error({**reply.raw, "error": failure}, partial=reply_with_alternatives)


def _is_empty(reply: Reply) -> bool:
    return not any((reply.text, reply.tool_calls, reply.refusal, reply.images, reply.audio))


def _empty_reply_error(reply: Reply) -> OneRouterError:
    facts = _error_context(reply) | {"partial": reply}
    match reply.finish_reason:
        case "length":
            message = "max_tokens was used up before the answer began."
            return LengthLimitError(message, **facts)
        case "content_filter":
            return ContentFilterError("Moderation withheld the answer.", **facts)
        case reason:
            return MalformedReplyError(
                f"The reply has no content and no tool call (finish reason {reason!r}).", **facts
            )


def _error_context(reply: Reply) -> dict[str, Any]:
    return {
        "model": reply.model,
        "provider": reply.provider,
        "request_id": reply.request_id,
        "generation_id": reply.id,
    }


# --- the parts of a message, for whole and streamed replies alike ---


def decode_content(content: Any) -> tuple[str, tuple[Image, ...]]:
    """Return the text, and the images among parts, of a content of either form."""
    if isinstance(content, str):
        return content, ()
    parts = as_items(content)
    texts = (text for part in parts if (text := as_text(part.get("text"))))
    return "".join(texts), tuple(_decode_image_parts(parts))


def decode_images(message: Json) -> tuple[Image, ...]:
    """Return the images that stand beside the content."""
    return tuple(_decode_image_parts(as_items(message.get("images"))))


def _decode_image_parts(parts: list[Json]) -> Iterator[Image]:
    for part in parts:
        if url := as_text(as_mapping(part.get("image_url")).get("url")):
            yield Image(url=url)


def decode_reasoning(message: Json) -> str:
    """Return the reasoning text; a gateway says it under one of three keys, or under several."""
    for key in ("reasoning", "reasoning_content"):
        text = message.get(key)
        if text and isinstance(text, str):
            return text
    details = as_items(message.get("reasoning_details"))
    if not details:
        return ""
    texts = (as_text(item.get("text")) or as_text(item.get("summary")) for item in details)
    return "".join(text for text in texts if text)


def decode_usage(usage: Json) -> Usage:
    """Return the counts; a gateway may send floats or nulls."""
    prompt = as_mapping(usage.get("prompt_tokens_details"))
    completion = as_mapping(usage.get("completion_tokens_details"))
    input_tokens = as_count(usage.get("prompt_tokens")) or 0
    output_tokens = as_count(usage.get("completion_tokens")) or 0
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=as_count(usage.get("total_tokens")) or input_tokens + output_tokens,
        cached_tokens=as_count(prompt.get("cached_tokens")),
        cache_write_tokens=as_count(prompt.get("cache_write_tokens")),
        input_audio_tokens=as_count(prompt.get("audio_tokens")),
        input_image_tokens=as_count(prompt.get("image_tokens")),
        input_video_tokens=as_count(prompt.get("video_tokens")),
        reasoning_tokens=as_count(completion.get("reasoning_tokens")),
        output_audio_tokens=as_count(completion.get("audio_tokens")),
        output_image_tokens=as_count(completion.get("image_tokens")),
        raw=usage,
    )


def _decode_audio(audio: Any) -> Audio | None:
    data = as_text(as_mapping(audio).get("data"))
    if data is None:
        return None
    heads = {"UklGR": "wav", "SUQz": "mp3", "//": "mp3", "T2dn": "opus", "ZkxhQ": "flac"}
    kind = next((name for head, name in heads.items() if data.startswith(head)), "pcm16")
    return Audio(data=data, format=kind, transcript=as_text(audio.get("transcript")))


def _decode_tool_calls(
    root: Json, message: Json, names: ToolNames, *, cut: bool
) -> Iterator[ToolCall]:
    for index, call in enumerate(as_items(message.get("tool_calls"))):
        function = as_mapping(call.get("function"))
        yield decode_tool_call(
            as_text(call.get("id")) or generate_call_id(root.get("id"), index),
            names.decode(as_text(function.get("name")) or ""),
            join_surrogates(encode_arguments(function.get("arguments"))),
            cut=cut,
        )


def generate_call_id(reply_id: Any, index: int) -> str:
    """Return an id for a call that came without, different in every reply."""
    return f"call_{as_text(reply_id) or uuid4().hex}_{index}"


def encode_arguments(arguments: Any) -> str:
    """Return arguments as the string they should have been; some gateways send an object."""
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def decode_tool_call(call_id: str, name: str, arguments: str, *, cut: bool) -> ToolCall:
    """Return a call; arguments that are not one whole JSON object are an error, never mended.

    No arguments at all are an empty object, unless the length limit cut the reply.
    """
    if not arguments.strip() and not cut:
        return ToolCall(call_id, name, arguments, parsed={})
    error = "The arguments were cut off." if cut else "The arguments are not a JSON object."
    try:
        parsed = json.loads(arguments)
    except (ValueError, RecursionError) as reason:
        return ToolCall(call_id, name, arguments, error=f"{error} ({reason})")
    if not isinstance(parsed, dict):
        return ToolCall(call_id, name, arguments, error=error)
    return ToolCall(call_id, name, arguments, parsed=parsed)


def decode_models(body: bytes) -> tuple[Json, ...]:
    """Return the entries of a model list, whatever envelope they come in."""
    try:
        listed = parse_json_bytes(body)
    except ValueError:
        listed = body.decode("utf-8", "replace")
    entries = as_mapping(listed).get("data", as_mapping(listed).get("models", listed))
    if not isinstance(entries, list):
        raise decode_error(listed)
    return tuple(as_items(entries))
