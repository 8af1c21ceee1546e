"""Errors of one call: their context, and the removal of secrets.

An error passes three places. It is made where the failure is seen (`transport_errors.py` for
exceptions of HTTP libraries, `wire/error_bodies.py` and the decoders for replies). Here it gets
the facts of its call, and loses secrets and frames. A framework package gives it the class of
its framework. This module knows neither the wire format nor HTTP.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Protocol

from onerouter_core.call_accounting import CallAccounting
from onerouter_core.call_limits import CallLimits
from onerouter_core.connection import ConnectionSettings, secret_values
from onerouter_core.errors import (
    APIConnectionError,
    APITimeoutError,
    DeadlineExceededError,
    IncompleteStreamError,
    OneRouterError,
    redact,
)
from onerouter_core.foreign_errors import without_library_frames
from onerouter_core.model_json import join_surrogates
from onerouter_core.types import Reply


class PartialReply(Protocol):
    """Decoder of a stream."""

    events: int
    """Number of events received."""

    def partial(self) -> Reply:
        """Return the reply so far."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drop all that was received."""


class WholeReply(Protocol):
    """Decoder of a reply that is not streamed."""

    def finish(self) -> Any:
        """Return the reply; raise OneRouterError if it is not whole."""


class CallErrors:
    """Context manager of one attempt: an error leaves it as the user may see it.

    A OneRouterError becomes a new error, with what is known of the call; a partial reply is
    recorded. Any other exception (of the user's code, or because the stream was closed or the task
    cancelled) is raised as it is. A generator in its place would take three times as long.
    """

    __slots__ = ("_accounting", "_connection", "_limits", "body", "decoder", "key")

    def __init__(
        self, connection: ConnectionSettings, limits: CallLimits, accounting: CallAccounting
    ) -> None:
        """Begin a call without a decoder, whose key is not known."""
        self._connection = connection
        self._limits = limits
        self._accounting = accounting
        self.decoder: PartialReply | None = None
        """Decoder of the attempt's stream."""

        self.body: WholeReply | None = None
        """Decoder of the attempt's reply, if it is not streamed."""

        self.key: str | None = None
        """API key of the last request."""

    def secrets(self) -> tuple[str | None, ...]:
        """Return the key and the secret headers of the last request."""
        headers = self._connection.headers
        return (self.key, *secret_values(headers)) if headers else (self.key,)

    def deadline_error(self) -> DeadlineExceededError:
        """Return the error of a call that took too long."""
        return DeadlineExceededError(
            f"The call did not end within its deadline of {self._connection.deadline} s."
        )

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, failure: BaseException | None, trace: object) -> None:
        if failure is None:
            return
        errors = [self._to_error(failure)]
        self._accounting.release()
        self.key = None
        if self.decoder is not None:
            self.decoder.forget()
        self.body = None
        if isinstance(failure, Exception) and not isinstance(failure, OneRouterError):
            without_library_frames(failure)  # of the user's code, such as a function for the key
        else:
            failure.__traceback__ = failure.__context__ = None
        del failure, trace  # with the error in a local variable: see tracebacks.py
        raise errors.pop()

    # Always a new error; the old one, its context, has no secret either. The HTTP library's
    # generators were closed while it was handled, so that a GeneratorExit in one of their frames
    # has it as its context: up to Python 3.11 that frame is in a reference cycle.
    def _to_error(self, failure: BaseException) -> BaseException:
        """Return the error to raise for an exception that ended the attempt."""
        decoder, accounting = self.decoder, self._accounting
        has_events = decoder is not None and decoder.events > 0
        if not isinstance(failure, OneRouterError):  # it was closed or cancelled
            if decoder is not None and has_events and accounting.ledger is not None:
                accounting.record(decoder.partial(), partial=True)
            elif self.body is not None and accounting.ledger is not None:
                with suppress(OneRouterError):  # the reply is not whole
                    accounting.record(self.body.finish())
            return failure
        kind, failure.message = self._explain(failure, has_events=has_events)
        if failure.partial is None and decoder is not None and has_events:
            failure.partial = decoder.partial()
        self._add_context(failure)
        error = kind(failure.message)
        vars(error).update(vars(failure), transient=kind.transient and failure.transient)
        error.__cause__ = failure.__cause__
        return error

    def _explain(
        self, error: OneRouterError, *, has_events: bool
    ) -> tuple[type[OneRouterError], str]:
        """Return class and message of an error, which the transport does not know."""
        kind, connection, message = type(error), self._connection, error.message
        is_timeout = isinstance(error, APITimeoutError) and error.status is None
        if is_timeout and self._limits.is_past_deadline():
            return DeadlineExceededError, self.deadline_error().message
        if is_timeout and kind is APITimeoutError:
            if self._limits.is_silent():
                message = f"The gateway did not answer in time: no data for {connection.timeout} s."
            elif connection.http_client or connection.http_async_client:
                message += " It was the timeout of your own HTTP client."
        elif kind is APIConnectionError:
            if has_events:
                return IncompleteStreamError, f"The stream was interrupted. {message}"
            message = f"{message} ({connection.base_url})"
        return kind, message

    def _add_context(self, error: OneRouterError) -> None:
        """Add what is known of the call; remove key and secret headers, which servers may echo.

        The texts are also made printable: libraries quote bytes of the server in their errors.
        """
        secrets, accounting = self.secrets(), self._accounting
        error.attempts = accounting.attempts
        if (partial := error.partial) is not None:
            error.partial = partial = accounting.record(redact(partial, *secrets), partial=True)
            error.request_id = error.request_id or partial.request_id
            error.provider = error.provider or partial.provider
            error.generation_id = error.generation_id or partial.id
        error.model = error.model or accounting.model
        for name, value in vars(error).items():
            if isinstance(value, str):
                text = value if value.isascii() else join_surrogates(value)
                setattr(error, name, redact(text, *secrets))
        error.args = (error.message,)
