"""Targets on LangChain: ChatOneRouter, the comparable classes that are installed, a no-op model.

The no-op models yield chunks and do nothing else, so their cost is LangChain's own: one constructs
each chunk, the other has made them before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import cached_property
from importlib.util import find_spec
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from openai import DefaultAsyncHttpxClient  # on httpx, or with openai 3 on httpx2

from benchmarks.baselines import Target
from benchmarks.payloads import API_KEY, MODEL, CallSpec, tool_functions
from langchain_onerouter import ChatOneRouter


def create_targets(server_url: str) -> dict[str, Target]:
    """Return the targets by name."""

    def connection(spec: CallSpec) -> dict[str, Any]:
        return {"model": MODEL, "api_key": API_KEY, "base_url": server_url + spec.path}

    def on_httpx(spec: CallSpec) -> ChatOneRouter:
        return ChatOneRouter(**connection(spec), http_async_client=DefaultAsyncHttpxClient())

    targets = {
        "LangChain no-op model": LangChainTarget(lambda spec: NoOpChatModel(spec=spec)),
        "LangChain no-op model, ready-made chunks": LangChainTarget(
            lambda spec: ReadyMadeChatModel(spec=spec)
        ),
        "ChatOneRouter": LangChainTarget(lambda spec: ChatOneRouter(**connection(spec))),
        "ChatOneRouter, httpx": LangChainTarget(on_httpx),
    }
    for name, peer in peer_classes().items():
        targets[name] = LangChainTarget(lambda spec, peer=peer: peer(**connection(spec)))
    return {**targets}


def peer_classes() -> dict[str, type[BaseChatModel]]:
    """Return the comparable chat models that are installed, by name."""
    classes: dict[str, type[BaseChatModel]] = {}
    if find_spec("langchain_openai"):
        from langchain_openai import ChatOpenAI  # noqa: PLC0415 -- not in every environment

        classes["ChatOpenAI"] = ChatOpenAI
    if find_spec("langchain_openrouter"):
        from langchain_openrouter import (  # noqa: PLC0415 -- not in every environment
            ChatOpenRouter,
        )

        classes["ChatOpenRouter"] = ChatOpenRouter
    return classes


class LangChainTarget:
    """A LangChain chat model, called through its public methods."""

    def __init__(self, make_model: Callable[[CallSpec], BaseChatModel]) -> None:
        self.make_model = make_model
        self._prepared: dict[CallSpec, tuple[Runnable[Any, Any], list[BaseMessage]]] = {}

    def _prepare(self, spec: CallSpec) -> tuple[Runnable[Any, Any], list[BaseMessage]]:
        """Return the model with its tools bound, and the messages of a call, made once."""
        if spec not in self._prepared:
            model: Any = self.make_model(spec)
            if spec.tool_count:
                functions = tool_functions(spec.tool_count)
                model = model.bind_tools([tool(function) for function in functions])
            classes = {"user": HumanMessage, "assistant": AIMessage}
            messages = [classes[message["role"]](message["content"]) for message in spec.messages()]
            self._prepared[spec] = model, messages
        return self._prepared[spec]

    def stream(self, spec: CallSpec) -> Iterator[Any]:
        """Return the chunks."""
        model, messages = self._prepare(spec)
        return model.stream(messages)

    async def astream(self, spec: CallSpec) -> AsyncIterator[Any]:
        """Return the chunks."""
        model, messages = self._prepare(spec)
        return model.astream(messages)

    def call(self, spec: CallSpec) -> Any:
        """Return the message."""
        model, messages = self._prepare(spec)
        return model.invoke(messages)

    async def acall(self, spec: CallSpec) -> Any:
        """Return the message."""
        model, messages = self._prepare(spec)
        return await model.ainvoke(messages)

    def call_model(self, model: BaseChatModel) -> Any:
        """Make one short call with an instance of the model."""
        return model.invoke("hi")

    def text(self, item: Any) -> str:
        """Return the text of a chunk."""
        return item.content


class NoOpChatModel(BaseChatModel):
    """A chat model that constructs each message and chunk."""

    spec: CallSpec

    @property
    def _llm_type(self) -> str:
        return "no-op"

    def bind_tools(self, tools: Any, **_: Any) -> Any:  # noqa: ARG002 -- LangChain's signature
        """Ignore the tools."""
        return self

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        message = AIMessage(content=" word" * self.spec.size)
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, *_: Any, **__: Any) -> ChatResult:
        return self._generate()

    def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        for _ in range(self.spec.size):
            yield ChatGenerationChunk(message=self._chunk())

    async def _astream(self, *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
        for _ in range(self.spec.size):
            yield ChatGenerationChunk(message=self._chunk())

    def _chunk(self) -> AIMessageChunk:
        match self.spec.kind:
            case "tool":
                call_chunk = {"name": None, "args": "word", "id": None, "index": 0}
                return AIMessageChunk(content="", tool_call_chunks=[call_chunk])
            case "reasoning":
                return AIMessageChunk(content="", additional_kwargs={"reasoning_content": " word"})
            case _:
                return AIMessageChunk(content=" word")


class ReadyMadeChatModel(NoOpChatModel):
    """A chat model that has made its chunks before."""

    @cached_property
    def _chunks(self) -> list[ChatGenerationChunk]:
        return list(super()._stream())

    def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        yield from self._chunks

    async def _astream(self, *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
        for ready_made in self._chunks:
            yield ready_made
