"""State of one call: its requests, time limits, progress, ledger entry and errors.

The sync and async methods of `Gateway` share all of this. The module sends nothing, and knows no
JSON key of the API. Times are values of `time.monotonic()`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from time import monotonic

from onerouter_core.connection import ConnectionSettings, header_text, secret_values
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
from onerouter_core.foreign_errors import without_library_frames
from onerouter_core.ledger import LedgerEntry
from onerouter_core.model_ids import answering_model
from onerouter_core.model_json import join_surrogates
from onerouter_core.transport import HTTPRequest
from onerouter_core.types import Json, Reply, ReplyDelta, Request
from onerouter_core.wire.encode import encode_request
from onerouter_core.wire.stream import StreamDecoder
from onerouter_core.wire.tool_names import ToolNames

MAX_BODY_BYTES = 256 * 2**20
"""Largest reply in bytes, unless `max_reply_bytes` is set; more could exhaust the memory."""

_TIMER_TOLERANCE = 0.005  # seconds by which a timer may fire early
_USAGE_TIMEOUT = 5.0  # seconds to wait for the usage, once the answer is complete
_DRAIN_TIMEOUT = 0.05  # seconds to wait for the end of the response, so that the connection is kept


class CallState:
    """State of one call. A call sends one request per attempt, until one succeeds."""

    def __init__(
        self,
        connection: ConnectionSettings,
        request: Request | None = None,
        *,
        stream: bool = False,
    ) -> None:
        """Encode the request and start the clock of the deadline.

        Args:
            connection: connection settings.
            request: the chat completion request. None: the call fetches the model list.
            stream: whether to ask for a stream.

        Raises:
            ConfigurationError: the request cannot be encoded.

        """
        self.connection = connection
        self.model = request.model if request else None
        self.fallback_models = request.parameters.get("fallback_models") if request else None
        self.ends_turn = bool(request and request.messages and request.messages[-1].role == "tool")
        """Whether the request ends with a tool result, so that the answer may be empty."""
        self.body: Json | None = None
        self.tool_names = ToolNames()
        if request is not None:
            self.body, self.tool_names = encode_request(request, stream=stream)
        self.deadline_at = monotonic() + connection.deadline if connection.deadline else None
        self.key: str | None = None  # API key of the last request
        self.attempts = 0  # requests sent
        self.is_sent = False  # the request of this attempt was sent; before, its key is fetched
        self.started_at = 0.0  # when the last request was sent
        self.last_event_at = 0.0  # when the last data event came; before it, `started_at`
        self.event_count = 0  # data events of this attempt's stream
        self.first_delta_at: float | None = None
        self.is_complete = False  # the streamed answer has ended; only the usage may follow
        self.is_recorded = False  # the ledger has an entry of this attempt

    # --- requests and time limits ---

    def start_attempt(self) -> None:
        """Start the clock of `timeout` for the fetching of the key."""
        self.is_sent = False
        self.last_event_at = monotonic()

    def next_request(self, key: str | None) -> HTTPRequest:
        """Return the request of the next attempt.

        Args:
            key: API key; spaces around it are removed.

        Raises:
            ConfigurationError: the key is missing or cannot be sent.
            DeadlineExceededError: the deadline has passed, while the key was fetched or `on_retry`
                waited.
            BudgetExceededError: the ledger's budget is spent.

        """
        key = key and key.strip()  # a key read from a file ends in a newline
        self._check_key(key)
        if self.deadline_at is not None and monotonic() >= self.deadline_at:
            raise self._deadline_error()
        if self.body is not None and self.connection.ledger is not None:
            self.connection.ledger.check()
        self.key = key
        self.attempts += 1
        self.is_sent = True
        self.is_recorded = False
        self.event_count = 0
        self.started_at = self.last_event_at = monotonic()
        read_until = self.read_deadline()
        timeout = None if read_until is None else max(read_until - self.started_at, MIN_TIMEOUT)
        headers = {"authorization": f"Bearer {key}"} if key else {}
        headers |= {name.lower(): header_text(v) for name, v in self.connection.headers.items()}
        url = self.connection.base_url + ("/models" if self.body is None else "/chat/completions")
        return HTTPRequest(url, headers, timeout, self.body)

    def _check_key(self, key: str | None) -> None:
        if self.body is not None and not key:  # the model list is public
            raise ConfigurationError(
                "The API key is missing: pass api_key, or set ONEROUTER_API_KEY."
            )
        if key and not (key.isascii() and key.isprintable()):  # an HTTP library would quote it
            raise ConfigurationError("The API key cannot be sent: it must be printable ASCII.")

    def _deadline_error(self) -> DeadlineExceededError:
        return DeadlineExceededError(
            f"The call did not end within its deadline of {self.connection.deadline} s."
        )

    def read_deadline(self) -> float | None:
        """Return the time until which the server may be silent; each event extends it."""
        timeout = self.connection.timeout
        if self.is_complete:
            timeout = min(timeout or _USAGE_TIMEOUT, _USAGE_TIMEOUT)
        limits = (self.deadline_at, None if timeout is None else self.last_event_at + timeout)
        return min((limit for limit in limits if limit is not None), default=None)

    def check(self, received: int = 0) -> None:
        """Raise if the read deadline has passed, or more bytes were received than are allowed.

        The transport's own timeout is not enough: keep-alive comments restart it.
        """
        if (read_until := self.read_deadline()) is not None and monotonic() >= read_until:
            raise APITimeoutError("The gateway did not answer in time.")
        limit = self.connection.max_reply_bytes or MAX_BODY_BYTES
        if received > limit:
            # What comes after the end of an answer does not take the answer away.
            error_class: type[OneRouterError]
            error_class = APIConnectionError if self.is_complete else MalformedReplyError
            raise error_class(f"The reply is larger than {limit} bytes (max_reply_bytes).")

    # --- progress of a stream ---

    def primed(self, deltas: Iterable[ReplyDelta]) -> Iterator[ReplyDelta]:
        """Yield deltas, the first one of the stream twice.

        The first event belongs to the attempt: until it has come, a failure is retried. So
        `Gateway.stream` takes one delta from the generator before it returns that same generator,
        whose reader gets the delta once more. A second generator around the first would do the
        same, and would cost each delta 0.2 us in async and 0.05 us in sync code (Python 3.11).
        """
        for delta in deltas:
            if self.first_delta_at is None:
                self.first_delta_at = monotonic()
                yield delta
            yield delta

    def on_progress(self, decoder: StreamDecoder) -> None:
        """Extend the read deadline if there are new events; raise if it has passed."""
        if decoder.events > self.event_count:
            self.event_count = decoder.events
            self.last_event_at = monotonic()
            self.is_complete = decoder.finished
        self.check(decoder.received)

    def shorten_deadline(self) -> None:
        """Allow only a moment more: the stream has ended with [DONE], its response perhaps not."""
        self.deadline_at = monotonic() + _DRAIN_TIMEOUT

    # --- ledger ---

    def record(self, reply: Reply, *, partial: bool = False) -> Reply:
        """Record a reply in the ledger, once per attempt; return it with what is known of the call.

        That is the number of attempts, and which of the requested models answered.
        """
        reply = self._with_requested_model(replace(reply, attempts=self.attempts))
        ledger = self.connection.ledger
        if ledger is not None and not self.is_recorded:
            self.is_recorded = True
            with_model = reply if reply.model else replace(reply, model=self.model)
            seconds, prices = monotonic() - self.started_at, self.connection.prices
            first = None if self.first_delta_at is None else self.first_delta_at - self.started_at
            entry = LedgerEntry.of(with_model, seconds, first, partial=partial, prices=prices)
            ledger.record(entry)
        return reply

    def _with_requested_model(self, reply: Reply) -> Reply:
        """Return a reply, alternatives included, with the requested id of the model."""
        if self.model is None:
            return reply
        return replace(
            reply,
            requested_model=answering_model(self.model, self.fallback_models or (), reply.model),
            alternatives=tuple(map(self._with_requested_model, reply.alternatives)),
        )

    def _record_abandoned(self, decoder: StreamDecoder | None) -> None:
        """Record the events of a stream that was closed or cancelled before its end."""
        if decoder is not None and decoder.events and self.connection.ledger is not None:
            self.record(decoder.partial(), partial=True)

    # --- errors ---

    def translate_errors(self, decoder: StreamDecoder | None = None) -> _ErrorTranslation:
        """Return a context that raises errors as `to_error` returns them.

        Args:
            decoder: decoder of the stream, for the partial reply.

        """
        return _ErrorTranslation(self, decoder)

    def to_error(self, failure: BaseException, decoder: StreamDecoder | None) -> BaseException:
        """Return the error to raise for an exception that ended an attempt.

        A OneRouterError becomes an error with what is known of the call, and without secrets; a
        partial reply is recorded. Any other exception (the stream was closed, the task was
        cancelled) is returned as it is.
        """
        if not isinstance(failure, OneRouterError):
            self._record_abandoned(decoder)
            return failure
        error = self._refine_error(failure, decoder)
        if (partial := error.partial) is not None:
            partial = redact(partial, *self.secrets())
            error.partial = partial = self.record(partial, partial=True)
            error.add(
                request_id=error.request_id or partial.request_id,
                provider=error.provider or partial.provider,
                generation_id=error.generation_id or partial.id,
            )
        error.add(attempts=self.attempts, model=error.model or self.model)
        error.__suppress_context__ = True
        return self._redact(error)

    def _redact(self, error: OneRouterError) -> OneRouterError:
        """Remove the key and secret headers from an error; a server may have echoed them.

        Its texts are also made printable: libraries quote bytes of the server in their errors.
        """
        secrets = self.secrets()
        for name, value in vars(error).items():
            if isinstance(value, str):
                setattr(error, name, redact(join_surrogates(value), *secrets))
        error.args = (error.message,)
        return error

    def _is_silent(self) -> bool:
        """Tell whether the read deadline has passed; an HTTP client may have another timeout."""
        limit = self.read_deadline()
        return (
            self.is_sent
            and bool(self.connection.timeout)
            and limit is not None
            and (monotonic() >= limit - _TIMER_TOLERANCE)
        )

    def secrets(self) -> tuple[str | None, ...]:
        """Return the key and the secret headers of the last request."""
        return (self.key, *secret_values(self.connection.headers))

    def _refine_error(self, error: OneRouterError, decoder: StreamDecoder | None) -> OneRouterError:
        """Return an error of the transport as a deadline, timeout or incomplete stream error."""
        is_late = self.deadline_at is not None and monotonic() >= (
            self.deadline_at - _TIMER_TOLERANCE
        )
        if isinstance(error, APITimeoutError) and error.status is None and is_late:
            error = _with_cause_of(error, self._deadline_error())
        elif type(error) is APITimeoutError and error.status is None and self._is_silent():
            reason = f"no data for {self.connection.timeout} s"
            timeout_error = APITimeoutError(f"The gateway did not answer in time: {reason}.")
            error = _with_cause_of(error, timeout_error)
        elif type(error) is APITimeoutError and error.status is None:
            if self.connection.http_client or self.connection.http_async_client:
                error.message += " It was the timeout of your own HTTP client."
        elif type(error) is APIConnectionError and decoder is not None and decoder.events:
            interrupted = IncompleteStreamError(f"The stream was interrupted. {error.message}")
            error = _with_cause_of(error, interrupted)
        elif type(error) is APIConnectionError:
            error.message = f"{error.message} ({self.connection.base_url})"
        if decoder is not None and error.partial is None and decoder.events:
            error.partial = decoder.partial()
        return error


@dataclass(slots=True)
class _ErrorTranslation:
    """Context manager of `translate_errors`; a generator would take three times as long."""

    call: CallState
    decoder: StreamDecoder | None

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, failure: BaseException | None, trace: object) -> None:
        if failure is not None:
            errors = [self.call.to_error(failure, self.decoder)]
            self.call.key = None
            if self.decoder is not None:
                self.decoder.forget()
            if isinstance(failure, OneRouterError) or not isinstance(failure, Exception):
                failure.__traceback__ = failure.__context__ = None
                if errors[0] is failure and isinstance(failure, OneRouterError):
                    errors = [_copy_error(failure)]
            else:  # of the user's code, such as a function that returns the key
                without_library_frames(failure)
            del failure, trace  # with the error in a local variable: see tracebacks.py
            raise errors.pop()


# The HTTP library's generators were closed while the error was handled, so that a GeneratorExit in
# one of their frames has it as its context: up to Python 3.11 that frame is in a reference cycle.
def _copy_error(error: OneRouterError) -> OneRouterError:
    """Return an equal error, whose traceback no frame of an HTTP library refers to."""
    new_error = _with_cause_of(error, copy(error))
    new_error.__suppress_context__ = True
    return new_error


def _with_cause_of(error: OneRouterError, new_error: OneRouterError) -> OneRouterError:
    new_error.__cause__ = error.__cause__
    return new_error
