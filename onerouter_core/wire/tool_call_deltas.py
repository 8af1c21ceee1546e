"""Streamed tool calls, put together.

This module knows how gateways break the rules of tool-call deltas: an index that is missing or
reused, an id or name that is repeated, empty or late, arguments that are an object or null. It
yields pieces whose index is always there, and whose id and name come exactly once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from onerouter_core.types import Json, ToolCallDelta
from onerouter_core.wire.coerce import as_count, as_items, as_mapping, as_text
from onerouter_core.wire.decode import encode_arguments, generate_call_id
from onerouter_core.wire.text_buffer import TextBuffer
from onerouter_core.wire.tool_names import ToolNames


class _Call:
    """One call so far."""

    __slots__ = ("arguments", "id", "index", "name")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id: str | None = None
        self.name: str | None = None
        self.arguments = TextBuffer()

    def is_complete(self) -> bool:
        try:
            json.loads(str(self.arguments))
        except (ValueError, RecursionError):
            return False
        return True


class ToolCallDeltas:
    """All calls of one reply."""

    def __init__(self, names: ToolNames) -> None:
        """Begin with none; `names` spells their names back."""
        self._names = names
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}

    def feed(self, deltas: Any) -> tuple[ToolCallDelta, ...]:
        """Return what the deltas of one event add."""
        return tuple([self._to_delta(delta) for delta in as_items(deltas)])

    def finish(self, reply_id: Any) -> tuple[ToolCallDelta, ...]:
        """Return the ids invented for calls that never had one."""
        return tuple(self._missing_ids(reply_id))

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

    def _to_delta(self, delta: Json) -> ToolCallDelta:
        function = as_mapping(delta.get("function"))
        call_id, name = as_text(delta.get("id")), as_text(function.get("name"))
        call = self._find_call(as_count(delta.get("index")), call_id, name)
        arguments = call.arguments.add(encode_arguments(function.get("arguments")))
        new_id = call_id if call.id is None else None
        new_name = name if call.name is None else None
        call.id, call.name = call.id or call_id, call.name or name
        return ToolCallDelta(
            call.index, new_id, self._names.decode(new_name) if new_name else None, arguments
        )

    def _find_call(self, index: int | None, call_id: str | None, name: str | None) -> _Call:
        """Return the call a delta belongs to; an id tells more than an index, which some reuse."""
        if index is None:
            call = self._find_without_index(call_id, name)
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

    def _find_without_index(self, call_id: str | None, name: str | None) -> _Call | None:
        """Find a call by its id, else go on with the last one, unless this names a new one."""
        if not self._calls:
            return None
        last = self._calls[-1]
        if call_id and last.id:
            return next((call for call in self._calls if call.id == call_id), None)
        if name and last.name and (name != last.name or last.is_complete()):
            return None
        return last

    def _missing_ids(self, reply_id: Any) -> Iterator[ToolCallDelta]:
        for call in self._calls:
            if call.id is None:
                call.id = generate_call_id(reply_id, call.index)
                yield ToolCallDelta(call.index, id=call.id)
