"""ASGI response that sends one script, and notices a client that disconnects early.

Knows ASGI and the TCP transport below it. Knows no content of a script.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from onerouter_simulator.scripts import Script

# Seconds before a reset: RST discards the bytes that the client has not read yet.
RESET_DELAY = 0.02
# struct linger: on, 0 seconds. Closing the socket then sends RST instead of FIN.
LINGER_ZERO_SECONDS = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class ScriptResponse:
    """ASGI response for one script; calls `on_hang_up` if the client disconnects before its end."""

    script: Script
    request_id: str
    on_hang_up: Callable[[], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the script; stop as soon as the client disconnects, also during a pause."""
        sending = asyncio.ensure_future(self.send_script(scope["state"]["transport"], send))
        disconnect = asyncio.ensure_future(wait_for_disconnect(receive))
        await asyncio.wait({sending, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        if not sending.done():
            self.on_hang_up()
            sending.cancel()
        await asyncio.wait({sending, disconnect})

    async def send_script(self, transport: asyncio.Transport, send: Send) -> None:
        """Send the response, then end the connection as the script says."""
        await asyncio.sleep(self.script.delay)
        if self.script.status is not None:
            await self.send_head_and_packets(self.script.status, send)
        match self.script.end:
            case "close" if self.script.status is not None:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            case "close" | "cut":
                transport.close()
            case "reset":
                await reset_connection(transport)
            case "hang":
                await asyncio.Event().wait()

    async def send_head_and_packets(self, status: int, send: Send) -> None:
        """Send status, headers and each packet separately; leave the body unfinished."""
        await send({"type": "http.response.start", "status": status, "headers": self.headers()})
        pause = 0.0
        for packet in self.script.packets():
            if isinstance(packet, bytes):
                await asyncio.sleep(pause)
                await send({"type": "http.response.body", "body": packet, "more_body": True})
                pause = self.script.chunk_delay
            else:
                await asyncio.sleep(packet)

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the response headers; those of the script replace the simulator's own."""
        headers = {
            "x-simulated": "true",
            "x-infron-request-id": self.request_id,
            "content-type": self.script.media_type,
        }
        if self.script.length is not None:
            headers["content-length"] = str(self.script.length)
        headers |= {name.lower(): value for name, value in self.script.headers.items()}
        return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


async def wait_for_disconnect(receive: Receive) -> None:
    """Return once the client has disconnected or the response is complete."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def reset_connection(transport: asyncio.Transport) -> None:
    """Close the connection with RST instead of FIN."""
    await asyncio.sleep(RESET_DELAY)
    transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO_SECONDS
    )
    transport.abort()
