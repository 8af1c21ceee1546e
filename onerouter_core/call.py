"""One call: what is sent, what bounds it, and how far it got.

This module knows what both colours of every verb share: the request, the clock, the ledger, and
what an error must say of the call it ended. It sends nothing and knows no JSON key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from time import monotonic

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
from onerouter_core.refusals import BadStatus
from onerouter_core.transport import Outgoing
from onerouter_core.values import Json, Piece, Reply, Request
from onerouter_core.waits import SHORTEST
from onerouter_core.wire.failures import error_in
from onerouter_core.wire.names import Names
from onerouter_core.wire.requests import encode
from onerouter_core.wire.stream import StreamDecoder

LARGEST_BODY = 256 * 2**20
"""Bytes of a reply that is no stream: more is no answer, and would take the memory of others."""


class Call:
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
        self.secrets: tuple[str | None, ...] = ()  # what no error may show: servers echo it
        self.attempts = 0
        self.ends = monotonic() + connection.deadline if connection.deadline else None
        self.begun = 0.0  # when the last request went out
        self.quiet_since = 0.0  # when the last data event came, or that request went out
        self.events = 0  # of this attempt's stream, so far
        self.first_at: float | None = None  # when a stream's first piece came
        self.is_whole = False  # a streamed answer, whose counts may yet come
        self.is_booked = False

    def outgoing(self, key: str | None) -> Outgoing:
        """Return the next request, begun now."""
        key = key and key.strip()  # a key read from a file ends in a newline
        if self.body is not None and not key:
            raise ConfigurationError("There is no API key: give api_key or set ONEROUTER_API_KEY.")
        if key and not (key.isascii() and key.isprintable()):  # an HTTP library would quote it
            raise ConfigurationError("The API key holds a character that no header can carry.")
        if self.ends is not None and monotonic() >= self.ends:  # a key or a limiter took so long
            raise DeadlineExceededError(f"No answer in {self.connection.deadline} s.")
        if self.body is not None and self.connection.ledger is not None:
            self.connection.ledger.check()
        self.secrets = (key, *self.connection.headers.values())
        self.attempts += 1
        self.is_booked = False
        self.events = 0
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
        if self.is_whole:
            timeout = min(timeout or _FOR_COUNTS, _FOR_COUNTS)
        moments = (self.ends, None if timeout is None else self.quiet_since + timeout)
        return min((moment for moment in moments if moment is not None), default=None)

    def check(self, received: int = 0) -> None:
        """Raise if a call has taken too long, or received too much; keep-alives do not count."""
        if (moment := self.until()) is not None and monotonic() >= moment:
            raise APITimeoutError("Too late.")
        if received > LARGEST_BODY:
            raise MalformedReplyError(f"The reply is larger than {LARGEST_BODY} bytes.")

    def begun_by(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Yield pieces, a stream's first one twice: whoever begins it waits for that one."""
        for piece in pieces:
            if self.first_at is None:
                self.first_at = monotonic()
                yield piece
            yield piece

    def heard(self, decoder: StreamDecoder) -> None:
        """Take note of events, if any came; raise if the call has taken too long."""
        if decoder.events > self.events:
            self.events = decoder.events
            self.quiet_since = monotonic()
            self.is_whole = decoder.finished
        self.check()

    def hurry(self) -> None:
        """Wait no longer for a server that has said all, and may have left the line open."""
        self.ends = monotonic() + _LINGER

    def booked(self, reply: Reply, *, partial: bool = False) -> Reply:
        """Return the reply, which now knows how many requests it took, and book what it cost."""
        if self.attempts > 1:
            reply = replace(reply, attempts=self.attempts)
        ledger = self.connection.ledger
        if ledger is not None and not self.is_booked:
            self.is_booked = True
            named = reply if reply.model else replace(reply, model=self.model)
            seconds, prices = monotonic() - self.begun, self.connection.prices
            first = None if self.first_at is None else self.first_at - self.begun
            ledger.book(Entry.of(named, seconds, first, partial=partial, prices=prices))
        return reply

    def in_our_words(self, decoder: StreamDecoder | None = None) -> _InOurWords:
        """Give every error what is known of the call, and take what is secret out of it."""
        return _InOurWords(self, decoder)

    def ended_by(self, failure: BaseException, decoder: StreamDecoder | None) -> BaseException:
        """Return what ended the call, in our words if it is an error."""
        match failure:
            case BadStatus():
                error = error_in(failure.body, status=failure.status, headers=failure.headers)
            case OneRouterError():
                error = self._told_apart(failure, decoder)
            case _:
                self._left(decoder)
                return failure
        if (came := error.partial) is not None:
            self.booked(came, partial=True)
            error.add(
                request_id=error.request_id or came.request_id,
                provider=error.provider or came.provider,
                generation_id=error.generation_id or came.id,
            )
        error.add(attempts=self.attempts, model=error.model or self.model)
        error.__suppress_context__ = True
        return self._redacted(error)

    def _left(self, decoder: StreamDecoder | None) -> None:
        """Book what came for a reader who left, or was cancelled."""
        if decoder is not None and decoder.events and self.connection.ledger is not None:
            self.booked(decoder.partial(), partial=True)

    def _redacted(self, error: OneRouterError) -> OneRouterError:
        """Take key and headers out of an error, wherever a server has echoed it."""
        for name, fact in vars(error).items():
            if isinstance(fact, str):
                setattr(error, name, redact(fact, *self.secrets))
        error.args = (error.message,)
        return error

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
        elif type(error) is APIConnectionError:
            error.message = f"{error.message} ({self.connection.base_url})"
        if decoder is not None and error.partial is None and decoder.events:
            error.partial = decoder.partial()
        return error


@dataclass(slots=True)
class _InOurWords:
    """Context of what may fail; a generator in its place takes three times as long."""

    call: Call
    decoder: StreamDecoder | None

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, failure: BaseException | None, trace: object) -> None:
        if failure is not None:
            ended = [self.call.ended_by(failure, self.decoder)]
            if ended[0] is not failure:
                raise ended.pop()  # held by no local: see transport.send


_GRACE = 0.005  # a timer may fire this many seconds early
_FOR_COUNTS = 5.0  # seconds to wait for them, once an answer is whole
_LINGER = 0.05  # seconds for a connection to come to its end, so that it can be used again


def _as(kind: type[OneRouterError], error: OneRouterError, message: str) -> OneRouterError:
    other = kind(message)
    other.__cause__ = error.__cause__
    return other
