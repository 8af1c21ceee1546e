"""Adapters that call both classes in one form, sync and async, and return one form of answer.

An adapter knows how its class is called and which types it returns. A caller calls an adapter sync
or async. This module knows no server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Protocol, TypeAlias

from langchain_core.messages import AIMessage, AIMessageChunk
from llama_index.core.base.llms.types import ChatMessage, ChatResponse

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM

Check: TypeAlias = Callable[[], None]


@dataclass(frozen=True)
class Answer:
    """The parts of an answer that both frameworks have.

    `tokens` are the numbers of prompt, completion and all tokens; `cost` is in USD; each item of
    `logprobs` is a token, its log probability and the number of alternatives.
    """

    text: str
    finish_reason: str
    model: str
    tokens: tuple[int, int, int]
    cost: float | None
    logprobs: list[tuple[str, float, int]]


class Adapter(Protocol):
    """Calls one class; a part of a stream is a chunk or a response of its framework."""

    llm: Any

    def call(self, text: str, **options: Any) -> Answer:
        """Return the answer to a user message."""

    async def acall(self, text: str, **options: Any) -> Answer:
        """Return the answer to a user message, async."""

    def stream(self, text: str, **options: Any) -> Generator[Any, None, None]:
        """Yield the parts of the answer."""

    async def astream(self, text: str, **options: Any) -> AsyncGenerator[Any, None]:
        """Return an async generator of the parts of the answer."""

    def text_of(self, part: Any) -> str:
        """Return the text that a part adds."""

    def sum_of(self, parts: Sequence[Any]) -> Answer:
        """Return the answer that all parts make."""


class LangChainAdapter:
    """Adapter of ChatOneRouter."""

    def __init__(self, **fields: Any) -> None:
        self.llm = ChatOneRouter(**fields)

    def call(self, text: str, **options: Any) -> Answer:
        """Return the answer to a user message."""
        return _answer_of_message(self.llm.invoke(text, **options))

    async def acall(self, text: str, **options: Any) -> Answer:
        """Return the answer to a user message, async."""
        return _answer_of_message(await self.llm.ainvoke(text, **options))

    def stream(self, text: str, **options: Any) -> Any:
        """Yield the chunks of the answer."""
        return self.llm.stream(text, **options)

    async def astream(self, text: str, **options: Any) -> Any:
        """Return an async generator of the chunks of the answer."""
        return self.llm.astream(text, **options)

    def text_of(self, part: AIMessageChunk) -> str:
        """Return the text of a chunk."""
        return part.text

    def sum_of(self, parts: Sequence[AIMessageChunk]) -> Answer:
        """Return the answer in the sum of all chunks."""
        return _answer_of_message(reduce(add, parts))


class LlamaIndexAdapter:
    """Adapter of OneRouterLLM."""

    def __init__(self, **fields: Any) -> None:
        self.llm = OneRouterLLM(**fields)

    def call(self, text: str, **options: Any) -> Answer:
        """Return the answer to a user message."""
        return _answer_of_response(self.llm.chat([ChatMessage(text)], **options))

    async def acall(self, text: str, **options: Any) -> Answer:
        """Return the answer to a user message, async."""
        return _answer_of_response(await self.llm.achat([ChatMessage(text)], **options))

    def stream(self, text: str, **options: Any) -> Any:
        """Yield responses with the answer so far."""
        return self.llm.stream_chat([ChatMessage(text)], **options)

    async def astream(self, text: str, **options: Any) -> Any:
        """Return an async generator of responses with the answer so far."""
        return await self.llm.astream_chat([ChatMessage(text)], **options)

    def text_of(self, part: ChatResponse) -> str:
        """Return the delta of a response."""
        return part.delta or ""

    def sum_of(self, parts: Sequence[ChatResponse]) -> Answer:
        """Return the answer in the last response."""
        return _answer_of_response(parts[-1])


def _answer_of_message(message: AIMessage) -> Answer:
    metadata, usage = message.response_metadata, message.usage_metadata
    return Answer(
        text=message.text,
        finish_reason=metadata["finish_reason"],
        model=metadata["model_name"],
        tokens=(usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]),
        cost=metadata.get("cost"),
        logprobs=[
            (token["token"], token["logprob"], len(token["top_logprobs"]))
            for token in metadata.get("logprobs", {}).get("content", ())
        ],
    )


def _answer_of_response(response: ChatResponse) -> Answer:
    metadata = response.additional_kwargs
    return Answer(
        text=response.message.content or "",
        finish_reason=metadata["finish_reason"],
        model=metadata["model"],
        tokens=(
            metadata["prompt_tokens"],
            metadata["completion_tokens"],
            metadata["total_tokens"],
        ),
        cost=metadata.get("cost"),
        logprobs=[
            (token.token, token.logprob, 1 + len(alternatives))
            for token, *alternatives in response.logprobs or ()
        ],
    )


class SyncCaller:
    """Calls an adapter sync; concurrent calls are in threads."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter

    def call(self, text: str, **options: Any) -> Answer:
        """Return the answer to a user message."""
        return self.adapter.call(text, **options)

    def stream(self, text: str, **options: Any) -> tuple[list[str], Answer]:
        """Return the texts of all parts of a stream, and the answer they make."""
        parts = list(self.adapter.stream(text, **options))
        return [self.adapter.text_of(part) for part in parts], self.adapter.sum_of(parts)

    def stream_concurrently(
        self, texts: Sequence[str], options: Sequence[dict[str, Any]]
    ) -> list[Answer]:
        """Return the answers of several streams that are read at the same time."""
        with ThreadPoolExecutor(len(texts)) as pool:
            results = pool.map(lambda text, given: self.stream(text, **given), texts, options)
            return [answer for _, answer in results]

    def abandon_stream(self, text: str, before: Check, after: Check, **options: Any) -> None:
        """Close a stream after two parts; run a check before closing it and one after."""
        parts = self.adapter.stream(text, **options)
        next(parts), next(parts)
        before()
        parts.close()
        after()


class AsyncCaller:
    """Calls an adapter async, each time on an event loop of its own."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter

    def call(self, text: str, **options: Any) -> Answer:
        """Return the answer to a user message."""
        return asyncio.run(self.adapter.acall(text, **options))

    def stream(self, text: str, **options: Any) -> tuple[list[str], Answer]:
        """Return the texts of all parts of a stream, and the answer they make."""
        return asyncio.run(self._stream(text, **options))

    def stream_concurrently(
        self, texts: Sequence[str], options: Sequence[dict[str, Any]]
    ) -> list[Answer]:
        """Return the answers of several streams that are read at the same time, on one loop."""

        async def stream_all() -> list[tuple[list[str], Answer]]:
            calls = zip(texts, options, strict=True)
            return await asyncio.gather(*(self._stream(text, **given) for text, given in calls))

        return [answer for _, answer in asyncio.run(stream_all())]

    def abandon_stream(self, text: str, before: Check, after: Check, **options: Any) -> None:
        """Close a stream after two parts; run a check before closing it and one after."""

        async def abandon() -> None:
            parts = await self.adapter.astream(text, **options)
            await anext(parts), await anext(parts)
            await asyncio.to_thread(before)
            await parts.aclose()
            await asyncio.to_thread(after)

        asyncio.run(abandon())

    async def _stream(self, text: str, **options: Any) -> tuple[list[str], Answer]:
        parts = [part async for part in await self.adapter.astream(text, **options)]
        return [self.adapter.text_of(part) for part in parts], self.adapter.sum_of(parts)


Caller: TypeAlias = SyncCaller | AsyncCaller
ADAPTERS: dict[str, Callable[..., Adapter]] = {
    "langchain": LangChainAdapter,
    "llama_index": LlamaIndexAdapter,
}
CALLERS: dict[str, Callable[[Adapter], Caller]] = {"sync": SyncCaller, "async": AsyncCaller}
