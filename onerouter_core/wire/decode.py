"""Decode a completion to a Reply; raise its error if it has no answer.

This module knows every key of a response, and how gateways vary it (source: gateway docs and
recorded calls). No type is trusted: a value of an unexpected type is kept in `Reply.extra`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from onerouter_core.errors import (
    ContentFilterError,
    LengthLimitError,
    MalformedReplyError,
    OneRouterError,
)
from onerouter_core.model_json import (
    has_non_finite,
    join_surrogates,
    parse_json,
    replace_half_escapes,
    without_non_finite,
)
from onerouter_core.types import Audio, Image, Json, Reply, ToolCall
from onerouter_core.wire.coerce import (
    as_count,
    as_items,
    as_json_text,
    as_mapping,
    as_number,
    as_text,
    omit,
)
from onerouter_core.wire.error_bodies import decode_error
from onerouter_core.wire.finish_reasons import finish_meaning
from onerouter_core.wire.tool_names import NO_TOOL_NAMES, ToolNames
from onerouter_core.wire.usage import decode_usage

_ROOT_KEYS = (
    *("id", "object", "created", "model", "provider", "request_id", "system_fingerprint"),
    *("service_tier", "cost", "cost_details", "usage", "choices"),
)
_TEXT_KEYS = ("provider", "service_tier", "system_fingerprint")
_CHOICE_KEYS = ("index", "message", "finish_reason", "native_finish_reason", "logprobs", "usage")
MESSAGE_KEYS = (
    *("role", "content", "reasoning", "reasoning_content", "reasoning_details", "tool_calls"),
    *("refusal", "images", "audio", "annotations", "function_call"),
)
"""Keys of a message that have a field in Reply; any other goes to `Reply.extra`."""

_PLAIN_KEYS = {"role", "content"}

REPLAYED_KEYS = ("extra_content", "provider_specific_fields")
"""Keys of a message that later turns need: Gemini's thought signature beside a text, in Google's
form (ai.google.dev, Thought signatures) and in LiteLLM's (BerriAI/litellm#16893)."""

_CALL_KEYS = ("index", "id", "type", "function")
_FUNCTION_KEYS = ("name", "arguments")

_ERROR_KEYS = ("error", "code")


@dataclass(slots=True)
class ReplyContext:
    """Context of a reply: facts beyond its bytes that its decoder needs."""

    names: ToolNames = NO_TOOL_NAMES
    """Names of the request's tools."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of the response, with names in lower case."""

    ends_turn: bool = False
    """Whether the request ended with a tool result: the model may have nothing to add."""


# Neither a file nor a request can hold such numbers as JSON. In arguments, null would be a guess:
# they become the text of an invalid call.
def with_finite_numbers(completion: Any) -> Any:
    """Return a completion with null for numbers that are NaN or infinite."""
    for choice in as_items(as_mapping(completion).get("choices")):
        for call in decode_calls(as_mapping(choice.get("message"))):
            function: Any = as_mapping(call.get("function"))
            arguments = function.get("arguments")
            if isinstance(arguments, dict) and has_non_finite(text := as_json_text(arguments)):
                function["arguments"] = text
    return without_non_finite(completion)


# Raises the error in the completion or in a choice, with all choices as `partial`. Raises
# LengthLimitError, ContentFilterError or MalformedReplyError if no choice has an answer.
def decode_reply(completion: Any, context: ReplyContext) -> Reply:
    """Return the reply in a completion, with the other choices as its alternatives."""
    choices = as_items(as_mapping(completion).get("choices"))
    if not choices or completion.get("error"):
        raise decode_error(
            completion,
            headers=context.headers,
            partial=decode_partial_reply(completion, context) if choices else None,
        )
    replies = [_decode_choice(completion, choice, context) for choice in choices]
    first, *others = sorted(replies, key=_is_empty)  # choices with an answer come first
    reply_with_alternatives = replace(first, alternatives=tuple(others)) if others else first
    for reply in replies:
        if error := _error_of_choice(reply):
            raise decode_error({**reply.raw, "error": error}, partial=reply_with_alternatives)
    if _is_empty(first) and not _may_be_empty(first, ends_turn=context.ends_turn):
        raise _empty_reply_error(reply_with_alternatives)
    return reply_with_alternatives


def decode_partial_reply(completion: Json, context: ReplyContext | None = None) -> Reply:
    """Return the first choice of a completion, complete or not; never raise.

    The keys of an error are left out of `raw` and `extra`: the error itself has its message, and
    some servers echo secrets in them.
    """
    choice = omit(next(iter(as_items(completion.get("choices"))), {}), _ERROR_KEYS)
    root = {**omit(completion, _ERROR_KEYS), "choices": [choice]}
    return _decode_choice(root, choice, context or ReplyContext(), is_cut=True)


def _decode_choice(
    root: Json, choice: Json, context: ReplyContext, *, is_cut: bool = False
) -> Reply:
    """Return the reply in one choice; `is_cut` if it may have ended anywhere."""
    message = as_mapping(choice.get("message"))
    # Moonshot streams the usage in the choice.
    usage = as_mapping(root.get("usage")) or as_mapping(choice.get("usage"))
    finish_reason = as_text(choice.get("finish_reason"))
    native_finish_reason = as_text(choice.get("native_finish_reason"))
    is_cut = is_cut or finish_meaning(finish_reason, native_finish_reason) == "length"
    content, is_plain = message.get("content"), message.keys() <= _PLAIN_KEYS
    if is_plain and isinstance(content, str) and content.isascii():
        fields: dict[str, Any] = {"text": content}
    else:
        fields = _decode_message(root, message, context.names, is_cut=is_cut)
    return Reply(
        **fields,
        logprobs=as_mapping(choice.get("logprobs")) or None,
        finish_reason=finish_reason,
        native_finish_reason=native_finish_reason,
        usage=decode_usage(usage) if usage else None,
        cost=_decode_cost(root, usage, context.headers),
        cost_details=as_mapping(root.get("cost_details"))
        or as_mapping(usage.get("cost_details"))
        or None,
        **_decode_identity(root, context.headers),
        **_decode_unknown_keys(root, choice, message),
        raw=root,
    )


def _decode_message(root: Json, message: Json, names: ToolNames, *, is_cut: bool) -> dict[str, Any]:
    """Return the fields of a Reply that come from its message."""
    text, images = decode_content(message.get("content"))
    calls = decode_calls(message)
    return {
        "text": join_surrogates(text),
        "reasoning": join_surrogates(decode_reasoning(message)),
        "reasoning_keys": decode_reasoning_keys(message),
        "reasoning_details": tuple(as_items(message.get("reasoning_details"))),
        "tool_calls": _doubt_blank_arguments(
            tuple(_iter_tool_calls(root, calls, names, is_cut=is_cut))
        ),
        "refusal": as_text(message.get("refusal")),
        "images": (*images, *decode_images(message)) if message.get("images") else images,
        "audio": _decode_audio(message["audio"]) if message.get("audio") else None,
        "annotations": tuple(as_items(message.get("annotations"))),
    }


def _decode_cost(root: Json, usage: Json, headers: Mapping[str, str]) -> float | None:
    """Return the cost in USD.

    OneRouter has it at the root, other gateways in `usage`, a LiteLLM proxy in a header. A
    negative number is not a cost.
    """
    candidates = (root.get("cost"), usage.get("cost"), headers.get("x-litellm-response-cost"))
    costs = [cost for cost in map(as_number, candidates) if cost is not None and cost >= 0]
    return costs[0] if costs else None


def _decode_identity(root: Json, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a Reply that identify it, and the model and upstream that served it."""
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


def _decode_unknown_keys(root: Json, choice: Json, message: Json) -> dict[str, Any]:
    """Return the keys without a field in Reply, and text fields with a value of another type."""
    replayed = {key: message[key] for key in REPLAYED_KEYS if as_mapping(message.get(key))}
    texts = {key: root[key] for key in _TEXT_KEYS if root.get(key) is not None}
    extra = {
        **omit(root, _ROOT_KEYS),
        **omit(choice, _CHOICE_KEYS),
        **omit(message, {*MESSAGE_KEYS, *replayed}),
        **{key: value for key, value in texts.items() if not isinstance(value, str)},
    }
    return {"message_extra": replayed, "extra": extra}


def _error_of_choice(reply: Reply) -> Any:
    """Return the error of a choice, or a text for a finish reason of failure; None for neither."""
    if error := reply.extra.get("error"):
        return error
    if finish_meaning(reply.finish_reason, reply.native_finish_reason) != "failure":
        return None
    reasons = filter(None, (reply.finish_reason, reply.native_finish_reason))
    return f"The upstream failed while it answered ({', '.join(reasons)})."


def _may_be_empty(reply: Reply, *, ends_turn: bool) -> bool:
    """Return whether a reply without content is an answer: the model has ended its turn.

    After a tool result it may have nothing to add (MoonshotAI/Kimi-K2#128, langchain#33390);
    anywhere, reasoning alone is an answer without text (MoonshotAI/kimi-code#520).
    """
    has_reasoning = bool(reply.reasoning or reply.reasoning_details)
    meaning = finish_meaning(reply.finish_reason, reply.native_finish_reason)
    return (ends_turn or has_reasoning) and meaning == "stop"


def _is_empty(reply: Reply) -> bool:
    return not any((reply.text, reply.tool_calls, reply.refusal, reply.images, reply.audio))


def _empty_reply_error(reply: Reply) -> OneRouterError:
    """Return the error for a reply without content, by its finish reason."""
    context = error_context(reply)
    match finish_meaning(reply.finish_reason, reply.native_finish_reason):
        case "length":
            message = "max_tokens was used up before the answer began."
            return LengthLimitError(message, **context)
        case "moderation":
            return ContentFilterError("Moderation withheld the answer.", **context)
    reason = reply.finish_reason
    return MalformedReplyError(
        f"The reply has no content and no tool call (finish reason {reason!r}).", **context
    )


def error_context(partial: Reply) -> dict[str, Any]:
    """Return the attributes of an error that come from a partial reply, and the reply itself."""
    return {
        "partial": partial,
        "model": partial.model,
        "provider": partial.provider,
        "request_id": partial.request_id,
        "generation_id": partial.id,
    }


# --- fields of a message: in a completion, or in a delta of a stream ---


def decode_content(content: Any) -> tuple[str, tuple[Image, ...]]:
    """Return the text and the images of a content, which is a string or a list of parts."""
    if isinstance(content, str):
        return content, ()
    parts = as_items(content)
    texts = (text for part in parts if (text := as_text(part.get("text"))))
    return "".join(texts), tuple(_decode_image_parts(parts))


def decode_images(message: Json) -> tuple[Image, ...]:
    """Return the images in `images`, which is beside the content."""
    return tuple(_decode_image_parts(as_items(message.get("images"))))


def _decode_image_parts(parts: list[Json]) -> Iterator[Image]:
    for part in parts:
        if url := as_text(as_mapping(part.get("image_url")).get("url")):
            yield Image(url=url)


def decode_reasoning(message: Json) -> str:
    """Return the reasoning text; gateways have it in one of four places, or in several."""
    for key in ("reasoning", "reasoning_content"):
        text = message.get(key)
        if text and isinstance(text, str):
            return text
    if details := message.get("reasoning_details"):
        items = as_items(details)
        texts = (as_text(item.get("text")) or as_text(item.get("summary")) for item in items)
        return "".join(text for text in texts if text)
    content = message.get("content")
    return "".join(_thinking_texts(content)) if isinstance(content, list) else ""


def _thinking_texts(content: list[Any]) -> Iterator[str]:
    """Yield the texts of Mistral's `thinking` parts (docs.mistral.ai, Reasoning): lists of texts.

    A gateway that translates Anthropic's format has one text in each.
    """
    for part in as_items(content):
        if part.get("type") == "thinking":
            thinking = part.get("thinking")
            yield as_text(thinking) or decode_content(thinking)[0]


def decode_reasoning_keys(message: Json) -> tuple[str, ...]:
    """Return the keys with a reasoning text, under which it is sent back in later turns.

    An empty `reasoning_content` is one: after a tool call, DeepSeek V4 rejects a message without
    the key (earendil-works/pi#3636). Details are sent back as such; thinking parts, which the API
    does not take, as `reasoning`.
    """
    keys = tuple([key for key in ("reasoning", "reasoning_content") if as_text(message.get(key))])
    if keys or message.get("reasoning_details"):
        return keys
    content = message.get("content")
    if isinstance(content, list) and any(_thinking_texts(content)):
        return ("reasoning",)
    return ("reasoning_content",) if message.get("reasoning_content") == "" else ()


# Audio formats by the first characters of their base64 data; any other data is pcm16.
_AUDIO_PREFIXES = {"UklGR": "wav", "SUQz": "mp3", "//": "mp3", "T2dn": "opus", "ZkxhQ": "flac"}


def _decode_audio(audio: Any) -> Audio | None:
    data = as_text(as_mapping(audio).get("data"))
    if data is None:
        return None
    formats = (name for prefix, name in _AUDIO_PREFIXES.items() if data.startswith(prefix))
    transcript = as_text(audio.get("transcript"))
    return Audio(data=data, format=next(formats, "pcm16"), transcript=transcript)


def _iter_tool_calls(
    root: Json, calls: list[Json], names: ToolNames, *, is_cut: bool
) -> Iterator[ToolCall]:
    ids = DistinctIds()
    for index, call in enumerate(calls):
        function = as_mapping(call.get("function"))
        call_id = ids.add(decode_call_id(call) or generate_call_id(root.get("id"), index))
        decoded = decode_tool_call(
            call_id,
            names.decode(as_text(function.get("name")) or ""),
            as_json_text(function.get("arguments")),
            cut=is_cut,
        )
        extra = unknown_call_keys(call)
        yield replace(decoded, extra=extra) if extra else decoded


def _doubt_blank_arguments(calls: tuple[ToolCall, ...]) -> tuple[ToolCall, ...]:
    """Return the calls; blank arguments are an error if those of another call are broken.

    Servers that give all calls of a stream one index may have mixed their arguments.
    """
    if all(call.error is None for call in calls):
        return calls
    error = "The arguments are missing: they may be in another call, whose arguments are broken."
    return tuple(
        call if call.arguments.strip() or call.error else replace(call, parsed=None, error=error)
        for call in calls
    )


def decode_calls(message: Json) -> list[Json]:
    """Return the tool calls of a message or a delta; a legacy `function_call` is one without id.

    OpenAI's API had it before November 2023; older proxies and fine-tuned models still send it.
    """
    if calls := as_items(message.get("tool_calls")):
        return calls
    legacy = as_mapping(message.get("function_call"))
    return [{"index": 0, "function": legacy}] if legacy else []


def unknown_call_keys(call: Json) -> dict[str, Any]:
    """Return the other keys of a tool call, and those of its function under "function".

    Gemini 3 has a thought signature in `extra_content` and rejects a history without it
    (QuantumNous/new-api#2255); LiteLLM has it in `provider_specific_fields`, at either place.
    """
    extra = omit(call, _CALL_KEYS)
    if of_function := omit(as_mapping(call.get("function")), _FUNCTION_KEYS):
        extra["function"] = of_function
    return {key: value for key, value in extra.items() if value is not None}


def decode_call_id(call: Json) -> str | None:
    """Return the id of a tool call; a blank one is none (vercel/ai#18440)."""
    call_id = call.get("id")
    return call_id if isinstance(call_id, str) and call_id.strip() else None


def generate_call_id(reply_id: Any, index: int) -> str:
    """Return an id for a tool call that came without one, different in every reply."""
    return f"call_{as_text(reply_id) or uuid4().hex}_{index}"


class DistinctIds:
    """Ids of the tool calls of a reply: results are matched to calls by id.

    Some servers send one id for all calls of a reply.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}  # the last number of each id: counting is done once

    def add(self, call_id: str) -> str:
        """Return an id that differs from those before: the received one, numbered if needed."""
        distinct = call_id
        while distinct in self._taken:
            self._numbers[call_id] = self._numbers.get(call_id, 0) + 1
            distinct = f"{call_id}_{self._numbers[call_id]}"
        self._taken.add(distinct)
        return distinct


# Arguments are never repaired: a tool would run on guessed values. A raw line break in a string
# is no damage, and half of an escaped emoji is replaced: see `model_json`. Blank arguments are
# an empty object, but not if `cut`: the length limit, or the end of a stream, cut the reply.
def decode_tool_call(call_id: str, name: str, arguments: str, *, cut: bool) -> ToolCall:
    """Return a tool call; arguments that are not one complete JSON object make its `error`."""
    arguments = replace_half_escapes(join_surrogates(arguments))
    if not arguments.strip() and not cut:
        return ToolCall(call_id, name, arguments, parsed={})
    error = "The arguments were cut off." if cut else "The arguments are not a JSON object."
    try:
        parsed = parse_json(arguments)
    except ValueError as reason:
        return ToolCall(call_id, name, arguments, error=f"{error} ({reason})")
    if not isinstance(parsed, dict):
        return ToolCall(call_id, name, arguments, error=error)
    return ToolCall(call_id, name, arguments, parsed=parsed)
