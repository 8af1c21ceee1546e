"""Tool-call deltas: merged into the tool calls of a streamed reply.

Gateways break the rules of tool-call deltas: an index that is missing, wrong or reused; an id or a
name that is repeated, empty, late or different; arguments that are an object or null; several
deltas of one call in one event. The deltas that this module returns always have an index, have id
and name exactly once per call, and are at most one per call and event.

The algorithm takes the index as a hint, and id and name as evidence:

* A delta without a name continues a call, unless its id is new. It continues the call that had
  its index last, else the call with its id, else the call at that position, else the last call.
  It never begins a call without a name; before the first call it is kept for that.
* A delta with a name begins a call if its id is new, if its index is the next one, if the name is
  another one, or if the arguments so far are whole JSON. Otherwise the name was repeated.
* The beginning of an offered tool's name is held back until the rest of the name, or arguments,
  come.
* Two calls with one id are two calls: the second gets an id of its own.

Sources: vllm-project/vllm#42683 (two deltas of a call in one event), sgl-project/sglang#6310
(index of the tool, then of the call), BerriAI/litellm#16194, ai-dynamo/dynamo#4723 and
su-kaka/gcli2api#406 (all calls have index 0), poolsideai/pool#9 (later deltas have another id).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from onerouter_core.types import Json, ToolCallDelta
from onerouter_core.wire.coerce import as_count, as_items, as_json_text, as_mapping, as_text
from onerouter_core.wire.decode import (
    DistinctIds,
    decode_call_id,
    generate_call_id,
    unknown_call_keys,
)
from onerouter_core.wire.fragments import joined, merge_fragments, remaining_text
from onerouter_core.wire.text_buffer import JSONBuffer
from onerouter_core.wire.tool_names import ToolNames

_CALL_KEYS = {"index", "id", "type", "function"}
_FUNCTION_KEYS = {"name", "arguments"}


class _PartialCall:
    """One tool call so far."""

    __slots__ = (
        *("arguments", "extra", "id", "index", "is_name_sent", "last_fragment", "name"),
        *("received_id", "restarts"),
    )

    def __init__(self, index: int) -> None:
        self.index = index
        self.received_id: str | None = None
        self.id: str | None = None  # the received one, made distinct
        self.name: str | None = None
        self.is_name_sent = False
        self.arguments = JSONBuffer()
        self.last_fragment = ""  # of the arguments; blank ones do not count
        self.extra: dict[str, Any] = {}
        self.restarts = False  # the name came again after whole arguments; new ones may follow

    def is_anonymous(self) -> bool:
        return self.received_id is None and self.name is None

    def to_message(self) -> Json:
        extra = joined(self.extra)
        function = {"name": self.name, "arguments": str(self.arguments)}
        return {
            "id": self.id,
            "type": "function",
            **extra,
            "function": {**function, **extra.get("function", {})},
        }

    def has_complete_arguments(self) -> bool:
        may_end = self.last_fragment.rstrip().endswith(("}", "]", '"'))
        return may_end and self.arguments.is_complete()


class ToolCallDeltas:
    """All tool calls of one streamed reply so far."""

    def __init__(self, names: ToolNames) -> None:
        """Begin without calls; `names` decodes the names of tools, and knows those offered."""
        self._names = names
        self._calls: list[_PartialCall] = []
        self._by_index: dict[int | None, _PartialCall] = {}  # the last call with the index
        self._by_id: dict[str, _PartialCall] = {}  # the last call received with the id
        self._ids = DistinctIds()

    def feed(self, deltas: Any) -> tuple[ToolCallDelta, ...]:
        """Add the deltas of one event; return them as the gateway should have sent them."""
        items = as_items(deltas)
        if len(items) == 1:
            return (self._add(items[0]),)
        return merge_call_deltas(map(self._add, items))

    def feed_complete(self, calls: Any) -> tuple[ToolCallDelta, ...]:
        """Add the calls of a complete message after their deltas; return what these lacked."""
        begun = len(self._calls)
        return merge_call_deltas(
            self._add_complete(begun, position, call)
            for position, call in enumerate(as_items(calls))
        )

    def finish(self, reply_id: Any) -> tuple[ToolCallDelta, ...]:
        """Return deltas with what was held back, and generated ids for calls without one."""
        return tuple(self._missing_fields(reply_id))

    def to_message(self) -> list[Json]:
        """Return the calls as in a complete message."""
        return [call.to_message() for call in self._calls]

    # --- one delta ---

    def _add(self, delta: Json) -> ToolCallDelta:
        function = as_mapping(delta.get("function"))
        call_id, name = decode_call_id(delta), as_text(function.get("name"))
        arguments = as_json_text(function.get("arguments"))
        index = as_count(delta.get("index"))
        if index is not None and index < 0:
            index = None
        call: _PartialCall | None = None
        if self._calls:
            if name:
                call = self._find_named(index, call_id, name, arguments)
            else:
                call = self._find_continued(index, call_id, arguments)
        if call and call.restarts and arguments.strip():
            name, call_id = call.name, call_id or call.received_id
            call = None
        call = call or self._begin()
        if index is not None:
            self._by_index[index] = call
        if not (delta.keys() <= _CALL_KEYS and function.keys() <= _FUNCTION_KEYS):
            merge_fragments(call.extra, unknown_call_keys(delta))
        return self._extend(call, call_id, name, arguments)

    def _begin(self) -> _PartialCall:
        call = _PartialCall(len(self._calls))
        self._calls.append(call)
        return call

    def _find_continued(
        self, index: int | None, call_id: str | None, arguments: str
    ) -> _PartialCall | None:
        """Return the call that a delta without a name continues; None if it begins one."""
        call, last = self._by_index.get(index), self._calls[-1]
        if call_id is not None and (call is None or call.received_id != call_id):
            return self._by_id.get(call_id) or self._find_for_new_id(index, call)
        if call is None:
            call = last if index is None else self._calls[min(index, len(self._calls) - 1)]
        if call is last or not arguments.strip():
            return call
        # An index of the tool for one call may be that of another: whole arguments do not go on.
        has_moved = call.has_complete_arguments() and not last.has_complete_arguments()
        return last if has_moved else call

    def _find_for_new_id(self, index: int | None, call: _PartialCall | None) -> _PartialCall | None:
        """Return the call for a new id without a name: one that lacks an id, or is not whole."""
        if call is None and index == len(self._calls) and not self._calls[0].is_anonymous():
            return None
        call = call or self._calls[-1]
        goes_on = call.name is not None and not call.has_complete_arguments()
        return call if call.received_id is None or goes_on else None

    def _find_named(
        self, index: int | None, call_id: str | None, name: str, arguments: str
    ) -> _PartialCall | None:
        """Return the call that a delta with a name belongs to; None if it begins one."""
        last = self._calls[-1]
        if last.is_anonymous():
            return last
        call = self._by_index.get(index)
        if call is None and index == len(self._calls):
            return None
        if call_id is not None and (call is None or call.received_id not in (None, call_id)):
            call = self._by_id.get(call_id)
            if call is None and (index in self._by_index or last.received_id is not None):
                return None
        call = call or last
        return call if self._repeats_name(call, name, arguments) else None

    def _repeats_name(self, call: _PartialCall, name: str, arguments: str) -> bool:
        """Return whether a name is that of the call: late, its next fragment, or repeated."""
        if call.name is None or self._is_next_fragment(call, name):
            return True
        if name != call.name:
            return False
        if not call.has_complete_arguments():
            return True
        call.restarts = not arguments.strip()
        return call.restarts

    def _is_next_fragment(self, call: _PartialCall, name: str) -> bool:
        is_held_back = call.name is not None and not call.is_name_sent
        return is_held_back and self._names.begins_offered(f"{call.name}{name}")

    def _extend(
        self, call: _PartialCall, call_id: str | None, name: str | None, arguments: str
    ) -> ToolCallDelta:
        """Add the fields of a delta to its call; return those of them that are new."""
        new_id = None
        if call_id and call.received_id is None:
            call.received_id = call_id
            call.id = new_id = self._ids.add(call_id)
            self._by_id[call_id] = call
        if name and call.name is None:
            call.name = name
        elif name and self._is_next_fragment(call, name):
            call.name = f"{call.name}{name}"
        added = call.arguments.add(arguments)
        if added and not added.isspace():
            call.last_fragment = added
        new_name = None if call.is_name_sent else self._take_name(call)
        return ToolCallDelta(call.index, new_id, new_name, added)

    def _take_name(self, call: _PartialCall, *, is_final: bool = False) -> str | None:
        """Return the name to hand out; None while the rest of it may come."""
        if call.name is None:
            return None
        if self._names.is_beginning(call.name) and not (call.last_fragment or is_final):
            return None
        call.is_name_sent = True
        return self._names.decode(call.name)

    # --- complete calls, and the end ---

    # It is the begun call with its id, else the one at its position: some servers generate
    # another id for the complete message.
    def _add_complete(self, begun: int, position: int, complete: Json) -> ToolCallDelta:
        """Add a call of a complete message; return what the deltas lacked."""
        function = as_mapping(complete.get("function"))
        call_id, name = decode_call_id(complete), as_text(function.get("name"))
        arguments = as_json_text(function.get("arguments"))
        call = self._calls[position] if position < begun else None
        if call_id and (call is None or call.received_id != call_id):
            same_id = self._by_id.get(call_id)
            call = same_id if same_id is not None and same_id.index < begun else call
        if call is None:
            call = self._begin()
        elif name and not call.is_name_sent:
            call.name = name
        call.extra |= unknown_call_keys(complete)
        rest = remaining_text(str(call.arguments), arguments) or ""
        return self._extend(call, call_id, name, rest)

    def _missing_fields(self, reply_id: Any) -> Iterator[ToolCallDelta]:
        for call in self._calls:
            new_id = None
            if call.id is None:
                call.id = new_id = generate_call_id(reply_id, call.index)
            name = None if call.is_name_sent else self._take_name(call, is_final=True)
            arguments = call.arguments.flush()
            if new_id or name or arguments:
                yield ToolCallDelta(call.index, new_id, name, arguments)


# LangChain merges deltas of one call only if they are in different chunks.
def merge_call_deltas(deltas: Iterable[ToolCallDelta]) -> tuple[ToolCallDelta, ...]:
    """Return one delta per call."""
    by_index: dict[int, list[ToolCallDelta]] = {}
    for delta in deltas:
        by_index.setdefault(delta.index, []).append(delta)
    return tuple(
        same_call[0] if len(same_call) == 1 else _merge_deltas_of_call(same_call)
        for same_call in by_index.values()
    )


def _merge_deltas_of_call(deltas: list[ToolCallDelta]) -> ToolCallDelta:
    return ToolCallDelta(
        deltas[0].index,
        next((delta.id for delta in deltas if delta.id), None),
        next((delta.name for delta in deltas if delta.name), None),
        "".join(delta.arguments for delta in deltas),
    )
