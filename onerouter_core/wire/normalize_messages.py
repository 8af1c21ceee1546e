"""Normalize a conversation: an order of messages, and parts per role, that the API accepts.

The API (source: the API page, and upstreams that are strict about it) wants each tool call
followed by its one result, media only in user messages, and no empty message. A chat memory may
cut a history anywhere, and agents put messages between calls and results. A message that lost its
neighbour is moved, and nothing is left out that says anything. No JSON key here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from onerouter_core.errors import UnsupportedContentError
from onerouter_core.types import Message, Part, Text
from onerouter_core.wire.call_ids import Slot, encode_call_ids, match_results

_log = logging.getLogger("onerouter_core")
_NO_RESULT = Text("There is no result of this call.")
_EMPTY_RESULT = Text("The result is empty.")
_CONTENT_FOLLOWS = Text("The content follows in a user message.")
_NO_TEXT = Text("The answer has no text.")


def normalize(messages: Sequence[Message]) -> Iterable[Message]:
    """Return the messages with exactly one result for every tool call, directly after it.

    * A result that stands later in the conversation is moved to its call.
    * A call without a result gets a result with a text that says so.
    * A result without its call goes into a user message after the results that it stands among.
    * Media that a role cannot carry (tool and assistant) go into the same user message.
    * Blank texts are left out, as are messages without content other than the last one.

    Raises ConfigurationError for a tool result without an id, and UnsupportedContentError for
    media in a system or developer message.
    """
    return messages if all(map(_is_plain, messages)) else _normalize(messages)


def _is_plain(message: Message) -> bool:
    """Return whether a message has one text, which is not blank, and nothing else to look at."""
    text = message.parts[0] if len(message.parts) == 1 else None
    is_text = isinstance(text, Text) and not text.text.isspace() and text.text != ""
    return is_text and not message.tool_calls and message.role != "tool"


def _normalize(messages: Iterable[Message]) -> Iterator[Message]:
    history = tuple(map(_without_blank_texts, messages))
    with_tools = [message for message in history if message.tool_calls or message.role == "tool"]
    results, ids = (match_results(history), encode_call_ids(history)) if with_tools else ({}, {})
    matched = set(results.values())
    moved: tuple[Part, ...] = ()
    for index, message in enumerate(history):
        if message.role == "tool":
            moved += () if index in matched else _unmatched_result(message)
            continue
        if moved:
            yield Message("user", moved)
        moved = ()
        is_last = index + 1 == len(history)
        if not is_last and _is_empty(message):
            continue
        filled = message if is_last else _with_some_content(message)
        answered = _with_results(index, filled, history, results, ids)
        for sent in answered if filled.tool_calls else (filled,):
            supported, unsupported = _split_supported(sent)
            yield supported
            moved += unsupported
    if moved:
        yield Message("user", moved)


# --- blank texts and empty messages ---


def _without_blank_texts(message: Message) -> Message:
    """Return a message without texts of white space only; a cache breakpoint moves back.

    Anthropic: "text content blocks must contain non-whitespace text", and no message may be empty
    but a last one of the assistant (anthropics/claude-code#23440, anomalyco/opencode#31259).
    """
    if not any(map(_is_blank, message.parts)):
        return message
    kept: list[Part] = []
    for part in message.parts:
        if not _is_blank(part):
            kept.append(part)
        elif kept and part.cache is not None:
            kept[-1] = replace(kept[-1], cache=kept[-1].cache or part.cache)
    return replace(message, parts=tuple(kept))


def _is_blank(part: Part) -> bool:
    return isinstance(part, Text) and not part.text.strip()


def _is_empty(message: Message) -> bool:
    """Return whether a message says nothing: no content, and nothing else that is sent."""
    goes_back = message.reasoning or message.reasoning_details or message.extra
    return not (message.parts or message.tool_calls or message.refusal or goes_back)


def _with_some_content(message: Message) -> Message:
    """Return the message with a text if there is none, not even tool calls, beside its reasoning.

    DeepSeek refuses null there ("content or tool_calls must be set"), and Anthropic "".
    """
    if message.parts or message.tool_calls or message.refusal:
        return message
    return replace(message, parts=(_NO_TEXT,))


# --- tool calls and results ---


def _with_results(
    index: int,
    message: Message,
    history: Sequence[Message],
    results: Mapping[Slot, int],
    ids: Mapping[Slot, str],
) -> Iterator[Message]:
    """Yield a message, and the results of its calls: those that there are in their order."""
    slots = [(index, position) for position in range(len(message.tool_calls))]
    calls = zip(slots, message.tool_calls, strict=True)
    yield replace(message, tool_calls=tuple([replace(call, id=ids[slot]) for slot, call in calls]))
    for slot in sorted(slots, key=lambda slot: results.get(slot, len(history))):
        if slot in results:
            result = history[results[slot]]
            parts = result.parts or (_EMPTY_RESULT,)  # Anthropic refuses "" (zed#27130)
            yield replace(result, parts=parts, tool_call_id=ids[slot])
        else:
            yield _missing_result(ids[slot])


def _missing_result(call_id: str) -> Message:
    _log.info("A tool call without a result is sent with a result that says so: %s", call_id)
    return Message("tool", (_NO_RESULT,), tool_call_id=call_id)


def _unmatched_result(result: Message) -> tuple[Part, ...]:
    _log.info("A tool result without its call is sent as a user message: %s", result.tool_call_id)
    return _to_user_parts(result)


def _to_user_parts(result: Message) -> tuple[Part, ...]:
    """Return the parts of a tool result for a user message, after a line that names the call."""
    return Text(f"Content of tool result {result.tool_call_id}:"), *result.parts


# --- media ---


def _split_supported(message: Message) -> tuple[Message, tuple[Part, ...]]:
    """Return the message as its role can carry it, and the parts for a user message."""
    media = tuple([part for part in message.parts if not isinstance(part, Text)])
    if not media or message.role == "user":
        return message, ()
    texts = tuple(part for part in message.parts if isinstance(part, Text))
    match message.role:
        case "tool":
            moved = _to_user_parts(replace(message, parts=media))
        case "assistant":
            moved = (Text("Content of the answer above:"), *media)
        case _:
            kind = type(media[0]).__name__.lower()
            raise UnsupportedContentError(
                f"The API carries no {kind} in a message of role {message.role!r}; "
                "put it into a user message."
            )
    if not (texts or message.tool_calls):
        texts = (_CONTENT_FOLLOWS,)
    return replace(message, parts=texts), moved
