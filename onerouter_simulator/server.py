"""The simulator's HTTP server: a loopback port, served by a thread with its own event loop.

Knows sockets, threads and uvicorn's protocol. Paths and rules are in app.py.
"""

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from onerouter_simulator.app import GatewayApp, SimulatorApp
from onerouter_simulator.quirks import ActiveQuirks
from onerouter_simulator.recordings import check_writable, read_recording
from onerouter_simulator.request_log import RecordedRequest, RequestLog
from onerouter_simulator.scripts import Script

GATEWAY_URL = "https://llm.onerouter.pro/v1"
MAX_PASSED_ON = 64  # requests that a recorder passes on at the same time; each takes a thread


@final
class Simulator:
    """A simulated OneRouter gateway: `with Simulator() as sim: ... sim.base_url, sim.api_key`.

    Args:
        chunk_size: Characters per chunk of a streamed reply; at least 1.
        delay: Seconds before every answer of the rules, and between the chunks of a stream.
        failing: Share of requests that fail with status 500, 0 to 1; with 0.02, every 50th fails.
        quirks: Names of quirks of real gateways, which the answers of the rules have
            (docs/gateway-quirks.md lists them, and so does `--list-quirks`); scripts stay exact.
        api_key: The API key that requests must have.
        host: Address to listen on.
        port: Port to listen on, 0 to 65535; 0 takes a free port.
        on_request: Function that is called with each `RecordedRequest`, in the server's thread.

    Raises:
        ValueError: `failing`, `port` or `chunk_size` is out of its range; a quirk is unknown, or
            two quirks exclude each other.
    """

    def __init__(  # noqa: PLR0913 -- all are keyword-only and optional
        self,
        *,
        chunk_size: int = 12,
        delay: float = 0.0,
        failing: float = 0.0,
        quirks: Sequence[str] = (),
        api_key: str = "sk-simulated",
        host: str = "127.0.0.1",
        port: int = 0,
        on_request: Callable[[RecordedRequest], None] | None = None,
    ) -> None:
        if not 0 <= failing <= 1:
            raise ValueError(f"failing must be a share of requests from 0 to 1, not {failing!r}")
        if not 0 <= port < 65536:  # noqa: PLR2004 -- a TCP port has 16 bits
            raise ValueError(f"port must be from 0 to 65535, not {port!r}")
        if chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1 character, not {chunk_size!r}")
        self.api_key = api_key
        self._address = (host, port)
        self._log = RequestLog(on_request)
        share, active = Fraction(str(failing)), ActiveQuirks(quirks)
        self._app: SimulatorApp = GatewayApp(self._log, api_key, chunk_size, delay, share, active)
        self._thread: ServerThread | None = None

    @classmethod
    def record(
        cls,
        path: str | Path,
        *,
        upstream: str | None = None,
        api_key: str | None = None,
        port: int = 0,
    ) -> "Simulator":
        """Return a simulator that passes requests on to a real gateway, and records the replies.

        Each request is appended to the file with its reply, streams with their timing, without
        headers that may hold a secret, without the key wherever it stands, and without names of
        accounts. `replay` gives the replies back. GET /balance is passed on, but not recorded.

        Args:
            path: File of JSON Lines; it is created if it does not exist.
            upstream: Base URL of the gateway, up to and including /v1. None: ONEROUTER_BASE_URL,
                then https://llm.onerouter.pro/v1.
            api_key: The gateway's API key, which is the simulator's `api_key`. None: that of
                ONEROUTER_API_KEY or INFRON_API_KEY. Requests with another key keep theirs.
            port: Port to listen on, 0 to 65535; 0 takes a free port.

        Raises:
            RecordingError: The file cannot be written, or is no recording; or the upstream is not
                https and not of this machine.
        """
        from onerouter_simulator.recorder import RecorderApp  # noqa: PLC0415 -- only to record
        from onerouter_simulator.upstream import Upstream  # noqa: PLC0415 -- as above

        key = api_key or first_variable("ONEROUTER_API_KEY", "INFRON_API_KEY") or "sk-simulated"
        address = Upstream(upstream or first_variable("ONEROUTER_BASE_URL") or GATEWAY_URL)
        check_writable(Path(path))
        simulator = cls(api_key=key, port=port)
        simulator._app = RecorderApp(simulator._log, address, Path(path))
        return simulator

    @classmethod
    def replay(
        cls,
        path: str | Path,
        *,
        timing: bool = False,
        ignore: Sequence[str] = (),
        port: int = 0,
    ) -> "Simulator":
        """Return a simulator that answers with the replies of a file of `record`.

        A request is answered if a recorded one says the same: method, path, and the JSON of the
        body, in any order of keys and of the results of one answer's tools. Identical requests get
        their replies in the order of the recording, then the last one again; `clear` begins again.
        Headers, and so the API key, do not matter. A request that no recorded one fits is an error
        422: its message shows the nearest recorded request, and the fields in which they differ.
        Queued scripts come first.

        Args:
            path: The file.
            timing: Whether replies and their chunks take the time that they took.
            ignore: Fields of the body that are not compared: "user", or a path such as
                "messages.tool_call_id", which passes through every item of a list.
            port: Port to listen on, 0 to 65535; 0 takes a free port.

        Raises:
            RecordingError: The file cannot be read, is no recording, or is of a newer version.
        """
        from onerouter_simulator.replayer import ReplayApp  # noqa: PLC0415 -- only to replay

        simulator = cls(port=port)
        simulator._app = ReplayApp(
            simulator._log,
            read_recording(Path(path)),
            timing=timing,
            ignore=(ignore,) if isinstance(ignore, str) else ignore,
            source=str(path),
        )
        return simulator

    def start(self) -> "Simulator":
        """Listen and answer until `stop`; do nothing if already started.

        Raises:
            OSError: The port cannot be opened.
        """
        if self._thread is None:
            self._thread = ServerThread(self._app, listen(self._address))
        return self

    def stop(self) -> None:
        """Close all connections, also those of open streams, and wait for the thread to end."""
        if self._thread is not None:
            self._thread.stop()
            self._thread = None

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
        """The URL for the `base_url` of clients; raises RuntimeError if the server is not running.

        With port 0, a restart may change the port.
        """
        if self._thread is None:
            raise RuntimeError(
                "the simulator is not running: use it in a `with` statement, or call start()"
            )
        host, port = self._thread.address
        return f"http://{host}:{port}/v1"

    @property
    def requests(self) -> list[RecordedRequest]:
        """All requests received so far, the oldest first."""
        return self._log.requests

    @property
    def last(self) -> RecordedRequest:
        """The newest request; raises LookupError if none was received."""
        if not self._log.requests:
            raise LookupError("the simulator has received no request")
        return self._log.requests[-1]

    def script(self, *scripts: Script) -> None:
        """Queue exact replies, one per chat completion; after them the rules answer again.

        Raises:
            TypeError: An argument is not a Script.
        """
        for script in scripts:
            if not isinstance(script, Script):
                kind = type(script).__name__
                raise TypeError(f"script() takes a Script(...) or a failure(...), not a {kind}")
        self._log.queue_scripts(scripts)

    def clear(self) -> None:
        """Remove the received requests, the queued scripts and the cached prompts.

        `failing` counts from 1 again, and a replay begins again with the first replies.
        """
        self._app.clear()

    def advance(self, seconds: float) -> None:
        """Move the clock of the prompt cache forward, so that cached prompts expire."""
        self._app.advance(seconds)


class ServerThread:
    """A daemon thread that runs the server; the constructor returns once it is listening."""

    def __init__(self, app: SimulatorApp, listener: socket.socket) -> None:
        self.address: tuple[str, int] = listener.getsockname()[:2]
        self._app = app
        self._config = uvicorn_config(app)
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener)),
            name="onerouter-simulator",
            daemon=True,
        )
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Stop the event loop and wait for the thread to end."""
        self._loop.call_soon_threadsafe(self._stop_requested.set)
        self._thread.join()

    async def _serve(self, listener: socket.socket) -> None:
        self._loop, self._stop_requested = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_default_executor(ThreadPoolExecutor(MAX_PASSED_ON))
        state = ServerState()
        server = await self._loop.create_server(
            lambda: TransportProtocol(self._config, state, {}), sock=listener
        )
        self._app.is_stopping = False
        self._ready.set()
        await self._stop_requested.wait()
        self._app.is_stopping = True
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.gather(*state.tasks, return_exceptions=True)


def first_variable(*names: str) -> str | None:
    """Return the value of the first variable of the environment that is set and not empty."""
    return next((value for name in names if (value := os.environ.get(name))), None)


def listen(address: tuple[str, int]) -> socket.socket:
    """Return a listening socket with TCP_NODELAY: asyncio does not set it on these connections."""
    listener = socket.create_server(address, backlog=512)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class TransportProtocol(H11Protocol):
    """HTTP protocol that gives the application its TCP transport: ASGI cannot cut or reset."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Add the transport to the `state` of each request's ASGI scope."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def uvicorn_config(app: SimulatorApp) -> uvicorn.Config:
    """Return uvicorn's settings: HTTP/1.1 by h11, without logging, websockets and lifespan."""
    config = uvicorn.Config(
        app.app,
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
