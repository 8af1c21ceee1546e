"""Sums of chunks: a sum that begins or ends with a chunk of ours equals the complete message.

langchain-core adds chunks field by field, one by one or all at once (`chunks[0] + chunks[1:]`, for
callbacks). It parses the arguments of tool calls anew, drops the name, and refuses counts with a
cost: it takes 0 for missing usage and adds only integers (langchain-core 1.6 to 1.8, `add_usage`).
So the first and the last chunk of a stream are of a class that adds them as we would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from langchain_core.messages import AIMessageChunk, BaseMessageChunk
from langchain_core.messages.ai import UsageMetadata, add_ai_message_chunks

from langchain_onerouter.invalid_tool_calls import INVALID_CALLS_KEY, received_invalid_calls
from onerouter_core.wire import omit

COST_KEY = "total_cost"
"""Key in `usage_metadata` of the cost (USD), where LangSmith reads it."""


class EdgeChunk(AIMessageChunk):
    """First or last chunk of a stream; sums with it are AIMessageChunks, like the complete message.

    Outside of memory it is an AIMessageChunk, too: it is serialized as one, and equal to one.
    """

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
        return bool(_plain(self) == _plain(other))

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as an AIMessageChunk whose class is changed afterwards."""
        return _unpickle, (_plain(self), isinstance(self, PricedChunk))

    @classmethod
    def lc_id(cls) -> list[str]:
        """Return the identifier under which LangChain loads a serialized chunk."""
        return AIMessageChunk.lc_id()


class PricedChunk(EdgeChunk):
    """Last chunk of a stream whose sum has its cost in the usage: LangChain could not add that."""


# LangGraph's checkpoints store the name of the class, and load only those of LangChain unasked.
for _edge_class in (EdgeChunk, PricedChunk):
    _edge_class.__module__ = AIMessageChunk.__module__
    _edge_class.__name__ = _edge_class.__qualname__ = AIMessageChunk.__name__


def _unpickle(chunk: AIMessageChunk, has_cost: bool) -> EdgeChunk:
    return as_chunk(chunk, PricedChunk if has_cost else EdgeChunk)


T = TypeVar("T", bound=AIMessageChunk)


def as_chunk(chunk: BaseMessageChunk, chunk_class: type[T]) -> T:
    """Change the class of a chunk that nobody else has yet; return it.

    The classes have the same fields: validating them again would take 10 to 20 us.
    """
    object.__setattr__(chunk, "__class__", chunk_class)
    return cast("T", chunk)


def add_chunks(chunks: Sequence[AIMessageChunk]) -> AIMessageChunk:
    """Return the sum of chunks with invalid calls as received, name and cost."""
    ends = [chunk for chunk in chunks if chunk.chunk_position]  # last chunks, and earlier sums
    costs = [cost for cost in map(_cost, ends) if cost is not None]
    first, *others = [_summand(chunk) for chunk in chunks] if costs else chunks
    total = add_ai_message_chunks(first, *others)  # of the class of the first
    if isinstance(total, EdgeChunk):
        as_chunk(total, AIMessageChunk)
    if INVALID_CALLS_KEY in total.additional_kwargs:
        total.invalid_tool_calls = [*received_invalid_calls(total)]
    total.name = next(iter([end.name for end in ends if end.name]), None)
    if costs:
        total.usage_metadata = with_cost(total.usage_metadata, sum(costs))
    return total


def with_cost(usage: UsageMetadata | None, cost: float | None) -> UsageMetadata | None:
    """Return token counts with the cost (USD), if both are known."""
    if usage is None or cost is None:
        return usage
    return cast("UsageMetadata", {**usage, COST_KEY: cost})


def _plain(value: Any) -> Any:
    """Return a copy of an EdgeChunk as an AIMessageChunk, and any other value as it is."""
    if not isinstance(value, EdgeChunk):
        return value
    return as_chunk(value.model_copy(), AIMessageChunk)


def _usage(chunk: AIMessageChunk) -> dict[str, Any]:
    return {**(chunk.usage_metadata or {})}


def _summand(chunk: AIMessageChunk) -> AIMessageChunk:
    """Return the chunk as LangChain can add it: without the cost of an earlier sum."""
    if COST_KEY not in (chunk.usage_metadata or {}):
        return chunk
    return chunk.model_copy(update={"usage_metadata": omit(_usage(chunk), [COST_KEY])})


def _cost(end: AIMessageChunk) -> float | None:
    """Return the cost of a last chunk, or that in the usage of an earlier sum."""
    if isinstance(end, PricedChunk):
        return end.response_metadata.get("cost")
    return _usage(end).get(COST_KEY) if end.usage_metadata else None
