"""The gateway client: complete, stream and models, each sync and async.

Each method encodes the request, sends it, decodes the response, and is retried by tenacity. The
sync and async variants share `CallState` and differ only in what they await. This module knows no
framework and no JSON key of the API.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable, Iterator
from contextlib import aclosing, closing, suppress
from decimal import Decimal
from functools import partial
from time import monotonic
from typing import Any, TypeAlias, TypeVar

from onerouter_core.call_state import CallState
from onerouter_core.client_pool import ClientOwner, Clients
from onerouter_core.connection import ConnectionSettings
from onerouter_core.deadlines import ReadTimeout
from onerouter_core.errors import APIConnectionError, OneRouterError
from onerouter_core.http_errors import aread_error_body, read_error_body
from onerouter_core.retry import OnRetry, apolicy, policy
from onerouter_core.sdk_clients import aload_sdk, load_sdk
from onerouter_core.transport import (
    Response,
    aget_api_key,
    aprepare,
    asend,
    get_api_key,
    prepare,
    send,
)
from onerouter_core.types import Json, Reply, ReplyDelta, Request
from onerouter_core.wire.balance import decode_balance
from onerouter_core.wire.error_bodies import decode_error
from onerouter_core.wire.model_list import decode_model_list
from onerouter_core.wire.stream import BodyDecoder, StreamDecoder

DeltaStream: TypeAlias = Generator[ReplyDelta, None, None]
"""Deltas of a streamed reply; closing the generator closes the connection."""

AsyncDeltaStream: TypeAlias = AsyncGenerator[ReplyDelta, None]
"""Deltas of a streamed reply; closing the generator closes the connection."""

T = TypeVar("T")


class Gateway(ClientOwner):
    """Client of a OneRouter gateway.

    Creating one does nothing: the SDK and its HTTP client are loaded by the first call. A gateway
    can be used by many threads and event loops, copied, pickled, and used again after `close`.
    """

    def __init__(
        self, connection: ConnectionSettings | None = None, clients: Clients | None = None
    ) -> None:
        """Create a gateway.

        Args:
            connection: connection settings. None: the defaults of `ConnectionSettings`.
            clients: holder of the HTTP clients, to be shared by several gateways. None: a new one.

        """
        self.connection = connection or ConnectionSettings()
        self._clients = clients or Clients()

    def complete(self, request: Request, on_retry: OnRetry | None = None) -> Reply:
        """Send a chat completion request and return the complete reply.

        Args:
            request: the request.
            on_retry: function that is called before each wait for a retry, with tenacity's
                RetryCallState.

        Raises:
            ConfigurationError: the request is invalid; nothing was sent.
            BudgetExceededError: the ledger's budget is spent.
            OneRouterError: the last attempt failed; `partial` is the reply up to the failure.

        """
        prepare(self._clients, self.connection)
        call = CallState(self.connection, request)
        retrying = policy(self.connection.max_retries, call.limits.deadline_at, on_retry)
        reply: Reply = retrying(self._fetch, call, partial(BodyDecoder, call.context))
        return call.accounting.record(reply)

    async def acomplete(self, request: Request, on_retry: OnRetry | None = None) -> Reply:
        """Send a request; the async variant of `complete`. `on_retry` may be async, too."""
        await aprepare(self._clients, self.connection)
        call = CallState(self.connection, request)
        reply: Reply = await apolicy(
            self.connection.max_retries, call.limits.deadline_at, on_retry
        )(self._afetch, call, partial(BodyDecoder, call.context))
        return call.accounting.record(reply)

    def _fetch(self, call: CallState, new_decoder: Callable[[], _Decoder]) -> Any:
        with call.errors:
            decoder = call.errors.body = new_decoder()
            with closing(self._send(call)) as response:
                for chunk in response.chunks(call.limits.read_deadline):
                    decoder.feed(chunk)
                    call.limits.check(decoder.received)
            return decoder.finish()

    async def _afetch(self, call: CallState, new_decoder: Callable[[], _Decoder]) -> Any:
        with call.errors:
            decoder = call.errors.body = new_decoder()
            with closing(ReadTimeout(call.limits.read_deadline)) as read_timeout:
                response = await self._asend(call, read_timeout)
                async with aclosing(response):
                    async for chunk in response.achunks(read_timeout):
                        decoder.feed(chunk)
                        call.limits.check(decoder.received)
            return decoder.finish()

    def _send(self, call: CallState) -> Response:
        http_request = call.next_request(get_api_key(self.connection))
        self._clients.sent_secrets.add(call.errors.secrets())
        response = send(self._clients, self.connection, http_request)
        if response.is_success:
            call.context.headers = response.headers
            return response
        with closing(response), closing(response.chunks(call.limits.read_deadline)) as chunks:
            body = read_error_body(chunks, call.limits.check)
        raise decode_error(body, status=response.status, headers=response.headers)

    async def _asend(self, call: CallState, read_timeout: ReadTimeout) -> Response:
        call.limits.restart(is_sent=False)
        http_request = call.next_request(await aget_api_key(self.connection, read_timeout))
        self._clients.sent_secrets.add(call.errors.secrets())
        response = await asend(self._clients, self.connection, http_request, read_timeout)
        if response.is_success:
            call.context.headers = response.headers
            return response
        async with aclosing(response), aclosing(response.achunks(read_timeout)) as chunks:
            body = await aread_error_body(chunks)
        raise decode_error(body, status=response.status, headers=response.headers)

    def stream(self, request: Request, on_retry: OnRetry | None = None) -> DeltaStream:
        """Send a request, wait for the first delta, and return a generator of all deltas.

        A failure before the first delta is retried; a later one is raised by the generator, with
        the reply so far as `partial`. The last delta has the complete reply as `final_reply`.
        Arguments and errors are those of `complete`.
        """
        prepare(self._clients, self.connection)
        call = CallState(self.connection, request, stream=True)
        deltas: DeltaStream = policy(
            self.connection.max_retries, call.limits.deadline_at, on_retry
        )(self._start_stream, call)
        return deltas

    async def astream(self, request: Request, on_retry: OnRetry | None = None) -> AsyncDeltaStream:
        """Stream a reply; the async variant of `stream`: await it, then iterate."""
        await aprepare(self._clients, self.connection)
        call = CallState(self.connection, request, stream=True)
        retrying = apolicy(self.connection.max_retries, call.limits.deadline_at, on_retry)
        deltas: AsyncDeltaStream = await retrying(self._astart_stream, call)
        return deltas

    def _start_stream(self, call: CallState) -> DeltaStream:
        deltas = self._deltas(call)
        next(deltas)  # the start signal: see `_with_start`
        return deltas

    async def _astart_stream(self, call: CallState) -> AsyncDeltaStream:
        deltas = self._adeltas(call)
        await anext(deltas)  # the start signal: see `_with_start`
        return deltas

    def _deltas(self, call: CallState) -> DeltaStream:
        decoder = call.errors.decoder = StreamDecoder(call.context)
        with (
            call.errors,
            closing(self._send(call)) as response,
            closing(response.chunks(call.limits.read_deadline)) as chunks,
        ):
            try:
                for chunk in chunks:
                    deltas = decoder.feed(chunk)
                    del chunk  # a key that it echoes would be in a local of the error's frames
                    yield from _with_start(deltas, call)
                    if decoder.done:
                        break
                    call.limits.on_progress(decoder)
            except APIConnectionError:
                if not decoder.finished:  # else only the end of the response is missing
                    raise
            yield from _with_start(_final_deltas(decoder, call), call)
            if decoder.done and response.can_drain:
                _drain(chunks, call)

    async def _adeltas(self, call: CallState) -> AsyncDeltaStream:
        decoder = call.errors.decoder = StreamDecoder(call.context)
        with (
            closing(ReadTimeout(call.limits.read_deadline)) as read_timeout,
            call.errors,
        ):
            response = await self._asend(call, read_timeout)
            async with aclosing(response), aclosing(response.achunks(read_timeout)) as chunks:
                try:
                    async for chunk in chunks:
                        deltas = decoder.feed(chunk)
                        del chunk  # as in `_deltas`
                        for delta in _with_start(deltas, call):
                            yield delta
                        if decoder.done:
                            break
                        call.limits.on_progress(decoder)
                except APIConnectionError:
                    if not decoder.finished:  # else only the end of the response is missing
                        raise
                for delta in _with_start(_final_deltas(decoder, call), call):
                    yield delta
                if decoder.done:
                    read_timeout.close()  # its timer is set for a later time
                    await _adrain(chunks, call)

    def models(self) -> tuple[Json, ...]:
        """Return the entries of the gateway's model list (GET /models), as it sends them.

        No API key is needed. `Catalog.of` makes a catalogue of them. Raises OneRouterError.
        """
        return self._get("/models", decode_model_list)

    async def amodels(self) -> tuple[Json, ...]:
        """Return the entries of the model list; the async variant of `models`."""
        return await self._aget("/models", decode_model_list)

    def balance(self) -> Decimal:
        """Return the account's balance in USD (GET /balance). The request costs nothing.

        Raises:
            AuthenticationError: the key is missing or wrong.
            OneRouterError: the request failed; status 404 if the server has no such endpoint.

        """
        return self._get("/balance", decode_balance)

    async def abalance(self) -> Decimal:
        """Return the account's balance in USD; the async variant of `balance`."""
        return await self._aget("/balance", decode_balance)

    def _get(self, path: str, decode: Callable[[bytearray], T]) -> T:
        prepare(self._clients, self.connection)
        call = CallState(self.connection, path=path)
        retrying = policy(self.connection.max_retries, call.limits.deadline_at)
        value: T = retrying(self._fetch, call, partial(_Body, decode))
        return value

    async def _aget(self, path: str, decode: Callable[[bytearray], T]) -> T:
        await aprepare(self._clients, self.connection)
        call = CallState(self.connection, path=path)
        retrying = apolicy(self.connection.max_retries, call.limits.deadline_at)
        value: T = await retrying(self._afetch, call, partial(_Body, decode))
        return value


class _Body:
    """The bytes of a body that is decoded when it is complete."""

    def __init__(self, decode: Callable[[bytearray], Any]) -> None:
        self._decode = decode
        self._data = bytearray()

    @property
    def received(self) -> int:
        """Number of bytes received."""
        return len(self._data)

    def feed(self, chunk: bytes) -> None:
        """Add bytes of the body."""
        self._data += chunk

    def finish(self) -> Any:
        """Return the value of the body."""
        return self._decode(self._data)


_Decoder: TypeAlias = BodyDecoder | _Body

_START = ReplyDelta()


# The first delta belongs to the attempt: until it has come, a failure is retried. A second
# generator around the first, which begins with the delta, would do the same, and would cost each
# delta 0.2 us in async and 0.05 us in sync code (Python 3.11).
def _with_start(deltas: Iterator[ReplyDelta], call: CallState) -> Iterator[ReplyDelta]:
    """Return deltas; before the first one of the stream a start signal, for `_start_stream`."""
    return _started(deltas, call) if call.accounting.first_delta_at is None else deltas


def _started(deltas: Iterator[ReplyDelta], call: CallState) -> Iterator[ReplyDelta]:
    for delta in deltas:
        if call.accounting.first_delta_at is None:
            call.accounting.first_delta_at = monotonic()
            yield _START
        yield delta


def _final_deltas(decoder: StreamDecoder, call: CallState) -> DeltaStream:
    """Yield the deltas at the end of a stream, and record the final reply."""
    for delta in decoder.finish():
        if delta.final_reply is None:
            yield delta
        else:
            yield delta._replace(final_reply=call.accounting.record(delta.final_reply))


def _drain(chunks: Iterable[bytes], call: CallState) -> None:
    """Read the end of a response, so that the connection can be kept for the next request."""
    call.limits.shorten()
    with suppress(OneRouterError):
        for _ in chunks:
            call.limits.check()


async def _adrain(chunks: AsyncIterable[bytes], call: CallState) -> None:
    """Read the end of a response; the async variant of `_drain`."""
    call.limits.shorten()
    with suppress(OneRouterError):
        async for _ in chunks:
            call.limits.check()


def warm_up() -> None:
    """Import the SDK now, as a server may at its start; else the first call does.

    The import takes up to a second.
    """
    load_sdk()


async def awarm_up() -> None:
    """Import the SDK in a thread; the async variant of `warm_up`."""
    await aload_sdk()
