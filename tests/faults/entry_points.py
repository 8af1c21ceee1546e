"""Streaming entry points of the two frameworks, by name; each is a function that starts a stream.

This module knows the frameworks' methods. It knows no server.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeAlias

from langchain.agents import create_agent
from langchain_core.output_parsers import StrOutputParser
from llama_index.core import SummaryIndex
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.schema import TextNode

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from tests.faults.adapters import MODEL_FIELDS

MESSAGES = [ChatMessage("Hi")]

Stream: TypeAlias = Callable[[], Iterator[Any]]
AsyncStream: TypeAlias = Callable[[], AsyncIterator[Any]]


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def langchain_streams(url: str) -> dict[str, Stream]:
    """Return the sync streams of LangChain."""
    llm = ChatOneRouter(**MODEL_FIELDS, base_url=url)
    return {
        "stream": lambda: llm.stream("Hi"),
        "stream of a model with tools": lambda: llm.bind_tools([multiply]).stream("Hi"),
    }


def llama_index_streams(url: str) -> dict[str, Stream]:
    """Return the sync streams of LlamaIndex."""
    llm = OneRouterLLM(**MODEL_FIELDS, base_url=url)
    return {
        "stream_chat": lambda: llm.stream_chat(MESSAGES),
        "stream_complete": lambda: llm.stream_complete("Hi"),
        "stream_chat_with_tools": lambda: llm.stream_chat_with_tools([], "Hi"),
        "a query engine": lambda: _query_engine(llm).query("Hi").response_gen,  # type: ignore[union-attr]
    }


def _query_engine(llm: OneRouterLLM) -> Any:
    index = SummaryIndex([TextNode(text="A text.")], embed_model=MockEmbedding(8))
    return index.as_query_engine(llm=llm, streaming=True)


def langchain_async_streams(url: str, **fields: Any) -> dict[str, AsyncStream]:
    """Return the async streams of LangChain."""
    llm = ChatOneRouter(**MODEL_FIELDS, base_url=url, **fields)
    state = {"messages": [("user", "Hi")]}
    chain = llm | StrOutputParser()
    streams: dict[str, AsyncStream] = {
        "astream": lambda: llm.astream("Hi"),
        "astream of a chain": lambda: chain.astream("Hi"),
        "astream_events v2": lambda: _chunk_events(llm.astream_events("Hi", version="v2")),
        "astream_events v3": lambda: _text_events(llm),
    }
    # Before Python 3.11 a task takes no context, so LangGraph does not see a model's chunks.
    if sys.version_info < (3, 11):
        return streams
    agent = create_agent(llm, [multiply])
    return streams | {
        "astream of an agent": lambda: agent.astream(state, stream_mode="messages"),
        "astream_events v2 of an agent": lambda: _chunk_events(
            agent.astream_events(state, version="v2")
        ),
    }


async def _chunk_events(events: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Yield the events that carry a chunk of the model's answer."""
    try:
        async for event in events:
            if event["event"] == "on_chat_model_stream":
                yield event
    finally:
        await events.aclose()  # type: ignore[attr-defined]


async def _text_events(llm: ChatOneRouter) -> AsyncIterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # version 3 is in beta and warns
        events: Any = await llm.astream_events("Hi", version="v3")
    async with events:
        async for text in events.text:
            yield text


def llama_index_async_streams(url: str, **fields: Any) -> dict[str, AsyncStream]:
    """Return the async streams of LlamaIndex."""
    llm = OneRouterLLM(**MODEL_FIELDS, base_url=url, **fields)
    return {
        "astream_chat": lambda: _await_stream(llm.astream_chat(MESSAGES)),
        "astream_complete": lambda: _await_stream(llm.astream_complete("Hi")),
        "astream_chat_with_tools": lambda: _await_stream(llm.astream_chat_with_tools([], "Hi")),
    }


async def _await_stream(stream: Awaitable[AsyncIterator[Any]]) -> AsyncIterator[Any]:
    items = await stream
    try:
        async for item in items:
            yield item
    finally:
        await items.aclose()  # type: ignore[attr-defined]
