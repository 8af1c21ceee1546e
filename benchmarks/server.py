"""The other side, in a process of its own: it sends bytes that were made before.

Run as a program it prints its port, and serves until its standard input is closed. Its CPU time is
nobody's here.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.payloads import STAMP, events

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_CALM = 0.3  # seconds without a new request, after which all that wait are answered together
_PACKET = 10  # events that an answer given together sends at a time
_PACE = 0.0005  # seconds from one event to the next


@contextmanager
def serving() -> Iterator[str]:
    """Run the server, and yield its address."""
    command = [sys.executable, "-m", "benchmarks.server"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603 -- ourselves
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.stdin.close()


class Answers(asyncio.Protocol):
    """One connection."""

    waiting: list[tuple[Answers, tuple[bytes, ...]]] = []  # noqa: RUF012 -- the whole server's
    answering: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with nothing read."""
        self._transport = transport
        self._read = bytearray()

    def data_received(self, data: bytes) -> None:
        """Answer when the request is there to its end."""
        self._read += data
        head, _, body = self._read.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length is None or len(body) < int(length[1]):
            return
        _, delivery, answer, *_ = head.split(b" ", 2)[1].decode().split("/")
        self._read.clear()
        getattr(self, f"_{delivery}")(*_headed(answer))

    def write(self, data: bytes) -> None:
        """Send, if anyone is there still."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def _now(self, *parts: bytes) -> None:
        self.write(b"".join(parts))

    def _paced(self, *parts: bytes) -> None:
        head, first, *rest = parts
        self.write(head + first)
        loop = asyncio.get_running_loop()
        for number, part in enumerate(rest, 1):
            loop.call_later(number * _PACE, self.write, part)

    def _stamped(self, head: bytes, first: bytes, *rest: bytes) -> None:
        clock = str(time.monotonic_ns()).zfill(len(STAMP)).encode()
        self.write(head + first.replace(STAMP, clock))
        asyncio.get_running_loop().call_later(4 * _PACE, self.write, b"".join(rest))

    def _together(self, *parts: bytes) -> None:
        Answers.waiting.append((self, parts))
        if Answers.answering is not None:
            Answers.answering.cancel()
        Answers.answering = asyncio.get_running_loop().call_later(_CALM, _answer_all)


def _headed(answer: str) -> Iterator[bytes]:
    parts = events(answer)
    kind = "application/json" if answer.startswith("whole") else "text/event-stream"
    length = sum(map(len, parts))
    yield f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n".encode()
    yield from parts


def _answer_all() -> None:
    """Send every answer's first packet, then every answer's second, and so on."""
    waiting, Answers.waiting, Answers.answering = Answers.waiting, [], None
    for at in range(0, max(len(parts) for _, parts in waiting), _PACKET):
        for answers, parts in waiting:
            answers.write(b"".join(parts[at : at + _PACKET]))


async def main() -> None:
    """Serve."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answers, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
