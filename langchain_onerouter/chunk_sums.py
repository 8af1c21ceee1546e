"""Sums of chunks: a sum that begins or ends with a chunk of ours equals the complete message.

langchain-core adds chunks field by field, one by one or all at once (`chunks[0] + chunks[1:]`, for
callbacks). It parses the arguments of tool calls anew, drops the name, and refuses counts with a
cost: it takes 0 for missing usage and adds only integers (langchain-core 1.6 to 1.8, `add_usage`).
So the first and the last chunk of a stream are of a class that adds them as we would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from langchain_core.messages import AIMessageChunk, BaseMessageChunk
from langchain_core.messages.ai import UsageMetadata, add_ai_message_chunks
from pydantic import PrivateAttr

from langchain_onerouter.invalid_tool_calls import INVALID_CALLS_KEY, received_invalid_calls

COST_KEY = "total_cost"
"""Key in `usage_metadata` of the cost (USD), where LangSmith reads it."""


class EdgeChunk(AIMessageChunk):
    """First or last chunk of a stream; sums with it are AIMessageChunks, like the complete message.

    Outside of memory it is an AIMessageChunk, too: it is serialized as one, and equal to one.
    """

    _cost: float | None = PrivateAttr(default=None)
    """Cost (USD) that the sum has in its usage; in that of a chunk LangChain could not add it."""

    @classmethod
    def of(cls, chunk: BaseMessageChunk, cost: float | None = None) -> EdgeChunk:
        """Return the chunk with this class, without validating it again."""
        edge = cls.model_construct(chunk.model_fields_set, **dict(chunk))
        edge._cost = cost  # noqa: SLF001 -- an attribute of this class
        return edge

    @property
    def cost(self) -> float | None:
        """Cost (USD) that the sum has in its usage."""
        return self._cost

    def __add__(self, other: Any) -> Any:
        """Return the sum with a chunk, or with a sequence of chunks."""
        others = other if isinstance(other, list | tuple) else [other]
        if [chunk for chunk in others if not isinstance(chunk, AIMessageChunk)]:
            return super().__add__(other)
        return add_chunks([self, *others])

    def __radd__(self, other: AIMessageChunk) -> AIMessageChunk:
        """Return the sum; Python asks the right operand first if its class is a subclass."""
        return add_chunks([other, self])

    def __eq__(self, other: object) -> bool:
        """Compare as an AIMessageChunk."""
        other = _plain(other) if isinstance(other, EdgeChunk) else other
        return _plain(self) == other

    __hash__ = None  # type: ignore[assignment]

    def __repr_name__(self) -> str:
        """Return the name of the public class."""
        return AIMessageChunk.__name__

    @classmethod
    def lc_id(cls) -> list[str]:
        """Return the identifier under which LangChain loads a serialized chunk."""
        return AIMessageChunk.lc_id()


def add_chunks(chunks: Sequence[AIMessageChunk]) -> AIMessageChunk:
    """Return the sum of chunks with invalid calls as received, name and cost."""
    first, *others = [
        _summand(chunk) if isinstance(chunk, EdgeChunk) or chunk.usage_metadata else chunk
        for chunk in chunks
    ]
    total = add_ai_message_chunks(first, *others)
    if INVALID_CALLS_KEY in total.additional_kwargs:
        total.invalid_tool_calls = [*received_invalid_calls(total)]
    names = [chunk.name for chunk in chunks if chunk.name]
    total.name = names[0] if names else None
    total.usage_metadata = with_cost(total.usage_metadata, _sum_costs(chunks))
    return total


def with_cost(usage: UsageMetadata | None, cost: float | None) -> UsageMetadata | None:
    """Return token counts with the cost (USD), if both are known."""
    if usage is None or cost is None:
        return usage
    return cast("UsageMetadata", {**usage, COST_KEY: cost})


def _summand(chunk: AIMessageChunk) -> AIMessageChunk:
    """Return the chunk as LangChain can add it: of its own class, and without a cost."""
    plain = _plain(chunk) if isinstance(chunk, EdgeChunk) else chunk
    if plain.usage_metadata is None or COST_KEY not in plain.usage_metadata:
        return plain
    counts = {key: count for key, count in plain.usage_metadata.items() if key != COST_KEY}
    return plain.model_copy(update={"usage_metadata": counts})


def _plain(chunk: EdgeChunk) -> AIMessageChunk:
    return AIMessageChunk.model_construct(chunk.model_fields_set, **dict(chunk))


def _sum_costs(chunks: Sequence[AIMessageChunk]) -> float | None:
    """Return the sum of the costs of chunks, and of those in the usage of earlier sums."""
    usages: list[Any] = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    costs = [usage[COST_KEY] for usage in usages if COST_KEY in usage]
    edges = [chunk for chunk in chunks if isinstance(chunk, EdgeChunk)]
    costs += [edge.cost for edge in edges if edge.cost is not None]
    return sum(costs) if costs else None
