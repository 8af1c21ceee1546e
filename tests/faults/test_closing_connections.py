"""Abandoned streams and cancelled calls: the server sees the disconnect within 100 ms.

Three entry points are left out, because the framework itself keeps the stream open:
`(llm | parser).stream()`, which langchain-core reads to its end; the sync stream of an agent, where
LangGraph waits for its thread; and the sync `stream_events(version="v3")`, which has no close
method and waits for the garbage collector.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic
from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentStream, FunctionAgent

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from tests.core.payloads import chunk, sse
from tests.faults.adapters import MODEL_FIELDS, default_async_client
from tests.faults.conftest import Loop
from tests.faults.entry_points import (
    MESSAGES,
    AsyncStream,
    Stream,
    langchain_async_streams,
    langchain_streams,
    llama_index_async_streams,
    llama_index_streams,
    multiply,
)
from tests.faults.http_scripts import chunked
from tests.faults.server import End, Endpoint, Repeat, Server

MAX_DELAY = 0.1  # seconds
TRIES = 5  # a busy machine may be late

EVENTS = sse(chunk("Hel"), chunk("lo"), done=False)
SCRIPTS = {
    "silence": chunked(EVENTS, End.HANG),
    "more events": chunked(EVENTS, Repeat(sse(chunk("!"), done=False), 0.01)),
}

# --- ways to abandon a stream; each returns the time at which it did ---


def by_break(stream: Stream) -> float:
    """Break out of the loop."""
    for _ in stream():
        abandoned_at = monotonic()
        break
    return abandoned_at


def by_close(stream: Stream) -> float:
    """Close the generator."""
    items: Any = stream()
    next(items)
    abandoned_at = monotonic()
    items.close()
    return abandoned_at


def by_exception(stream: Stream) -> float:
    """Raise in the body of the loop."""
    with suppress(KeyError):
        for _ in stream():
            abandoned_at = monotonic()
            raise KeyError
    return abandoned_at


def by_dropping(stream: Stream) -> float:
    """Delete the last reference."""
    items = stream()
    next(items)
    abandoned_at = monotonic()
    del items
    return abandoned_at


async def by_aclose(stream: AsyncStream) -> float:
    """Close the async generator."""
    items: Any = stream()
    await anext(items)
    abandoned_at = monotonic()
    await items.aclose()
    return abandoned_at


async def by_async_break(stream: AsyncStream) -> float:
    """Break out of the loop; the event loop closes the dropped generator."""
    async for _ in stream():
        abandoned_at = monotonic()
        break
    await asyncio.sleep(MAX_DELAY)
    return abandoned_at


async def by_async_exception(stream: AsyncStream) -> float:
    """Raise in the body of the loop."""
    with suppress(KeyError):
        async for _ in stream():
            abandoned_at = monotonic()
            raise KeyError
    await asyncio.sleep(MAX_DELAY)
    return abandoned_at


async def by_cancelling(stream: AsyncStream) -> float:
    """Cancel the task that reads."""
    first = asyncio.Event()

    async def read() -> None:
        async for _ in stream():
            first.set()

    task = asyncio.create_task(read())
    await first.wait()
    await asyncio.sleep(0.02)
    abandoned_at = monotonic()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return abandoned_at


async def by_wait_for(stream: AsyncStream) -> float:
    """Let the caller's own `asyncio.wait_for` time out."""
    first = asyncio.Event()

    async def read() -> None:
        async for _ in stream():
            first.set()

    task = asyncio.create_task(read())
    await first.wait()
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(task, 0.05)
    return monotonic()


SYNC = [by_break, by_close, by_exception, by_dropping]
ASYNC = [by_aclose, by_async_break, by_async_exception, by_cancelling, by_wait_for]
ENTRY_POINTS = {
    langchain_streams: list(langchain_streams("https://x")),
    llama_index_streams: list(llama_index_streams("https://x")),
}
ASYNC_ENTRY_POINTS = {
    langchain_async_streams: list(langchain_async_streams("https://x")),
    llama_index_async_streams: list(llama_index_async_streams("https://x")),
}


def parameters(entry_points: dict[Any, list[str]]) -> list[Any]:
    """Return pytest parameters: the function that makes a framework's streams, and a name."""
    return [
        pytest.param(streams, name, id=name)
        for streams, names in entry_points.items()
        for name in names
    ]


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("abandon", SYNC, ids=lambda abandon: abandon.__name__)
@pytest.mark.parametrize(("streams", "name"), parameters(ENTRY_POINTS))
def test_an_abandoned_sync_stream_disconnects(
    server: Server, streams: Any, name: str, abandon: Any, script: Any
) -> None:
    """The server sees the disconnect at once, for every way to abandon a stream."""
    for _ in range(TRIES):
        endpoint = server.endpoint(script)
        abandoned_at = abandon(streams(endpoint.base_url)[name])
        assert endpoint.last.disconnected.wait(2)
        if endpoint.last.disconnected_at - abandoned_at < MAX_DELAY:
            break
    assert endpoint.last.disconnected_at - abandoned_at < MAX_DELAY
    assert len(endpoint.requests) == 1


@pytest.fixture(params=["aiohttp", "default"])
def fields(request: pytest.FixtureRequest, loop: Loop) -> Iterator[dict[str, Any]]:
    """Run a test over either async backend."""
    if request.param == "aiohttp":
        yield {}
        return
    client = default_async_client()
    yield {"http_async_client": client}
    loop.run_until_complete(client.aclose())


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("abandon", ASYNC, ids=lambda abandon: abandon.__name__)
@pytest.mark.parametrize(("streams", "name"), parameters(ASYNC_ENTRY_POINTS))
def test_an_abandoned_async_stream_disconnects(  # noqa: PLR0913, PLR0917 -- parameters and fixtures
    server: Server,
    loop: Loop,
    fields: dict[str, Any],
    streams: Any,
    name: str,
    abandon: Any,
    script: Any,
) -> None:
    """The server sees the disconnect at once, while the event loop runs on."""
    for _ in range(TRIES):
        endpoint = server.endpoint(script)
        stream = streams(endpoint.base_url, **fields)[name]
        times = loop.run_until_complete(_abandon_and_wait(abandon, stream, endpoint))
        abandoned_at, disconnected_at = times
        if disconnected_at - abandoned_at < MAX_DELAY:
            break
    assert disconnected_at - abandoned_at < MAX_DELAY
    assert len(endpoint.requests) == 1


async def _abandon_and_wait(
    abandon: Any, stream: AsyncStream, endpoint: Endpoint
) -> tuple[float, Any]:
    """Return the times at which the stream was abandoned and at which the server saw it."""
    abandoned_at = await abandon(stream)
    assert await asyncio.to_thread(endpoint.last.disconnected.wait, 2)
    return abandoned_at, endpoint.last.disconnected_at


@pytest.mark.parametrize("script", [(End.HANG,), *SCRIPTS.values()], ids=["no headers", *SCRIPTS])
@pytest.mark.parametrize("name", ["ainvoke", "achat", "acomplete"])
def test_a_cancelled_call_disconnects(
    server: Server, loop: Loop, fields: dict[str, Any], name: str, script: Any
) -> None:
    """A cancelled call ends the connection, also before the headers, and is not retried."""
    model_class = ChatOneRouter if name == "ainvoke" else OneRouterLLM
    prompt: Any = MESSAGES if name == "achat" else "Hi"

    async def cancel(endpoint: Endpoint) -> tuple[float, Any]:
        call = asyncio.ensure_future(getattr(model, name)(prompt))
        await asyncio.to_thread(endpoint.wait_for_requests, 1)
        await asyncio.sleep(0.02)
        cancelled_at = monotonic()
        call.cancel()
        with suppress(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(endpoint.last.disconnected.wait, 2)
        return cancelled_at, endpoint.last.disconnected_at

    for _ in range(TRIES):
        endpoint = server.endpoint(script)
        model = model_class(**MODEL_FIELDS, base_url=endpoint.base_url, **fields)
        cancelled_at, disconnected_at = loop.run_until_complete(cancel(endpoint))
        loop.run_until_complete(model.aclose())
        if disconnected_at - cancelled_at < MAX_DELAY:
            break
    assert disconnected_at - cancelled_at < MAX_DELAY
    assert len(endpoint.requests) == 1


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_cancelled_agent_run_disconnects(
    server: Server, loop: Loop, fields: dict[str, Any], script: Any
) -> None:
    """The run of a LlamaIndex agent is cancelled after its first delta."""

    async def cancel(endpoint: Endpoint) -> tuple[float, Any]:
        agent = FunctionAgent(tools=[multiply], llm=llm)
        handler = agent.run("Hi")
        async for event in handler.stream_events():
            if isinstance(event, AgentStream):
                break
        cancelled_at = monotonic()
        await handler.cancel_run()
        assert await asyncio.to_thread(endpoint.last.disconnected.wait, 2)
        with suppress(BaseException):
            await handler
        return cancelled_at, endpoint.last.disconnected_at

    for _ in range(TRIES):
        endpoint = server.endpoint(script)
        llm = OneRouterLLM(**MODEL_FIELDS, base_url=endpoint.base_url, **fields)
        cancelled_at, disconnected_at = loop.run_until_complete(cancel(endpoint))
        loop.run_until_complete(llm.aclose())
        if disconnected_at - cancelled_at < MAX_DELAY:
            break
    assert disconnected_at - cancelled_at < MAX_DELAY
    assert len(endpoint.requests) == 1
