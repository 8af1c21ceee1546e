"""A conversation in an order that the API takes.

This module knows which message may follow which, and what each role may carry (source: the API
page, and upstreams that are strict about it). Memories cut histories anywhere: what lost its
neighbour is put where it may stand, and nothing is left out. It knows no JSON key.
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
    """Yield the messages so that every call has one result, right behind it.

    Media that a role cannot carry, and results without their call, follow in a user message, after
    all results of the turn; a call without its result gets one that says so. Raises
    ConfigurationError if the API cannot carry it at all.
    """
    pending: list[str] = []
    others: tuple[Part, ...] = ()
    for message in (*messages, _END):
        if message.role != "tool":
            yield from map(_missing_result, pending)
            if others:
                yield Message("user", others)
            pending, others = [call.id for call in message.tool_calls], ()
        if message is _END:
            return
        if message.role == "tool" and not _take_pending_call(message, pending):
            others += _to_user_parts(message)
        else:
            parts, apart = _split_supported(message)
            yield replace(message, parts=parts) if apart else message
            others += apart


def _take_pending_call(result: Message, pending: list[str]) -> bool:
    """Tell whether a result has its call, which then waits no longer."""
    if not result.tool_call_id:
        raise ConfigurationError("A tool message needs the tool_call_id of its call.")
    if result.tool_call_id in pending:
        pending.remove(result.tool_call_id)
        return True
    _log.info("A result without its call goes out as a user message: %s", result.tool_call_id)
    return False


def _missing_result(call_id: str) -> Message:
    _log.info("A call without a result gets one that says so: %s", call_id)
    return Message("tool", (Text("There is no result of this call."),), tool_call_id=call_id)


def _to_user_parts(result: Message) -> tuple[Part, ...]:
    return Text(f"Content of tool result {result.tool_call_id}:"), *result.parts


def _split_supported(message: Message) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Part what a message can carry from what must follow it."""
    others = tuple([part for part in message.parts if not isinstance(part, Text)])
    if not others or message.role == "user":
        return message.parts, ()
    words = tuple(part for part in message.parts if isinstance(part, Text))
    match message.role:
        case "tool":
            return words, _to_user_parts(replace(message, parts=others))
        case "assistant":
            return words, (Text("Content of the answer above:"), *others)
    kind = type(others[0]).__name__.lower()
    raise UnsupportedContentError(
        f"The API carries no {kind} in a message of role {message.role!r}; "
        "put it into a user message."
    )
