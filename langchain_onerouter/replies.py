"""Conversion of `onerouter_core.Reply` and `ReplyDelta` to LangChain messages and chunks.

Token counts are in `usage_metadata`; ids, cost and finish reason in `response_metadata`. In a
stream each of these is on one chunk only, because adding chunks concatenates or sums the metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Literal, TypeAlias, TypedDict

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata
from langchain_core.messages.tool import ToolCallChunk, tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from typing_extensions import Unpack

from langchain_onerouter.chunk_sums import COST_KEY, EdgeChunk, PricedChunk, as_chunk, with_cost
from langchain_onerouter.invalid_tool_calls import (
    INVALID_CALLS_KEY,
    invalid_call_suffixes,
    to_invalid_calls,
)
from langchain_onerouter.messages import ARGUMENTS_KEY, CALL_EXTRAS_KEY, PROVIDER
from onerouter_core import Audio, Image, ModelTemplate, Reply, ReplyDelta, Usage
from onerouter_core.wire import finish_meaning, is_reproduced, nests_too_deeply, omit

_METADATA_FIELDS = (
    *("finish_reason", "native_finish_reason", "id", "provider", "request_id", "created"),
    *("system_fingerprint", "service_tier", "cost", "cost_details", "requested_model"),
)
_ALWAYS_PRESENT = {"cost", "provider"}
"""Keys that programs read from every answer: None where the server says nothing."""

_NORMALIZED_FINISH_REASONS = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_call",
    "moderation": "content_filter",
}

RawOf: TypeAlias = Callable[[Reply], dict[str, Any]] | Literal[False]
"""Function that returns the JSON of a reply. False: messages have none."""


class ReplyForm(TypedDict, total=False):
    """What messages have beside the answer: see the fields of ChatOneRouter."""

    cost_in_usage: bool
    raw_of: RawOf


def to_result(reply: Reply, **form: Unpack[ReplyForm]) -> ChatResult:
    """Convert a reply to a ChatResult with one generation per choice.

    Usage is in the first message only: it is that of the request, and tracers add it up. `raw_of`
    returns the JSON of a reply, which has all choices.
    """
    others = (replace(choice, usage=None) for choice in reply.alternatives)
    messages = [to_message(choice, **form) for choice in (reply, *others)]
    generations = [
        ChatGeneration(message=message, generation_info=_generation_info(message))
        for message in messages
    ]
    llm_output = _llm_output(messages[0].response_metadata, ("token_usage", "model_name", "id"))
    return ChatResult(generations=generations, llm_output=llm_output)


def complete_result(result: ChatResult, *, cost_in_usage: bool = False) -> ChatResult:
    """Add to the result of a stream what that of a complete reply has, and LangChain leaves out.

    The token usage stays in the message alone.
    """
    if result.llm_output is not None:
        return result
    for generation in result.generations:
        if (message := generation.message).response_metadata.get("model_provider") == PROVIDER:
            generation.generation_info = generation.generation_info or _generation_info(message)
            result.llm_output = _llm_output(message.response_metadata, ("model_name", "id"))
            if cost_in_usage:
                _add_cost(message)
    return result


def _add_cost(message: BaseMessage) -> None:
    """Add the cost to the usage: events of version 3 have only counts that LangChain knows.

    An answer from the cache has the cost 0 already.
    """
    if isinstance(message, AIMessage) and COST_KEY not in (message.usage_metadata or {}):
        cost = message.response_metadata.get("cost")
        message.usage_metadata = with_cost(message.usage_metadata, cost)


def _generation_info(message: BaseMessage) -> dict[str, Any]:
    """Return the finish reason, where tracers read it."""
    finish_reason = message.response_metadata.get("finish_reason")
    return {} if finish_reason is None else {"finish_reason": finish_reason}


def _llm_output(metadata: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: metadata[name] for name in names if name in metadata}


def combine_llm_outputs(outputs: Sequence[dict[str, Any] | None]) -> dict[str, Any]:
    """Sum the token usage of the calls of one `generate`; an id is that of a single call."""
    total: dict[str, Any] = {}
    for output in outputs:
        if output:  # None for an answer of another provider, from the cache
            usage = _add_counts(total.get("token_usage"), output.get("token_usage"))
            total = {**output, **({} if usage is None else {"token_usage": usage})}
    if len(outputs) > 1:
        total.pop("id", None)
    return total


def _add_counts(left: Any, right: Any) -> Any:
    """Add numbers, and mappings of numbers at every level; keep the first of other values."""
    match left, right:
        case {}, {}:
            return {key: _add_counts(left.get(key), right.get(key)) for key in {**left, **right}}
        case (int() | float(), int() | float()):
            return left + right
        case _:
            return right if left is None else left


def to_message(reply: Reply, *, cost_in_usage: bool = False, raw_of: RawOf = False) -> AIMessage:
    """Convert a complete reply to a message."""
    fields = _common_fields(reply, raw_of, reply.cost if cost_in_usage else None)
    fields["response_metadata"] |= _logprobs(reply)
    return AIMessage(
        content=_message_content(reply.text, reply.images, reply.audio),
        additional_kwargs=_additional_kwargs(reply, reasoning=True),
        tool_calls=[
            tool_call(name=call.name, args=dict(call.parsed), id=call.id)
            for call in reply.tool_calls
            if call.parsed is not None
        ],
        invalid_tool_calls=to_invalid_calls(reply),
        **fields,
    )


class ReplyChunks:
    """Conversion of the deltas of one reply to chunks."""

    def __init__(self, *, cost_in_usage: bool = False, raw_of: RawOf = False) -> None:
        """Begin a stream."""
        self._cost_in_usage = cost_in_usage
        self._raw_of: RawOf = raw_of
        self._has_begun = False

    def convert(self, delta: ReplyDelta) -> list[ChatGenerationChunk]:
        """Convert a delta; the last one adds a chunk with the reply's metadata and usage."""
        chunks: list[ChatGenerationChunk] = []
        if delta.text or delta.reasoning or delta.tool_calls or delta.images or delta.logprobs:
            chunks.append(chunk := _to_chunk(delta))
            if not self._has_begun:
                self._has_begun = True
                as_chunk(chunk.message, EdgeChunk)
        if (reply := delta.final_reply) is not None:
            if reply.tool_calls and (suffixes := invalid_call_suffixes(reply)):
                chunks.append(_suffix_chunk(suffixes))
            last = self._last_chunk(reply)
            chunks.append(ChatGenerationChunk(message=last, generation_info=_generation_info(last)))
        return chunks

    def _last_chunk(self, reply: Reply) -> AIMessageChunk:
        cost = reply.cost if self._cost_in_usage else None
        chunk = AIMessageChunk(
            content=_message_content("", (), reply.audio) if reply.audio else "",
            additional_kwargs=_additional_kwargs(reply, reasoning=False),
            chunk_position="last",
            **_common_fields(reply, self._raw_of, None if self._has_begun else cost),
        )
        if not self._has_begun:  # the only chunk: no sum
            return chunk
        return as_chunk(chunk, EdgeChunk if cost is None else PricedChunk)


def _suffix_chunk(suffixes: list[ToolCallChunk]) -> ChatGenerationChunk:
    metadata = {"model_provider": PROVIDER}
    message = AIMessageChunk(content="", tool_call_chunks=suffixes, response_metadata=metadata)
    return ChatGenerationChunk(message=message)


def _to_chunk(delta: ReplyDelta) -> ChatGenerationChunk:
    fields: dict[str, Any] = {
        "content": delta.text,
        "response_metadata": {"model_provider": PROVIDER},
    }
    if delta.logprobs:
        fields["response_metadata"] |= _logprobs(delta)
    if delta.reasoning:
        fields["additional_kwargs"] = {"reasoning_content": delta.reasoning}
    if delta.tool_calls or delta.images:
        return _chunk_with_parts(delta, fields)
    message = _message_template(bool(delta.reasoning)).new(**fields)
    return _generation_template().new(message=message, text=delta.text)


def _chunk_with_parts(delta: ReplyDelta, fields: dict[str, Any]) -> ChatGenerationChunk:
    """Return the chunk of a delta with tool calls or images; `fields` has all the others."""
    call_chunks = [
        tool_call_chunk(name=call.name, args=call.arguments, id=call.id, index=call.index)
        for call in delta.tool_calls
    ]
    # The constructor parses the arguments: 27 us for each fragment of JSON, and more for text that
    # is nested beyond any call that can run.
    begun = [call for call in delta.tool_calls if call.id or call.name]
    is_parsed = bool(begun) and not any(
        nests_too_deeply(call.arguments) for call in delta.tool_calls
    )
    if is_parsed:
        fields["tool_call_chunks"] = call_chunks
    if delta.images or is_parsed:
        fields["content"] = _message_content(delta.text, delta.images)
        message = AIMessageChunk(**fields)
    else:
        message = _message_template(bool(delta.reasoning)).new(**fields)
    if call_chunks and not is_parsed:
        message.tool_call_chunks = call_chunks
    if delta.images:
        return ChatGenerationChunk(message=message)
    return _generation_template().new(message=message, text=delta.text)


@cache
def _message_template(has_reasoning: bool, /) -> ModelTemplate[AIMessageChunk]:
    """Return the template of chunks with text, or with text and reasoning."""
    first, other = (
        {
            "content": text,
            "response_metadata": {"model_provider": PROVIDER},
            **({"additional_kwargs": {"reasoning_content": text}} if has_reasoning else {}),
        }
        for text in ("a", "b c")
    )
    return ModelTemplate(AIMessageChunk, first, other)


@cache
def _generation_template() -> ModelTemplate[ChatGenerationChunk]:
    first, other = (
        {"message": AIMessageChunk(content=text), "text": text} for text in ("a", "b c")
    )
    return ModelTemplate(ChatGenerationChunk, first, other)


def _logprobs(fields: Reply | ReplyDelta) -> dict[str, Any]:
    """Return the log probabilities; without `index`, by which LangChain would merge the tokens."""
    if not fields.logprobs:
        return {}
    lists = {
        key: [_without_index(item) for item in items] if isinstance(items, list) else items
        for key, items in fields.logprobs.items()
    }
    return {"logprobs": lists}


def _without_index(item: Any) -> Any:
    return omit(item, ("index",)) if isinstance(item, dict) and "index" in item else item


def _message_content(text: str, images: tuple[Image, ...], audio: Audio | None = None) -> Any:
    """Return a string if there is only text, as users of LangChain expect, otherwise blocks."""
    media = [_image_block(image) for image in images]
    if audio is not None:
        media.append(_audio_block(audio))
    if not media:
        return text
    return [{"type": "text", "text": text}, *media] if text else media


def _audio_block(audio: Audio) -> dict[str, Any]:
    block = {"type": "audio", "base64": audio.data, "mime_type": f"audio/{audio.format}"}
    return {**block, "extras": {"transcript": audio.transcript}} if audio.transcript else block


def _image_block(image: Image) -> dict[str, Any]:
    header, _, data = (image.url or "").partition(";base64,")
    if header.startswith("data:") and data:
        return {"type": "image", "base64": data, "mime_type": header.removeprefix("data:")}
    return {"type": "image", "url": image.url}


def _additional_kwargs(reply: Reply, *, reasoning: bool) -> dict[str, Any]:
    extras = {
        "reasoning_content": reply.reasoning if reasoning else None,
        "reasoning_details": list(reply.reasoning_details),
        "refusal": reply.refusal,
        "annotations": list(reply.annotations),
        **(_call_kwargs(reply) if reply.tool_calls else {}),
        **reply.message_extra,
    }
    return {key: value for key, value in extras.items() if value}


def _call_kwargs(reply: Reply) -> dict[str, Any]:
    """Return what a later turn needs of the calls, and LangChain has no field for."""
    has_extras = any(call.extra for call in reply.tool_calls)
    return {
        INVALID_CALLS_KEY: to_invalid_calls(reply),
        CALL_EXTRAS_KEY: {call.id: dict(call.extra) for call in reply.tool_calls if has_extras},
        ARGUMENTS_KEY: _received_arguments(reply),
    }


def _received_arguments(reply: Reply) -> dict[str, str]:
    """Return the arguments' text of the calls, by id, where the parsed value would not give it."""
    return {
        call.id: call.arguments
        for call in reply.tool_calls
        if call.parsed and not is_reproduced(call.arguments, call.parsed)
    }


def _common_fields(reply: Reply, raw_of: RawOf, cost: float | None) -> dict[str, Any]:
    """Return the fields that a message and the last chunk of a stream have alike.

    `cost` is that in the usage (USD). None: there is none.
    """
    metadata = {name: getattr(reply, name) for name in _METADATA_FIELDS}
    metadata["model_name"] = reply.model
    metadata["headers"] = dict(reply.headers) or None
    if reply.reasoning_keys not in {(), ("reasoning",)}:
        metadata["reasoning_keys"] = list(reply.reasoning_keys)
    metadata["attempts"] = reply.attempts if reply.attempts > 1 else None
    meaning = finish_meaning(reply.finish_reason, reply.native_finish_reason) or ""
    metadata["normalized_finish_reason"] = (
        _NORMALIZED_FINISH_REASONS.get(meaning) if reply.refusal is None else "refusal"
    )
    metadata["token_usage"] = dict(reply.usage.raw) if reply.usage else None
    metadata["raw"] = raw_of(reply) if raw_of else None
    known = {n: v for n, v in metadata.items() if v is not None or n in _ALWAYS_PRESENT}
    # LangChain adds the metadata of chunks: a key of theirs must not be in the last one, too.
    extra = omit(reply.extra, ("logprobs",)) if reply.logprobs else reply.extra
    usage = to_usage(reply.usage) if reply.usage else None
    name = reply.extra.get("name")  # a server may name the participant
    return {
        "name": name if name and isinstance(name, str) else None,
        "usage_metadata": usage if cost is None else with_cost(usage, cost),
        "response_metadata": {**extra, **known, "model_provider": PROVIDER},
    }


def to_usage(usage: Usage | None) -> UsageMetadata | None:
    """Convert token counts to LangChain's names; details that the gateway omits are left out.

    None: it omits a total, and LangChain has no unknown one.
    """
    if (
        usage is None
        or usage.input_tokens is None
        or usage.output_tokens is None
        or usage.total_tokens is None
    ):
        return None
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
