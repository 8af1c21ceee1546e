"""A proxy that tunnels: CONNECT, and then bytes both ways, to one port whatever it is asked for.

It knows nothing of what goes through.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Tunnel:
    """Tunnels to a port on loopback; `asked` are the places that were asked for."""

    def __init__(self, to: int) -> None:
        self.asked: list[str] = []
        self.url = ""
        self._to = to

    @contextmanager
    def running(self) -> Iterator[Tunnel]:
        """Serve until the block ends."""
        started = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        thread.start()
        started.wait()
        yield self
        self._loop.call_soon_threadsafe(self._ended.set)
        thread.join()

    async def _serve(self, started: threading.Event) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._tunnel, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started.set()
        await self._ended.wait()
        server.close()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, place, _ = head.decode().split(" ", 2)
        self.asked.append(f"{method} {place}")
        further, back = await asyncio.open_connection("127.0.0.1", self._to)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_copy(reader, back), _copy(further, writer))
        finally:
            back.transport.abort()
            writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # one side is gone: the other is told
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()
