"""CONNECT and SOCKS proxies: they copy bytes both ways to one port, whatever host is named."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class TunnelProxy:
    """A proxy that tunnels to a port on loopback; `targets` are the tunnels that clients named."""

    def __init__(self, port: int) -> None:
        self.targets: list[str] = []
        self.url = ""
        self._port = port

    @contextmanager
    def running(self) -> Iterator[TunnelProxy]:
        """Serve until the block ends."""
        started = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        thread.start()
        started.wait()
        yield self
        self._loop.call_soon_threadsafe(self._stop.set)
        thread.join()

    async def _serve(self, started: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._tunnel, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started.set()
        await self._stop.wait()
        server.close()

    async def _tunnel(
        self, client_reader: asyncio.StreamReader, client_writer: asyncio.StreamWriter
    ) -> None:
        await self._open(client_reader, client_writer)
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            await asyncio.gather(
                _copy(client_reader, server_writer), _copy(server_reader, client_writer)
            )
        finally:
            server_writer.transport.abort()
            client_writer.transport.abort()

    async def _open(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read the client's request for a tunnel, and grant it."""
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.decode().split(" ", 2)
        self.targets.append(f"{method} {target}")
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")


class SocksProxy(TunnelProxy):
    """A SOCKS proxy (RFC 1928) for host names, without authentication."""

    async def _open(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read the client's request for a tunnel, and grant it."""
        version, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(bytes([version, 0]))
        *_, address_type = await reader.readexactly(4)
        length = {1: 4, 4: 16}.get(address_type) or (await reader.readexactly(1))[0]
        address = await reader.readexactly(length)
        port = int.from_bytes(await reader.readexactly(2), "big")
        host = address.decode() if address_type == 3 else ".".join(map(str, address))
        self.targets.append(f"{host}:{port}")
        writer.write(bytes([version, 0, 0, 1, *[0] * 6]))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # one side has disconnected: close the other one
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()
