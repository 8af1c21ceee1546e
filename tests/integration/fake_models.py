"""The two frameworks in their two colours, asked in the same words and heard in the same form.

Knows how ChatOneRouter and OneRouterLLM are called and what they return. Knows no server.
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

Look: TypeAlias = Callable[[], None]


@dataclass(frozen=True)
class Answer:
    """What both frameworks tell of an answer; logprobs are (token, logprob, alternatives)."""

    text: str
    finish_reason: str
    model: str
    tokens: tuple[int, int, int]
    cost: float | None
    logprobs: list[tuple[str, float, int]]


class Framework(Protocol):
    """A model of one framework."""

    def ask(self, text: str, **options: Any) -> Answer:
        """Return the answer."""

    async def aask(self, text: str, **options: Any) -> Answer:
        """Return the answer."""

    def stream(self, text: str, **options: Any) -> Generator[Any, None, None]:
        """Yield the answer's parts."""

    async def astream(self, text: str, **options: Any) -> AsyncGenerator[Any, None]:
        """Return what yields them."""

    def words(self, part: Any) -> str:
        """Return what a part adds."""

    def whole(self, parts: Sequence[Any]) -> Answer:
        """Return the answer that all parts make."""


class LangChain:
    """ChatOneRouter."""

    def __init__(self, **fields: Any) -> None:
        self.llm = ChatOneRouter(**fields)

    def ask(self, text: str, **options: Any) -> Answer:
        """Return the answer."""
        return _of_message(self.llm.invoke(text, **options))

    async def aask(self, text: str, **options: Any) -> Answer:
        """Return the answer."""
        return _of_message(await self.llm.ainvoke(text, **options))

    def stream(self, text: str, **options: Any) -> Any:
        """Yield the answer's chunks."""
        return self.llm.stream(text, **options)

    async def astream(self, text: str, **options: Any) -> Any:
        """Return what yields them."""
        return self.llm.astream(text, **options)

    def words(self, part: AIMessageChunk) -> str:
        """Return what a chunk adds."""
        return part.text

    def whole(self, parts: Sequence[AIMessageChunk]) -> Answer:
        """Return the sum."""
        return _of_message(reduce(add, parts))


class LlamaIndex:
    """OneRouterLLM."""

    def __init__(self, **fields: Any) -> None:
        self.llm = OneRouterLLM(**fields)

    def ask(self, text: str, **options: Any) -> Answer:
        """Return the answer."""
        return _of_response(self.llm.chat([ChatMessage(text)], **options))

    async def aask(self, text: str, **options: Any) -> Answer:
        """Return the answer."""
        return _of_response(await self.llm.achat([ChatMessage(text)], **options))

    def stream(self, text: str, **options: Any) -> Any:
        """Yield the answer as it grows."""
        return self.llm.stream_chat([ChatMessage(text)], **options)

    async def astream(self, text: str, **options: Any) -> Any:
        """Return what yields it as it grows."""
        return await self.llm.astream_chat([ChatMessage(text)], **options)

    def words(self, part: ChatResponse) -> str:
        """Return what a response adds to the one before."""
        return part.delta or ""

    def whole(self, parts: Sequence[ChatResponse]) -> Answer:
        """Return the last."""
        return _of_response(parts[-1])


def _of_message(message: AIMessage) -> Answer:
    facts, usage = message.response_metadata, message.usage_metadata
    return Answer(
        text=message.text,
        finish_reason=facts["finish_reason"],
        model=facts["model_name"],
        tokens=(usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]),
        cost=facts.get("cost"),
        logprobs=[
            (token["token"], token["logprob"], len(token["top_logprobs"]))
            for token in facts.get("logprobs", {}).get("content", ())
        ],
    )


def _of_response(response: ChatResponse) -> Answer:
    facts = response.additional_kwargs
    return Answer(
        text=response.message.content or "",
        finish_reason=facts["finish_reason"],
        model=facts["model"],
        tokens=(facts["prompt_tokens"], facts["completion_tokens"], facts["total_tokens"]),
        cost=facts.get("cost"),
        logprobs=[
            (token.token, token.logprob, 1 + len(others))
            for token, *others in response.logprobs or ()
        ],
    )


class Sync:
    """A framework called from threads."""

    def __init__(self, framework: Framework) -> None:
        self.framework = framework

    def ask(self, text: str, **options: Any) -> Answer:
        """Return the answer."""
        return self.framework.ask(text, **options)

    def hear(self, text: str, **options: Any) -> tuple[list[str], Answer]:
        """Return the answer's words as they came, and the whole of it."""
        parts = list(self.framework.stream(text, **options))
        return [self.framework.words(part) for part in parts], self.framework.whole(parts)

    def hear_all(self, texts: Sequence[str], options: Sequence[dict[str, Any]]) -> list[Answer]:
        """Return all answers, streamed at once."""
        with ThreadPoolExecutor(len(texts)) as pool:
            return list(pool.map(lambda text, given: self.hear(text, **given)[1], texts, options))

    def leave(self, text: str, before: Look, after: Look, **options: Any) -> None:
        """Take two parts of a stream, and leave; look around before and after."""
        parts = self.framework.stream(text, **options)
        next(parts), next(parts)
        before()
        parts.close()
        after()


class Async:
    """A framework awaited, each verb on an event loop of its own."""

    def __init__(self, framework: Framework) -> None:
        self.framework = framework

    def ask(self, text: str, **options: Any) -> Answer:
        """Return the answer."""
        return asyncio.run(self.framework.aask(text, **options))

    def hear(self, text: str, **options: Any) -> tuple[list[str], Answer]:
        """Return the answer's words as they came, and the whole of it."""
        return asyncio.run(self._hear(text, **options))

    def hear_all(self, texts: Sequence[str], options: Sequence[dict[str, Any]]) -> list[Answer]:
        """Return all answers, streamed at once on one loop."""

        async def all_at_once() -> list[tuple[list[str], Answer]]:
            asked = zip(texts, options, strict=True)
            return await asyncio.gather(*(self._hear(text, **given) for text, given in asked))

        return [answer for _, answer in asyncio.run(all_at_once())]

    def leave(self, text: str, before: Look, after: Look, **options: Any) -> None:
        """Take two parts of a stream, and leave; look around before and after."""

        async def listen() -> None:
            parts = await self.framework.astream(text, **options)
            await anext(parts), await anext(parts)
            await asyncio.to_thread(before)
            await parts.aclose()
            await asyncio.to_thread(after)

        asyncio.run(listen())

    async def _hear(self, text: str, **options: Any) -> tuple[list[str], Answer]:
        parts = [part async for part in await self.framework.astream(text, **options)]
        return [self.framework.words(part) for part in parts], self.framework.whole(parts)


Voice: TypeAlias = Sync | Async
FRAMEWORKS: dict[str, Callable[..., Framework]] = {
    "langchain": LangChain,
    "llama_index": LlamaIndex,
}
COLOURS: dict[str, Callable[[Framework], Voice]] = {"sync": Sync, "async": Async}
