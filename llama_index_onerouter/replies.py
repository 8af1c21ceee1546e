"""Conversion of Reply and ReplyDelta to ChatResponse and CompletionResponse.

This module knows the fields of a response that LlamaIndex, its agents and its tracers read. The
last response of a stream is equal to the response of the same call without streaming.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import aclosing, closing, suppress
from typing import Any

from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CitationBlock,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    ContentBlock,
    ImageBlock,
    LogProb,
    MessageRole,
    TextBlock,
    ThinkingBlock,
)

from llama_index_onerouter.attribute_dict import ResponseBody, to_attribute_dict
from llama_index_onerouter.errors import ObjectErrors
from llama_index_onerouter.failed_spans import FailedSpan
from llama_index_onerouter.messages import (
    DETAILS_KEY,
    MODEL_KEY,
    REASONING_KEYS_KEY,
    REQUESTED_MODEL_KEY,
)
from llama_index_onerouter.response_templates import constructor_of
from llama_index_onerouter.tools import parse_tool_calls, to_block, to_tool_call_dict
from onerouter_core import (
    AsyncDeltaStream,
    Audio,
    Citation,
    DeltaStream,
    Image,
    Json,
    Reply,
    ReplyDelta,
    RunningReply,
    TokenLogprob,
    ToolCall,
    Usage,
)
from onerouter_core.wire import decode_citations, decode_logprobs


def to_response(
    reply: Reply, *, single_tool_call: bool = False, last: ReplyDelta | None = None
) -> ChatResponse:
    """Return a complete reply as a response.

    Args:
        reply: The reply.
        single_tool_call: Whether to keep only the first tool call; `raw` has all of them.
        last: The last delta of a stream. None: not a stream.
    """
    body = ResponseBody(to_attribute_dict(reply.raw))
    body.received = added = last or ReplyDelta(final_reply=reply)
    calls = reply.tool_calls[:1] if single_tool_call else reply.tool_calls
    return ChatResponse(
        message=_message(list(_to_blocks(reply)), calls, _message_kwargs(reply, calls)),
        raw=body,
        delta=None if last is None else last.text or _refusal_text(reply),
        logprobs=_to_logprobs(reply.logprobs) if reply.logprobs else None,
        additional_kwargs=_response_kwargs(reply)
        | ({"thinking_delta": added.reasoning} if added.reasoning else {}),
    )


def received(response: ChatResponse) -> ReplyDelta:
    """Return the delta that a response was made of; of one that is not ours, text and calls."""
    if isinstance(response.raw, ResponseBody):
        return response.raw.received
    message = response.message
    reply = Reply(text=message.content or "", tool_calls=tuple(parse_tool_calls(message)))
    return ReplyDelta(response.delta or "", final_reply=reply)


def to_completion(response: ChatResponse) -> CompletionResponse:
    """Return a chat response as a completion; `additional_kwargs["thinking"]` is its reasoning."""
    blocks = response.message.blocks
    thinking = "".join(b.content or "" for b in blocks if isinstance(b, ThinkingBlock))
    return CompletionResponse(
        text=response.message.content or "",
        delta=response.delta,
        raw=response.raw,
        logprobs=response.logprobs,
        additional_kwargs={
            **response.message.additional_kwargs,
            **response.additional_kwargs,
            **({"thinking": thinking} if thinking else {}),
        },
    )


def _message_kwargs(reply: Reply, calls: tuple[ToolCall, ...]) -> dict[str, Any]:
    """Return the refusal, and what a later turn needs that is in no block."""
    carried: dict[str, Any] = dict(reply.message_extra)
    if reply.reasoning_keys and not reply.reasoning:
        carried[REASONING_KEYS_KEY] = list(reply.reasoning_keys)
    if reply.requested_model and (carried or [call for call in calls if call.extra]):
        carried[REQUESTED_MODEL_KEY] = reply.requested_model
    return carried if reply.refusal is None else {"refusal": reply.refusal, **carried}


def _message(
    blocks: list[ContentBlock],
    calls: tuple[ToolCall, ...],
    other_kwargs: Mapping[str, Any] | None = None,
) -> ChatMessage:
    extra: dict[str, Any] = (
        {"tool_calls": [to_tool_call_dict(call) for call in calls]} if calls else {}
    )
    if other_kwargs:
        extra |= other_kwargs
    if calls:
        blocks += (to_block(call) for call in calls)
    return constructor_of(ChatMessage)(
        role=MessageRole.ASSISTANT, blocks=blocks, additional_kwargs=extra
    )


def _to_blocks(reply: Reply) -> Iterator[ContentBlock]:
    if reply.reasoning or reply.reasoning_details:
        yield ThinkingBlock(
            content=reply.reasoning or None,
            num_tokens=reply.usage.reasoning_tokens if reply.usage else None,
            additional_information=_reasoning_information(reply),
        )
    if text := reply.text or _refusal_text(reply):
        yield TextBlock(text=text)
    yield from filter(None, map(_to_image_block, reply.images))
    if reply.audio and (audio_block := _to_audio_block(reply.audio)):
        yield audio_block
    for citation in decode_citations(reply.annotations):
        yield _to_citation_block(citation, reply.text)


def _refusal_text(reply: Reply) -> str:
    """Return the refusal of a reply without text and calls.

    LlamaIndex shows only text: a query engine would answer "Empty Response".
    """
    return "" if reply.text or reply.tool_calls else reply.refusal or ""


def _reasoning_information(reply: Reply) -> dict[str, Any]:
    """Return the information that `to_messages` needs to send the reasoning back."""
    keys = reply.reasoning_keys
    known = {
        DETAILS_KEY: [dict(detail) for detail in reply.reasoning_details],
        MODEL_KEY: reply.model or None,
        REQUESTED_MODEL_KEY: reply.requested_model,
        REASONING_KEYS_KEY: list(keys) if keys not in {(), ("reasoning",)} else None,
    }
    return {key: value for key, value in known.items() if value is not None}


# The blocks check URL and data: a relative URL would be a ValidationError, and the answer lost.
def _to_image_block(image: Image) -> ImageBlock | None:
    """Return an image as a block; None if no block can hold it, and it is in `raw` only."""
    head, _, data = (image.url or "").partition(";base64,")
    with suppress(ValueError):
        if data:
            return ImageBlock(image=data.encode(), image_mimetype=head.removeprefix("data:"))
        return ImageBlock(url=image.url)
    return None


def _to_audio_block(audio: Audio) -> AudioBlock | None:
    """Return audio as a block; None if no block can hold it, and it is in `raw` only."""
    with suppress(ValueError):
        return AudioBlock(audio=audio.data.encode(), format=audio.format)
    return None


def _to_citation_block(citation: Citation, text: str) -> CitationBlock:
    position = {"start_index": citation.start, "end_index": citation.end}
    return CitationBlock(
        cited_content=TextBlock(text=citation.text or text[citation.start : citation.end]),
        source=citation.url,
        title=citation.title,
        additional_location_info={n: index for n, index in position.items() if index is not None},
    )


def _response_kwargs(reply: Reply) -> dict[str, Any]:
    """Return token counts, cost (USD), finish reason, model, provider and ids."""
    usage = reply.usage or Usage()
    values = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cached_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cost": reply.cost,
        "finish_reason": reply.finish_reason,
        "native_finish_reason": reply.native_finish_reason,
        "provider": reply.provider,
        "model": reply.model,
        "generation_id": reply.id,
        "request_id": reply.request_id,
        "attempts": reply.attempts if reply.attempts > 1 else None,
        "transcript": reply.audio.transcript if reply.audio else None,
    }
    return {n: v for n, v in values.items() if v is not None or n in _ALWAYS_PRESENT}


_ALWAYS_PRESENT = {"cost", "provider", "total_tokens"}
"""Keys that programs read from every answer: None where the server says nothing."""


def _to_logprobs(logprobs: Json | None) -> list[list[LogProb]] | None:
    """Return the log probabilities of each token: the token first, then its alternatives."""
    tokens = decode_logprobs(logprobs)
    return [_alternatives(token) for token in tokens] if tokens else None


def _alternatives(token: TokenLogprob) -> list[LogProb]:
    alternatives = (item for item in token.others if item.token != token.token)
    return [
        LogProb(token=item.token, logprob=item.logprob, bytes=list(item.data))
        for item in (token, *alternatives)
    ]


# --- streams ---


def to_responses(
    deltas: DeltaStream, span: FailedSpan, errors: ObjectErrors, *, single_tool_call: bool
) -> ChatResponseGen:
    """Yield a response for each delta; close the stream at the end."""
    running = _RunningResponse(single_tool_call=single_tool_call)
    with span, errors, closing(deltas):
        for delta in deltas:
            yield running.add(delta)


async def ato_responses(
    deltas: AsyncDeltaStream, span: FailedSpan, errors: ObjectErrors, *, single_tool_call: bool
) -> ChatResponseAsyncGen:
    """Yield a response for each delta; close the stream at the end."""
    running = _RunningResponse(single_tool_call=single_tool_call)
    with span, errors:
        async with aclosing(deltas):
            async for delta in deltas:
                yield running.add(delta)


def to_completions(responses: ChatResponseGen) -> CompletionResponseGen:
    """Yield each chat response as a completion; close the stream at the end."""
    with closing(responses):
        for response in responses:
            yield to_completion(response)


async def ato_completions(responses: ChatResponseAsyncGen) -> CompletionResponseAsyncGen:
    """Yield each chat response as a completion; close the stream at the end."""
    async with aclosing(responses):
        async for response in responses:
            yield to_completion(response)


class _RunningResponse:
    """Accumulator of a stream: each response contains the whole answer so far."""

    def __init__(self, *, single_tool_call: bool) -> None:
        self._single_tool_call = single_tool_call
        self._reply = RunningReply()
        self._images: list[ImageBlock] = []
        self._new_response = constructor_of(ChatResponse)
        self._new_text_block = constructor_of(TextBlock)
        self._new_thinking_block = constructor_of(ThinkingBlock)

    def add(self, delta: ReplyDelta) -> ChatResponse:
        if delta.final_reply is not None:
            return to_response(
                delta.final_reply,
                single_tool_call=self._single_tool_call,
                last=delta,
            )
        self._reply.add(delta)
        if delta.images:
            self._images += filter(None, map(_to_image_block, delta.images))
        body = ResponseBody()
        body.received = delta
        return self._new_response(
            message=_message(
                self._to_blocks(), self._partial_tool_calls() if self._reply.calls else ()
            ),
            raw=body,
            delta=delta.text,
            logprobs=_to_logprobs(delta.logprobs) if delta.logprobs else None,
            additional_kwargs={"thinking_delta": delta.reasoning} if delta.reasoning else {},
        )

    def _to_blocks(self) -> list[ContentBlock]:
        blocks: list[ContentBlock] = []
        if self._reply.reasoning:
            blocks.append(self._new_thinking_block(content=self._reply.reasoning))
        if self._reply.text:
            blocks.append(self._new_text_block(text=self._reply.text))
        if self._images:
            blocks += (image.model_copy() for image in self._images)
        return blocks

    def _partial_tool_calls(self) -> tuple[ToolCall, ...]:
        """Return the incomplete calls, for display: LlamaIndex runs only those of the last item."""
        calls = list(self._reply.calls.values())[: 1 if self._single_tool_call else None]
        return tuple(
            [
                ToolCall(call.id, call.name, call.arguments, call.incomplete_arguments())
                for call in calls
            ]
        )
