"""Streamed tool calls, put together.

This module knows how gateways break the rules of tool-call deltas: an index that is missing or
reused, an id or name that is repeated, empty or late, arguments that are an object or null. It
yields pieces whose index is always there, and whose id and name come exactly once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from onerouter_core.values import Json, ToolCallPiece
from onerouter_core.wire.lenient import Growing, as_count, as_items, as_mapping, as_text
from onerouter_core.wire.names import Names
from onerouter_core.wire.replies import arguments_text, invent_id


class _Call:
    """One call so far."""

    __slots__ = ("arguments", "id", "index", "name")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id: str | None = None
        self.name: str | None = None
        self.arguments = Growing()

    def is_whole(self) -> bool:
        try:
            json.loads(str(self.arguments))
        except (ValueError, RecursionError):
            return False
        return True


class ToolCalls:
    """All calls of one reply."""

    def __init__(self, names: Names) -> None:
        """Begin with none; `names` spells their names back."""
        self._names = names
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}

    def feed(self, deltas: Any) -> tuple[ToolCallPiece, ...]:
        """Return what the deltas of one event add."""
        return tuple([self._piece(delta) for delta in as_items(deltas)])

    def finish(self, reply_id: Any) -> tuple[ToolCallPiece, ...]:
        """Return the ids invented for calls that never had one."""
        return tuple(self._invented(reply_id))

    def to_message(self) -> list[Json]:
        """Return the calls as a complete message would hold them."""
        return [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": str(call.arguments)},
            }
            for call in self._calls
        ]

    def _piece(self, delta: Json) -> ToolCallPiece:
        function = as_mapping(delta.get("function"))
        call_id, name = as_text(delta.get("id")), as_text(function.get("name"))
        call = self._find(as_count(delta.get("index")), call_id, name)
        arguments = call.arguments.add(arguments_text(function.get("arguments")))
        new_id = call_id if call.id is None else None
        new_name = name if call.name is None else None
        call.id, call.name = call.id or call_id, call.name or name
        return ToolCallPiece(
            call.index, new_id, self._names.back(new_name) if new_name else None, arguments
        )

    def _find(self, index: int | None, call_id: str | None, name: str | None) -> _Call:
        """Return the call a delta belongs to; an id tells more than an index, which some reuse."""
        if index is None:
            call = self._without_index(call_id, name)
        else:
            call = self._by_index.get(index)
            if call and call_id and call.id and call_id != call.id:
                call = next((c for c in self._calls if c.id == call_id), None)
        if call is None:
            call = _Call(len(self._calls))
            self._calls.append(call)
        if index is not None:
            self._by_index[index] = call
        return call

    def _without_index(self, call_id: str | None, name: str | None) -> _Call | None:
        """Find a call by its id, else go on with the last one, unless this names a new one."""
        if not self._calls:
            return None
        last = self._calls[-1]
        if call_id and last.id:
            return next((call for call in self._calls if call.id == call_id), None)
        if name and last.name and (name != last.name or last.is_whole()):
            return None
        return last

    def _invented(self, reply_id: Any) -> Iterator[ToolCallPiece]:
        for call in self._calls:
            if call.id is None:
                call.id = invent_id(reply_id, call.index)
                yield ToolCallPiece(call.index, id=call.id)
