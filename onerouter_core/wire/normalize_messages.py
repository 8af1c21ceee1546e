"""Normalize a conversation: an order of messages, and parts per role, that the API accepts.

The API (source: the API page, and upstreams that are strict about it) wants each tool call
followed by its one result, and media only in user messages. A chat memory may cut a history
anywhere. A message that lost its neighbour is moved, and nothing is left out. No JSON key here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace

from onerouter_core.errors import ConfigurationError, UnsupportedContentError
from onerouter_core.types import Message, Part, Text

_log = logging.getLogger("onerouter_core")
_END = Message("user")


def normalize(messages: Iterable[Message]) -> Iterator[Message]:
    """Yield the messages with exactly one result for every tool call, directly after it.

    * A call without a result gets a result with a text that says so.
    * A result without its call goes into a user message after all results of the turn.
    * Media that a role cannot carry (tool and assistant) go into the same user message.

    Raises ConfigurationError for a tool result without an id, and UnsupportedContentError for
    media in a system or developer message.
    """
    pending_ids: list[str] = []
    moved: tuple[Part, ...] = ()
    for message in (*messages, _END):
        if message.role != "tool":
            yield from map(_missing_result, pending_ids)
            if moved:
                yield Message("user", moved)
            pending_ids, moved = [call.id for call in message.tool_calls], ()
        if message is _END:
            return
        if message.role == "tool" and not _take_pending_call(message, pending_ids):
            moved += _to_user_parts(message)
        else:
            kept, unsupported = _split_supported(message)
            yield replace(message, parts=kept) if unsupported else message
            moved += unsupported


def _take_pending_call(result: Message, pending_ids: list[str]) -> bool:
    """Remove the id of a result's call from the pending ones; return whether it was there."""
    if not result.tool_call_id:
        raise ConfigurationError("A tool message needs the tool_call_id of its call.")
    if result.tool_call_id in pending_ids:
        pending_ids.remove(result.tool_call_id)
        return True
    _log.info("A tool result without its call is sent as a user message: %s", result.tool_call_id)
    return False


def _missing_result(call_id: str) -> Message:
    _log.info("A tool call without a result is sent with a result that says so: %s", call_id)
    return Message("tool", (Text("There is no result of this call."),), tool_call_id=call_id)


def _to_user_parts(result: Message) -> tuple[Part, ...]:
    """Return the parts of a tool result for a user message, after a line that names the call."""
    return Text(f"Content of tool result {result.tool_call_id}:"), *result.parts


def _split_supported(message: Message) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Return the parts that a message of this role can carry, and those for a user message."""
    media = tuple([part for part in message.parts if not isinstance(part, Text)])
    if not media or message.role == "user":
        return message.parts, ()
    texts = tuple(part for part in message.parts if isinstance(part, Text))
    match message.role:
        case "tool":
            return texts, _to_user_parts(replace(message, parts=media))
        case "assistant":
            return texts, (Text("Content of the answer above:"), *media)
    kind = type(media[0]).__name__.lower()
    raise UnsupportedContentError(
        f"The API carries no {kind} in a message of role {message.role!r}; "
        "put it into a user message."
    )
