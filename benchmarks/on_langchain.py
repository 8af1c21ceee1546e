"""Targets on LangChain: ours, the peers that are installed, and the floor.

The floor is a model class that yields ready-made chunks and does nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from importlib.util import find_spec
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from openai import DefaultAsyncHttpxClient  # on httpx, or with openai 3 on httpx2

from benchmarks.baselines import Target
from benchmarks.payloads import KEY, MODEL, Ask, functions
from langchain_onerouter import ChatOneRouter


def targets(root: str) -> dict[str, Target]:
    """Return the targets by name."""

    def reached(ask: Ask) -> dict[str, Any]:
        return {"model": MODEL, "api_key": KEY, "base_url": root + ask.path}

    every = {
        "LangChain's floor": LangChain(lambda ask: Floor(ask=ask)),
        "ChatOneRouter": LangChain(lambda ask: ChatOneRouter(**reached(ask))),
        "ChatOneRouter, httpx": LangChain(
            lambda ask: ChatOneRouter(**reached(ask), http_async_client=DefaultAsyncHttpxClient())
        ),
    }
    for name, kind in peers().items():
        every[name] = LangChain(lambda ask, kind=kind: kind(**reached(ask)))
    return {**every}


def peers() -> dict[str, type[BaseChatModel]]:
    """Return the peers' classes, as far as they are installed."""
    known: dict[str, type[BaseChatModel]] = {}
    if find_spec("langchain_openai"):
        from langchain_openai import ChatOpenAI  # noqa: PLC0415 -- not on every environment

        known["ChatOpenAI"] = ChatOpenAI
    if find_spec("langchain_openrouter"):
        from langchain_openrouter import ChatOpenRouter  # noqa: PLC0415 -- likewise

        known["ChatOpenRouter"] = ChatOpenRouter
    return known


class LangChain:
    """A chat model, used as its users do."""

    def __init__(self, make: Callable[[Ask], BaseChatModel]) -> None:
        self.make = make
        self._known: dict[Ask, tuple[Runnable[Any, Any], list[BaseMessage]]] = {}

    def _ready(self, ask: Ask) -> tuple[Runnable[Any, Any], list[BaseMessage]]:
        if ask not in self._known:
            model: Any = self.make(ask)
            if ask.tools:
                model = model.bind_tools([tool(function) for function in functions(ask.tools)])
            kinds = {"user": HumanMessage, "assistant": AIMessage}
            self._known[ask] = model, [kinds[m["role"]](m["content"]) for m in ask.messages()]
        return self._known[ask]

    def stream(self, ask: Ask) -> Iterator[Any]:
        """Return the chunks."""
        model, messages = self._ready(ask)
        return model.stream(messages)

    async def astream(self, ask: Ask) -> AsyncIterator[Any]:
        """Return the chunks."""
        model, messages = self._ready(ask)
        return model.astream(messages)

    def call(self, ask: Ask) -> Any:
        """Return the message."""
        model, messages = self._ready(ask)
        return model.invoke(messages)

    async def acall(self, ask: Ask) -> Any:
        """Return the message."""
        model, messages = self._ready(ask)
        return await model.ainvoke(messages)

    def ask_once(self, model: BaseChatModel) -> Any:
        """Return what an instance answers."""
        return model.invoke("hi")

    def text(self, item: Any) -> str:
        """Return the words of a chunk."""
        return item.content


class Floor(BaseChatModel):
    """Answers with what is ready."""

    ask: Ask

    @property
    def _llm_type(self) -> str:
        return "floor"

    def bind_tools(self, tools: Any, **_: Any) -> Any:  # noqa: ARG002 -- LangChain's signature
        """Offer none of them."""
        return self

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        message = AIMessage(content=" word" * self.ask.size)
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, *_: Any, **__: Any) -> ChatResult:
        return self._generate()

    def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        for _ in range(self.ask.size):
            yield ChatGenerationChunk(message=self._chunk())

    async def _astream(self, *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
        for _ in range(self.ask.size):
            yield ChatGenerationChunk(message=self._chunk())

    def _chunk(self) -> AIMessageChunk:
        match self.ask.kind:
            case "tool":
                part = {"name": None, "args": "word", "id": None, "index": 0}
                return AIMessageChunk(content="", tool_call_chunks=[part])
            case "reasoning":
                return AIMessageChunk(content="", additional_kwargs={"reasoning_content": " word"})
            case _:
                return AIMessageChunk(content=" word")
