"""State of one call: what it sends, and its limits, accounting and errors.

The sync and async methods of `Gateway` share all of this. The module sends nothing, and knows no
JSON key of the API.
"""

from __future__ import annotations

from time import monotonic

from onerouter_core.call_accounting import CallAccounting
from onerouter_core.call_errors import CallErrors
from onerouter_core.call_limits import CallLimits
from onerouter_core.connection import ConnectionSettings, header_text
from onerouter_core.deadlines import MIN_TIMEOUT
from onerouter_core.errors import ConfigurationError
from onerouter_core.transport import HTTPRequest
from onerouter_core.types import Json, Request
from onerouter_core.wire.decode import ReplyContext
from onerouter_core.wire.encode import encode_request


class CallState:
    """State of one call. A call sends one request per attempt, until one succeeds."""

    def __init__(
        self,
        connection: ConnectionSettings,
        request: Request | None = None,
        *,
        stream: bool = False,
        path: str = "/models",
    ) -> None:
        """Encode the request and start the clock of the deadline.

        Args:
            connection: connection settings.
            request: the chat completion request. None: the call is a GET.
            stream: whether to ask for a stream.
            path: path of a GET, below the base URL.

        Raises:
            ConfigurationError: the request cannot be encoded.

        """
        self.body: Json | None = None
        self.context = ReplyContext()
        if request is not None:
            self.body, names = encode_request(request, stream=stream)
            ends_turn = bool(request.messages) and request.messages[-1].role == "tool"
            self.context = ReplyContext(names, ends_turn=ends_turn)
        self._connection = connection
        self._url = connection.base_url + ("/chat/completions" if request else path)
        self.limits = CallLimits(connection)
        self.accounting = CallAccounting(connection, request)
        self.errors = CallErrors(connection, self.limits, self.accounting)

    def next_request(self, key: str | None) -> HTTPRequest:
        """Return the request of the next attempt.

        Args:
            key: API key; spaces around it are removed.

        Raises:
            ConfigurationError: the key is missing or cannot be sent.
            DeadlineExceededError: the deadline has passed, while the key was fetched or `on_retry`
                waited.
            BudgetExceededError: the ledger's budget or an open limit is spent.

        """
        key = key and key.strip()  # a key read from a file ends in a newline
        if self.body is not None and not key:  # the model list is public
            raise ConfigurationError(
                "The API key is missing: pass api_key, or set ONEROUTER_API_KEY."
            )
        if key and not (key.isascii() and key.isprintable()):  # an HTTP library would quote it
            raise ConfigurationError("The API key cannot be sent: it must be printable ASCII.")
        deadline_at = self.limits.deadline_at
        if deadline_at is not None and monotonic() >= deadline_at:
            raise self.errors.deadline_error()
        now = self.limits.restart(is_sent=True)
        self.accounting.start_attempt(self.body, now)
        self.errors.key = key
        read_until = self.limits.read_deadline()
        timeout = None if read_until is None else max(read_until - now, MIN_TIMEOUT)
        headers = {"authorization": f"Bearer {key}"} if key else {}
        headers |= {name.lower(): header_text(v) for name, v in self._connection.headers.items()}
        return HTTPRequest(self._url, headers, timeout, self.body)
