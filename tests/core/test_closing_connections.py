"""Closing is prompt: whoever stops reading hangs up, and the server sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from onerouter_core import Clients, Gateway
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO, chunk, completion

Make = Callable[..., Gateway]

ENDLESS = Script(events=[chunk("Hel"), chunk("lo")], end="hang")
SOON = 2


async def until(done: Callable[[], object]) -> None:
    """Wait until something has happened."""
    while not done():  # noqa: ASYNC110 -- it happens in another thread
        await asyncio.sleep(0.01)


async def seen(sim: Simulator) -> bool:
    """Wait, without blocking the event loop, until the server has seen the client leave."""
    return await asyncio.to_thread(sim.last.wait_hung_up, SOON)


def test_closing_a_stream(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """A stream that is closed early hangs up."""
    sim.script(ENDLESS)
    (piece,) = caller.first(gateway(), HELLO, 1)
    assert piece.text == "Hel"
    assert sim.last.wait_hung_up(SOON)


def test_closing_a_stream_that_was_not_read(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """A stream that is closed before its first piece is taken hangs up as well."""
    sim.script(ENDLESS)
    assert caller.first(gateway(), HELLO, 0) == []
    assert sim.last.wait_hung_up(SOON)


def test_leaving_a_loop(sim: Simulator, gateway: Make) -> None:
    """`break` out of a loop over a stream hangs up."""
    sim.script(ENDLESS)
    for piece in gateway().stream(HELLO):
        assert piece.text == "Hel"
        break
    assert sim.last.wait_hung_up(SOON)


async def test_leaving_an_async_loop(sim: Simulator, gateway: Make) -> None:
    """`break` out of an async loop hangs up while the event loop runs on."""
    sim.script(ENDLESS)
    one = gateway()
    async for piece in await one.astream(HELLO):
        assert piece.text == "Hel"
        break
    assert await seen(sim)
    await one.aclose()


def test_an_error_in_a_loop(sim: Simulator, gateway: Make) -> None:
    """An error of the reader's passes unchanged, and hangs up."""
    sim.script(ENDLESS)
    pieces = gateway().stream(HELLO)
    next(pieces)
    with pytest.raises(KeyError, match="mine"):
        pieces.throw(KeyError("mine"))
    assert sim.last.wait_hung_up(SOON)


@pytest.mark.parametrize("verb", ["acomplete", "astream"])
@pytest.mark.parametrize(
    "script", [Script(delay=9), Script(body="", end="hang")], ids=["no head", "no body"]
)
async def test_cancelling_a_call(sim: Simulator, gateway: Make, verb: str, script: Script) -> None:
    """A call that is cancelled while it waits hangs up, and is not asked again."""
    sim.script(script)
    one = gateway()
    call = asyncio.create_task(getattr(one, verb)(HELLO))
    await until(lambda: sim.requests)
    await asyncio.sleep(0.05)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await seen(sim)
    assert len(sim.requests) == 1
    await one.aclose()


async def test_cancelling_a_reader(sim: Simulator, gateway: Make) -> None:
    """A task that is cancelled in mid-stream hangs up."""
    sim.script(ENDLESS)
    one = gateway()
    texts: list[str] = []

    async def read() -> None:
        async for piece in await one.astream(HELLO):
            texts.append(piece.text)  # noqa: PERF401 -- what came must be seen before the end

    reader = asyncio.create_task(read())
    await until(lambda: len(texts) == 2)
    reader.cancel()
    with suppress(asyncio.CancelledError):
        await reader
    assert await seen(sim)
    assert texts == ["Hel", "lo"]
    await one.aclose()


async def test_a_time_limit_of_the_callers(sim: Simulator, gateway: Make) -> None:
    """`asyncio.wait_for` ends a call at its limit."""
    sim.script(Script(json=completion()), Script(delay=9))
    one = gateway()
    await one.acomplete(HELLO)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(one.acomplete(HELLO), 0.1)
    assert await seen(sim)
    await one.aclose()


def test_closing_a_gateway(sim: Simulator, gateway: Make, new_clients: None) -> None:
    """The last gateway to be closed hangs up on the stream that is still open."""
    sim.script(ENDLESS)
    one = gateway(clients=Clients())
    pieces = one.stream(HELLO)
    next(pieces)
    one.close()
    assert sim.last.wait_hung_up(SOON)
    pieces.close()


async def test_closing_an_async_gateway(sim: Simulator, gateway: Make, new_clients: None) -> None:
    """So does the last one that is closed on its event loop."""
    sim.script(ENDLESS)
    one = gateway(clients=Clients())
    pieces = await one.astream(HELLO)
    await anext(pieces)
    await one.aclose()
    assert await seen(sim)
    await pieces.aclose()


def test_the_end_of_a_loop(sim: Simulator, gateway: Make) -> None:
    """A stream left open hangs up when its event loop ends."""
    sim.script(ENDLESS)
    kept = []

    async def run() -> None:
        pieces = await gateway().astream(HELLO)
        kept.append(pieces)
        await anext(pieces)

    asyncio.run(run())
    assert sim.last.wait_hung_up(SOON)


def test_a_whole_stream_is_no_hang_up(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """A stream that was read to its end leaves the connection for the next call."""
    sim.script(*[Script(events=[chunk("Hi", "stop")])] * 2)
    one = gateway()
    for _ in range(2):
        caller.stream(one, HELLO)
        assert not sim.last.wait_hung_up(0.05)
