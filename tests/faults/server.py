"""A server that says exactly the bytes it is told to, and notes what arrives and who leaves when.

It knows sockets, time, and as much HTTP as it takes to find the end of a request. What it says is
a `Play`: bytes go out as they are, a number is a pause in seconds, `Ever` repeats itself until the
client has gone, an `End` ends the connection. A play without an end leaves it open for the next
request. Each `Line` is an address of its own, so that tests share one server.
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
    """How a connection ends: with FIN, with RST, or when the client leaves."""

    CLOSE = "close"
    RESET = "reset"
    HANG = "hang"


@dataclass(frozen=True)
class Ever:
    """The same bytes again and again, with a pause in seconds after each time."""

    data: bytes
    pause: float = 0.0


Step: TypeAlias = bytes | float | Ever | End
Play: TypeAlias = tuple[Step, ...]

_READING_TIME = 0.01  # a reset throws away what the client has not read yet
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_TLS_GREETING = b"\x16"
_IN_FLIGHT = 1 << 20  # bytes that wait for a client who does not read


@dataclass(eq=False)
class Arrived:
    """A request as it arrived; `left_at` is when its client hung up before the play's end."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)
    left_at: float | None = None
    left: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    def leave(self) -> None:
        """Note that the client is gone."""
        if self.left_at is None:
            self.left_at = time.monotonic()
            self.left.set()


class Line:
    """One address: what is answered there, request after request, and what arrived."""

    def __init__(self, base_url: str, plays: Sequence[Play]) -> None:
        self.base_url = base_url
        self.requests: list[Arrived] = []
        self._plays = plays

    @property
    def last(self) -> Arrived:
        """The newest request."""
        return self.requests[-1]

    def take(self, request: Arrived) -> Play:
        """Note a request, and return its play; the last play is for all that follow."""
        self.requests.append(request)
        return self._plays[min(len(self.requests), len(self._plays)) - 1]

    def wait_for(self, requests: int, seconds: float = 5) -> None:
        """Wait until that many requests have arrived."""
        ends = time.monotonic() + seconds
        while len(self.requests) < requests and time.monotonic() < ends:
            time.sleep(0.001)


class Server:
    """A listening socket on loopback, served by an event loop in a thread."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._tls = tls
        self._lines: dict[str, Line] = {}
        self._names = count()
        self.connections: set[ConnectionSettings] = set()

    def line(self, *plays: Play, host: str = "127.0.0.1") -> Line:
        """Open an address at which requests are answered by these plays."""
        name = f"line-{next(self._names)}"
        scheme = "https" if self._tls else "http"
        line = Line(f"{scheme}://{host}:{self.port}/{name}/v1", plays)
        self._lines[name] = line
        return line

    def find(self, target: str) -> Line:
        """Return the line of a request; a proxy is asked for a whole URL."""
        return self._lines[urlsplit(target).path.split("/")[1]]

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
        self._loop.call_soon_threadsafe(self._ended.set)
        thread.join()

    async def _serve(self, started: threading.Event) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        server = await self._loop.create_server(
            lambda: ConnectionSettings(self), sock=self._listener, ssl=self._tls
        )
        started.set()
        await self._ended.wait()
        server.close()
        for connection in list(self.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


class ConnectionSettings(asyncio.Protocol):
    """One connection: its requests are taken one by one."""

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = b""
        self._request: Arrived | None = None
        self._playing: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self.transport = transport
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Take a request as soon as it is whole."""
        self._received += data
        if self._received.startswith(_TLS_GREETING):
            self.transport.write(b"HTTP/1.1 400 This is no HTTP\r\n\r\n")
            self.transport.close()
        elif self._playing is None:
            self._take()

    def eof_received(self) -> None:
        """Note that the client has hung up."""
        if self._request is not None:
            self._request.leave()

    def connection_lost(self, error: Exception | None) -> None:
        """Note that the client has gone, and stop playing to nobody."""
        self.eof_received()
        self.transport.close()  # Python 3.10 warns of TLS that only the other side closed
        self._server.connections.discard(self)
        if self._playing is not None:
            self._playing.cancel()

    def _take(self) -> None:
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        method, target, _ = first.split(" ")
        self._received = rest[length:]
        self._request = Arrived(method, target, headers, rest[:length])
        play = self._server.find(target).take(self._request)
        self._playing = asyncio.ensure_future(self._play(play))

    async def _play(self, play: Play) -> None:
        for step in play:
            await self._do(step)
        self._request = self._playing = None
        if not self.transport.is_closing():
            self._take()

    async def _do(self, step: Step) -> None:
        match step:
            case bytes():
                self.transport.write(step)
                await asyncio.sleep(0)
            case Ever(data=data, pause=pause):
                while not self.transport.is_closing():
                    if self.transport.get_write_buffer_size() < _IN_FLIGHT:
                        self.transport.write(data)
                    await asyncio.sleep(pause)
                self.eof_received()
            case End.HANG:
                await asyncio.Event().wait()
            case End.CLOSE:
                self._request = None
                self.transport.close()
            case End.RESET:
                await asyncio.sleep(_READING_TIME)
                self._reset()
            case pause:
                await asyncio.sleep(pause)

    def _reset(self) -> None:
        self._request = None
        end = self.transport.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()
