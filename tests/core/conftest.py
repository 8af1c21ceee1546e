"""Fixtures of the core's tests: gateways that reach the simulator, sync and async callers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import pytest
from pydantic import SecretStr

from onerouter_core import Clients, ConnectionSettings, Gateway, Reply, ReplyDelta, Request
from onerouter_core.transport import aprepare, prepare
from onerouter_simulator import Simulator


class Caller(Protocol):
    """The methods of a gateway, called sync or async."""

    def complete(self, gateway: Gateway, request: Request, **options: Any) -> Reply:
        """Return the complete reply."""

    def stream(self, gateway: Gateway, request: Request, **options: Any) -> list[ReplyDelta]:
        """Return all deltas of a streamed reply."""

    def first(self, gateway: Gateway, request: Request, count: int) -> list[ReplyDelta]:
        """Return the first deltas of a streamed reply, and close the stream."""

    def models(self, gateway: Gateway) -> tuple[Any, ...]:
        """Return the model list."""

    def balance(self, gateway: Gateway) -> Decimal:
        """Return the balance."""


class SyncCaller:
    """Calls the sync methods."""

    def complete(self, gateway: Gateway, request: Request, **options: Any) -> Reply:
        """Return the complete reply."""
        return gateway.complete(request, **options)

    def stream(self, gateway: Gateway, request: Request, **options: Any) -> list[ReplyDelta]:
        """Return all deltas of a streamed reply."""
        return list(gateway.stream(request, **options))

    def first(self, gateway: Gateway, request: Request, count: int) -> list[ReplyDelta]:
        """Return the first deltas of a streamed reply, and close the stream."""
        stream = gateway.stream(request)
        deltas = [next(stream) for _ in range(count)]
        stream.close()
        return deltas

    def models(self, gateway: Gateway) -> tuple[Any, ...]:
        """Return the model list."""
        return gateway.models()

    def balance(self, gateway: Gateway) -> Decimal:
        """Return the balance."""
        return gateway.balance()


class AsyncCaller:
    """Calls the async methods, and runs them on an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run on this event loop."""
        self._run = loop.run_until_complete

    def complete(self, gateway: Gateway, request: Request, **options: Any) -> Reply:
        """Return the complete reply."""
        return self._run(gateway.acomplete(request, **options))

    def stream(self, gateway: Gateway, request: Request, **options: Any) -> list[ReplyDelta]:
        """Return all deltas of a streamed reply."""

        async def collect() -> list[ReplyDelta]:
            return [delta async for delta in await gateway.astream(request, **options)]

        return self._run(collect())

    def first(self, gateway: Gateway, request: Request, count: int) -> list[ReplyDelta]:
        """Return the first deltas of a streamed reply, and close the stream."""

        async def collect() -> list[ReplyDelta]:
            stream = await gateway.astream(request)
            deltas = [await anext(stream) for _ in range(count)]
            await stream.aclose()
            await asyncio.sleep(0.01)  # the loop finalises a generator that was never started
            return deltas

        return self._run(collect())

    def models(self, gateway: Gateway) -> tuple[Any, ...]:
        """Return the model list."""
        return self._run(gateway.amodels())

    def balance(self, gateway: Gateway) -> Decimal:
        """Return the balance."""
        return self._run(gateway.abalance())


@pytest.fixture(scope="session", autouse=True)
def _no_implicit_event_loop() -> None:
    """Keep asyncio from creating an event loop where code asks for the current one."""
    asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def clients(loop: asyncio.AbstractEventLoop) -> Iterator[Clients]:
    """Provide one pool of HTTP clients, made beforehand, for the tests that need no new one."""
    shared = Clients()
    prepare(shared, ConnectionSettings())
    loop.run_until_complete(aprepare(shared, ConnectionSettings()))
    yield shared
    shared.close()


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Provide an event loop; at its end it closes its async generators, as `asyncio.run` does."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


@pytest.fixture(params=["sync", "async"])
def caller(request: pytest.FixtureRequest, loop: asyncio.AbstractEventLoop) -> Caller:
    """Run a test twice, with the sync and the async methods."""
    return SyncCaller() if request.param == "sync" else AsyncCaller(loop)


@pytest.fixture(params=["complete", "stream"])
def send(request: pytest.FixtureRequest, caller: Caller) -> Callable[..., Any]:
    """Run a test with `complete` and `stream`, sync and async."""
    return getattr(caller, request.param)


@pytest.fixture
def gateway(sim: Simulator, clients: Clients) -> Callable[..., Gateway]:
    """Provide a function that makes a gateway to the simulator; keywords are its settings."""

    def make_gateway(clients: Clients = clients, **settings: Any) -> Gateway:
        defaults = {"api_key": SecretStr(sim.api_key), "base_url": sim.base_url}
        return Gateway(ConnectionSettings(**defaults | settings), clients)

    return make_gateway


@pytest.fixture
def new_clients(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have new HTTP clients made: only those with the same certificates are shared."""
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
