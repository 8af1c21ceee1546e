"""ChatMessage to Message.

This module knows roles and blocks: which are content, which are marks on content, and which are
none of the API's business. It is made of pure functions and changes nothing that it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
from llama_index_onerouter.tools import to_calls
from onerouter_core import CacheControl, Message, Part, ReplayPolicy, Role, Text, should_replay
from onerouter_core.errors import UnsupportedContentError
from onerouter_core.wire import as_items, as_text

DETAILS_KEY = "reasoning_details"
"""Where a ThinkingBlock of ours keeps what the upstream wants back; others' have no such key."""

MODEL_KEY = "model"
"""Where it keeps which model reasoned."""

_ROLES: dict[str, Role] = {"chatbot": "assistant", "model": "assistant", "function": "tool"}
_DEFAULT_TTL = "5m"


def to_messages(
    messages: Iterable[ChatMessage], model: str, replay: ReplayPolicy = "same_model"
) -> tuple[Message, ...]:
    """Return the conversation for a model; raise UnsupportedContentError if it cannot be carried.

    `replay` says whose reasoning goes back: that of the model that is asked now, all, or none.
    """
    return tuple([_to_message(message, model, replay) for message in messages])


def _to_message(message: ChatMessage, model: str, replay: ReplayPolicy) -> Message:
    said = message.role.value
    role = _ROLES.get(said, cast("Role", said))
    parts, given = tuple(_to_parts(message.blocks, role)), message.additional_kwargs
    if role == "assistant":
        return Message(
            role,
            parts,
            name=given.get("name"),
            tool_calls=tuple(to_calls(message)),
            refusal=given.get("refusal"),
            **_reasoning_fields(message.blocks, model, replay),
        )
    if role == "tool":  # where a call had no id, its name was made its id
        return Message(role, parts, tool_call_id=given.get("tool_call_id") or given.get("name"))
    return Message(role, parts, name=given.get("name"))


def _reasoning_fields(blocks: Sequence[Any], model: str, replay: ReplayPolicy) -> dict[str, Any]:
    """Return the reasoning that goes back; that of another package means nothing here."""
    thoughts = [block for block in blocks if isinstance(block, ThinkingBlock)]
    if not thoughts:
        return {}
    facts = [(block.content or "", block.additional_information) for block in thoughts]
    ours = [
        (text, as_items(known[DETAILS_KEY]))
        for text, known in facts
        if DETAILS_KEY in known and should_replay(replay, as_text(known.get(MODEL_KEY)), model)
    ]
    return {
        "reasoning": "".join(text for text, _ in ours) or None,
        "reasoning_details": tuple(detail for _, details in ours for detail in details),
    }


def _to_parts(blocks: Sequence[Any], role: Role) -> list[Part]:
    parts: list[Part] = []
    for block in blocks:
        if isinstance(block, TextBlock):
            if block.text or len(blocks) == 1:  # upstreams refuse an empty part
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
            pass  # the first is in the text, the others have places of their own
        case _:
            kind = type(block).__name__
            raise UnsupportedContentError(
                f"The API carries no {kind} in a message of role {role!r}."
            )


def _with_cache_control(parts: list[Part], point: CachePoint, role: Role) -> Part:
    if not parts:
        raise UnsupportedContentError(
            f"A CachePoint marks what stands before it; in the {role!r} message nothing does."
        )
    ttl = point.cache_control.ttl
    return replace(parts[-1], cache=CacheControl(None if ttl == _DEFAULT_TTL else ttl))
