"""Adapters that call both classes in one form: complete or streamed, sync or async.

An `Adapter` calls one class and reads the result types of its framework. A `CallVariant` names the
mode of a call and its HTTP backend. This module knows the two frameworks. It knows no fault case.
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

from tests.faults.cases import Outcome, ToolCalls
from tests.faults.server import Endpoint

KEY = "sk-canary-0123456789"
MODEL_FIELDS = {"model": "vendor/model", "api_key": KEY}
PROMPT = "Hello"
TOOL_NAME = "f"  # the only tool that is defined: an agent would not run another one


@dataclass(frozen=True)
class CallVariant:
    """A mode ("complete" or "stream") and a backend: None is sync, else the async HTTP client.

    "aiohttp" is the SDK's aiohttp client, "default" its default client.
    """

    mode: str
    backend: str | None = None

    def __str__(self) -> str:
        return f"{self.mode}-{self.backend or 'sync'}"


VARIANTS = [
    CallVariant(mode, backend)
    for mode in ("complete", "stream")
    for backend in (None, "aiohttp", "default")
]


class Adapter(Protocol):
    """Calls one class; each result is appended to `results` as it comes, and read at the end."""

    def call(self, model: Any, mode: str, results: list[Any], **options: Any) -> None:
        """Call the model and append its results."""

    async def acall(self, model: Any, mode: str, results: list[Any], **options: Any) -> None:
        """Call the model on an event loop and append its results."""

    def read(self, model: Any, results: list[Any]) -> tuple[str, ToolCalls]:
        """Return the text of all results, and the tool calls that an agent would run."""


class LangChainAdapter:
    """Adapter of a LangChain chat model."""

    def call(self, model: Any, mode: str, results: list[Any], **options: Any) -> None:
        """Call the model and append its results."""
        if mode == "complete":
            results.append(model.invoke(PROMPT, **options))
        else:
            results.extend(model.stream(PROMPT, **options))

    async def acall(self, model: Any, mode: str, results: list[Any], **options: Any) -> None:
        """Call the model on an event loop and append its results."""
        if mode == "complete":
            results.append(await model.ainvoke(PROMPT, **options))
        else:
            async for chunk in model.astream(PROMPT, **options):
                results.append(chunk)  # noqa: PERF401 -- chunks before an error must be kept

    def read(self, model: Any, results: list[Any]) -> tuple[str, ToolCalls]:
        """Return the text of all results, and the tool calls that an agent would run."""
        if not results:
            return "", ()
        message = reduce(add, results)
        return str(message.text), [(call["name"], call["args"]) for call in message.tool_calls]


class LlamaIndexAdapter:
    """Adapter of a LlamaIndex LLM."""

    def call(self, model: Any, mode: str, results: list[Any], **options: Any) -> None:
        """Call the model and append its results."""
        if mode == "complete":
            results.append(model.chat([ChatMessage(PROMPT)], **options))
        else:
            results.extend(model.stream_chat([ChatMessage(PROMPT)], **options))

    async def acall(self, model: Any, mode: str, results: list[Any], **options: Any) -> None:
        """Call the model on an event loop and append its results."""
        if mode == "complete":
            results.append(await model.achat([ChatMessage(PROMPT)], **options))
        else:
            async for response in await model.astream_chat([ChatMessage(PROMPT)], **options):
                results.append(response)  # noqa: PERF401 -- responses before an error must be kept

    def read(self, model: Any, results: list[Any]) -> tuple[str, ToolCalls]:
        """Return the text of all results, and the tool calls that an agent would run."""
        if not results:
            return "", ()
        deltas = [response.delta for response in results]
        if deltas == [None]:
            text = results[0].message.content
        else:
            text = "".join(delta or "" for delta in deltas)
        selections = model.get_tool_calls_from_response(results[-1], error_on_no_tool_call=False)
        tool_calls = [(s.tool_name, s.tool_kwargs) for s in selections if s.tool_name == TOOL_NAME]
        return text or "", tool_calls


class CallRecorder:
    """Context of one call: it keeps the results, the error and the time, and suppresses errors."""

    def __init__(self, adapter: Adapter, model: Any) -> None:
        self.results: list[Any] = []
        self.error: BaseException | None = None
        self._adapter, self._model = adapter, model
        self._started = 0.0
        self._ended = 0.0

    def __enter__(self) -> Self:
        self._started = monotonic()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        self._ended = monotonic()
        self.error = error
        return isinstance(error, Exception)

    def outcome(self) -> Outcome:
        """Return the outcome of the call."""
        seconds = self._ended - self._started
        return Outcome(*self._adapter.read(self._model, self.results), self.error, seconds)


def call_model(adapter: Adapter, model: Any, mode: str, **options: Any) -> Outcome:
    """Call a model and return the outcome."""
    with CallRecorder(adapter, model) as recorder:
        adapter.call(model, mode, recorder.results, **options)
    return recorder.outcome()


async def acall_model(adapter: Adapter, model: Any, mode: str, **options: Any) -> Outcome:
    """Call a model on an event loop and return the outcome."""
    with CallRecorder(adapter, model) as recorder:
        await adapter.acall(model, mode, recorder.results, **options)
    return recorder.outcome()


@dataclass(frozen=True)
class Caller:
    """A model that is called in one variant; async calls run on `loop`."""

    adapter: Adapter
    model: Any
    variant: CallVariant
    loop: asyncio.AbstractEventLoop

    @property
    def mode(self) -> str:
        """The mode of the variant: "complete" or "stream"."""
        return self.variant.mode

    def call(self, endpoint: Endpoint, **options: Any) -> Outcome:
        """Call once and return the outcome."""
        arguments = self.adapter, self.model, self.mode
        options = {"base_url": endpoint.base_url, **options}
        if self.variant.backend is None:
            return call_model(*arguments, **options)
        return self.loop.run_until_complete(acall_model(*arguments, **options))

    def call_concurrently(self, calls: list[tuple[Endpoint, dict[str, Any]]]) -> list[Outcome]:
        """Make several calls at the same time, each to its endpoint with options of its own."""
        arguments = self.adapter, self.model, self.mode
        all_options = [{"base_url": endpoint.base_url, **options} for endpoint, options in calls]
        if self.variant.backend is None:
            with ThreadPoolExecutor(len(calls)) as pool:
                return list(
                    pool.map(lambda options: call_model(*arguments, **options), all_options)
                )

        async def gather() -> list[Outcome]:
            return await asyncio.gather(*(acall_model(*arguments, **o) for o in all_options))

        return self.loop.run_until_complete(gather())


def default_async_client() -> Any:
    """Return the SDK's default async client, which is not on aiohttp."""
    return openai.DefaultAsyncHttpxClient()
