"""Messages of ours to LangChain's standard content blocks.

This module knows where `replies.py` put each thing. Core asks it by `model_provider`, for
`content_blocks`, for output_version "v1" and for streamed events. Blocks of chunks have indices of
their own: core's would number text, reasoning and calls alike, and merge one into the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast
from zlib import crc32

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages import content as standard
from langchain_core.messages.block_translators import register_translator

from langchain_onerouter.messages import PROVIDER
from onerouter_core.wire import decode_citations

_HAS_REFUSAL_BLOCK = hasattr(standard, "RefusalContentBlock")  # langchain-core 1.7.5
_STREAMED_TYPES = {"text", "reasoning", "refusal"}


def to_blocks(message: AIMessage) -> list[standard.ContentBlock]:
    """Return the blocks of a whole message."""
    blocks = [*_iter_content_blocks(message), *_tool_call_blocks(message)]
    return cast("list[standard.ContentBlock]", blocks)


def to_chunk_blocks(message: AIMessageChunk) -> list[standard.ContentBlock]:
    """Return the blocks of a chunk, or of a sum of chunks; only a whole sum has whole calls."""
    block = [{"index": _block_index(block), **block} for block in _iter_content_blocks(message)]
    whole = message.chunk_position == "last" and message.tool_call_chunks
    calls = _tool_call_blocks(message) if whole else _tool_call_chunk_blocks(message)
    return cast("list[standard.ContentBlock]", [*block, *calls])


def _block_index(block: dict[str, Any]) -> str:
    """Return what LangChain merges blocks by: all text is one block, each image is its own."""
    kind = str(block["type"])
    return f"lc_{kind}" if kind in _STREAMED_TYPES else f"lc_{kind}_{crc32(repr(block).encode())}"


def _iter_content_blocks(message: AIMessage) -> Iterator[dict[str, Any]]:
    extras = message.additional_kwargs
    if thought := extras.get("reasoning_content"):
        yield {"type": "reasoning", "reasoning": thought}
    citations = [_to_citation_block(one) for one in decode_citations(extras.get("annotations", ()))]
    content = message.content
    for block in [content] if isinstance(content, str) else content:
        known = {"type": "text", "text": block} if isinstance(block, str) else block
        if known["type"] != "text":
            yield known
        elif known["text"]:
            yield {**known, "annotations": citations} if citations else known
            citations = []
    if citations:  # they come after the words, in a stream
        yield {"type": "text", "text": "", "annotations": citations}
    if refusal := extras.get("refusal"):
        block = {"type": "refusal", "refusal": refusal}
        yield block if _HAS_REFUSAL_BLOCK else {"type": "non_standard", "value": block}


def _to_citation_block(found: Any) -> dict[str, Any]:
    facts = {
        "url": found.url,
        "title": found.title,
        "start_index": found.start,
        "end_index": found.end,
        "cited_text": found.text or None,
    }
    return {"type": "citation", **{key: fact for key, fact in facts.items() if fact is not None}}


def _tool_call_blocks(message: AIMessage) -> list[dict[str, Any]]:
    """Return the calls that are valid; the others stand in `invalid_tool_calls`, as core has it."""
    return [
        {"type": "tool_call", "id": call["id"], "name": call["name"], "args": call["args"]}
        for call in message.tool_calls
    ]


def _tool_call_chunk_blocks(message: AIMessageChunk) -> list[dict[str, Any]]:
    return [
        {
            "type": "tool_call_chunk",
            "id": delta["id"],
            "name": delta["name"],
            "args": delta["args"],
            "index": f"lc_tool_call_{delta['index']}",
        }
        for delta in message.tool_call_chunks
    ]


def register() -> None:
    """Tell core how to read what says that it is of this provider."""
    register_translator(PROVIDER, to_blocks, to_chunk_blocks)
