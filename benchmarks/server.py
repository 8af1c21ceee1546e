"""Benchmark server, in a process of its own: it sends responses that were encoded before.

Run as a program it prints its port, and serves until its standard input is closed. Its CPU time is
not measured.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.payloads import TIMESTAMP, encode_response

_CONTENT_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_QUIET_TIME = 0.3  # seconds without a new request, then all "concurrent" responses are sent
_EVENTS_PER_WRITE = 10  # events that a "concurrent" response sends at a time
_EVENT_INTERVAL = 0.001  # seconds from one event to the next


@contextmanager
def run_server() -> Iterator[str]:
    """Run the server in a subprocess, and yield its URL."""
    command = [sys.executable, "-m", "benchmarks.server"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603 -- a module of this package
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.stdin.close()


class Connection(asyncio.Protocol):
    """One client connection; its requests name a delivery and a response in their path."""

    pending: list[tuple[Connection, tuple[bytes, ...]]] = []  # noqa: RUF012 -- shared by all connections
    timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start with an empty request buffer."""
        self._transport = transport
        self._buffer = bytearray()

    def data_received(self, data: bytes) -> None:
        """Respond once the request is complete."""
        self._buffer += data
        head, _, body = self._buffer.partition(b"\r\n\r\n")
        length = _CONTENT_LENGTH.search(head)
        if length is None or len(body) < int(length[1]):
            return
        _, delivery, response, *_ = head.split(b" ", 2)[1].decode().split("/")
        self._buffer.clear()
        parts = _http_response(response, chunked=delivery != "burst")
        getattr(self, f"_send_{delivery}")(*parts)

    def write(self, data: bytes) -> None:
        """Send bytes, unless the client has closed the connection."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def _send_immediate(self, *parts: bytes) -> None:
        self.write(b"".join(parts))

    _send_burst = _send_immediate

    def _send_paced(self, *parts: bytes) -> None:
        head, first, *rest = parts
        self.write(head + first)
        loop = asyncio.get_running_loop()
        for number, part in enumerate(rest, 1):
            loop.call_later(number * _EVENT_INTERVAL, self.write, part)

    def _send_timestamped(self, head: bytes, first: bytes, *rest: bytes) -> None:
        clock = str(time.monotonic_ns()).zfill(len(TIMESTAMP)).encode()
        self.write(head + first.replace(TIMESTAMP, clock))
        asyncio.get_running_loop().call_later(4 * _EVENT_INTERVAL, self.write, b"".join(rest))

    def _send_concurrent(self, *parts: bytes) -> None:
        Connection.pending.append((self, parts))
        if Connection.timer is not None:
            Connection.timer.cancel()
        Connection.timer = asyncio.get_running_loop().call_later(_QUIET_TIME, _send_pending)


def _http_response(response: str, *, chunked: bool) -> Iterator[bytes]:
    """Yield the HTTP head, then the parts of the body; chunked, each event is an HTTP chunk."""
    parts = encode_response(response)
    is_stream = not response.startswith("complete")
    media_type = "text/event-stream" if is_stream else "application/json"
    yield f"HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\n".encode() + (
        b"transfer-encoding: chunked\r\n\r\n"
        if is_stream and chunked
        else b"content-length: %d\r\n\r\n" % sum(map(len, parts))
    )
    if is_stream and chunked:
        parts = (*(b"%x\r\n%b\r\n" % (len(part), part) for part in parts), b"0\r\n\r\n")
    yield from parts


def _send_pending() -> None:
    """Send the first events of every pending response, then the next events of every one."""
    pending, Connection.pending, Connection.timer = Connection.pending, [], None
    for start in range(0, max(len(parts) for _, parts in pending), _EVENTS_PER_WRITE):
        for connection, parts in pending:
            connection.write(b"".join(parts[start : start + _EVENTS_PER_WRITE]))


async def main() -> None:
    """Serve until standard input is closed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
