"""A model that speaks to the simulator, and the two colours in which it can be called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import certifi
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import LLMResult
from langchain_core.runnables import Runnable

from langchain_onerouter import ChatOneRouter
from onerouter_simulator import Simulator

Make: TypeAlias = Callable[..., ChatOneRouter]
Ask: TypeAlias = Callable[..., AIMessage]


class Colour(Protocol):
    """What a runnable can be asked, awaited or not."""

    def invoke(self, runnable: Runnable, asked: Any, **options: Any) -> Any:
        """Return the whole answer."""

    def stream(self, runnable: Runnable, asked: Any, **options: Any) -> list[Any]:
        """Return all chunks."""

    def batch(self, runnable: Runnable, asked: Sequence[Any], **options: Any) -> list[Any]:
        """Return all answers."""

    def generate(self, model: BaseChatModel, asked: str, **options: Any) -> list[AIMessage]:
        """Return the messages of all choices."""


class Sync:
    """The verbs as they are."""

    def invoke(self, runnable: Runnable, asked: Any, **options: Any) -> Any:
        """Return the whole answer."""
        return runnable.invoke(asked, **options)

    def stream(self, runnable: Runnable, asked: Any, **options: Any) -> list[Any]:
        """Return all chunks."""
        return list(runnable.stream(asked, **options))

    def batch(self, runnable: Runnable, asked: Sequence[Any], **options: Any) -> list[Any]:
        """Return all answers."""
        return runnable.batch(list(asked), **options)

    def generate(self, model: BaseChatModel, asked: str, **options: Any) -> list[AIMessage]:
        """Return the messages of all choices."""
        return _messages(model.generate([[HumanMessage(asked)]], **options))


class Async:
    """The verbs awaited, each call on an event loop of its own."""

    def invoke(self, runnable: Runnable, asked: Any, **options: Any) -> Any:
        """Return the whole answer."""
        return asyncio.run(runnable.ainvoke(asked, **options))

    def stream(self, runnable: Runnable, asked: Any, **options: Any) -> list[Any]:
        """Return all chunks."""

        async def collect() -> list[Any]:
            return [chunk async for chunk in runnable.astream(asked, **options)]

        return asyncio.run(collect())

    def batch(self, runnable: Runnable, asked: Sequence[Any], **options: Any) -> list[Any]:
        """Return all answers."""
        return asyncio.run(runnable.abatch(list(asked), **options))

    def generate(self, model: BaseChatModel, asked: str, **options: Any) -> list[AIMessage]:
        """Return the messages of all choices."""
        return _messages(asyncio.run(model.agenerate([[HumanMessage(asked)]], **options)))


def _messages(result: LLMResult) -> list[Any]:
    return [generation.message for generation in result.generations[0]]


@pytest.fixture(scope="session", autouse=True)
def _few_certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust one certificate: every client loads all there are, which takes most of its time."""
    first, end, _ = Path(certifi.where()).read_text("utf-8").partition("-----END CERTIFICATE-----")
    file = tmp_path_factory.mktemp("certificates") / "one.pem"
    file.write_text(first + end, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture(params=[Sync(), Async()], ids=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Colour:
    """Run a test twice, once in each colour."""
    return request.param


@pytest.fixture(params=["invoke", "stream"])
def ask(request: pytest.FixtureRequest, colour: Colour) -> Ask:
    """Run a test with each verb, in both colours; the chunks of a stream are added up."""
    if request.param == "invoke":
        return colour.invoke
    return lambda *asked, **options: reduce(add, colour.stream(*asked, **options))


@pytest.fixture
def make(sim: Simulator) -> Iterator[Make]:
    """Make models that reach the simulator; keywords change the fields."""
    made: list[ChatOneRouter] = []

    def make(**fields: Any) -> ChatOneRouter:
        known = {"model": "simulated/echo", "api_key": sim.api_key, "base_url": sim.base_url}
        made.append(ChatOneRouter(**{**known, **fields}))
        return made[-1]

    yield make
    for model in made:
        model.close()


@pytest.fixture
def llm(make: Make) -> ChatOneRouter:
    """Hand out a model of which nothing is set but how to reach the simulator."""
    return make()
