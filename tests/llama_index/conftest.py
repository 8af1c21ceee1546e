"""Fixtures of the LlamaIndex tests: models connected to the simulator, called sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Protocol, TypeAlias

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse

from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Simulator

Messages: TypeAlias = Sequence[ChatMessage]
LLMFactory: TypeAlias = Callable[..., OneRouterLLM]


class Mode(Protocol):
    """Calls of an LLM's methods, sync or async; a stream is returned as a list of its items."""

    def chat(self, llm: Any, messages: Messages, **kwargs: Any) -> ChatResponse:
        """Return the complete response."""

    def stream_chat(self, llm: Any, messages: Messages, **kwargs: Any) -> list[ChatResponse]:
        """Return all items of the stream."""

    def complete(self, llm: Any, prompt: str, **kwargs: Any) -> CompletionResponse:
        """Return the complete response."""

    def stream_complete(self, llm: Any, prompt: str, **kwargs: Any) -> list[CompletionResponse]:
        """Return all items of the stream."""

    def call(self, llm: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method by its sync name; the async form has the prefix `a`."""

    def collect(self, llm: Any, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Call a streaming method by its sync name, and return all items."""

    def first(self, llm: Any, name: str, *args: Any, count: int = 1) -> list[Any]:
        """Return the first `count` items of a stream, and close it."""


class Sync:
    """Sync calls."""

    def chat(self, llm: Any, messages: Messages, **kwargs: Any) -> ChatResponse:
        """Return the complete response."""
        return self.call(llm, "chat", messages, **kwargs)

    def stream_chat(self, llm: Any, messages: Messages, **kwargs: Any) -> list[ChatResponse]:
        """Return all items of the stream."""
        return self.collect(llm, "stream_chat", messages, **kwargs)

    def complete(self, llm: Any, prompt: str, **kwargs: Any) -> CompletionResponse:
        """Return the complete response."""
        return self.call(llm, "complete", prompt, **kwargs)

    def stream_complete(self, llm: Any, prompt: str, **kwargs: Any) -> list[CompletionResponse]:
        """Return all items of the stream."""
        return self.collect(llm, "stream_complete", prompt, **kwargs)

    def call(self, llm: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method."""
        return getattr(llm, name)(*args, **kwargs)

    def collect(self, llm: Any, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Call a streaming method, and return all items."""
        return list(getattr(llm, name)(*args, **kwargs))

    def first(self, llm: Any, name: str, *args: Any, count: int = 1) -> list[Any]:
        """Return the first `count` items of a stream, and close it."""
        stream = getattr(llm, name)(*args)
        items = [next(stream) for _ in range(count)]
        stream.close()
        return items


class Async(Sync):
    """Async calls, each on its own event loop."""

    def call(self, llm: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        """Await the async form of a method."""
        return asyncio.run(getattr(llm, "a" + name)(*args, **kwargs))

    def collect(self, llm: Any, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Await the async form of a streaming method, and return all items."""

        async def collect_items() -> list[Any]:
            return [item async for item in await getattr(llm, "a" + name)(*args, **kwargs)]

        return asyncio.run(collect_items())

    def first(self, llm: Any, name: str, *args: Any, count: int = 1) -> list[Any]:
        """Return the first `count` items of a stream, and close it."""

        async def first_items() -> list[Any]:
            stream = await getattr(llm, "a" + name)(*args)
            items = [await anext(stream) for _ in range(count)]
            await stream.aclose()
            return items

        return asyncio.run(first_items())


@pytest.fixture(params=[Sync(), Async()], ids=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Run the test once with sync and once with async calls."""
    param: Mode = request.param
    return param


@pytest.fixture
def make_llm(sim: Simulator) -> Iterator[LLMFactory]:
    """Return a factory of models connected to the simulator; close the models after the test."""
    with ExitStack() as stack:

        def make(**fields: Any) -> OneRouterLLM:
            connection = {"base_url": sim.base_url, "api_key": sim.api_key}
            llm = OneRouterLLM(**{"model": "simulated/echo", **connection, **fields})
            return stack.enter_context(llm)

        yield make


@pytest.fixture
def llm(make_llm: LLMFactory) -> OneRouterLLM:
    """Return a model connected to the simulator, with default fields."""
    return make_llm()


def user_messages(text: str) -> list[ChatMessage]:
    """Return a conversation of one user message."""
    return [ChatMessage(text)]
