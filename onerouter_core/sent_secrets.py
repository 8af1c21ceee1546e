"""Secrets that an instance has sent: errors about an answer that echoes one must not show it.

The core redacts its own errors with the secrets of their call. An error that a framework package
raises later, when it reads an answer, belongs to no call: the key may have been given for that call
alone, or by a function. Texts of errors are redacted, and the raw JSON of an answer, which has
all that a server echoes; never the answer itself.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import TypeVar

from pydantic import Secret

from onerouter_core.errors import OneRouterError, redact
from onerouter_core.tracebacks import without_frames

E = TypeVar("E", bound=OneRouterError)
T = TypeVar("T")

MAX_SECRETS = 100
"""Most secrets that are remembered: those sent last."""


class SentSecrets:
    """The secrets of an instance's last requests, masked where a debugger shows them."""

    def __init__(self) -> None:
        """Start without secrets."""
        self._sent: Secret[tuple[str | None, ...]] = Secret(())
        self._lock = threading.Lock()

    def add(self, secrets: Collection[str | None]) -> None:
        """Remember the secrets of a request."""
        sent = self._sent.get_secret_value()
        if not set(secrets).issubset(sent):
            with self._lock:
                known = dict.fromkeys([*self._sent.get_secret_value(), *secrets])
                self._sent = Secret(tuple(known)[-MAX_SECRETS:])

    def redact_json(self, value: T) -> T:
        """Return a JSON value without the secrets."""
        return redact(value, *self._sent.get_secret_value())

    def redact(self, error: E) -> E:
        """Replace the secrets in an error's attributes; return the error.

        If there are any, its frames, causes and contexts are dropped: they hold the same answer.
        Call this after the `except` block, in which Python would set the context again.
        """
        sent = self._sent.get_secret_value()
        redacted = {name: redact(value, *sent) for name, value in vars(error).items()}
        if redacted != vars(error):
            vars(error).update(redacted)
            error.args = (error.message,)
            without_frames(error).__cause__ = error.__context__ = None
        return error
