"""The verbs: complete, stream and list models, each in two colours.

This module knows the order of things: encode, send, decode, with tenacity around them. What the
colours share is in `Call`; they differ in the await alone. It knows no framework and no JSON key.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Mapping
from contextlib import aclosing, closing, suppress
from typing import TypeAlias

from onerouter_core.call import Call
from onerouter_core.clients import Clients, HoldsClients
from onerouter_core.errors import (
    APIConnectionError,
    OneRouterError,
)
from onerouter_core.parameters import Connection
from onerouter_core.retry import OnRetry, apolicy, policy
from onerouter_core.sdk import aload_sdk, load_sdk
from onerouter_core.transport import Response, akey_of, asend, key_of, send
from onerouter_core.values import Json, Piece, Reply, Request
from onerouter_core.waits import Alarm
from onerouter_core.wire.replies import decode_models
from onerouter_core.wire.stream import StreamDecoder, decode_body

Pieces: TypeAlias = Generator[Piece, None, None]
AsyncPieces: TypeAlias = AsyncGenerator[Piece, None]


class Gateway(HoldsClients):
    """A OneRouter gateway; safe across threads and event loops, picklable, free until used."""

    def __init__(
        self, connection: Connection | None = None, clients: Clients | None = None
    ) -> None:
        """Say how to reach it; `clients` may be shared between gateways."""
        self.connection = connection or Connection()
        self._clients = clients or Clients()

    def complete(self, request: Request, on_retry: OnRetry | None = None) -> Reply:
        """Return the whole answer; raise OneRouterError."""
        call = Call(self.connection, request)
        reply: Reply = policy(self.connection.max_retries, call.ends, on_retry)(
            self._complete_once, call
        )
        return call.booked(reply)

    async def acomplete(self, request: Request, on_retry: OnRetry | None = None) -> Reply:
        """Return the whole answer; raise OneRouterError."""
        call = Call(self.connection, request)
        reply: Reply = await apolicy(self.connection.max_retries, call.ends, on_retry)(
            self._acomplete_once, call
        )
        return call.booked(reply)

    def _complete_once(self, call: Call) -> Reply:
        with call.in_our_words():
            body, headers = self._fetch(call)
            return decode_body(body, call.names, headers)

    async def _acomplete_once(self, call: Call) -> Reply:
        with call.in_our_words():
            body, headers = await self._afetch(call)
            return decode_body(body, call.names, headers)

    def _fetch(self, call: Call) -> tuple[bytes, Mapping[str, str]]:
        with closing(self._send(call)) as response:
            body = bytearray()
            for chunk in response.chunks(call.until):
                body += chunk
                call.check(len(body))
        return bytes(body), response.headers

    async def _afetch(self, call: Call) -> tuple[bytes, Mapping[str, str]]:
        with closing(Alarm(call.until)) as alarm:
            response = await self._asend(call, alarm)
            async with aclosing(response):
                body = bytearray()
                async for chunk in response.achunks(alarm):
                    body += chunk
                    call.check(len(body))
        return bytes(body), response.headers

    def _send(self, call: Call) -> Response:
        outgoing = call.outgoing(key_of(self.connection))
        return send(self._clients, self.connection, outgoing)

    async def _asend(self, call: Call, alarm: Alarm) -> Response:
        outgoing = call.outgoing(await akey_of(self.connection))
        return await asend(self._clients, self.connection, outgoing, alarm)

    def stream(self, request: Request, on_retry: OnRetry | None = None) -> Pieces:
        """Send now, wait for the first piece, and return a generator of all of them.

        Nothing is retried once a piece is out. The last piece has the whole reply as its `end`;
        a stream that does not get there raises, with `partial`.
        """
        call = Call(self.connection, request, stream=True)
        pieces: Pieces = policy(self.connection.max_retries, call.ends, on_retry)(self._begin, call)
        return pieces

    async def astream(self, request: Request, on_retry: OnRetry | None = None) -> AsyncPieces:
        """Do the same on an event loop: await it, then iterate."""
        call = Call(self.connection, request, stream=True)
        retrying = apolicy(self.connection.max_retries, call.ends, on_retry)
        pieces: AsyncPieces = await retrying(self._abegin, call)
        return pieces

    def _begin(self, call: Call) -> Pieces:
        pieces = self._pieces(call)
        next(pieces)
        return pieces

    async def _abegin(self, call: Call) -> AsyncPieces:
        pieces = self._apieces(call)
        await anext(pieces)
        return pieces

    def _pieces(self, call: Call) -> Pieces:
        with call.in_our_words():
            response = self._send(call)
        decoder = StreamDecoder(call.names, response.headers)
        with closing(response), call.in_our_words(decoder):
            chunks = response.chunks(call.until)
            try:
                for chunk in chunks:
                    yield from call.begun_by(decoder.feed(chunk))
                    if decoder.done:
                        break
                    call.heard(decoder)
            except APIConnectionError:
                if not decoder.finished:  # else the answer broke off once it was whole
                    raise
            yield from call.begun_by(_ended(decoder, call))
            if decoder.done and self.connection.http_client is None:  # another's may wait on
                _read_on(chunks, call)

    async def _apieces(self, call: Call) -> AsyncPieces:
        with closing(Alarm(call.until)) as alarm:
            with call.in_our_words():
                response = await self._asend(call, alarm)
            decoder = StreamDecoder(call.names, response.headers)
            with call.in_our_words(decoder):
                async with aclosing(response), aclosing(response.achunks(alarm)) as chunks:
                    try:
                        async for chunk in chunks:
                            for piece in call.begun_by(decoder.feed(chunk)):
                                yield piece
                            if decoder.done:
                                break
                            call.heard(decoder)
                    except APIConnectionError:
                        if not decoder.finished:  # else the answer broke off once it was whole
                            raise
                    for piece in call.begun_by(_ended(decoder, call)):
                        yield piece
                    if decoder.done:
                        alarm.close()  # it is set for later
                        await _aread_on(chunks, call)

    def models(self) -> tuple[Json, ...]:
        """Return the gateway's model list as it sends it; no key is needed."""
        call = Call(self.connection)
        entries: tuple[Json, ...] = policy(self.connection.max_retries, call.ends)(
            self._models_once, call
        )
        return entries

    async def amodels(self) -> tuple[Json, ...]:
        """Return the gateway's model list as it sends it; no key is needed."""
        call = Call(self.connection)
        entries: tuple[Json, ...] = await apolicy(self.connection.max_retries, call.ends)(
            self._amodels_once, call
        )
        return entries

    def _models_once(self, call: Call) -> tuple[Json, ...]:
        with call.in_our_words():
            return decode_models(self._fetch(call)[0])

    async def _amodels_once(self, call: Call) -> tuple[Json, ...]:
        with call.in_our_words():
            body, _ = await self._afetch(call)
            return decode_models(body)


def _ended(decoder: StreamDecoder, call: Call) -> Pieces:
    """Yield the end of a stream, and book it."""
    for piece in decoder.finish():
        if piece.end is None:
            yield piece
        else:
            yield piece._replace(end=call.booked(piece.end))


def _read_on(chunks: Iterable[bytes], call: Call) -> None:
    """Let a connection come to its end, so that it can be used again."""
    call.hurry()
    with suppress(OneRouterError):
        for _ in chunks:
            call.check()


async def _aread_on(chunks: AsyncIterable[bytes], call: Call) -> None:
    """Do the same on an event loop."""
    call.hurry()
    with suppress(OneRouterError):
        async for _ in chunks:
            call.check()


def warm_up() -> None:
    """Import the SDK now, so that the first call need not; a server may do so as it starts."""
    load_sdk()


async def awarm_up() -> None:
    """Import the SDK in a thread."""
    await aload_sdk()
