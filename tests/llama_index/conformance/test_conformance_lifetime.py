"""Loops, threads and endings: one instance wherever it is used, and nothing runs on by itself.

A server that streams for ever is the measure: it must see that its client has hung up.
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
from tests.llama_index.conformance.answers import answer
from tests.llama_index.conformance.bench import Bench, say

ENDLESS = Script(events=[chunk("One "), chunk("two "), 30.0])
SOON, LATE = 2.0, 10.0

# --- loops and threads ---


@pytest.mark.parametrize("endpoint", ["achat", "astream_chat"])
def test_one_instance_on_ten_loops(plain_bench: Bench, endpoint: str) -> None:
    """`asyncio.run` ten times, no retry to hide behind: ten answers, ten requests."""
    plain_bench.script(*[answer(endpoint, "Hi.")] * 10)
    for _ in range(10):
        assert asyncio.run(asked(plain_bench.llm, endpoint)) == "Hi."
    assert plain_bench.count == 10


async def asked(llm: Any, endpoint: str) -> Any:
    """Await an endpoint and return its words; not for ever, where a loop waits for another."""
    return await asyncio.wait_for(words(llm, endpoint), LATE)


async def words(llm: Any, endpoint: str) -> Any:
    """Await an endpoint, and all items of a stream."""
    found = await getattr(llm, endpoint)(say())
    if endpoint == "astream_chat":
        return [item async for item in found][-1].message.content
    return found.message.content


def test_one_instance_in_many_threads(plain_bench: Bench) -> None:
    """Each with calls of its own, and with loops of its own."""
    llm = plain_bench.llm
    plain_bench.script(*[answer("chat", "Hi.")] * 24)

    def both(_: int) -> list[Any]:
        return [llm.chat(say()).message.content, asyncio.run(asked(llm, "achat"))]

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(both, range(12))) == [["Hi.", "Hi."]] * 12
    assert plain_bench.count == 24


async def test_the_facades_of_llama_index_in_a_running_loop(plain_bench: Bench) -> None:
    """Notebooks run a loop, and LlamaIndex then makes another in a thread, call after call.

    It closes those loops before what was begun on them has ended: that they leave sockets to the
    collector is no fault of the class.
    """
    plain_bench.script(*[answer("achat", "Hi.")] * 6)
    for _ in range(3):
        assert asyncio_run(asked(plain_bench.llm, "achat")) == "Hi."
        assert await asked(plain_bench.llm, "achat") == "Hi."
    assert plain_bench.count == 6
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain_bench.made.clear()
        for _ in range(3):  # what is found dying in one round is gone after the next
            gc.collect()


async def test_many_calls_at_once(plain_bench: Bench) -> None:
    """One request each."""
    plain_bench.script(*[answer("achat", "Hi.")] * 30)
    found = await asyncio.gather(*(asked(plain_bench.llm, "achat") for _ in range(30)))
    assert found == ["Hi."] * 30
    assert plain_bench.count == 30


# --- endings ---


def close(items: Any) -> None:
    """Take an item and close."""
    next(items)
    items.close()


def leave(items: Any) -> None:
    """Take an item, leave the loop and forget the stream."""
    for _ in items:
        break


@pytest.mark.parametrize("endpoint", ["stream_chat", "stream_complete"])
@pytest.mark.parametrize("ended", [close, leave], ids=["close", "break"])
def test_a_stream_that_is_left_is_hung_up(
    plain_bench: Bench, ended: Callable[[Any], None], endpoint: str
) -> None:
    """A stop button stops the bill."""
    plain_bench.script(ENDLESS)
    ended(getattr(plain_bench.llm, endpoint)("Hi" if "complete" in endpoint else say()))
    assert plain_bench.sim.last.wait_hung_up(SOON)


async def aclose(llm: Any) -> None:
    """Take an item and close."""
    items = await llm.astream_chat(say())
    await anext(items)
    await items.aclose()


async def aleave(llm: Any) -> None:
    """Take an item, leave the loop and forget the stream."""
    async for _ in await llm.astream_chat(say()):
        break


async def cancel(llm: Any) -> None:
    """Cancel a task that reads on."""
    task = asyncio.ensure_future(asked(llm, "astream_chat"))
    await asyncio.sleep(0.3)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def cancel_waiting(llm: Any) -> None:
    """Cancel a task that waits for a whole answer."""
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(asked(llm, "achat"), 0.3)


@pytest.mark.parametrize("ended", [aclose, aleave, cancel, cancel_waiting])
async def test_an_async_call_that_is_left_is_hung_up(plain_bench: Bench, ended: Any) -> None:
    """While the loop and the model live on."""
    plain_bench.script(Script(delay=30) if ended is cancel_waiting else ENDLESS)
    await ended(plain_bench.llm)
    left = await asyncio.to_thread(plain_bench.sim.last.wait_hung_up, SOON)
    assert left


def test_a_stream_that_is_never_read_holds_nothing(plain_bench: Bench) -> None:
    """Made and thrown away: the server was not asked, or sees that nobody listens."""
    plain_bench.script(ENDLESS)
    items = plain_bench.llm.stream_chat(say())
    items.close()
    del items
    assert plain_bench.count == 0 or plain_bench.sim.last.wait_hung_up(SOON)
