"""Conversion of LlamaIndex's ChatMessage to the core's Message.

This module knows the roles and the content blocks: which blocks become content parts, which modify
a part, and which are not sent. Its functions are pure: they change none of their arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from llama_index.core.base.llms.types import (
    AudioBlock,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)

from llama_index_onerouter.media import to_part
from llama_index_onerouter.tools import to_tool_calls
from onerouter_core import CacheControl, Message, Part, ReplayPolicy, Role, Text, should_replay
from onerouter_core.errors import UnsupportedContentError
from onerouter_core.wire import REPLAYED_KEYS, as_items, as_text, decode_cache_control

DETAILS_KEY = "reasoning_details"
"""Key of a ThinkingBlock's `additional_information` that holds the upstream's reasoning details.

Only blocks of OneRouterLLM have it; the reasoning of other packages is not sent back.
"""

MODEL_KEY = "model"
"""Key of a ThinkingBlock's `additional_information` that holds the id of the reasoning model."""

REQUESTED_MODEL_KEY = "requested_model"
"""Key of the id that was requested of the reasoning model, beside `MODEL_KEY`; and in a message's
`additional_kwargs`, beside keys of the reply that are sent back to that model only."""

REASONING_KEYS_KEY = "reasoning_keys"
"""Key of `Reply.reasoning_keys`, if not the usual ones: in a ThinkingBlock, beside `MODEL_KEY`; in
the `additional_kwargs` of a message whose reasoning was empty."""

_ROLES: dict[str, Role] = {"chatbot": "assistant", "model": "assistant", "function": "tool"}
_DEFAULT_TTL = "5m"


def to_messages(
    messages: Iterable[ChatMessage], model: str, replay: ReplayPolicy = "same_model"
) -> tuple[Message, ...]:
    """Return the conversation to send to a model.

    Args:
        messages: The conversation, oldest message first.
        model: Id of the model that is called.
        replay: Assistant messages whose reasoning is sent back: those of `model` ("same_model"),
            all ("always"), or none ("never").

    Raises:
        UnsupportedContentError: The API does not support a content block.
    """
    return tuple([_to_message(message, model, replay) for message in messages])


def _to_message(message: ChatMessage, model: str, replay: ReplayPolicy) -> Message:
    llama_role = message.role.value
    role = _ROLES.get(llama_role, cast("Role", llama_role))
    extra = message.additional_kwargs
    parts = tuple(_to_parts(message.blocks, role))
    others = [block for block in message.blocks if not isinstance(block, TextBlock)]
    if not (extra or others or parts == (Text(""),)):
        return Message(role, parts)
    parts = _cached(parts, extra)
    if role == "assistant":
        is_own = _is_by_model(extra, model, "same_model")  # whatever the policy for reasoning
        calls = to_tool_calls(message)
        return Message(
            role,
            () if parts == (Text(extra.get("refusal") or ""),) else parts,  # see `_refusal_text`
            name=_as_string(extra.get("name")),
            tool_calls=tuple(calls if is_own else (replace(call, extra={}) for call in calls)),
            refusal=extra.get("refusal"),
            extra={key: extra[key] for key in REPLAYED_KEYS if key in extra} if is_own else {},
            **_reasoning_fields(message, model, replay),
        )
    if role == "tool":  # a call without an id has its name as its id
        call_id = extra.get("tool_call_id") or extra.get("name")
        return Message(role, parts, tool_call_id=_as_string(call_id))
    return Message(role, parts, name=_as_string(extra.get("name")))


def _as_string(value: Any) -> str | None:
    """Return a name or id as a string: additional_kwargs may hold values of any type."""
    return None if value is None else str(value)


def _is_by_model(extra: Mapping[str, Any], model: str, replay: ReplayPolicy) -> bool:
    """Return whether a message of OneRouterLLM has keys to send back to a model."""
    author = as_text(extra.get(REQUESTED_MODEL_KEY))
    return author is not None and should_replay(replay, author, model)


def _reasoning_fields(message: ChatMessage, model: str, replay: ReplayPolicy) -> dict[str, Any]:
    """Return the reasoning fields of an assistant message, without reasoning of other packages."""
    thinking = [block for block in message.blocks if isinstance(block, ThinkingBlock)]
    replayed = [
        (block.content or "", block.additional_information)
        for block in thinking
        if DETAILS_KEY in block.additional_information
        and should_replay(replay, _author(block.additional_information), model)
    ]
    if replayed:
        return {
            "reasoning": "".join(text for text, _ in replayed) or None,
            "reasoning_keys": _reasoning_keys(replayed[0][1]),
            "reasoning_details": tuple(
                detail for _, info in replayed for detail in as_items(info[DETAILS_KEY])
            ),
        }
    keys = _reasoning_keys(message.additional_kwargs)
    if "reasoning_content" in keys and _is_by_model(message.additional_kwargs, model, replay):
        return {"reasoning": "", "reasoning_keys": keys}
    return {}


def _author(info: Mapping[str, Any]) -> str | None:
    """Return the id of the reasoning model: the requested one, in older blocks the served one."""
    return as_text(info.get(REQUESTED_MODEL_KEY)) or as_text(info.get(MODEL_KEY))


def _reasoning_keys(info: Mapping[str, Any]) -> tuple[str, ...]:
    keys = info.get(REASONING_KEYS_KEY)
    return tuple(keys) if isinstance(keys, (list, tuple)) else ("reasoning",)


def _to_parts(blocks: Sequence[Any], role: Role) -> list[Part]:
    parts: list[Part] = []
    for block in blocks:
        if isinstance(block, TextBlock):
            if block.text or len(blocks) == 1:  # upstreams reject an empty text part among others
                parts.append(Text(block.text))
        elif isinstance(block, CachePoint):
            parts[-1:] = [_with_cache_control(parts, block, role)]
        else:
            parts += _block_parts(block, role)
    return parts


def _block_parts(block: Any, role: Role) -> Iterator[Part]:
    match block:
        case ImageBlock() | AudioBlock() | VideoBlock() | DocumentBlock():
            yield to_part(block)
        case CitableBlock():
            yield Text(f"{block.title} (source: {block.source})")
            yield from _to_parts(block.content, role)
        case CitationBlock() | ThinkingBlock() | ToolCallBlock() if role == "assistant":
            pass  # a citation repeats the text; reasoning and tool calls have fields of Message
        case _:
            kind = type(block).__name__
            raise UnsupportedContentError(
                f"The API does not support a {kind} in a message of role {role!r}. "
                "Remove the block."
            )


def _cached(parts: tuple[Part, ...], extra: Mapping[str, Any]) -> tuple[Part, ...]:
    """Return the parts of a message; `cache_control` among its keywords marks the last text.

    llama-index-core's DocumentContextExtractor sends it so, as Anthropic's class takes it.
    """
    cache = decode_cache_control(extra)
    if cache is None or not parts:
        return parts
    texts = [at for at, part in enumerate(parts) if isinstance(part, Text)]
    at = texts[-1] if texts else len(parts) - 1
    marked = replace(parts[at], cache=parts[at].cache or cache)
    return (*parts[:at], marked, *parts[at + 1 :])


def _with_cache_control(parts: list[Part], point: CachePoint, role: Role) -> Part:
    """Return the last part with the cache control of a CachePoint."""
    if not parts:
        raise UnsupportedContentError(
            f"The CachePoint of a message of role {role!r} has no content before it. "
            "Place it after the block to cache."
        )
    ttl = point.cache_control.ttl
    return replace(parts[-1], cache=CacheControl(None if ttl == _DEFAULT_TTL else ttl))
