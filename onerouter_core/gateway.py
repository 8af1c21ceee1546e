"""The verbs: complete, stream and list models, each in two colours.

This module knows the order of things: encode, send, decode, with tenacity around them. What the
colours share is in `Call`; they differ in the await alone. It knows no framework and no JSON key.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Mapping
from contextlib import aclosing, closing, suppress
from typing import TypeAlias

from onerouter_core.call_state import Call
from onerouter_core.client_pool import ClientOwner, Clients
from onerouter_core.connection import ConnectionSettings
from onerouter_core.deadlines import ReadTimeout
from onerouter_core.errors import (
    APIConnectionError,
    OneRouterError,
)
from onerouter_core.retry import OnRetry, apolicy, policy
from onerouter_core.sdk_clients import aload_sdk, load_sdk
from onerouter_core.transport import Response, aget_api_key, asend, get_api_key, send
from onerouter_core.types import Json, Reply, ReplyDelta, Request
from onerouter_core.wire.model_list import decode_model_list
from onerouter_core.wire.stream import StreamDecoder, decode_body

DeltaStream: TypeAlias = Generator[ReplyDelta, None, None]
AsyncDeltaStream: TypeAlias = AsyncGenerator[ReplyDelta, None]


class Gateway(ClientOwner):
    """A OneRouter gateway; safe across threads and event loops, picklable, free until used."""

    def __init__(
        self, connection: ConnectionSettings | None = None, clients: Clients | None = None
    ) -> None:
        """Say how to reach it; `clients` may be shared between gateways."""
        self.connection = connection or ConnectionSettings()
        self._clients = clients or Clients()

    def complete(self, request: Request, on_retry: OnRetry | None = None) -> Reply:
        """Return the whole answer; raise OneRouterError."""
        call = Call(self.connection, request)
        reply: Reply = policy(self.connection.max_retries, call.deadline_at, on_retry)(
            self._complete_once, call
        )
        return call.record(reply)

    async def acomplete(self, request: Request, on_retry: OnRetry | None = None) -> Reply:
        """Return the whole answer; raise OneRouterError."""
        call = Call(self.connection, request)
        reply: Reply = await apolicy(self.connection.max_retries, call.deadline_at, on_retry)(
            self._acomplete_once, call
        )
        return call.record(reply)

    def _complete_once(self, call: Call) -> Reply:
        with call.translate_errors():
            body, headers = self._fetch(call)
            return decode_body(body, call.names, headers)

    async def _acomplete_once(self, call: Call) -> Reply:
        with call.translate_errors():
            body, headers = await self._afetch(call)
            return decode_body(body, call.names, headers)

    def _fetch(self, call: Call) -> tuple[bytes, Mapping[str, str]]:
        with closing(self._send(call)) as response:
            body = bytearray()
            for chunk in response.chunks(call.read_deadline):
                body += chunk
                call.check(len(body))
        return bytes(body), response.headers

    async def _afetch(self, call: Call) -> tuple[bytes, Mapping[str, str]]:
        with closing(ReadTimeout(call.read_deadline)) as alarm:
            response = await self._asend(call, alarm)
            async with aclosing(response):
                body = bytearray()
                async for chunk in response.achunks(alarm):
                    body += chunk
                    call.check(len(body))
        return bytes(body), response.headers

    def _send(self, call: Call) -> Response:
        next_request = call.next_request(get_api_key(self.connection))
        return send(self._clients, self.connection, next_request)

    async def _asend(self, call: Call, alarm: ReadTimeout) -> Response:
        next_request = call.next_request(await aget_api_key(self.connection))
        return await asend(self._clients, self.connection, next_request, alarm)

    def stream(self, request: Request, on_retry: OnRetry | None = None) -> DeltaStream:
        """Send now, wait for the first piece, and return a generator of all of them.

        Nothing is retried once a piece is out. The last piece has the whole reply as its `end`;
        a stream that does not get there raises, with `partial`.
        """
        call = Call(self.connection, request, stream=True)
        deltas: DeltaStream = policy(self.connection.max_retries, call.deadline_at, on_retry)(
            self._start_stream, call
        )
        return deltas

    async def astream(self, request: Request, on_retry: OnRetry | None = None) -> AsyncDeltaStream:
        """Do the same on an event loop: await it, then iterate."""
        call = Call(self.connection, request, stream=True)
        retrying = apolicy(self.connection.max_retries, call.deadline_at, on_retry)
        deltas: AsyncDeltaStream = await retrying(self._astart_stream, call)
        return deltas

    def _start_stream(self, call: Call) -> DeltaStream:
        deltas = self._deltas(call)
        next(deltas)
        return deltas

    async def _astart_stream(self, call: Call) -> AsyncDeltaStream:
        deltas = self._adeltas(call)
        await anext(deltas)
        return deltas

    def _deltas(self, call: Call) -> DeltaStream:
        with call.translate_errors():
            response = self._send(call)
        decoder = StreamDecoder(call.names, response.headers)
        with closing(response), call.translate_errors(decoder):
            chunks = response.chunks(call.read_deadline)
            try:
                for chunk in chunks:
                    yield from call.primed(decoder.feed(chunk))
                    if decoder.done:
                        break
                    call.on_progress(decoder)
            except APIConnectionError:
                if not decoder.finished:  # else the answer broke off once it was whole
                    raise
            yield from call.primed(_final_deltas(decoder, call))
            if decoder.done and self.connection.http_client is None:  # another's may wait on
                _drain(chunks, call)

    async def _adeltas(self, call: Call) -> AsyncDeltaStream:
        with closing(ReadTimeout(call.read_deadline)) as alarm:
            with call.translate_errors():
                response = await self._asend(call, alarm)
            decoder = StreamDecoder(call.names, response.headers)
            with call.translate_errors(decoder):
                async with aclosing(response), aclosing(response.achunks(alarm)) as chunks:
                    try:
                        async for chunk in chunks:
                            for delta in call.primed(decoder.feed(chunk)):
                                yield delta
                            if decoder.done:
                                break
                            call.on_progress(decoder)
                    except APIConnectionError:
                        if not decoder.finished:  # else the answer broke off once it was whole
                            raise
                    for delta in call.primed(_final_deltas(decoder, call)):
                        yield delta
                    if decoder.done:
                        alarm.close()  # it is set for later
                        await _adrain(chunks, call)

    def models(self) -> tuple[Json, ...]:
        """Return the gateway's model list as it sends it; no key is needed."""
        call = Call(self.connection)
        entries: tuple[Json, ...] = policy(self.connection.max_retries, call.deadline_at)(
            self._models_once, call
        )
        return entries

    async def amodels(self) -> tuple[Json, ...]:
        """Return the gateway's model list as it sends it; no key is needed."""
        call = Call(self.connection)
        entries: tuple[Json, ...] = await apolicy(self.connection.max_retries, call.deadline_at)(
            self._amodels_once, call
        )
        return entries

    def _models_once(self, call: Call) -> tuple[Json, ...]:
        with call.translate_errors():
            return decode_model_list(self._fetch(call)[0])

    async def _amodels_once(self, call: Call) -> tuple[Json, ...]:
        with call.translate_errors():
            body, _ = await self._afetch(call)
            return decode_model_list(body)


def _final_deltas(decoder: StreamDecoder, call: Call) -> DeltaStream:
    """Yield the end of a stream, and book it."""
    for delta in decoder.finish():
        if delta.final_reply is None:
            yield delta
        else:
            yield delta._replace(final_reply=call.record(delta.final_reply))


def _drain(chunks: Iterable[bytes], call: Call) -> None:
    """Let a connection come to its end, so that it can be used again."""
    call.shorten_deadline()
    with suppress(OneRouterError):
        for _ in chunks:
            call.check()


async def _adrain(chunks: AsyncIterable[bytes], call: Call) -> None:
    """Do the same on an event loop."""
    call.shorten_deadline()
    with suppress(OneRouterError):
        async for _ in chunks:
            call.check()


def warm_up() -> None:
    """Import the SDK now, so that the first call need not; a server may do so as it starts."""
    load_sdk()


async def awarm_up() -> None:
    """Import the SDK in a thread."""
    await aload_sdk()
