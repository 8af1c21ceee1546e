"""Immutable value types that both frameworks and the wire format share.

A value has a type here if both frameworks need it, or if the gateway sends or receives it;
everything else stays in `Reply.raw`. This module knows no framework, no JSON key of the API and no
other module of the package. Source of the meanings: the gateway's API page, and its documentation
of multimodal input, prompt caching and reasoning.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeAlias

Json: TypeAlias = Mapping[str, Any]
"""A JSON object."""

Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]
"""Author of a message."""


# --- content parts ---


@dataclass(frozen=True, slots=True)
class CacheControl:
    """Prompt-cache breakpoint: the upstream may cache the prompt up to the part that has it."""

    ttl: str | None = None
    """Time to live of the cache entry: "5m" or "1h". None: the upstream's default."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text part."""

    text: str
    """The text."""

    cache: CacheControl | None = None
    """Prompt-cache breakpoint after this part. None: no breakpoint."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image part: a URL, or base64 data with its media type."""

    url: str | None = None
    """An http, https or data URL."""

    data: str | None = None
    """Base64 of the file; needs `media_type`."""

    media_type: str | None = None
    """Media type (RFC 6838) of `data`, such as "image/png"."""

    detail: str | None = None
    """Resolution at which the model reads the image: "low", "high" or "auto". None: the
    upstream's default."""

    cache: CacheControl | None = None
    """Prompt-cache breakpoint after this part. None: no breakpoint."""


@dataclass(frozen=True, slots=True)
class Audio:
    """An audio part of a message, or the audio of a reply."""

    data: str
    """Base64 of the audio."""

    format: str
    """Format of `data`, such as "wav" or "mp3"."""

    transcript: str | None = None
    """Text of the speech; in replies only, and None if the upstream sends none."""

    cache: CacheControl | None = None
    """Prompt-cache breakpoint after this part. None: no breakpoint."""


@dataclass(frozen=True, slots=True)
class Video:
    """A video part: a URL, or base64 data with its media type."""

    url: str | None = None
    """An http, https or data URL."""

    data: str | None = None
    """Base64 of the file; needs `media_type`."""

    media_type: str | None = None
    """Media type (RFC 6838) of `data`, such as "video/mp4"."""

    cache: CacheControl | None = None
    """Prompt-cache breakpoint after this part. None: no breakpoint."""


@dataclass(frozen=True, slots=True)
class File:
    """A document part: a URL, or base64 data with its media type."""

    url: str | None = None
    """An http, https or data URL."""

    data: str | None = None
    """Base64 of the file; needs `media_type`."""

    media_type: str | None = None
    """Media type (RFC 6838) of `data`, such as "application/pdf"."""

    filename: str | None = None
    """File name that is sent. None: "document" with the extension of the media type."""

    cache: CacheControl | None = None
    """Prompt-cache breakpoint after this part. None: no breakpoint."""


Part: TypeAlias = Text | Image | Audio | Video | File
"""Any content part."""


# --- messages and tools ---


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call of the model. Of `parsed` and `error` a decoded call has exactly one."""

    id: str
    """Id of the call; the tool's result refers to it."""

    name: str
    """Name of the tool."""

    arguments: str = "{}"
    """Arguments as the model wrote them: JSON text, which may be invalid or cut off."""

    parsed: Json | None = None
    """Arguments as an object. None if `arguments` is not one complete JSON object."""

    error: str | None = None
    """Reason why the arguments are invalid. Such a call must not be run. None if they are valid."""

    extra: Json = field(default_factory=dict)
    """Other keys of the call as the gateway sent them, such as a thought signature; they are sent
    back unchanged. Those of its function are under "function"."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    """Author of the message."""

    parts: tuple[Part, ...] = ()
    """Content, in order."""

    name: str | None = None
    """Name of the author, to tell apart authors of one role. It is not sent with tool results."""

    tool_calls: tuple[ToolCall, ...] = ()
    """Tool calls of an assistant message."""

    tool_call_id: str | None = None
    """Id of the call that a tool message answers."""

    reasoning: str | None = None
    """Reasoning text of an assistant message. An empty one is sent as "reasoning_content" only."""

    reasoning_keys: tuple[str, ...] = ("reasoning",)
    """Keys under which the reasoning text is sent: those of `Reply.reasoning_keys`. "reasoning" is
    left out if there are `reasoning_details`, which have the same text."""

    reasoning_details: tuple[Json, ...] = ()
    """Reasoning blocks of an assistant message, signatures included, as the gateway sent them.
    They are sent back unchanged."""

    refusal: str | None = None
    """Text with which the model declined to answer."""

    extra: Json = field(default_factory=dict)
    """Keys of an assistant message that are sent back unchanged: see `Reply.message_extra`."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call."""

    name: str
    """Name of the function. One that the API does not allow is encoded and decoded again."""

    description: str = ""
    """Description that the model reads."""

    parameters: Json = field(default_factory=dict)
    """JSON schema of the arguments. Empty: an object without properties."""

    strict: bool | None = None
    """Whether the upstream must hold the arguments to the schema, which must then be strict (see
    `to_strict_schema`). False and None are not sent."""

    cache: CacheControl | None = None
    """Prompt-cache breakpoint after this tool. None: no breakpoint."""


@dataclass(frozen=True, slots=True)
class NamedTool:
    """Tool choice that forces one tool."""

    name: str
    """Name of a tool in the request."""


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """Response format that asks for JSON of a schema."""

    name: str
    """Name of the schema: 1 to 64 letters, digits, underscores and hyphens (see `schema_name`)."""

    schema: Json
    """The JSON schema."""

    strict: bool | None = None
    """Whether the upstream must hold the answer to the schema, which must then be strict (see
    `to_strict_schema`). False and None are not sent."""

    description: str | None = None
    """Description that the model reads."""

    in_prompt: bool = field(default=False, repr=False)  # the repr is in LangChain's cache keys
    """Whether to ask in JSON mode, with the schema in a system message: for a model that has no
    format of type json_schema. An empty schema is not in the message."""


ToolChoice: TypeAlias = Literal["auto", "none", "required"] | NamedTool
"""Tool choice: "auto" lets the model decide, "none" forbids tool calls, "required" demands at least
one call, and a NamedTool demands a call of that tool."""


@dataclass(frozen=True, slots=True)
class Request:
    """A chat completion request."""

    model: str
    """Model id, such as "deepseek/deepseek-v4-flash"."""

    messages: tuple[Message, ...]
    """The conversation, oldest message first; at least one."""

    tools: tuple[Tool | Json, ...] = ()
    """Tools that the model may call. A mapping is a tool of the gateway itself (such as web
    search), and is sent as it is."""

    tool_choice: ToolChoice | None = None
    """Tool choice. None: the upstream's default, "auto" if there are tools."""

    parameters: Json = field(default_factory=dict)
    """Values of the fields of `RequestFields`, by field name; those that are None are left out."""


# --- replies ---


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one reply. None: the gateway does not report the count.

    Details are parts of the totals.
    """

    input_tokens: int | None = None
    """Tokens of the prompt, cached ones included."""

    output_tokens: int | None = None
    """Tokens of the answer, reasoning included."""

    total_tokens: int | None = None
    """Tokens of prompt and answer."""

    cached_tokens: int | None = None
    """Input tokens that were read from the prompt cache."""

    cache_write_tokens: int | None = None
    """Input tokens that were written to the prompt cache."""

    input_audio_tokens: int | None = None
    """Input tokens of audio."""

    input_image_tokens: int | None = None
    """Input tokens of images."""

    input_video_tokens: int | None = None
    """Input tokens of video."""

    reasoning_tokens: int | None = None
    """Output tokens of reasoning."""

    output_audio_tokens: int | None = None
    """Output tokens of audio."""

    output_image_tokens: int | None = None
    """Output tokens of images."""

    raw: Json = field(default_factory=dict)
    """The usage object as the gateway sent it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete reply, decoded from one body or summed up from a stream."""

    text: str = ""
    """Text of the answer."""

    reasoning: str = ""
    """Reasoning text."""

    reasoning_keys: tuple[str, ...] = ()
    """Keys under which the reasoning text came: "reasoning" (also for parts of the content),
    "reasoning_content". An empty "reasoning_content" counts: some upstreams want it back."""

    reasoning_details: tuple[Json, ...] = ()
    """Reasoning blocks, signatures included, to be sent back in later turns."""

    tool_calls: tuple[ToolCall, ...] = ()
    """Tool calls."""

    refusal: str | None = None
    """Text with which the model declined to answer."""

    images: tuple[Image, ...] = ()
    """Images that the model made."""

    audio: Audio | None = None
    """Audio that the model made."""

    annotations: tuple[Json, ...] = ()
    """Annotations as the gateway sent them, citations of web pages for example."""

    logprobs: Json | None = None
    """Log probabilities as the gateway sent them."""

    finish_reason: str | None = None
    """Reason for the end as the gateway sent it: "stop", "tool_calls", "length", "content_filter",
    or an upstream's own value. None in a partial reply."""

    native_finish_reason: str | None = None
    """Finish reason in the upstream's own terms."""

    usage: Usage | None = None
    """Token counts. None if the gateway sent none."""

    cost: float | None = None
    """Cost in USD, discounts deducted. None if the gateway did not report it."""

    cost_details: Json | None = None
    """Parts of the cost in USD, as the gateway sent them."""

    model: str | None = None
    """Model that answered, as the upstream spells its id; another one than requested if a fallback
    model did."""

    requested_model: str | None = None
    """Id in the request of the model that answered: the requested model's, or a fallback's."""

    provider: str | None = None
    """Upstream provider that served the request, such as "alibaba/cn"."""

    id: str | None = None
    """Generation id."""

    request_id: str | None = None
    """Request id, which the gateway's support asks for."""

    created: int | None = None
    """Time of creation: seconds since 1970 (Unix time)."""

    system_fingerprint: str | None = None
    """Configuration of the upstream's backend."""

    service_tier: str | None = None
    """Service tier that served the request, such as "standard" or "flex"."""

    headers: Json = field(default_factory=dict)
    """Response headers about rate limits ("x-ratelimit-..."), in lower case."""

    attempts: int = 1
    """Number of requests that the call has sent, retries included."""

    alternatives: tuple[Reply, ...] = ()
    """The other answers, if more than one was requested (`n` in `extra_body`)."""

    message_extra: Json = field(default_factory=dict)
    """Keys of the message that upstreams want back in later turns: "extra_content" (Google) and
    "provider_specific_fields" (LiteLLM), as the gateway sent them."""

    extra: Json = field(default_factory=dict)
    """Keys of the reply that have no field here, and known keys whose values have another type
    than documented."""

    raw: Json = field(default_factory=dict)
    """The completion as the gateway sent it; of a stream, the sum of its events."""


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """Increment of one tool call in a stream."""

    index: int
    """Position of the call in the reply, from 0. Every delta has it."""

    id: str | None = None
    """Id of the call; on exactly one delta of each call."""

    name: str | None = None
    """Name of the tool; on exactly one delta of each call."""

    arguments: str = ""
    """Next characters of the arguments."""


class ReplyDelta(NamedTuple):
    """Increment of a reply that one event of a stream adds.

    A tuple, unlike the other types: one is made for each token, and making a frozen dataclass takes
    three times as long.
    """

    text: str = ""
    """Next characters of the answer."""

    reasoning: str = ""
    """Next characters of the reasoning."""

    tool_calls: tuple[ToolCallDelta, ...] = ()
    """Increments of tool calls."""

    images: tuple[Image, ...] = ()
    """Images that this event brought."""

    logprobs: Json | None = None
    """Log probabilities of this event's tokens, as the gateway sent them."""

    final_reply: Reply | None = None
    """The complete reply; only in the last delta of a stream."""

    @property
    def end(self) -> Reply | None:
        """The complete reply; deprecated alias of `final_reply`."""
        warnings.warn("ReplyDelta.end is now final_reply", DeprecationWarning, stacklevel=2)
        return self.final_reply


@dataclass(frozen=True, slots=True)
class Citation:
    """A web page that an answer cites."""

    url: str
    """URL of the page."""

    title: str
    """Title of the page; its URL if there is none."""

    text: str = ""
    """Excerpt of the page."""

    start: int | None = None
    """Index of the first character of the answer that the citation supports, from 0."""

    end: int | None = None
    """Index after the last such character."""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token of an answer with its log probability."""

    token: str
    """Text of the token."""

    logprob: float
    """Natural logarithm of the token's probability: 0 or less."""

    data: tuple[int, ...] = ()
    """UTF-8 bytes of the token, 0 to 255 each; a token may be a part of a character."""

    others: tuple[TokenLogprob, ...] = ()
    """Likeliest tokens at this position, as many as `top_logprobs` asked for."""


# --- models ---


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Entry of a model in the gateway's model list. None: the gateway does not say.

    Prices are those of the cheapest upstream of the standard service tier; without such an
    upstream, the lowest of any tier.
    """

    id: str
    """Model id."""

    name: str = ""
    """Name for people to read."""

    context_window: int | None = None
    """Most tokens of prompt and answer together."""

    max_input_tokens: int | None = None
    """Most tokens of the prompt."""

    max_output_tokens: int | None = None
    """Most tokens of the answer."""

    input_modalities: tuple[str, ...] = ()
    """Kinds of input, in lower case: "text", "image", "audio", "video", "file". Empty: the gateway
    does not say."""

    output_modalities: tuple[str, ...] = ()
    """Kinds of output, in lower case. Empty: the gateway does not say."""

    tools: bool | None = None
    """Whether the model can call tools."""

    json_mode: bool | None = None
    """Whether the model has a JSON mode."""

    streaming: bool | None = None
    """Whether the model can stream."""

    input_price: Decimal | None = None
    """USD per input token."""

    output_price: Decimal | None = None
    """USD per output token."""

    upstreams: tuple[str, ...] = ()
    """Slugs of the upstream providers that serve the model, for `ProviderRouting`."""

    deprecated: bool = False
    """Whether the gateway marks the model as deprecated."""

    raw: Json = field(default_factory=dict, repr=False)
    """The entry as the gateway sent it."""

    @property
    def vision(self) -> bool | None:
        """Whether the model reads images. None: the gateway lists no input modalities."""
        return "image" in self.input_modalities if self.input_modalities else None

    @property
    def price(self) -> Decimal | None:
        """USD of one input and one output token, to compare models. None: a price is unknown."""
        if self.input_price is None or self.output_price is None:
            return None
        return self.input_price + self.output_price

    @property
    def free(self) -> bool | None:
        """Whether the model costs nothing. None: a price is unknown."""
        return None if self.price is None else self.price == 0
