"""The two colours of every endpoint, and a model that speaks to the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse

from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Simulator

Messages = Sequence[ChatMessage]


class Colour(Protocol):
    """The endpoints of a model, awaited or not; a stream is a list of all its items."""

    def chat(self, llm: Any, messages: Messages, **kwargs: Any) -> ChatResponse:
        """Return the whole answer."""

    def stream_chat(self, llm: Any, messages: Messages, **kwargs: Any) -> list[ChatResponse]:
        """Return all items."""

    def complete(self, llm: Any, prompt: str, **kwargs: Any) -> CompletionResponse:
        """Return the whole answer."""

    def stream_complete(self, llm: Any, prompt: str, **kwargs: Any) -> list[CompletionResponse]:
        """Return all items."""

    def call(self, llm: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method that has a twin with an `a` before its name."""

    def collect(self, llm: Any, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Call a streaming method that has such a twin, and return all items."""

    def first(self, llm: Any, name: str, *args: Any, count: int = 1) -> list[Any]:
        """Take some items of a stream, and leave."""


class Sync:
    """The endpoints as they are."""

    def chat(self, llm: Any, messages: Messages, **kwargs: Any) -> ChatResponse:
        """Return the whole answer."""
        return self.call(llm, "chat", messages, **kwargs)

    def stream_chat(self, llm: Any, messages: Messages, **kwargs: Any) -> list[ChatResponse]:
        """Return all items."""
        return self.collect(llm, "stream_chat", messages, **kwargs)

    def complete(self, llm: Any, prompt: str, **kwargs: Any) -> CompletionResponse:
        """Return the whole answer."""
        return self.call(llm, "complete", prompt, **kwargs)

    def stream_complete(self, llm: Any, prompt: str, **kwargs: Any) -> list[CompletionResponse]:
        """Return all items."""
        return self.collect(llm, "stream_complete", prompt, **kwargs)

    def call(self, llm: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method."""
        return getattr(llm, name)(*args, **kwargs)

    def collect(self, llm: Any, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Call a streaming method, and return all items."""
        return list(getattr(llm, name)(*args, **kwargs))

    def first(self, llm: Any, name: str, *args: Any, count: int = 1) -> list[Any]:
        """Take some items of a stream, and leave."""
        items = getattr(llm, name)(*args)
        taken = [next(items) for _ in range(count)]
        items.close()
        return taken


class Async(Sync):
    """The endpoints awaited, each call on an event loop of its own."""

    def call(self, llm: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        """Await a method."""
        return asyncio.run(getattr(llm, "a" + name)(*args, **kwargs))

    def collect(self, llm: Any, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Await a streaming method, and return all items."""

        async def collected() -> list[Any]:
            return [item async for item in await getattr(llm, "a" + name)(*args, **kwargs)]

        return asyncio.run(collected())

    def first(self, llm: Any, name: str, *args: Any, count: int = 1) -> list[Any]:
        """Take some items of a stream, and leave."""

        async def taken() -> list[Any]:
            items = await getattr(llm, "a" + name)(*args)
            some = [await anext(items) for _ in range(count)]
            await items.aclose()
            return some

        return asyncio.run(taken())


@pytest.fixture(params=[Sync(), Async()], ids=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Colour:
    """Run the test once with each colour."""
    found: Colour = request.param
    return found


Make = Callable[..., OneRouterLLM]


@pytest.fixture
def make(sim: Simulator) -> Iterator[Make]:
    """Make models that speak to the simulator, and close them in the end."""
    with ExitStack() as stack:

        def made(**fields: Any) -> OneRouterLLM:
            reach = {"base_url": sim.base_url, "api_key": sim.api_key}
            llm = OneRouterLLM(**{"model": "simulated/echo", **reach, **fields})
            return stack.enter_context(llm)

        yield made


@pytest.fixture
def llm(make: Make) -> OneRouterLLM:
    """Make a model with nothing set."""
    return make()


def say(text: str) -> list[ChatMessage]:
    """Return a conversation of one user message."""
    return [ChatMessage(text)]
