"""Cache marks of `cache_prompt`: breakpoints after texts that the next request repeats.

This module chooses the texts; it changes no text and no order. Sources: the gateway's page on
prompt caching (marks on text parts, four at most) and Anthropic's (the order of times to live).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, islice
from typing import TypeAlias

from onerouter_core.types import CacheControl, Json, Message, Text, Tool

_MAX_MARKS = 4  # of tools, too: Anthropic answers a fifth with 400 (Wei-Shaw/sub2api#176)
_SYSTEM = frozenset({"system", "developer"})
_TURN = frozenset({"user", "tool"})

_Slot: TypeAlias = tuple[int, int]  # index of a message, and of a part in it
_Place: TypeAlias = tuple[int, int, int]  # order in which Anthropic reads: tools, system, messages


def add_cache_marks(
    messages: Iterable[Message], cache_prompt: bool | str, tools: Iterable[Tool | Json] = ()
) -> list[Message]:
    """Return the messages with cache marks; those that are there stay as they are.

    Marked are, as long as the request has fewer than four marks, the last texts of the newest turn,
    of the turn before it (where the last request wrote the cache), and of the system messages. A
    turn is a row of user messages and tool results.

    Args:
        messages: normalized messages.
        cache_prompt: time to live, "5m" or "1h". True: the upstream's default.
        tools: tools of the request, which may have marks.

    """
    marked = list(messages)
    marks = {**_marks_of_tools(tools), **_marks_of_messages(marked)}
    wanted = CacheControl(cache_prompt if isinstance(cache_prompt, str) else None)
    free = max(0, _MAX_MARKS - len(marks))
    unmarked = (slot for slot in _worthwhile(marked) if _place(marked, slot) not in marks)
    for index, position in islice(unmarked, free):
        mark = _in_order(wanted, _place(marked, (index, position)), marks)
        parts = list(marked[index].parts)
        parts[position] = replace(parts[position], cache=mark)
        marked[index] = replace(marked[index], parts=tuple(parts))
    return marked


def _worthwhile(messages: Sequence[Message]) -> Iterator[_Slot]:
    """Yield the texts that should have a mark, the one that saves most first."""
    indexes = range(len(messages))
    rows = groupby(indexes, key=lambda index: messages[index].role in _TURN)
    turns = [_last_text(messages, [*row]) for is_turn, row in rows if is_turn]
    yield from islice(filter(None, reversed(turns)), 2)
    if slot := _last_text(messages, [i for i in indexes if messages[i].role in _SYSTEM]):
        yield slot


def _last_text(messages: Sequence[Message], indexes: Collection[int]) -> _Slot | None:
    """Return the last text of some messages; Anthropic refuses a mark on an empty one."""
    slots = (
        (index, position)
        for index in sorted(indexes, reverse=True)
        for position, part in reversed([*enumerate(messages[index].parts)])
        if isinstance(part, Text) and part.text.strip()
    )
    return next(slots, None)


# --- marks that are there ---


def _marks_of_tools(tools: Iterable[Tool | Json]) -> dict[_Place, str | None]:
    """Return the times to live of the marks of tools, by their place."""
    controls = [tool.cache if isinstance(tool, Tool) else _control(tool) for tool in tools]
    return {(0, 0, n): mark.ttl for n, mark in enumerate(controls) if mark is not None}


def _control(tool: Json) -> CacheControl | None:
    """Return the mark of a tool that is sent as it is."""
    match tool:
        case {"cache_control": {"ttl": str(ttl)}}:
            return CacheControl(ttl)
        case {"cache_control": Mapping()}:
            return CacheControl()
    return None


def _marks_of_messages(messages: Sequence[Message]) -> dict[_Place, str | None]:
    return {
        _place(messages, (index, position)): part.cache.ttl
        for index, message in enumerate(messages)
        for position, part in enumerate(message.parts)
        if part.cache is not None
    }


def _place(messages: Sequence[Message], slot: _Slot) -> _Place:
    index, position = slot
    return (1 if messages[index].role in _SYSTEM else 2, index, position)


def _in_order(
    wanted: CacheControl, place: _Place, marks: Mapping[_Place, str | None]
) -> CacheControl:
    """Return the mark for a place, with a time to live that fits those of the user's marks.

    Anthropic: "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block".
    """
    if any(ttl == "1h" and there > place for there, ttl in marks.items()):
        return CacheControl("1h")
    if any(ttl != "1h" and there < place for there, ttl in marks.items()):
        return CacheControl() if wanted.ttl == "1h" else wanted
    return wanted
