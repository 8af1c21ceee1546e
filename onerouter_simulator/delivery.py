"""How a script goes over the wire, while an ear is kept on the client.

Knows ASGI and the TCP transport below it. Knows nothing of what a script says.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from onerouter_simulator.scripts import Script

# A reset throws away what the client has not read yet, so it is given a moment to read it.
READING_TIME = 0.02
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Delivery:
    """An ASGI reply: sends one script, tells `on_hung_up` if the client leaves before its end."""

    script: Script
    request_id: str
    on_hung_up: Callable[[], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Race the sending with the client's leaving: even in a pause it is noticed at once."""
        speaking = asyncio.ensure_future(self.speak(scope["state"]["transport"], send))
        leaving = asyncio.ensure_future(left(receive))
        await asyncio.wait({speaking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not speaking.done():
            self.on_hung_up()
            speaking.cancel()
        await asyncio.wait({speaking, leaving})

    async def speak(self, transport: asyncio.Transport, send: Send) -> None:
        """Send what there is to send, then end as the script says."""
        await asyncio.sleep(self.script.delay)
        if self.script.status is not None:
            await self.send_response(self.script.status, send)
        match self.script.end:
            case "close" if self.script.status is not None:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            case "close" | "cut":
                transport.close()
            case "reset":
                await reset(transport)
            case "hang":
                await asyncio.Event().wait()

    async def send_response(self, status: int, send: Send) -> None:
        """Send the head and all packets, each on its own; the body stays open."""
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
        """Return the simulator's marks and the body's headers, the script's own above them."""
        headers = {
            "x-simulated": "true",
            "x-infron-request-id": self.request_id,
            "content-type": self.script.media_type,
        }
        if self.script.length is not None:
            headers["content-length"] = str(self.script.length)
        headers |= {name.lower(): value for name, value in self.script.headers.items()}
        return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


async def left(receive: Receive) -> None:
    """Return when the client is gone, or has its whole answer."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def reset(transport: asyncio.Transport) -> None:
    """End the connection with RST instead of FIN."""
    await asyncio.sleep(READING_TIME)
    transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE
    )
    transport.abort()
