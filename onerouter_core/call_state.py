"""One call: what is sent, what bounds it, and how far it got.

This module knows what both colours of every verb share: the request, the clock, the ledger, and
what an error must say of the call it ended. It sends nothing and knows no JSON key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from time import monotonic

from onerouter_core.connection import ConnectionSettings
from onerouter_core.deadlines import MIN_TIMEOUT
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
from onerouter_core.http_errors import HTTPErrorResponse
from onerouter_core.ledger import LedgerEntry
from onerouter_core.transport import HTTPRequest
from onerouter_core.types import Json, Reply, ReplyDelta, Request
from onerouter_core.wire.encode import encode_request
from onerouter_core.wire.error_bodies import decode_error
from onerouter_core.wire.stream import StreamDecoder
from onerouter_core.wire.tool_names import ToolNames

MAX_BODY_BYTES = 256 * 2**20
"""Bytes of a reply that is no stream: more is no answer, and would take the memory of others."""


class Call:
    """One call: what is sent, what bounds it, and how far it got."""

    def __init__(
        self,
        connection: ConnectionSettings,
        request: Request | None = None,
        *,
        stream: bool = False,
    ) -> None:
        self.connection = connection
        self.model = request.model if request else None
        self.body: Json | None = None
        self.names = ToolNames()
        if request is not None:
            self.body, self.names = encode_request(request, stream=stream)
        self.secrets: tuple[str | None, ...] = ()  # what no error may show: servers echo it
        self.attempts = 0
        self.deadline_at = monotonic() + connection.deadline if connection.deadline else None
        self.started_at = 0.0  # when the last request went out
        self.last_event_at = 0.0  # when the last data event came, or that request went out
        self.events = 0  # of this attempt's stream, so far
        self.first_delta_at: float | None = None  # when a stream's first piece came
        self.is_complete = False  # a streamed answer, whose counts may yet come
        self.is_recorded = False

    def next_request(self, key: str | None) -> HTTPRequest:
        """Return the next request, begun now."""
        key = key and key.strip()  # a key read from a file ends in a newline
        if self.body is not None and not key:
            raise ConfigurationError("There is no API key: give api_key or set ONEROUTER_API_KEY.")
        if key and not (key.isascii() and key.isprintable()):  # an HTTP library would quote it
            raise ConfigurationError("The API key holds a character that no header can carry.")
        if (
            self.deadline_at is not None and monotonic() >= self.deadline_at
        ):  # a key or a limiter took so long
            raise DeadlineExceededError(f"No answer in {self.connection.deadline} s.")
        if self.body is not None and self.connection.ledger is not None:
            self.connection.ledger.check()
        self.secrets = (key, *self.connection.headers.values())
        self.attempts += 1
        self.is_recorded = False
        self.events = 0
        self.started_at = self.last_event_at = monotonic()
        moment = self.read_deadline()
        bound = None if moment is None else max(moment - self.started_at, MIN_TIMEOUT)
        headers = {"authorization": f"Bearer {key}"} if key else {}
        headers |= {name.lower(): value for name, value in self.connection.headers.items()}
        url = self.connection.base_url + ("/models" if self.body is None else "/chat/completions")
        return HTTPRequest(url, headers, bound, self.body)

    def read_deadline(self) -> float | None:
        """Return the moment until which the server may be silent: it moves with each event."""
        timeout = self.connection.timeout
        if self.is_complete:
            timeout = min(timeout or _USAGE_TIMEOUT, _USAGE_TIMEOUT)
        moments = (self.deadline_at, None if timeout is None else self.last_event_at + timeout)
        return min((moment for moment in moments if moment is not None), default=None)

    def check(self, received: int = 0) -> None:
        """Raise if a call has taken too long, or received too much; keep-alives do not count."""
        if (moment := self.read_deadline()) is not None and monotonic() >= moment:
            raise APITimeoutError("Too late.")
        if received > MAX_BODY_BYTES:
            raise MalformedReplyError(f"The reply is larger than {MAX_BODY_BYTES} bytes.")

    def primed(self, deltas: Iterable[ReplyDelta]) -> Iterator[ReplyDelta]:
        """Yield pieces, a stream's first one twice: whoever begins it waits for that one."""
        for delta in deltas:
            if self.first_delta_at is None:
                self.first_delta_at = monotonic()
                yield delta
            yield delta

    def on_progress(self, decoder: StreamDecoder) -> None:
        """Take note of events, if any came; raise if the call has taken too long."""
        if decoder.events > self.events:
            self.events = decoder.events
            self.last_event_at = monotonic()
            self.is_complete = decoder.finished
        self.check()

    def shorten_deadline(self) -> None:
        """Wait no longer for a server that has said all, and may have left the line open."""
        self.deadline_at = monotonic() + _DRAIN_TIMEOUT

    def record(self, reply: Reply, *, partial: bool = False) -> Reply:
        """Return the reply, which now knows how many requests it took, and book what it cost."""
        if self.attempts > 1:
            reply = replace(reply, attempts=self.attempts)
        ledger = self.connection.ledger
        if ledger is not None and not self.is_recorded:
            self.is_recorded = True
            named = reply if reply.model else replace(reply, model=self.model)
            seconds, prices = monotonic() - self.started_at, self.connection.prices
            first = None if self.first_delta_at is None else self.first_delta_at - self.started_at
            ledger.record(LedgerEntry.of(named, seconds, first, partial=partial, prices=prices))
        return reply

    def translate_errors(self, decoder: StreamDecoder | None = None) -> _ErrorTranslation:
        """Give every error what is known of the call, and take what is secret out of it."""
        return _ErrorTranslation(self, decoder)

    def to_error(self, failure: BaseException, decoder: StreamDecoder | None) -> BaseException:
        """Return what ended the call, in our words if it is an error."""
        match failure:
            case HTTPErrorResponse():
                error = decode_error(failure.body, status=failure.status, headers=failure.headers)
            case OneRouterError():
                error = self._refine_error(failure, decoder)
            case _:
                self._record_abandoned(decoder)
                return failure
        if (came := error.partial) is not None:
            self.record(came, partial=True)
            error.add(
                request_id=error.request_id or came.request_id,
                provider=error.provider or came.provider,
                generation_id=error.generation_id or came.id,
            )
        error.add(attempts=self.attempts, model=error.model or self.model)
        error.__suppress_context__ = True
        return self._redact(error)

    def _record_abandoned(self, decoder: StreamDecoder | None) -> None:
        """Book what came for a reader who left, or was cancelled."""
        if decoder is not None and decoder.events and self.connection.ledger is not None:
            self.record(decoder.partial(), partial=True)

    def _redact(self, error: OneRouterError) -> OneRouterError:
        """Take key and headers out of an error, wherever a server has echoed it."""
        for name, fact in vars(error).items():
            if isinstance(fact, str):
                setattr(error, name, redact(fact, *self.secrets))
        error.args = (error.message,)
        return error

    def _refine_error(self, error: OneRouterError, decoder: StreamDecoder | None) -> OneRouterError:
        """Tell a deadline from a timeout, and a stream cut short from a server out of reach."""
        late = self.deadline_at is not None and monotonic() >= self.deadline_at - _TIMER_TOLERANCE
        if isinstance(error, APITimeoutError) and late:
            error = _convert(
                DeadlineExceededError, error, f"No answer in {self.connection.deadline} s."
            )
        elif type(error) is APITimeoutError and error.status is None and self.connection.timeout:
            words = f"The gateway did not answer in time: no data for {self.connection.timeout} s."
            error = _convert(APITimeoutError, error, words)
        elif type(error) is APIConnectionError and decoder is not None and decoder.events:
            error = _convert(IncompleteStreamError, error, f"The stream broke off. {error.message}")
        elif type(error) is APIConnectionError:
            error.message = f"{error.message} ({self.connection.base_url})"
        if decoder is not None and error.partial is None and decoder.events:
            error.partial = decoder.partial()
        return error


@dataclass(slots=True)
class _ErrorTranslation:
    """Context of what may fail; a generator in its place takes three times as long."""

    call: Call
    decoder: StreamDecoder | None

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, failure: BaseException | None, trace: object) -> None:
        if failure is not None:
            ended = [self.call.to_error(failure, self.decoder)]
            if ended[0] is not failure:
                raise ended.pop()  # held by no local: see transport.send


_TIMER_TOLERANCE = 0.005  # a timer may fire this many seconds early
_USAGE_TIMEOUT = 5.0  # seconds to wait for them, once an answer is whole
_DRAIN_TIMEOUT = 0.05  # seconds for a connection to come to its end, so that it can be used again


def _convert(kind: type[OneRouterError], error: OneRouterError, message: str) -> OneRouterError:
    other = kind(message)
    other.__cause__ = error.__cause__
    return other
