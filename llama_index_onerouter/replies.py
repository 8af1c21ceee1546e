"""Reply and Piece to ChatResponse and CompletionResponse.

This module knows what LlamaIndex, its agents and the tracers around it read of a response, and
where. The last item of a stream is the same response that the unstreamed call would have given.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing, closing
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

from llama_index_onerouter.messages import DETAILS, WROTE
from llama_index_onerouter.raw import Raw, to_raw
from llama_index_onerouter.tools import to_block, to_entry
from onerouter_core.gateway import AsyncPieces, Pieces
from onerouter_core.schemas import read_growing_json
from onerouter_core.values import Citation, Image, Json, Piece, Reply, TokenLogprob, ToolCall, Usage
from onerouter_core.wire.details import read_citations, read_logprobs


def to_response(
    reply: Reply, *, one_call: bool = False, delta: str | None = None, thinking: str = ""
) -> ChatResponse:
    """Return the response; `one_call` keeps the first tool call, the others stay in `raw`."""
    calls = reply.tool_calls[:1] if one_call else reply.tool_calls
    return ChatResponse(
        message=_message(list(_blocks(reply)), calls, reply.refusal),
        raw=to_raw(reply.raw),
        delta=delta,
        logprobs=_logprobs(reply.logprobs),
        additional_kwargs=_facts(reply) | ({"thinking_delta": thinking} if thinking else {}),
    )


def to_completion(response: ChatResponse) -> CompletionResponse:
    """Return a chat response as a completion's; reasoning is in its additional_kwargs."""
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


def _message(
    blocks: list[ContentBlock], calls: tuple[ToolCall, ...], refusal: str | None = None
) -> ChatMessage:
    kept: dict[str, Any] = {"tool_calls": [to_entry(call) for call in calls]} if calls else {}
    if refusal is not None:
        kept["refusal"] = refusal
    if calls:
        blocks += (to_block(call) for call in calls)
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks, additional_kwargs=kept)


def _blocks(reply: Reply) -> Iterator[ContentBlock]:
    if reply.reasoning or reply.reasoning_details:
        yield ThinkingBlock(
            content=reply.reasoning or None,
            num_tokens=reply.usage.reasoning_tokens if reply.usage else None,
            additional_information={
                DETAILS: [dict(detail) for detail in reply.reasoning_details],
                **({WROTE: reply.model} if reply.model else {}),
            },
        )
    if reply.text:
        yield TextBlock(text=reply.text)
    yield from map(_image, reply.images)
    if reply.audio:
        yield AudioBlock(audio=reply.audio.data.encode(), format=reply.audio.format)
    for citation in read_citations(reply.annotations):
        yield _citation(citation, reply.text)


def _image(image: Image) -> ImageBlock:
    head, _, data = (image.url or "").partition(";base64,")
    if data:
        return ImageBlock(image=data.encode(), image_mimetype=head.removeprefix("data:"))
    return ImageBlock(url=image.url)


def _citation(citation: Citation, text: str) -> CitationBlock:
    place = {"start_index": citation.start, "end_index": citation.end}
    return CitationBlock(
        cited_content=TextBlock(text=citation.text or text[citation.start : citation.end]),
        source=citation.url,
        title=citation.title,
        additional_location_info={name: at for name, at in place.items() if at is not None},
    )


def _facts(reply: Reply) -> dict[str, Any]:
    """Return who answered, what it took and why it ended, as far as the gateway says."""
    facts = {
        **(_counts(reply.usage) if reply.usage else {}),
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
    return {name: fact for name, fact in facts.items() if fact is not None}


def _counts(usage: Usage) -> dict[str, int | None]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cached_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
    }


def _logprobs(logprobs: Json | None) -> list[list[LogProb]] | None:
    """Return each token with what might have stood in its place, itself first."""
    tokens = read_logprobs(logprobs)
    return [_alternatives(token) for token in tokens] if tokens else None


def _alternatives(token: TokenLogprob) -> list[LogProb]:
    others = (other for other in token.others if other.token != token.token)
    return [
        LogProb(token=one.token, logprob=one.logprob, bytes=list(one.data))
        for one in (token, *others)
    ]


# --- streams ---


def to_responses(pieces: Pieces, *, one_call: bool) -> ChatResponseGen:
    """Yield a response for each piece."""
    answer = _GrowingAnswer(one_call=one_call)
    with closing(pieces):
        for piece in pieces:
            yield answer.add(piece)


async def ato_responses(pieces: AsyncPieces, *, one_call: bool) -> ChatResponseAsyncGen:
    """Yield a response for each piece."""
    answer = _GrowingAnswer(one_call=one_call)
    async with aclosing(pieces):
        async for piece in pieces:
            yield answer.add(piece)


def to_completions(responses: ChatResponseGen) -> CompletionResponseGen:
    """Yield chat responses as a completion's."""
    with closing(responses):
        for response in responses:
            yield to_completion(response)


async def ato_completions(responses: ChatResponseAsyncGen) -> CompletionResponseAsyncGen:
    """Yield chat responses as a completion's."""
    async with aclosing(responses):
        async for response in responses:
            yield to_completion(response)


class _GrowingAnswer:
    """An answer that streams in; each response shows all of it so far."""

    def __init__(self, *, one_call: bool) -> None:
        self._one_call = one_call
        self._text = ""
        self._thoughts = ""
        self._images: list[ImageBlock] = []
        self._calls: dict[int, tuple[str, str, str]] = {}
        self._read: dict[int, tuple[int, dict[str, Any]]] = {}  # how far, and what was there

    def add(self, piece: Piece) -> ChatResponse:
        if piece.end is not None:
            return to_response(
                piece.end, one_call=self._one_call, delta=piece.text, thinking=piece.reasoning
            )
        self._grow(piece)
        return ChatResponse(
            message=_message(self._blocks(), self._calls_so_far() if self._calls else ()),
            raw=Raw(),
            delta=piece.text,
            logprobs=_logprobs(piece.logprobs) if piece.logprobs else None,
            additional_kwargs={"thinking_delta": piece.reasoning} if piece.reasoning else {},
        )

    def _grow(self, piece: Piece) -> None:
        self._text += piece.text
        self._thoughts += piece.reasoning
        if piece.images:
            self._images += map(_image, piece.images)
        for call in piece.tool_calls:
            call_id, name, arguments = self._calls.get(call.index, ("", "", ""))
            self._calls[call.index] = (
                call.id or call_id,
                call.name or name,
                arguments + call.arguments,
            )

    def _blocks(self) -> list[ContentBlock]:
        blocks: list[ContentBlock] = []
        if self._thoughts:
            blocks.append(ThinkingBlock(content=self._thoughts))
        if self._text:
            blocks.append(TextBlock(text=self._text))
        if self._images:
            blocks += (image.model_copy() for image in self._images)
        return blocks

    def _calls_so_far(self) -> tuple[ToolCall, ...]:
        """Return the calls as far as they came: shown to the user, run by nobody."""
        calls = list(self._calls.items())[: 1 if self._one_call else None]
        return tuple(
            ToolCall(call_id, name, arguments, dict(self._arguments_so_far(index, arguments)))
            for index, (call_id, name, arguments) in calls
        )

    def _arguments_so_far(self, index: int, arguments: str) -> dict[str, Any]:
        """Return them parsed, when a 32nd more has come: each time would cost their square."""
        length, read = self._read.get(index, (0, {}))
        if len(arguments) > length + length // 32:
            parsed = read_growing_json(arguments)
            read = parsed if isinstance(parsed, dict) else {}
            self._read[index] = len(arguments), read
        return read
