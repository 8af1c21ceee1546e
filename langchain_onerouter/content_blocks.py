"""Conversion of our AIMessages and chunks to LangChain's standard content blocks.

langchain-core calls this translator for messages with our `model_provider`: for `content_blocks`,
for output_version "v1" and for streamed events. Blocks of chunks get their indices here: langchain-
core merges blocks of equal index, and would number text, reasoning and calls in one sequence, so
that one is merged into another. `replies.py` decides where a message holds each value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast
from zlib import crc32

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages import content as standard
from langchain_core.messages.block_translators import register_translator

from langchain_onerouter.messages import CALL_EXTRAS_KEY, PROVIDER
from onerouter_core.wire import decode_citations

_HAS_REFUSAL_BLOCK = hasattr(standard, "RefusalContentBlock")  # langchain-core 1.7.5
_STREAMED_TYPES = {"text", "reasoning", "refusal"}


def to_blocks(message: AIMessage) -> list[standard.ContentBlock]:
    """Convert a complete message to content blocks."""
    blocks = [*_iter_content_blocks(message), *_tool_call_blocks(message)]
    return cast("list[standard.ContentBlock]", blocks)


def to_chunk_blocks(message: AIMessageChunk) -> list[standard.ContentBlock]:
    """Convert a chunk, or a sum of chunks, to content blocks.

    Tool calls are `tool_call` blocks in the sum that includes the last chunk, before it
    `tool_call_chunk` blocks.
    """
    blocks = [{"index": _block_index(block), **block} for block in _iter_content_blocks(message)]
    is_complete = message.chunk_position == "last" and message.tool_call_chunks
    calls = _tool_call_blocks(message) if is_complete else _tool_call_chunk_blocks(message)
    return cast("list[standard.ContentBlock]", [*blocks, *calls])


def _block_index(block: dict[str, Any]) -> str:
    """Return the index by which LangChain merges blocks: one for all text, one per image."""
    kind = str(block["type"])
    return f"lc_{kind}" if kind in _STREAMED_TYPES else f"lc_{kind}_{crc32(repr(block).encode())}"


def _iter_content_blocks(message: AIMessage) -> Iterator[dict[str, Any]]:
    """Yield reasoning, content with its citations, and refusal; tool calls are left out."""
    extras = message.additional_kwargs
    if reasoning := extras.get("reasoning_content"):
        yield {"type": "reasoning", "reasoning": reasoning}
    decoded = decode_citations(extras.get("annotations", ()))
    citations = [_to_citation_block(citation) for citation in decoded]
    content = message.content
    for item in [content] if isinstance(content, str) else content:
        block = {"type": "text", "text": item} if isinstance(item, str) else item
        if block["type"] != "text":
            yield block
        elif block["text"]:
            yield {**block, "annotations": citations} if citations else block
            citations = []
    if citations:  # in a stream they follow the text
        yield {"type": "text", "text": "", "annotations": citations}
    if refusal := extras.get("refusal"):
        block = {"type": "refusal", "refusal": refusal}
        yield block if _HAS_REFUSAL_BLOCK else {"type": "non_standard", "value": block}


def _to_citation_block(citation: Any) -> dict[str, Any]:
    fields = {
        "url": citation.url,
        "title": citation.title,
        "start_index": citation.start,
        "end_index": citation.end,
        "cited_text": citation.text or None,
    }
    known = {name: value for name, value in fields.items() if value is not None}
    return {"type": "citation", **known}


def _tool_call_blocks(message: AIMessage) -> list[dict[str, Any]]:
    """Return the valid tool calls; invalid ones stay in `invalid_tool_calls`, as elsewhere."""
    extras = message.additional_kwargs.get(CALL_EXTRAS_KEY, {})
    return [
        {"type": "tool_call", "id": call["id"], "name": call["name"], "args": call["args"]}
        | ({"extras": extras[call["id"]]} if extras.get(call["id"]) else {})
        for call in message.tool_calls
    ]


def _tool_call_chunk_blocks(message: AIMessageChunk) -> list[dict[str, Any]]:
    """Return the increments of calls; in the last chunk these are only their other keys."""
    extras = message.additional_kwargs.get(CALL_EXTRAS_KEY, {})
    if not message.tool_call_chunks and extras:
        block = {"type": "tool_call_chunk", "id": None, "name": None, "args": ""}
        return [
            {**block, "index": f"lc_tool_call_{index}", "extras": extra}
            for index, extra in enumerate(extras.values())
            if extra
        ]
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
    """Register the translator with langchain-core for our `model_provider`."""
    register_translator(PROVIDER, to_blocks, to_chunk_blocks)
