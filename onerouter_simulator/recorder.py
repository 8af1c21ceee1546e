"""Recorder: passes requests on to a real gateway, and writes requests and replies to a file.

Knows ASGI, and the order of steps of one exchange. The connection to the gateway is in upstream.py,
the file and what must not be in it are in recordings.py.
"""

import asyncio
import warnings
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from time import monotonic

from starlette.routing import Route
from starlette.types import Send

from onerouter_simulator.app import Handler, SimulatorApp
from onerouter_simulator.delivery import ScriptResponse
from onerouter_simulator.errors import failure
from onerouter_simulator.recordings import (
    Exchange,
    Packet,
    RequestContent,
    append,
    hide_in_packets,
    kept_headers,
    secrets_in,
)
from onerouter_simulator.request_log import RecordedRequest, RequestLog
from onerouter_simulator.scripts import Script
from onerouter_simulator.upstream import FAILURES, Upstream, UpstreamExchange

CHAT = "/v1/chat/completions"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
NOT_RECORDED = {"/v1/balance"}  # it names the account


class RecorderApp(SimulatorApp):
    """ASGI application that passes every request on, and appends each exchange to a file.

    Args:
        log: Receives every request.
        upstream: The gateway that answers.
        path: The file, to which exchanges are appended.
    """

    def __init__(self, log: RequestLog, upstream: Upstream, path: Path) -> None:
        self.upstream = upstream
        self.path = path
        super().__init__(log)

    def routes(self) -> list[Route]:
        """Return one route for all paths."""
        return [Route("/v1/{path:path}", self.endpoint(answered_upstream), methods=METHODS)]

    def answer(
        self,
        handler: Handler,
        recorded: RecordedRequest,
        request_id: str,
    ) -> ScriptResponse:
        """Return the response that the gateway gives to a request; a queued script comes first."""
        script = self.log.take_script() if recorded.path == CHAT else None
        if script is not None or handler is not answered_upstream:
            return super().answer(lambda _: script or handler(recorded), recorded, request_id)
        target = recorded.path.removeprefix("/v1") + (
            f"?{recorded.query}" if recorded.query else ""
        )
        exchange = self.upstream.exchange(recorded.method, target, recorded.headers, recorded.raw)
        return PassedOnResponse(
            Script(),
            request_id,
            lambda: self.record_hang_up(recorded),
            exchange,
            recorded,
            self.path,
        )


def answered_upstream(_: RecordedRequest) -> Script:
    """Stand for the gateway, whose answers are no scripts."""
    raise NotImplementedError


@dataclass(frozen=True)
class PassedOnResponse(ScriptResponse):
    """ASGI response that passes on what the gateway sends, and then writes it to the file."""

    exchange: UpstreamExchange
    recorded: RecordedRequest
    path: Path

    async def send_script(self, transport: asyncio.Transport, send: Send) -> None:
        """Pass the response on; a gateway that cannot be reached is an error 502."""
        started = monotonic()
        try:
            await asyncio.to_thread(self.exchange.send)
            is_stream = self.header("content-type").startswith("text/event-stream")
            pass_on = self.pass_stream_on if is_stream else self.pass_body_on
            is_complete = await pass_on(send, monotonic() - started)
        except FAILURES as error:
            script = failure(502, f"The upstream cannot be reached: {error}")
            response = ScriptResponse(script, self.request_id, self.on_hang_up)
            await response.send_script(transport, send)
            return
        finally:
            self.exchange.abort()
        if is_complete:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            transport.close()

    async def pass_body_on(self, send: Send, seconds: float) -> bool:
        """Write a whole reply to the file, and send it then; return whether it is complete."""
        packets: list[Packet] = []
        is_complete = await self.read(packets)
        is_complete &= self.write(packets, seconds, is_complete=is_complete)
        await self.send_head(send)
        body = b"".join(data for _, data in packets)
        await send({"type": "http.response.body", "body": body, "more_body": True})
        return is_complete

    async def pass_stream_on(self, send: Send, seconds: float) -> bool:
        """Send packets as they come, and write them to the file; return whether all have come."""
        packets: list[Packet] = []
        is_complete = False
        await self.send_head(send)
        try:
            is_complete = await self.read(packets, send)
        finally:
            # A client may leave when it has read [DONE], without waiting for the end of the body.
            is_whole = is_complete or has_done(packets)
            is_complete &= self.write(packets, seconds, is_complete=is_whole)
        return is_complete

    async def send_head(self, send: Send) -> None:
        """Send status and headers."""
        headers = [(name.encode(), v.encode("latin-1")) for name, v in self.exchange.headers]
        status = self.exchange.status
        await send({"type": "http.response.start", "status": status, "headers": headers})

    async def read(self, packets: list[Packet], send: Send | None = None) -> bool:
        """Add packets to a list as they come, and send them; return whether the body has ended."""
        last = monotonic()
        try:
            while data := await asyncio.to_thread(self.exchange.read):
                packets.append((monotonic() - last, data))
                last = monotonic()
                if send is not None:
                    await send({"type": "http.response.body", "body": data, "more_body": True})
        except FAILURES:
            return False
        return True

    def header(self, name: str) -> str:
        """Return a header of the gateway's response; an empty text if there is none."""
        return dict(self.exchange.headers).get(name, "")

    def write(self, packets: list[Packet], seconds: float, *, is_complete: bool) -> bool:
        """Append the exchange to the file; warn and return False if it cannot be written."""
        if self.recorded.path in NOT_RECORDED:
            return True
        secrets = secrets_in(self.recorded.headers)
        status = self.exchange.status
        is_answer = status == HTTPStatus.OK and self.recorded.path == CHAT
        exchange = Exchange(
            RequestContent.of(self.recorded),
            status,
            kept_headers(self.exchange.headers, secrets),
            seconds,
            hide_in_packets(packets, secrets, is_answer=is_answer),
            "close" if is_complete else "cut",
        )
        try:
            append(self.path, exchange)
        except OSError as error:
            warnings.warn(f"The recording {self.path} was not written: {error}", stacklevel=2)
            return False
        return True


def has_done(packets: list[Packet]) -> bool:
    """Whether a stream has sent its last event."""
    return b"data: [DONE]" in b"".join(data for _, data in packets)
