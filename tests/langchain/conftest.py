"""Fixtures of the LangChain tests: models connected to the simulator, called sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import reduce
from operator import add
from typing import Any, Protocol, TypeAlias

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import LLMResult
from langchain_core.runnables import Runnable

from langchain_onerouter import ChatOneRouter
from onerouter_simulator import Simulator

LLMFactory: TypeAlias = Callable[..., ChatOneRouter]
CallModel: TypeAlias = Callable[..., AIMessage]


class Mode(Protocol):
    """Calls of a runnable's methods, sync or async; a stream is returned as a list of chunks."""

    def invoke(self, runnable: Runnable, input: Any, **kwargs: Any) -> Any:
        """Return the complete output."""

    def stream(self, runnable: Runnable, input: Any, **kwargs: Any) -> list[Any]:
        """Return all chunks of the output."""

    def batch(self, runnable: Runnable, inputs: Sequence[Any], **kwargs: Any) -> list[Any]:
        """Return the outputs in the order of the inputs."""

    def generate(self, model: BaseChatModel, text: str, **kwargs: Any) -> list[AIMessage]:
        """Return the messages of all choices."""


class Sync:
    """Sync calls."""

    def invoke(self, runnable: Runnable, input: Any, **kwargs: Any) -> Any:
        """Return the complete output."""
        return runnable.invoke(input, **kwargs)

    def stream(self, runnable: Runnable, input: Any, **kwargs: Any) -> list[Any]:
        """Return all chunks of the output."""
        return list(runnable.stream(input, **kwargs))

    def batch(self, runnable: Runnable, inputs: Sequence[Any], **kwargs: Any) -> list[Any]:
        """Return the outputs in the order of the inputs."""
        return runnable.batch(list(inputs), **kwargs)

    def generate(self, model: BaseChatModel, text: str, **kwargs: Any) -> list[AIMessage]:
        """Return the messages of all choices."""
        return _messages(model.generate([[HumanMessage(text)]], **kwargs))


class Async:
    """Async calls, each on its own event loop."""

    def invoke(self, runnable: Runnable, input: Any, **kwargs: Any) -> Any:
        """Return the complete output."""
        return asyncio.run(runnable.ainvoke(input, **kwargs))

    def stream(self, runnable: Runnable, input: Any, **kwargs: Any) -> list[Any]:
        """Return all chunks of the output."""

        async def collect() -> list[Any]:
            return [chunk async for chunk in runnable.astream(input, **kwargs)]

        return asyncio.run(collect())

    def batch(self, runnable: Runnable, inputs: Sequence[Any], **kwargs: Any) -> list[Any]:
        """Return the outputs in the order of the inputs."""
        return asyncio.run(runnable.abatch(list(inputs), **kwargs))

    def generate(self, model: BaseChatModel, text: str, **kwargs: Any) -> list[AIMessage]:
        """Return the messages of all choices."""
        return _messages(asyncio.run(model.agenerate([[HumanMessage(text)]], **kwargs)))


def _messages(result: LLMResult) -> list[Any]:
    return [generation.message for generation in result.generations[0]]


@pytest.fixture(params=[Sync(), Async()], ids=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Run the test once with sync and once with async calls."""
    return request.param


@pytest.fixture(params=["invoke", "stream"])
def endpoint(request: pytest.FixtureRequest) -> str:
    """Run the test once with `invoke` and once with `stream`."""
    return request.param


@pytest.fixture
def call_model(mode: Mode, endpoint: str) -> CallModel:
    """Return a function that calls a model; it returns the message, or the sum of the chunks."""
    if endpoint == "invoke":
        return mode.invoke
    return lambda *args, **kwargs: reduce(add, mode.stream(*args, **kwargs))


@pytest.fixture
def collect_outputs(mode: Mode, endpoint: str) -> Callable[..., list[Any]]:
    """Return a function that calls a runnable and returns its outputs: one, or a stream's."""
    if endpoint == "invoke":
        return lambda *args, **kwargs: [mode.invoke(*args, **kwargs)]
    return mode.stream


@pytest.fixture
def make_llm(sim: Simulator) -> Iterator[LLMFactory]:
    """Return a factory of models connected to the simulator; close the models after the test."""
    with ExitStack() as stack:

        def make(**fields: Any) -> ChatOneRouter:
            defaults = {"model": "simulated/echo", "api_key": sim.api_key, "base_url": sim.base_url}
            return stack.enter_context(ChatOneRouter(**{**defaults, **fields}))

        yield make


@pytest.fixture
def llm(make_llm: LLMFactory) -> ChatOneRouter:
    """Return a model connected to the simulator, with default fields."""
    return make_llm()
