"""Tool-call deltas: merged into the tool calls of a streamed reply.

This module knows how gateways break the rules of tool-call deltas: an index that is missing or
reused; an id or a name that is repeated, empty or late; arguments that are an object or null. The
deltas it returns always have an index, and have id and name exactly once per call.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from onerouter_core.types import Json, ToolCallDelta
from onerouter_core.wire.coerce import as_count, as_items, as_json_text, as_mapping, as_text
from onerouter_core.wire.decode import generate_call_id
from onerouter_core.wire.text_buffer import TextBuffer
from onerouter_core.wire.tool_names import ToolNames


class _PartialCall:
    """One tool call so far."""

    __slots__ = ("arguments", "id", "index", "name")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id: str | None = None
        self.name: str | None = None
        self.arguments = TextBuffer()

    def has_complete_arguments(self) -> bool:
        try:
            json.loads(str(self.arguments))
        except (ValueError, RecursionError):
            return False
        return True


class ToolCallDeltas:
    """All tool calls of one streamed reply so far."""

    def __init__(self, names: ToolNames) -> None:
        """Begin without calls; `names` decodes the names of tools."""
        self._names = names
        self._calls: list[_PartialCall] = []
        self._by_index: dict[int, _PartialCall] = {}

    def feed(self, deltas: Any) -> tuple[ToolCallDelta, ...]:
        """Add the deltas of one event; return them as the gateway should have sent them."""
        return tuple([self._to_delta(delta) for delta in as_items(deltas)])

    def finish(self, reply_id: Any) -> tuple[ToolCallDelta, ...]:
        """Return deltas with generated ids for the calls that never got one."""
        return tuple(self._missing_ids(reply_id))

    def to_message(self) -> list[Json]:
        """Return the calls as in a complete message."""
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
        call = self._find_or_add_call(as_count(delta.get("index")), call_id, name)
        arguments = call.arguments.add(as_json_text(function.get("arguments")))
        new_id = call_id if call.id is None else None
        new_name = name if call.name is None else None
        call.id, call.name = call.id or call_id, call.name or name
        return ToolCallDelta(
            call.index, new_id, self._names.decode(new_name) if new_name else None, arguments
        )

    def _find_or_add_call(
        self, index: int | None, call_id: str | None, name: str | None
    ) -> _PartialCall:
        """Return the call of a delta; an id counts more than an index, which some servers reuse."""
        if index is None:
            call = self._find_without_index(call_id, name)
        else:
            call = self._by_index.get(index)
            if call and call_id and call.id and call_id != call.id:
                call = next((known for known in self._calls if known.id == call_id), None)
        if call is None:
            call = _PartialCall(len(self._calls))
            self._calls.append(call)
        if index is not None:
            self._by_index[index] = call
        return call

    def _find_without_index(self, call_id: str | None, name: str | None) -> _PartialCall | None:
        """Return the call with this id, or the last call; None if the delta begins a new call.

        Without ids, a new call begins with another name, or with the same name when the arguments
        so far are complete JSON.
        """
        if not self._calls:
            return None
        last = self._calls[-1]
        if call_id and last.id:
            return next((call for call in self._calls if call.id == call_id), None)
        if name and last.name and (name != last.name or last.has_complete_arguments()):
            return None
        return last

    def _missing_ids(self, reply_id: Any) -> Iterator[ToolCallDelta]:
        for call in self._calls:
            if call.id is None:
                call.id = generate_call_id(reply_id, call.index)
                yield ToolCallDelta(call.index, id=call.id)
