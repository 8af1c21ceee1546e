"""The verbs: complete, stream and list models, each in two colours.

This module knows the order of things: encode, send, decode, with tenacity around them. What a call
is bounded by is in `_Call`, which both colours share; they differ in the await alone. It knows no
framework and no JSON key.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import aclosing, closing, contextmanager, suppress
from dataclasses import replace
from time import monotonic
from typing import TypeAlias

from onerouter_core.clients import Clients, HoldsClients, aload_sdk, load_sdk
from onerouter_core.costs import Entry
from onerouter_core.errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    DeadlineExceededError,
    IncompleteStreamError,
    MalformedReplyError,
    OneRouterError,
    redact,
)
from onerouter_core.parameters import Connection
from onerouter_core.retry import OnRetry, apolicy, policy
from onerouter_core.transport import BadStatus, Outgoing, akey_of, asend, key_of, send
from onerouter_core.values import Json, Piece, Reply, Request
from onerouter_core.waits import SHORTEST, Alarm
from onerouter_core.wire.failures import error_in
from onerouter_core.wire.names import Names
from onerouter_core.wire.replies import decode_models
from onerouter_core.wire.requests import encode
from onerouter_core.wire.stream import StreamDecoder, decode_body

Pieces: TypeAlias = Generator[Piece, None, None]
AsyncPieces: TypeAlias = AsyncGenerator[Piece, None]

LARGEST_BODY = 256 * 2**20
"""Bytes of a reply that is no stream: more is no answer, and would take the memory of others."""


class _Call:
    """One call: what is sent, what bounds it, and how far it got."""

    def __init__(
        self, connection: Connection, request: Request | None = None, *, stream: bool = False
    ) -> None:
        self.connection = connection
        self.model = request.model if request else None
        self.body: Json | None = None
        self.names = Names()
        if request is not None:
            self.body, self.names = encode(request, stream=stream)
        self.key: str | None = None
        self.attempts = 0
        self.ends = monotonic() + connection.deadline if connection.deadline else None
        self.begun = 0.0  # when the last request went out
        self.quiet_since = 0.0  # when the last data event came, or that request went out
        self.first_at: float | None = None  # when a stream's first piece came
        self.is_whole = False  # a streamed answer, whose counts may yet come
        if request is not None and connection.ledger is not None:
            connection.ledger.check()

    def outgoing(self, key: str | None) -> Outgoing:
        """Return the next request, begun now."""
        self.key = key = key and key.strip()  # a key read from a file ends in a newline
        if self.body is not None and not key:
            raise ConfigurationError("There is no API key: give api_key or set ONEROUTER_API_KEY.")
        if key and not (key.isascii() and key.isprintable()):  # an HTTP library would quote it
            raise ConfigurationError("The API key holds a character that no header can carry.")
        self.attempts += 1
        self.begun = self.quiet_since = monotonic()
        moment = self.until()
        bound = None if moment is None else max(moment - self.begun, SHORTEST)
        headers = {"authorization": f"Bearer {key}"} if key else {}
        headers |= {name.lower(): value for name, value in self.connection.headers.items()}
        url = self.connection.base_url + ("/models" if self.body is None else "/chat/completions")
        return Outgoing(url, headers, bound, self.body)

    def until(self) -> float | None:
        """Return the moment until which the server may be silent: it moves with each event."""
        timeout = self.connection.timeout
        if self.is_whole and timeout is not None:
            timeout = min(timeout, _FOR_COUNTS)
        moments = (self.ends, None if timeout is None else self.quiet_since + timeout)
        return min((moment for moment in moments if moment is not None), default=None)

    def check(self, received: int = 0) -> None:
        """Raise if a call has taken too long, or received too much; keep-alives do not count."""
        if (moment := self.until()) is not None and monotonic() >= moment:
            raise APITimeoutError("Too late.")
        if received > LARGEST_BODY:
            raise MalformedReplyError(f"The reply is larger than {LARGEST_BODY} bytes.")

    def heard(self, decoder: StreamDecoder) -> None:
        """Take note of an event."""
        self.quiet_since = monotonic()
        self.is_whole = decoder.finished

    def hurry(self) -> None:
        """Wait no longer for a server that has said all, and may have left the line open."""
        self.ends = monotonic() + _LINGER

    def booked(self, reply: Reply) -> Reply:
        """Return the reply, which now knows how many requests it took, and book what it cost."""
        if self.attempts > 1:
            reply = replace(reply, attempts=self.attempts)
        if self.connection.ledger is not None:
            first_token = None if self.first_at is None else self.first_at - self.begun
            self.connection.ledger.book(Entry.of(reply, monotonic() - self.begun, first_token))
        return reply

    @contextmanager
    def in_our_words(self, decoder: StreamDecoder | None = None) -> Iterator[None]:
        """Give every error what is known of the call, and take the key out of it."""
        try:
            yield
        except BadStatus as answer:
            error: OneRouterError = error_in(
                answer.body, status=answer.status, headers=answer.headers
            )
        except OneRouterError as raised:
            error = self._told_apart(raised, decoder)
        else:
            return
        error.add(attempts=self.attempts, model=error.model or self.model)
        for name, fact in vars(error).items():
            if isinstance(fact, str):
                setattr(error, name, redact(fact, self.key))
        error.args = (error.message,)
        raise error from error.__cause__

    def _told_apart(self, error: OneRouterError, decoder: StreamDecoder | None) -> OneRouterError:
        """Tell a deadline from a timeout, and a stream cut short from a server out of reach."""
        late = self.ends is not None and monotonic() >= self.ends - _GRACE
        if isinstance(error, APITimeoutError) and late:
            error = _as(DeadlineExceededError, error, f"No answer in {self.connection.deadline} s.")
        elif type(error) is APITimeoutError and error.status is None and self.connection.timeout:
            words = f"The gateway did not answer in time: no data for {self.connection.timeout} s."
            error = _as(APITimeoutError, error, words)
        elif type(error) is APIConnectionError and decoder is not None and decoder.events:
            error = _as(IncompleteStreamError, error, f"The stream broke off. {error.message}")
        if decoder is not None and error.partial is None and decoder.events:
            error.partial = decoder.partial()
        return error


_GRACE = 0.005  # a timer may fire this many seconds early
_FOR_COUNTS = 5.0  # seconds to wait for them, once an answer is whole
_LINGER = 0.05  # seconds for a connection to come to its end, so that it can be used again


def _as(kind: type[OneRouterError], error: OneRouterError, message: str) -> OneRouterError:
    other = kind(message)
    other.__cause__ = error.__cause__
    return other


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
        call = _Call(self.connection, request)
        reply: Reply = policy(self.connection.max_retries, call.ends, on_retry)(
            self._complete_once, call
        )
        return call.booked(reply)

    async def acomplete(self, request: Request, on_retry: OnRetry | None = None) -> Reply:
        """Return the whole answer; raise OneRouterError."""
        call = _Call(self.connection, request)
        reply: Reply = await apolicy(self.connection.max_retries, call.ends, on_retry)(
            self._acomplete_once, call
        )
        return call.booked(reply)

    def _complete_once(self, call: _Call) -> Reply:
        with call.in_our_words():
            body, headers = self._fetch(call)
            return decode_body(body, call.names, headers)

    async def _acomplete_once(self, call: _Call) -> Reply:
        with call.in_our_words():
            body, headers = await self._afetch(call)
            return decode_body(body, call.names, headers)

    def _fetch(self, call: _Call) -> tuple[bytes, Mapping[str, str]]:
        outgoing = call.outgoing(key_of(self.connection))
        with closing(send(self._clients, self.connection, outgoing)) as response:
            body = bytearray()
            for chunk in response.chunks(call.until):
                body += chunk
                call.check(len(body))
        return bytes(body), response.headers

    async def _afetch(self, call: _Call) -> tuple[bytes, Mapping[str, str]]:
        outgoing = call.outgoing(await akey_of(self.connection))
        with closing(Alarm(call.until)) as alarm:
            response = await asend(self._clients, self.connection, outgoing, alarm)
            async with aclosing(response):
                body = bytearray()
                async for chunk in response.achunks(alarm):
                    body += chunk
                    call.check(len(body))
        return bytes(body), response.headers

    def stream(self, request: Request, on_retry: OnRetry | None = None) -> Pieces:
        """Send now, wait for the first piece, and return a generator of all of them.

        Nothing is retried once a piece is out. The last piece has the whole reply as its `end`;
        a stream that does not get there raises, with `partial`.
        """
        call = _Call(self.connection, request, stream=True)
        retrying = policy(self.connection.max_retries, call.ends, on_retry)
        return _resumed(*retrying(self._begin, call))

    async def astream(self, request: Request, on_retry: OnRetry | None = None) -> AsyncPieces:
        """Do the same on an event loop: await it, then iterate."""
        call = _Call(self.connection, request, stream=True)
        retrying = apolicy(self.connection.max_retries, call.ends, on_retry)
        return _aresumed(*await retrying(self._abegin, call))

    def _begin(self, call: _Call) -> tuple[Piece, Pieces]:
        pieces = self._pieces(call)
        first = next(pieces)
        call.first_at = monotonic()
        return first, pieces

    async def _abegin(self, call: _Call) -> tuple[Piece, AsyncPieces]:
        pieces = self._apieces(call)
        first = await anext(pieces)
        call.first_at = monotonic()
        return first, pieces

    def _pieces(self, call: _Call) -> Pieces:
        with call.in_our_words():
            outgoing = call.outgoing(key_of(self.connection))
            response = send(self._clients, self.connection, outgoing)
        decoder = StreamDecoder(call.names, response.headers)
        with closing(response), call.in_our_words(decoder):
            chunks = response.chunks(call.until)
            with _unless_whole(decoder):
                for chunk in chunks:
                    events = decoder.events
                    yield from decoder.feed(chunk)
                    if decoder.done:
                        break
                    if decoder.events > events:
                        call.heard(decoder)
                    call.check()
            yield from _ended(decoder, call)
            if decoder.done and self.connection.http_client is None:  # another's may wait on
                call.hurry()
                with suppress(OneRouterError):
                    for _ in chunks:
                        call.check()

    async def _apieces(self, call: _Call) -> AsyncPieces:
        alarm = Alarm(call.until)
        with call.in_our_words():
            outgoing = call.outgoing(await akey_of(self.connection))
            response = await asend(self._clients, self.connection, outgoing, alarm)
        decoder = StreamDecoder(call.names, response.headers)
        with closing(alarm), call.in_our_words(decoder):
            async with aclosing(response), aclosing(response.achunks(alarm)) as chunks:
                with _unless_whole(decoder):
                    async for chunk in chunks:
                        events = decoder.events
                        for piece in decoder.feed(chunk):
                            yield piece
                        if decoder.done:
                            break
                        if decoder.events > events:
                            call.heard(decoder)
                        call.check()
                for piece in _ended(decoder, call):
                    yield piece
                if decoder.done:
                    call.hurry()
                    alarm.close()  # it is set for later
                    with suppress(OneRouterError):
                        async for _ in chunks:
                            call.check()

    def models(self) -> tuple[Json, ...]:
        """Return the gateway's model list as it sends it; no key is needed."""
        call = _Call(self.connection)
        entries: tuple[Json, ...] = policy(self.connection.max_retries, call.ends)(
            self._models_once, call
        )
        return entries

    async def amodels(self) -> tuple[Json, ...]:
        """Return the gateway's model list as it sends it; no key is needed."""
        call = _Call(self.connection)
        entries: tuple[Json, ...] = await apolicy(self.connection.max_retries, call.ends)(
            self._amodels_once, call
        )
        return entries

    def _models_once(self, call: _Call) -> tuple[Json, ...]:
        with call.in_our_words():
            return decode_models(self._fetch(call)[0])

    async def _amodels_once(self, call: _Call) -> tuple[Json, ...]:
        with call.in_our_words():
            body, _ = await self._afetch(call)
            return decode_models(body)


@contextmanager
def _unless_whole(decoder: StreamDecoder) -> Iterator[None]:
    """Let a stream break off once the answer in it is whole."""
    try:
        yield
    except APIConnectionError:
        if not decoder.finished:
            raise


def _ended(decoder: StreamDecoder, call: _Call) -> Pieces:
    """Yield the end of a stream, and book it."""
    for piece in decoder.finish():
        if piece.end is None:
            yield piece
        else:
            yield piece._replace(end=call.booked(piece.end))


def _resumed(first: Piece, rest: Pieces) -> Pieces:
    """Yield on; whoever drops or closes this generator drops, and so closes, the inner one."""
    with closing(rest):
        yield first
        yield from rest


async def _aresumed(first: Piece, rest: AsyncPieces) -> AsyncPieces:
    """Yield on, and close the inner generator with this one."""
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


def warm_up() -> None:
    """Import the SDK now, so that the first call need not; a server may do so as it starts."""
    load_sdk()


async def awarm_up() -> None:
    """Import the SDK in a thread."""
    await aload_sdk()
