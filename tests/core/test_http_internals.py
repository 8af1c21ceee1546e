"""Undocumented parts of HTTP libraries: a loop that has been closed, and leftover bytes.

The bytes themselves are in tests/faults/test_leftover_bytes.py, and more loops in
tests/faults/test_ended_loops.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import openai
import pytest

from onerouter_core import Clients, Gateway
from onerouter_core.http_internals import (
    abort_connections,
    close_aiohttp_leftovers,
    close_leftovers,
    iter_transports,
)
from onerouter_simulator import Script, Simulator
from tests.core.payloads import HELLO, chunk, completion

Make = Callable[..., Gateway]
HALF = Script(events=[chunk("Hel")], end="hang")


class MissingClient:
    """Stands in for the SDK's aiohttp client where aiohttp is not installed."""

    def __init__(self, **_: Any) -> None:
        raise RuntimeError("not installed")


@pytest.mark.parametrize("library", ["aiohttp", "httpx"])
@pytest.mark.usefixtures("new_clients")
def test_a_loop_that_is_closed_disconnects(
    sim: Simulator, gateway: Make, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    """An open stream, although nothing was told to close; the next loop has a new connection."""
    if library == "httpx":
        monkeypatch.setattr(openai, "DefaultAioHttpClient", MissingClient)
    sim.script(HALF, Script(json=completion()))
    one = gateway(clients=Clients())

    async def start() -> Any:
        stream = await one.astream(HELLO)
        await anext(stream)
        return stream

    loop = asyncio.new_event_loop()
    stream = loop.run_until_complete(start())
    loop.close()
    assert sim.last.wait_hung_up(2)
    del stream
    assert asyncio.run(one.acomplete(HELLO)).text == "Hi"


@pytest.mark.parametrize(
    "function",
    [abort_connections, close_leftovers, close_aiohttp_leftovers],
    ids=lambda f: f.__name__,
)
def test_another_version_of_a_library_is_left_alone(function: Callable[[Any], None]) -> None:
    """An object without the known attributes is no error, and is not changed."""

    class Transport:
        pool = "renamed"

    class Client:
        transport = Transport()

    client = Client()
    function(client)
    function(Transport())
    assert vars(client) == {}
    assert list(iter_transports(client)) == []
