"""Scripted HTTP server: it sends exactly the bytes of its scripts and records every request.

An `HTTPScript` is a sequence of steps: bytes are sent as they are, a number is a pause in seconds,
`Repeat` sends the same bytes until the client disconnects, an `End` ends the connection. A script
without an `End` leaves the connection open for the next request. Each `Endpoint` has a base URL of
its own, so that tests can share one server. The module parses only as much HTTP as it takes to
find the end of a request.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from typing import Any, TypeAlias
from urllib.parse import urlsplit


class End(Enum):
    """How a connection ends: with FIN, with RST, or not before the client disconnects."""

    CLOSE = "close"
    RESET = "reset"
    HANG = "hang"


@dataclass(frozen=True)
class Repeat:
    """The same bytes again and again, with a pause in seconds after each time."""

    data: bytes
    pause: float = 0.0


Step: TypeAlias = bytes | float | Repeat | End
HTTPScript: TypeAlias = tuple[Step, ...]

_RESET_DELAY = 0.01  # seconds: a reset discards the bytes that the client has not read yet
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_TLS_RECORD = b"\x16"  # the first byte of a TLS handshake
_MAX_BUFFERED = 1 << 20  # bytes that wait for a client that does not read


@dataclass(eq=False)
class ReceivedRequest:
    """A recorded request.

    `port` is that of the client: equal ports are one connection. `received_at` and
    `disconnected_at` are `time.monotonic()` values; the latter is set if the client disconnects
    before the end of the script.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    port: int = 0
    received_at: float = field(default_factory=time.monotonic)
    disconnected_at: float | None = None
    disconnected: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def json(self) -> Any:
        """The decoded JSON body."""
        return json.loads(self.body)

    def mark_disconnected(self) -> None:
        """Record the first time at which the client was gone."""
        if self.disconnected_at is None:
            self.disconnected_at = time.monotonic()
            self.disconnected.set()


class Endpoint:
    """A base URL, the scripts that answer its requests, and the requests received so far."""

    def __init__(self, base_url: str, scripts: Sequence[HTTPScript]) -> None:
        self.base_url = base_url
        self.requests: list[ReceivedRequest] = []
        self._scripts = scripts

    @property
    def last(self) -> ReceivedRequest:
        """The newest request."""
        return self.requests[-1]

    def script_for(self, request: ReceivedRequest) -> HTTPScript:
        """Record a request and return its script; the last script answers all later requests."""
        self.requests.append(request)
        return self._scripts[min(len(self.requests), len(self._scripts)) - 1]

    def wait_for_requests(self, number: int, seconds: float = 5) -> None:
        """Wait until this number of requests has arrived, or the time is over."""
        ends = time.monotonic() + seconds
        while len(self.requests) < number and time.monotonic() < ends:
            time.sleep(0.001)


class Server:
    """A listening socket on loopback, served by an event loop in a thread."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._tls = tls
        self._endpoints: dict[str, Endpoint] = {}
        self._numbers = count()
        self.connections: set[ServerConnection] = set()
        self.opened = 0  # connections, closed ones included

    def endpoint(self, *scripts: HTTPScript, host: str = "127.0.0.1") -> Endpoint:
        """Add an endpoint at which these scripts answer the requests, in this order."""
        name = f"endpoint-{next(self._numbers)}"
        scheme = "https" if self._tls else "http"
        endpoint = Endpoint(f"{scheme}://{host}:{self.port}/{name}/v1", scripts)
        self._endpoints[name] = endpoint
        return endpoint

    def endpoint_for(self, target: str) -> Endpoint:
        """Return the endpoint of a request target: a path, or a URL if the server is a proxy."""
        return self._endpoints[urlsplit(target).path.split("/")[1]]

    @contextmanager
    def running(self) -> Iterator[Server]:
        """Serve until the block ends."""
        started = threading.Event()
        thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), name="server", daemon=True
        )
        thread.start()
        started.wait()
        yield self
        self._loop.call_soon_threadsafe(self._stop.set)
        thread.join()

    async def _serve(self, started: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await self._loop.create_server(
            lambda: ServerConnection(self), sock=self._listener, ssl=self._tls
        )
        started.set()
        await self._stop.wait()
        server.close()
        for connection in list(self.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


class ServerConnection(asyncio.Protocol):
    """One client connection; its requests are answered one after the other."""

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = b""
        self._request: ReceivedRequest | None = None
        self._script_task: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        """Register the connection with the server."""
        self.transport = transport
        self._server.connections.add(self)
        self._server.opened += 1

    def data_received(self, data: bytes) -> None:
        """Answer a request as soon as all of it has arrived."""
        self._received += data
        if self._received.startswith(_TLS_RECORD):
            self.transport.write(b"HTTP/1.1 400 This is no HTTP\r\n\r\n")
            self.transport.close()
        elif self._script_task is None:
            self._answer_next_request()

    def eof_received(self) -> None:
        """Record that the client has closed its side."""
        if self._request is not None:
            self._request.mark_disconnected()

    def connection_lost(self, error: Exception | None) -> None:
        """Record that the client is gone, and stop the running script."""
        self.eof_received()
        self.transport.close()  # Python 3.10 warns of a TLS transport that only the peer closed
        self._server.connections.discard(self)
        if self._script_task is not None:
            self._script_task.cancel()

    def _answer_next_request(self) -> None:
        head, separator, rest = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        request_line, *header_lines = head.decode("latin-1").split("\r\n")
        pairs = (header.partition(":") for header in header_lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        method, target, _ = request_line.split(" ")
        self._received = rest[length:]
        port = self.transport.get_extra_info("peername")[1]
        self._request = ReceivedRequest(method, target, headers, rest[:length], port)
        script = self._server.endpoint_for(target).script_for(self._request)
        self._script_task = asyncio.ensure_future(self._run_script(script))

    async def _run_script(self, script: HTTPScript) -> None:
        for step in script:
            await self._run_step(step)
        self._request = self._script_task = None
        if not self.transport.is_closing():
            self._answer_next_request()

    async def _run_step(self, step: Step) -> None:
        match step:
            case bytes():
                await self._write(step)
            case Repeat(data=data, pause=pause):
                while not self.transport.is_closing():
                    if not self._is_full():
                        self.transport.write(data)
                    await asyncio.sleep(pause)
                self.eof_received()
            case End.HANG:
                await asyncio.Event().wait()
            case End.CLOSE:
                self._request = None
                self.transport.close()
            case End.RESET:
                await asyncio.sleep(_RESET_DELAY)
                self._reset()
            case pause:
                await asyncio.sleep(pause)

    async def _write(self, data: bytes) -> None:
        self.transport.write(data)
        await asyncio.sleep(0)
        for _ in iter(self._is_full, False):
            await asyncio.sleep(0.001)

    def _is_full(self) -> bool:
        return self.transport.get_write_buffer_size() >= _MAX_BUFFERED

    def _reset(self) -> None:
        self._request = None
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()
