"""A gateway on a loopback port, in a thread of its own.

Knows sockets, threads and uvicorn's protocol. Knows no path and no rule: those are the app's.
"""

import asyncio
import socket
import threading
from fractions import Fraction
from types import TracebackType
from typing import final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from onerouter_simulator.app import Gateway
from onerouter_simulator.request_log import Journal, Received
from onerouter_simulator.scripts import Script


@final
class Simulator:
    """A simulated OneRouter gateway: `with Simulator() as sim: ... sim.base_url, sim.api_key`.

    Streams come in pieces of `chunk_size` characters. `delay` seconds pass before every answer and
    between the pieces of a streamed one. `failing` is the share of requests that fail with status
    500: at 0.02 every 50th does.
    """

    def __init__(  # noqa: PLR0913 -- each by its name, and none needed
        self,
        *,
        chunk_size: int = 12,
        delay: float = 0.0,
        failing: float = 0.0,
        api_key: str = "sk-simulated",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        if not 0 <= failing <= 1:
            raise ValueError(f"no such share of requests can fail: {failing!r}")
        if not 0 <= port < 65536:  # noqa: PLR2004 -- what a port is
            raise ValueError(f"no such port: {port!r}")
        if chunk_size < 1:
            raise ValueError(f"a piece cannot have {chunk_size!r} characters")
        self.api_key = api_key
        self._address = (host, port)
        self._journal = Journal()
        self._gateway = Gateway(self._journal, api_key, chunk_size, delay, Fraction(str(failing)))
        self._running: Running | None = None

    def start(self) -> "Simulator":
        """Listen and answer, until `stop`."""
        if self._running is None:
            self._running = Running(self._gateway, listening(self._address))
        return self

    def stop(self) -> None:
        """Close all connections, open streams too, and wait for the thread to end."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    def __enter__(self) -> "Simulator":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """Where it listens, for the clients' `base_url`."""
        if self._running is None:
            raise RuntimeError("the simulator is not running: use it in a `with` statement")
        host, port = self._running.address
        return f"http://{host}:{port}/v1"

    @property
    def requests(self) -> list[Received]:
        """All requests so far, the oldest first."""
        return self._journal.requests

    @property
    def last(self) -> Received:
        """The newest request; raise LookupError if none has come."""
        if not self._journal.requests:
            raise LookupError("no request has come")
        return self._journal.requests[-1]

    def script(self, *scripts: Script) -> None:
        """Queue exact replies, one per chat completion; then the rules answer again."""
        for script in scripts:
            if not isinstance(script, Script):
                kind = type(script).__name__
                raise TypeError(f"a script is a Script(...) or a failure(...), not a {kind}")
        self._journal.queue(scripts)

    def clear(self) -> None:
        """Forget the requests so far and the scripts that wait; `failing` counts anew."""
        self._journal.clear()


class Running:
    """The thread with its event loop, from the listening socket to the last closed connection."""

    def __init__(self, gateway: Gateway, listener: socket.socket) -> None:
        self.address: tuple[str, int] = listener.getsockname()[:2]
        self._gateway = gateway
        self._config = configured(gateway)
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener)),
            name="onerouter-simulator",
            daemon=True,
        )
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Ask the loop to end and wait until it has."""
        self._loop.call_soon_threadsafe(self._leaving.set)
        self._thread.join()

    async def _serve(self, listener: socket.socket) -> None:
        self._loop, self._leaving = asyncio.get_running_loop(), asyncio.Event()
        state = ServerState()
        server = await self._loop.create_server(
            lambda: TransportInState(self._config, state, {}), sock=listener
        )
        self._gateway.leaving = False
        self._ready.set()
        await self._leaving.wait()
        self._gateway.leaving = True
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.gather(*state.tasks, return_exceptions=True)


def listening(address: tuple[str, int]) -> socket.socket:
    """Return a listening socket whose connections send at once: asyncio would not see to that."""
    listener = socket.create_server(address, backlog=512)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class TransportInState(H11Protocol):
    """Hands the app its TCP transport, so that a reply can end in ways HTTP has no words for."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the transport where each request's scope takes its state from."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def configured(gateway: Gateway) -> uvicorn.Config:
    """Uvicorn's settings: HTTP/1.1 by h11, nothing else, and no logging of its own."""
    config = uvicorn.Config(
        gateway.app,
        interface="asgi3",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=60,
    )
    config.load()
    return config
