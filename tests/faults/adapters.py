"""The two classes, asked in the same words: whole or streamed, awaited or not, over either backend.

A `Face` asks one class and reads what its framework gives; a `Way` is how it is asked. This module
knows both frameworks' verbs and what their answers look like. It knows no behaviour.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from operator import add
from time import monotonic
from typing import Any, Protocol

import openai
from llama_index.core.base.llms.types import ChatMessage
from typing_extensions import Self

from tests.faults.cases import Calls, Outcome
from tests.faults.server import Line

KEY = "sk-canary-0123456789"
REACH = {"model": "vendor/model", "api_key": KEY}
ASKED = "Hello"
TOOL = "f"  # the only tool there is: no agent would run another


@dataclass(frozen=True)
class Way:
    """How a model is asked; async calls go over aiohttp or over the SDK's default client."""

    mode: str
    backend: str | None = None

    def __str__(self) -> str:
        return f"{self.mode}-{self.backend or 'sync'}"


WAYS = [Way(mode, how) for mode in ("whole", "stream") for how in (None, "aiohttp", "default")]


class Face(Protocol):
    """One class: what is given to it goes into `got` as it comes, and is read in the end."""

    def ask(self, model: Any, mode: str, got: list[Any], **options: Any) -> None:
        """Ask, and take what comes."""

    async def aask(self, model: Any, mode: str, got: list[Any], **options: Any) -> None:
        """Ask on an event loop, and take what comes."""

    def read(self, model: Any, got: list[Any]) -> tuple[str, Calls]:
        """Return the text of all that came, and the calls that an agent would run."""


class LangChain:
    """A LangChain chat model."""

    def ask(self, model: Any, mode: str, got: list[Any], **options: Any) -> None:
        """Ask, and take what comes."""
        if mode == "whole":
            got.append(model.invoke(ASKED, **options))
        else:
            got.extend(model.stream(ASKED, **options))

    async def aask(self, model: Any, mode: str, got: list[Any], **options: Any) -> None:
        """Ask on an event loop, and take what comes."""
        if mode == "whole":
            got.append(await model.ainvoke(ASKED, **options))
        else:
            async for chunk in model.astream(ASKED, **options):
                got.append(chunk)  # noqa: PERF401 -- what came before an error must be there

    def read(self, model: Any, got: list[Any]) -> tuple[str, Calls]:
        """Return the text of all that came, and the calls that an agent would run."""
        if not got:
            return "", ()
        total = reduce(add, got)
        return str(total.text), [(call["name"], call["args"]) for call in total.tool_calls]


class LlamaIndex:
    """A LlamaIndex LLM."""

    def ask(self, model: Any, mode: str, got: list[Any], **options: Any) -> None:
        """Ask, and take what comes."""
        if mode == "whole":
            got.append(model.chat([ChatMessage(ASKED)], **options))
        else:
            got.extend(model.stream_chat([ChatMessage(ASKED)], **options))

    async def aask(self, model: Any, mode: str, got: list[Any], **options: Any) -> None:
        """Ask on an event loop, and take what comes."""
        if mode == "whole":
            got.append(await model.achat([ChatMessage(ASKED)], **options))
        else:
            async for response in await model.astream_chat([ChatMessage(ASKED)], **options):
                got.append(response)  # noqa: PERF401 -- what came before an error must be there

    def read(self, model: Any, got: list[Any]) -> tuple[str, Calls]:
        """Return the text of all that came, and the calls that an agent would run."""
        if not got:
            return "", ()
        deltas = [response.delta for response in got]
        text = got[0].message.content if deltas == [None] else "".join(d or "" for d in deltas)
        found = model.get_tool_calls_from_response(got[-1], error_on_no_tool_call=False)
        calls = [(call.tool_name, call.tool_kwargs) for call in found if call.tool_name == TOOL]
        return text or "", calls


class Asking:
    """One call: what came of it is there afterwards, also if it failed."""

    def __init__(self, face: Face, model: Any) -> None:
        self.got: list[Any] = []
        self.error: BaseException | None = None
        self._face, self._model = face, model
        self._begun = 0.0
        self._ended = 0.0

    def __enter__(self) -> Self:
        self._begun = monotonic()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        self._ended = monotonic()
        self.error = error
        return isinstance(error, Exception)

    def outcome(self) -> Outcome:
        """Return what the user got."""
        seconds = self._ended - self._begun
        return Outcome(*self._face.read(self._model, self.got), self.error, seconds)


def ask(face: Face, model: Any, mode: str, **options: Any) -> Outcome:
    """Ask a model, and return what the user got."""
    with Asking(face, model) as asking:
        face.ask(model, mode, asking.got, **options)
    return asking.outcome()


async def aask(face: Face, model: Any, mode: str, **options: Any) -> Outcome:
    """Ask a model on an event loop, and return what the user got."""
    with Asking(face, model) as asking:
        await face.aask(model, mode, asking.got, **options)
    return asking.outcome()


@dataclass(frozen=True)
class User:
    """Somebody who calls one class in one way."""

    face: Face
    model: Any
    way: Way
    loop: asyncio.AbstractEventLoop

    @property
    def mode(self) -> str:
        """Whether answers are asked for whole or streamed."""
        return self.way.mode

    def calls(self, line: Line, **options: Any) -> Outcome:
        """Call once."""
        options = {"base_url": line.base_url, **options}
        if self.way.backend is None:
            return ask(self.face, self.model, self.mode, **options)
        return self.loop.run_until_complete(aask(self.face, self.model, self.mode, **options))

    def calls_at_once(self, calls: list[tuple[Line, dict[str, Any]]]) -> list[Outcome]:
        """Call many times at once, each time with options of its own."""
        given = [{"base_url": line.base_url, **options} for line, options in calls]
        if self.way.backend is None:
            with ThreadPoolExecutor(len(given)) as pool:
                how = (self.face, self.model, self.mode)
                return list(pool.map(lambda options: ask(*how, **options), given))

        async def gathered() -> list[Outcome]:
            how = (self.face, self.model, self.mode)
            return await asyncio.gather(*(aask(*how, **options) for options in given))

        return self.loop.run_until_complete(gathered())


def default_async_client() -> Any:
    """Return the SDK's async client that is not on aiohttp."""
    return openai.DefaultAsyncHttpxClient()
