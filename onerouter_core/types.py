"""The nouns: frozen values that both frameworks and the wire can speak of.

This module knows no framework, no JSON key and no other module of ours. A value stands here only
when both frameworks need it or the gateway sends it; everything else travels in `Reply.raw`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeAlias

Json: TypeAlias = Mapping[str, Any]
Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class CacheControl:
    """A prompt-cache breakpoint after a part; `ttl` is "5m" or "1h", None is the gateway's own."""

    ttl: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """Words."""

    text: str
    cache: CacheControl | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """A picture: a URL (http or data), or base64 `data` with its `media_type`."""

    url: str | None = None
    data: str | None = None
    media_type: str | None = None
    detail: str | None = None
    cache: CacheControl | None = None


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound: base64 `data` and its `format`, such as "wav" or "mp3"; `transcript` on answers."""

    data: str
    format: str
    transcript: str | None = None
    cache: CacheControl | None = None


@dataclass(frozen=True, slots=True)
class Video:
    """A film: a URL (http or data), or base64 `data` with its `media_type`."""

    url: str | None = None
    data: str | None = None
    media_type: str | None = None
    cache: CacheControl | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A document: a URL (http or data), or base64 `data` with its `media_type`."""

    url: str | None = None
    data: str | None = None
    media_type: str | None = None
    filename: str | None = None
    cache: CacheControl | None = None


Part: TypeAlias = Text | Image | Audio | Video | File


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model asks for: raw `arguments`, and `parsed`, or `error` saying why not."""

    id: str
    name: str
    arguments: str = "{}"
    parsed: Json | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    parts: tuple[Part, ...] = ()
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    reasoning: str | None = None
    reasoning_details: tuple[Json, ...] = ()
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call; `parameters` is its JSON schema."""

    name: str
    description: str = ""
    parameters: Json = field(default_factory=dict)
    strict: bool | None = None
    cache: CacheControl | None = None


@dataclass(frozen=True, slots=True)
class NamedTool:
    """The tool choice that forces one tool."""

    name: str


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """The response format that asks for an object; `strict` needs a strict schema."""

    name: str
    schema: Json
    strict: bool | None = None
    description: str | None = None


ToolChoice: TypeAlias = Literal["auto", "none", "required"] | NamedTool


@dataclass(frozen=True, slots=True)
class Request:
    """A question to the gateway.

    `parameters` holds the constructor and per-call fields that are set, by their public names; a
    tool that is a plain mapping is one of the gateway's own and goes out as it is.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool | Json, ...] = ()
    tool_choice: ToolChoice | None = None
    parameters: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts; None where the gateway says nothing. The details are parts of the totals.

    `raw` is the count as the gateway sent it.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    input_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    input_video_tokens: int | None = None
    reasoning_tokens: int | None = None
    output_audio_tokens: int | None = None
    output_image_tokens: int | None = None
    raw: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer; `raw` is the completion as the gateway sent it, or as a stream adds up.

    `cost` is USD, after discount. `extra` holds what this version of the package has no name for.
    `headers` are the response's about rate limits. `alternatives` are the other choices when `n`
    was above one.
    """

    text: str = ""
    reasoning: str = ""
    reasoning_details: tuple[Json, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    refusal: str | None = None
    images: tuple[Image, ...] = ()
    audio: Audio | None = None
    annotations: tuple[Json, ...] = ()
    logprobs: Json | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    usage: Usage | None = None
    cost: float | None = None
    cost_details: Json | None = None
    model: str | None = None
    provider: str | None = None
    id: str | None = None
    request_id: str | None = None
    created: int | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    headers: Json = field(default_factory=dict)
    attempts: int = 1
    alternatives: tuple[Reply, ...] = ()
    extra: Json = field(default_factory=dict)
    raw: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the gateway says of a model; None, or no modalities, where it says nothing.

    Limits are in tokens. Prices are USD per token: of the cheapest upstream of the ordinary tier,
    or else the lowest of any. `raw` is the entry as the gateway sent it.
    """

    id: str
    name: str = ""
    context_window: int | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()
    tools: bool | None = None
    json_mode: bool | None = None
    streaming: bool | None = None
    input_price: Decimal | None = None
    output_price: Decimal | None = None
    upstreams: tuple[str, ...] = ()
    deprecated: bool = False
    raw: Json = field(default_factory=dict, repr=False)

    @property
    def vision(self) -> bool | None:
        """Whether it sees images; None if nothing is said of what it takes."""
        return "image" in self.input_modalities if self.input_modalities else None

    @property
    def price(self) -> Decimal | None:
        """A token in and a token out, in USD: a measure to compare models by."""
        if self.input_price is None or self.output_price is None:
            return None
        return self.input_price + self.output_price

    @property
    def free(self) -> bool | None:
        """Whether it costs nothing; None if no price is known."""
        return None if self.price is None else self.price == 0


@dataclass(frozen=True, slots=True)
class Citation:
    """A page that an answer cites, and which of the answer's characters rest on it."""

    url: str
    title: str
    text: str = ""
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token, its log probability, and the tokens that might have stood in its place."""

    token: str
    logprob: float
    data: tuple[int, ...] = ()
    others: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """Part of a streamed call: `index` always, `id` and `name` on one piece each."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


class ReplyDelta(NamedTuple):
    """What one event of a stream adds; the last piece of a stream is its only one with `final_reply`.

    `final_reply` is the whole reply. A tuple, unlike its neighbours: one is made per token, and making a
    frozen dataclass costs three times as much.
    """

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    images: tuple[Image, ...] = ()
    logprobs: Json | None = None
    final_reply: Reply | None = None

    @property
    def end(self) -> Reply | None:
        """The final reply; deprecated alias of `final_reply`."""
        warnings.warn("ReplyDelta.end is now final_reply", DeprecationWarning, stacklevel=2)
        return self.final_reply
