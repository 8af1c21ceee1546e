"""The two colours of every verb, and a gateway that speaks to the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from pydantic import SecretStr

from onerouter_core import Clients, ConnectionSettings, Gateway, Reply, ReplyDelta, Request
from onerouter_simulator import Simulator


class Colour(Protocol):
    """The verbs of a gateway, awaited or not."""

    def complete(self, gateway: Gateway, request: Request, **options: Any) -> Reply:
        """Return the whole answer."""

    def stream(self, gateway: Gateway, request: Request, **options: Any) -> list[ReplyDelta]:
        """Return all pieces."""

    def first(self, gateway: Gateway, request: Request, count: int) -> list[ReplyDelta]:
        """Return some pieces, and leave."""

    def models(self, gateway: Gateway) -> tuple[Any, ...]:
        """Return the model list."""


class Sync:
    """The verbs as they are."""

    def complete(self, gateway: Gateway, request: Request, **options: Any) -> Reply:
        """Return the whole answer."""
        return gateway.complete(request, **options)

    def stream(self, gateway: Gateway, request: Request, **options: Any) -> list[ReplyDelta]:
        """Return all pieces."""
        return list(gateway.stream(request, **options))

    def first(self, gateway: Gateway, request: Request, count: int) -> list[ReplyDelta]:
        """Return some pieces, and leave."""
        pieces = gateway.stream(request)
        taken = [next(pieces) for _ in range(count)]
        pieces.close()
        return taken

    def models(self, gateway: Gateway) -> tuple[Any, ...]:
        """Return the model list."""
        return gateway.models()


class Async:
    """The verbs awaited."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run on this event loop."""
        self._run = loop.run_until_complete

    def complete(self, gateway: Gateway, request: Request, **options: Any) -> Reply:
        """Return the whole answer."""
        return self._run(gateway.acomplete(request, **options))

    def stream(self, gateway: Gateway, request: Request, **options: Any) -> list[ReplyDelta]:
        """Return all pieces."""

        async def collect() -> list[ReplyDelta]:
            return [piece async for piece in await gateway.astream(request, **options)]

        return self._run(collect())

    def first(self, gateway: Gateway, request: Request, count: int) -> list[ReplyDelta]:
        """Return some pieces, and leave."""

        async def collect() -> list[ReplyDelta]:
            pieces = await gateway.astream(request)
            taken = [await anext(pieces) for _ in range(count)]
            await pieces.aclose()
            await asyncio.sleep(0.01)  # a generator not begun is finalised by its running loop
            return taken

        return self._run(collect())

    def models(self, gateway: Gateway) -> tuple[Any, ...]:
        """Return the model list."""
        return self._run(gateway.amodels())


@pytest.fixture(scope="session", autouse=True)
def _no_loop_unasked() -> None:
    """Keep asyncio from making an event loop where somebody asks for the current one."""
    asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def clients() -> Iterator[Clients]:
    """Share connections between tests, which need not make their own."""
    shared = Clients()
    yield shared
    shared.close()


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop that ends, as all do, by closing its generators."""
    running = asyncio.new_event_loop()
    yield running
    running.run_until_complete(running.shutdown_asyncgens())
    running.close()


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest, loop: asyncio.AbstractEventLoop) -> Colour:
    """Run a test twice, once in each colour."""
    return Sync() if request.param == "sync" else Async(loop)


@pytest.fixture(params=["complete", "stream"])
def ask(request: pytest.FixtureRequest, colour: Colour) -> Callable[..., Any]:
    """Run a test with each verb that sends a request, in both colours."""
    return getattr(colour, request.param)


@pytest.fixture
def gateway(sim: Simulator, clients: Clients) -> Callable[..., Gateway]:
    """Make gateways that reach the simulator; keywords change the connection."""

    def make(clients: Clients = clients, **changes: Any) -> Gateway:
        reached = {"api_key": SecretStr(sim.api_key), "base_url": sim.base_url}
        return Gateway(ConnectionSettings(**reached | changes), clients)

    return make


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let no connection of another test be used: where certificates are tells clients apart."""
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
