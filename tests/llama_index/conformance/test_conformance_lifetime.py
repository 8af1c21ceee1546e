"""Lifetime: event loops, threads, and closing of streams.

The server of a closing test sends an endless stream: it must see the disconnect.
"""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from llama_index.core.async_utils import asyncio_run

from onerouter_simulator import Script, chunk
from tests.llama_index.conformance.harness import Harness, user_messages
from tests.llama_index.conformance.scripted_replies import text_reply

ENDLESS = Script(events=[chunk("One "), chunk("two "), 30.0])
DISCONNECT_SECONDS, ANSWER_SECONDS = 2.0, 10.0
CANCEL_AFTER_SECONDS = 1.0  # a busy machine needs this long to send the request

# --- event loops and threads ---


@pytest.mark.parametrize("endpoint", ["achat", "astream_chat"])
def test_one_instance_works_on_ten_event_loops(sync_harness: Harness, endpoint: str) -> None:
    """Ten calls of `asyncio.run` without a retry: ten answers, ten requests."""
    sync_harness.script(*[text_reply(endpoint, "Hi.")] * 10)
    for _ in range(10):
        assert asyncio.run(answer_text(sync_harness.llm, endpoint)) == "Hi."
    assert sync_harness.request_count == 10


async def answer_text(llm: Any, endpoint: str) -> Any:
    """Await an endpoint within a time limit, and return its text."""
    return await asyncio.wait_for(read_answer(llm, endpoint), ANSWER_SECONDS)


async def read_answer(llm: Any, endpoint: str) -> Any:
    """Await an endpoint, and return its text; of a stream, that of its last item."""
    result = await getattr(llm, endpoint)(user_messages())
    if endpoint == "astream_chat":
        return [item async for item in result][-1].message.content
    return result.message.content


def test_one_instance_works_in_many_threads(sync_harness: Harness) -> None:
    """Sync calls, and async calls on an event loop per thread."""
    llm = sync_harness.llm
    sync_harness.script(*[text_reply("chat", "Hi.")] * 24)

    def call_both(_: int) -> list[Any]:
        return [llm.chat(user_messages()).message.content, asyncio.run(answer_text(llm, "achat"))]

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(call_both, range(12))) == [["Hi.", "Hi."]] * 12
    assert sync_harness.request_count == 24


async def test_asyncio_run_of_llama_index_works_in_a_running_event_loop(
    sync_harness: Harness,
) -> None:
    """Notebooks have a running event loop: LlamaIndex then runs another one in a thread.

    It closes that event loop before its connections are closed, so that the garbage collector
    closes them. Warnings about it are no fault of the class.
    """
    sync_harness.script(*[text_reply("achat", "Hi.")] * 6)
    for _ in range(3):
        assert asyncio_run(answer_text(sync_harness.llm, "achat")) == "Hi."
        assert await answer_text(sync_harness.llm, "achat") == "Hi."
    assert sync_harness.request_count == 6
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sync_harness.instances.clear()
        for _ in range(3):  # objects found in one round are freed in a later one
            gc.collect()


async def test_concurrent_calls_send_one_request_each(sync_harness: Harness) -> None:
    """30 calls on one event loop."""
    sync_harness.script(*[text_reply("achat", "Hi.")] * 30)
    answers = await asyncio.gather(*(answer_text(sync_harness.llm, "achat") for _ in range(30)))
    assert answers == ["Hi."] * 30
    assert sync_harness.request_count == 30


# --- closing ---


def close_stream(items: Any) -> None:
    """Read one item, and close the stream."""
    next(items)
    items.close()


def break_loop(items: Any) -> None:
    """Read one item, leave the loop, and drop the stream."""
    for _ in items:
        break


@pytest.mark.parametrize("endpoint", ["stream_chat", "stream_complete"])
@pytest.mark.parametrize("leave", [close_stream, break_loop], ids=["close", "break"])
def test_leaving_a_stream_closes_the_connection(
    sync_harness: Harness, leave: Callable[[Any], None], endpoint: str
) -> None:
    """The server stops generating, and billing."""
    sync_harness.script(ENDLESS)
    leave(getattr(sync_harness.llm, endpoint)("Hi" if "complete" in endpoint else user_messages()))
    assert sync_harness.sim.last.wait_hung_up(DISCONNECT_SECONDS)


async def aclose_stream(llm: Any) -> None:
    """Read one item, and close the stream."""
    items = await llm.astream_chat(user_messages())
    await anext(items)
    await items.aclose()


async def abreak_loop(llm: Any) -> None:
    """Read one item, leave the loop, and drop the stream."""
    async for _ in await llm.astream_chat(user_messages()):
        break


async def cancel_reading(llm: Any) -> None:
    """Cancel a task that reads a stream."""
    task = asyncio.ensure_future(answer_text(llm, "astream_chat"))
    await asyncio.sleep(CANCEL_AFTER_SECONDS)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def cancel_chat(llm: Any) -> None:
    """Cancel a task that waits for a complete response."""
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(answer_text(llm, "achat"), CANCEL_AFTER_SECONDS)


@pytest.mark.parametrize("leave", [aclose_stream, abreak_loop, cancel_reading, cancel_chat])
async def test_leaving_an_async_call_closes_the_connection(
    sync_harness: Harness, leave: Any
) -> None:
    """The event loop and the instance stay alive."""
    sync_harness.script(Script(delay=30) if leave is cancel_chat else ENDLESS)
    await leave(sync_harness.llm)
    disconnected = await asyncio.to_thread(sync_harness.sim.last.wait_hung_up, DISCONNECT_SECONDS)
    assert disconnected


def test_a_stream_that_is_never_read_holds_no_connection(sync_harness: Harness) -> None:
    """No request was sent, or its connection is closed."""
    sync_harness.script(ENDLESS)
    items = sync_harness.llm.stream_chat(user_messages())
    items.close()
    del items
    assert sync_harness.request_count == 0 or sync_harness.sim.last.wait_hung_up(DISCONNECT_SECONDS)
