"""All that streams in the two frameworks, by its name; a call begins it.

This module knows the frameworks' entry points. It knows no server.
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
from tests.faults.adapters import REACH

ASKED = [ChatMessage("Hi")]

Stream: TypeAlias = Callable[[], Iterator[Any]]
AsyncStream: TypeAlias = Callable[[], AsyncIterator[Any]]


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def langchain_streams(url: str) -> dict[str, Stream]:
    """Return the sync streams of LangChain."""
    llm = ChatOneRouter(**REACH, base_url=url)
    return {
        "stream": lambda: llm.stream("Hi"),
        "stream of a model with tools": lambda: llm.bind_tools([multiply]).stream("Hi"),
    }


def llama_index_streams(url: str) -> dict[str, Stream]:
    """Return the sync streams of LlamaIndex."""
    llm = OneRouterLLM(**REACH, base_url=url)
    return {
        "stream_chat": lambda: llm.stream_chat(ASKED),
        "stream_complete": lambda: llm.stream_complete("Hi"),
        "stream_chat_with_tools": lambda: llm.stream_chat_with_tools([], "Hi"),
        "a query engine": lambda: _query_engine(llm).query("Hi").response_gen,  # type: ignore[union-attr]
    }


def _query_engine(llm: OneRouterLLM) -> Any:
    index = SummaryIndex([TextNode(text="A text.")], embed_model=MockEmbedding(8))
    return index.as_query_engine(llm=llm, streaming=True)


def langchain_async_streams(url: str, **fields: Any) -> dict[str, AsyncStream]:
    """Return the async streams of LangChain."""
    llm = ChatOneRouter(**REACH, base_url=url, **fields)
    asked = {"messages": [("user", "Hi")]}
    chain = llm | StrOutputParser()
    streams: dict[str, AsyncStream] = {
        "astream": lambda: llm.astream("Hi"),
        "astream of a chain": lambda: chain.astream("Hi"),
        "astream_events v2": lambda: _of_kind(llm.astream_events("Hi", version="v2")),
        "astream_events v3": lambda: _text_of(llm),
    }
    if sys.version_info < (3, 11):  # tasks take no context: LangGraph does not hear of the pieces
        return streams
    agent = create_agent(llm, [multiply])
    return streams | {
        "astream of an agent": lambda: agent.astream(asked, stream_mode="messages"),
        "astream_events v2 of an agent": lambda: _of_kind(
            agent.astream_events(asked, version="v2")
        ),
    }


async def _of_kind(events: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Yield the events that have a piece in them."""
    try:
        async for event in events:
            if event["event"] == "on_chat_model_stream":
                yield event
    finally:
        await events.aclose()  # type: ignore[attr-defined]


async def _text_of(llm: ChatOneRouter) -> AsyncIterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is in beta, and says so
        events: Any = await llm.astream_events("Hi", version="v3")
    async with events:
        async for text in events.text:
            yield text


def llama_index_async_streams(url: str, **fields: Any) -> dict[str, AsyncStream]:
    """Return the async streams of LlamaIndex."""
    llm = OneRouterLLM(**REACH, base_url=url, **fields)
    return {
        "astream_chat": lambda: _awaited(llm.astream_chat(ASKED)),
        "astream_complete": lambda: _awaited(llm.astream_complete("Hi")),
        "astream_chat_with_tools": lambda: _awaited(llm.astream_chat_with_tools([], "Hi")),
    }


async def _awaited(stream: Awaitable[AsyncIterator[Any]]) -> AsyncIterator[Any]:
    items = await stream
    try:
        async for item in items:
            yield item
    finally:
        await items.aclose()  # type: ignore[attr-defined]
