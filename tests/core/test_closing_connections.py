"""Closing: a stream or call that is given up disconnects at once, and the server sees it."""

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
SOON = 2  # seconds


async def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    while not condition():  # noqa: ASYNC110 -- another thread changes it
        await asyncio.sleep(0.01)


async def wait_disconnected(sim: Simulator) -> bool:
    """Wait, without blocking the event loop, until the server has seen the client disconnect."""
    return await asyncio.to_thread(sim.last.wait_hung_up, SOON)


def test_closing_a_stream_disconnects(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """After its first delta."""
    sim.script(ENDLESS)
    (delta,) = caller.first(gateway(), HELLO, 1)
    assert delta.text == "Hel"
    assert sim.last.wait_hung_up(SOON)


def test_closing_an_unread_stream_disconnects(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """Before its first delta was taken."""
    sim.script(ENDLESS)
    assert caller.first(gateway(), HELLO, 0) == []
    assert sim.last.wait_hung_up(SOON)


def test_break_disconnects(sim: Simulator, gateway: Make) -> None:
    """Out of a loop over a stream."""
    sim.script(ENDLESS)
    for delta in gateway().stream(HELLO):
        assert delta.text == "Hel"
        break
    assert sim.last.wait_hung_up(SOON)


async def test_break_in_async_code_disconnects(sim: Simulator, gateway: Make) -> None:
    """While the event loop keeps running."""
    sim.script(ENDLESS)
    one = gateway()
    async for delta in await one.astream(HELLO):
        assert delta.text == "Hel"
        break
    assert await wait_disconnected(sim)
    await one.aclose()


def test_an_exception_of_the_reader_disconnects(sim: Simulator, gateway: Make) -> None:
    """It is raised unchanged."""
    sim.script(ENDLESS)
    stream = gateway().stream(HELLO)
    next(stream)
    with pytest.raises(KeyError, match="mine"):
        stream.throw(KeyError("mine"))
    assert sim.last.wait_hung_up(SOON)


@pytest.mark.parametrize("method", ["acomplete", "astream"])
@pytest.mark.parametrize(
    "script", [Script(delay=9), Script(body="", end="hang")], ids=["no response", "no body"]
)
async def test_cancelling_a_call_disconnects(
    sim: Simulator, gateway: Make, method: str, script: Script
) -> None:
    """It is not retried."""
    sim.script(script)
    one = gateway()
    call = asyncio.create_task(getattr(one, method)(HELLO))
    await wait_until(lambda: sim.requests)
    await asyncio.sleep(0.05)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await wait_disconnected(sim)
    assert len(sim.requests) == 1
    await one.aclose()


async def test_cancelling_the_reader_of_a_stream_disconnects(sim: Simulator, gateway: Make) -> None:
    """The deltas before that have arrived."""
    sim.script(ENDLESS)
    one = gateway()
    texts: list[str] = []

    async def read() -> None:
        async for delta in await one.astream(HELLO):
            texts.append(delta.text)  # noqa: PERF401 -- the list is read before the end

    reader = asyncio.create_task(read())
    await wait_until(lambda: len(texts) == 2)
    reader.cancel()
    with suppress(asyncio.CancelledError):
        await reader
    assert await wait_disconnected(sim)
    assert texts == ["Hel", "lo"]
    await one.aclose()


async def test_wait_for_ends_a_call_and_disconnects(sim: Simulator, gateway: Make) -> None:
    """`asyncio.wait_for` raises its own timeout."""
    sim.script(Script(json=completion()), Script(delay=9))
    one = gateway()
    await one.acomplete(HELLO)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(one.acomplete(HELLO), 0.1)
    assert await wait_disconnected(sim)
    await one.aclose()


def test_closing_the_last_gateway_disconnects_its_stream(
    sim: Simulator, gateway: Make, new_clients: None
) -> None:
    """The stream was still open."""
    sim.script(ENDLESS)
    one = gateway(clients=Clients())
    stream = one.stream(HELLO)
    next(stream)
    one.close()
    assert sim.last.wait_hung_up(SOON)
    stream.close()


async def test_closing_the_last_async_gateway_disconnects_its_stream(
    sim: Simulator, gateway: Make, new_clients: None
) -> None:
    """The last one on the event loop."""
    sim.script(ENDLESS)
    one = gateway(clients=Clients())
    stream = await one.astream(HELLO)
    await anext(stream)
    await one.aclose()
    assert await wait_disconnected(sim)
    await stream.aclose()


def test_the_end_of_the_event_loop_disconnects_an_open_stream(
    sim: Simulator, gateway: Make
) -> None:
    """Although the stream is still referenced."""
    sim.script(ENDLESS)
    references = []

    async def run() -> None:
        stream = await gateway().astream(HELLO)
        references.append(stream)
        await anext(stream)

    asyncio.run(run())
    assert sim.last.wait_hung_up(SOON)


def test_the_end_of_a_stream_does_not_disconnect(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """The connection is kept for the next call."""
    sim.script(*[Script(events=[chunk("Hi", "stop")])] * 2)
    one = gateway()
    for _ in range(2):
        caller.stream(one, HELLO)
        assert not sim.last.wait_hung_up(0.05)
