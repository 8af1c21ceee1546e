"""The sum of the deltas of a stream so far: what both frameworks show before the final reply.

Deltas are added up here only; `wire.stream` adds up the events of which they are made. Nothing
that was added here is run: a tool call is complete in the final reply. No framework is known.
"""

from __future__ import annotations

from typing import Any

from onerouter_core.json_text import parse_incomplete_json
from onerouter_core.types import Json, ReplyDelta


class RunningCall:
    """A tool call so far."""

    __slots__ = ("_parsed", "_parsed_length", "arguments", "id", "name")

    def __init__(self) -> None:
        """Begin without id, name and arguments."""
        self.id = ""
        """Id of the call. Empty: it has not come."""
        self.name = ""
        """Name of the tool. Empty: it has not come."""
        self.arguments = ""
        """Text of the arguments so far."""
        self._parsed: Json = {}
        self._parsed_length = 0

    def incomplete_arguments(self) -> dict[str, Any]:
        """Return the arguments so far, parsed again only after their text grew by 1/32.

        Parsing them for every delta would take quadratic time.
        """
        length = self._parsed_length
        if len(self.arguments) > length + length // 32:
            value = parse_incomplete_json(self.arguments)
            self._parsed = value if isinstance(value, dict) else {}
            self._parsed_length = len(self.arguments)
        return dict(self._parsed)


class RunningReply:
    """Text, reasoning and tool calls of a stream so far."""

    __slots__ = ("calls", "reasoning", "text")

    def __init__(self) -> None:
        """Begin without a delta."""
        self.text = ""
        """Text of the answer so far."""
        self.reasoning = ""
        """Reasoning text so far."""
        self.calls: dict[int, RunningCall] = {}
        """Tool calls so far, by index, in the order in which they began."""

    def add(self, delta: ReplyDelta) -> None:
        """Add a delta; its images and log probabilities are left to the caller."""
        self.text += delta.text
        self.reasoning += delta.reasoning
        for added in delta.tool_calls:
            call = self.calls.get(added.index)
            if call is None:
                call = self.calls[added.index] = RunningCall()
            call.id = added.id or call.id
            call.name = added.name or call.name
            call.arguments += added.arguments
