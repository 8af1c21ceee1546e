"""Whoever stops reading hangs up, and the server sees it within 100 ms, in every entry point.

Three are left out, in which the framework does not let go: `(llm | parser).stream()`, which
langchain-core reads to its end, the sync stream of an agent, where LangGraph waits for its thread,
and the sync `stream_events(version="v3")`, which cannot be closed: dropped, it waits for the
garbage collection.
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
from tests.faults.adapters import REACH, default_async_client
from tests.faults.conftest import Loop
from tests.faults.entry_points import (
    ASKED,
    AsyncStream,
    Stream,
    langchain_async_streams,
    langchain_streams,
    llama_index_async_streams,
    llama_index_streams,
    multiply,
)
from tests.faults.http_scripts import chunked
from tests.faults.server import End, Ever, Server

PROMPTLY = 0.1
TRIES = 5  # a machine that is busy with something else may try again

PIECES = sse(chunk("Hel"), chunk("lo"), done=False)
PLAYS = {
    "silent": chunked(PIECES, End.HANG),
    "lively": chunked(PIECES, Ever(sse(chunk("!"), done=False), 0.01)),
}

# --- how a reader leaves ---


def by_break(stream: Stream) -> float:
    """Leave a loop."""
    for _ in stream():
        left = monotonic()
        break
    return left


def by_close(stream: Stream) -> float:
    """Close it."""
    items: Any = stream()
    next(items)
    left = monotonic()
    items.close()
    return left


def by_an_error(stream: Stream) -> float:
    """Fail in the loop's body."""
    with suppress(KeyError):
        for _ in stream():
            left = monotonic()
            raise KeyError
    return left


def by_dropping(stream: Stream) -> float:
    """Forget it."""
    items = stream()
    next(items)
    left = monotonic()
    del items
    return left


async def by_aclose(stream: AsyncStream) -> float:
    """Close it."""
    items: Any = stream()
    await anext(items)
    left = monotonic()
    await items.aclose()
    return left


async def by_async_break(stream: AsyncStream) -> float:
    """Leave a loop; the event loop closes what was dropped."""
    async for _ in stream():
        left = monotonic()
        break
    await asyncio.sleep(PROMPTLY)
    return left


async def by_an_async_error(stream: AsyncStream) -> float:
    """Fail in the loop's body."""
    with suppress(KeyError):
        async for _ in stream():
            left = monotonic()
            raise KeyError
    await asyncio.sleep(PROMPTLY)
    return left


async def by_cancelling(stream: AsyncStream) -> float:
    """Cancel the task that reads."""
    first = asyncio.Event()

    async def read() -> None:
        async for _ in stream():
            first.set()

    task = asyncio.create_task(read())
    await first.wait()
    await asyncio.sleep(0.02)
    left = monotonic()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return left


async def by_running_out_of_time(stream: AsyncStream) -> float:
    """Wait for no longer than the caller's limit."""
    first = asyncio.Event()

    async def read() -> None:
        async for _ in stream():
            first.set()

    task = asyncio.create_task(read())
    await first.wait()
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(task, 0.05)
    return monotonic()


SYNC = [by_break, by_close, by_an_error, by_dropping]
ASYNC = [by_aclose, by_async_break, by_an_async_error, by_cancelling, by_running_out_of_time]
NAMES = {
    langchain_streams: list(langchain_streams("https://x")),
    llama_index_streams: list(llama_index_streams("https://x")),
}
ASYNC_NAMES = {
    langchain_async_streams: list(langchain_async_streams("https://x")),
    llama_index_async_streams: list(llama_index_async_streams("https://x")),
}


def crossed(names: dict[Any, list[str]]) -> list[Any]:
    """Return the entry points of both frameworks."""
    return [
        pytest.param(streams, name, id=name) for streams, of_it in names.items() for name in of_it
    ]


@pytest.mark.parametrize("play", PLAYS.values(), ids=PLAYS)
@pytest.mark.parametrize("leave", SYNC, ids=lambda leave: leave.__name__)
@pytest.mark.parametrize(("streams", "name"), crossed(NAMES))
def test_who_leaves_hangs_up(
    server: Server, streams: Any, name: str, leave: Any, play: Any
) -> None:
    """However a reader leaves, the server sees it at once."""
    for _ in range(TRIES):
        line = server.line(play)
        left = leave(streams(line.base_url)[name])
        assert line.last.left.wait(2)
        if line.last.left_at - left < PROMPTLY:
            break
    assert line.last.left_at - left < PROMPTLY
    assert len(line.requests) == 1


@pytest.fixture(params=["aiohttp", "default"])
def fields(request: pytest.FixtureRequest, loop: Loop) -> Iterator[dict[str, Any]]:
    """Run a test over either backend."""
    if request.param == "aiohttp":
        yield {}
        return
    client = default_async_client()
    yield {"http_async_client": client}
    loop.run_until_complete(client.aclose())


@pytest.mark.parametrize("play", PLAYS.values(), ids=PLAYS)
@pytest.mark.parametrize("leave", ASYNC, ids=lambda leave: leave.__name__)
@pytest.mark.parametrize(("streams", "name"), crossed(ASYNC_NAMES))
def test_who_leaves_on_a_loop_hangs_up(  # noqa: PLR0913, PLR0917 -- a cross, and its fixtures
    server: Server,
    loop: Loop,
    fields: dict[str, Any],
    streams: Any,
    name: str,
    leave: Any,
    play: Any,
) -> None:
    """The same while the loop runs on."""
    for _ in range(TRIES):
        line = server.line(play)
        left, seen = loop.run_until_complete(
            _seen(leave, streams(line.base_url, **fields)[name], line)
        )
        if seen - left < PROMPTLY:
            break
    assert seen - left < PROMPTLY
    assert len(line.requests) == 1


async def _seen(leave: Any, stream: AsyncStream, line: Any) -> tuple[float, float]:
    left = await leave(stream)
    assert await asyncio.to_thread(line.last.left.wait, 2)
    return left, line.last.left_at


@pytest.mark.parametrize("play", [(End.HANG,), *PLAYS.values()], ids=["no head", *PLAYS])
@pytest.mark.parametrize("name", ["ainvoke", "achat", "acomplete"])
def test_who_cancels_a_call_hangs_up(
    server: Server, loop: Loop, fields: dict[str, Any], name: str, play: Any
) -> None:
    """Also where no answer has begun; it is not asked again."""
    kind = ChatOneRouter if name == "ainvoke" else OneRouterLLM
    asked: Any = ASKED if name == "achat" else "Hi"

    async def cancel(line: Any) -> tuple[float, float]:
        call = asyncio.ensure_future(getattr(model, name)(asked))
        await asyncio.to_thread(line.wait_for, 1)
        await asyncio.sleep(0.02)
        left = monotonic()
        call.cancel()
        with suppress(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(line.last.left.wait, 2)
        return left, line.last.left_at

    for _ in range(TRIES):
        line = server.line(play)
        model = kind(**REACH, base_url=line.base_url, **fields)
        left, seen = loop.run_until_complete(cancel(line))
        loop.run_until_complete(model.aclose())
        if seen - left < PROMPTLY:
            break
    assert seen - left < PROMPTLY
    assert len(line.requests) == 1


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
@pytest.mark.parametrize("play", PLAYS.values(), ids=PLAYS)
def test_who_cancels_an_agent_hangs_up(
    server: Server, loop: Loop, fields: dict[str, Any], play: Any
) -> None:
    """The run of a LlamaIndex agent, cancelled after a piece."""

    async def cancel(line: Any) -> tuple[float, float]:
        agent = FunctionAgent(tools=[multiply], llm=llm)
        handler = agent.run("Hi")
        async for event in handler.stream_events():
            if isinstance(event, AgentStream):
                break
        left = monotonic()
        await handler.cancel_run()
        assert await asyncio.to_thread(line.last.left.wait, 2)
        with suppress(BaseException):
            await handler
        return left, line.last.left_at

    for _ in range(TRIES):
        line = server.line(play)
        llm = OneRouterLLM(**REACH, base_url=line.base_url, **fields)
        left, seen = loop.run_until_complete(cancel(line))
        loop.run_until_complete(llm.aclose())
        if seen - left < PROMPTLY:
            break
    assert seen - left < PROMPTLY
    assert len(line.requests) == 1
