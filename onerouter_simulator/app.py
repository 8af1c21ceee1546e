"""Who may ask what, and which script answers: the paths of the gateway.

Knows paths, keys and the order of things: note, script, validate, answer. The rules themselves and
the bytes of an answer live elsewhere.
"""

import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from fractions import Fraction
from typing import Any, TypeAlias

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route

from onerouter_simulator import catalog
from onerouter_simulator.delivery import Delivery
from onerouter_simulator.errors import RejectedError
from onerouter_simulator.replies import reply
from onerouter_simulator.request_log import Journal, Received
from onerouter_simulator.scripts import Script
from onerouter_simulator.validation import check

Answer: TypeAlias = Callable[[Received], Script]
# Status of a request whose client left while it was being read: nobody will see it.
CLIENT_LEFT = Script(499)


class Gateway:
    """Answers requests by scripts: those a test has queued, else those the rules make."""

    def __init__(
        self, journal: Journal, api_key: str, chunk_size: int, delay: float, failing: Fraction
    ) -> None:
        self.journal = journal
        self.api_key = api_key
        self.chunk_size = chunk_size
        self.delay = delay
        self.failing = failing
        self.leaving = False
        lost: dict[Any, Any] = dict.fromkeys((404, 405), self.endpoint(no_such_path))
        self.app = Starlette(
            routes=[
                Route("/v1/chat/completions", self.endpoint(self.chat), methods=["POST"]),
                Route("/v1/models", self.endpoint(self.models), methods=["GET"]),
                Route("/v1/balance", self.endpoint(self.balance), methods=["GET"]),
            ],
            exception_handlers=lost,
        )

    def endpoint(self, answer: Answer) -> Callable[..., Awaitable[Delivery]]:
        """Turn a function from what was received to a script into an endpoint."""

        async def deliver(request: Request, _: Exception | None = None) -> Delivery:
            request_id = new_request_id()
            try:
                received = await self.note(request)
            except ClientDisconnect:
                return Delivery(CLIENT_LEFT, request_id, lambda: None)
            try:
                script = answer(received)
            except RejectedError as rejected:
                script = rejected.script(request_id)
            return Delivery(script, request_id, lambda: self.hung_up(received))

        return deliver

    async def note(self, request: Request) -> Received:
        """Read the whole request and write it down."""
        raw = await request.body()
        port = request.client.port if request.client else 0
        received = Received(request.method, request.url.path, dict(request.headers), raw, port)
        self.journal.note(received)
        return received

    def hung_up(self, received: Received) -> None:
        """Note that the client left, unless it is the gateway that leaves."""
        if not self.leaving:
            received.hang_up()

    def chat(self, received: Received) -> Script:
        """POST /v1/chat/completions."""
        script = self.journal.next_script()
        if script is not None:
            return script
        self.require_key(received)
        request = check(received.body)
        if is_due(self.journal.count(), self.failing):
            raise RejectedError(500, "Internal server error")
        return reply(request, self.chunk_size, self.delay)

    def models(self, _: Received) -> Script:
        """GET /v1/models, for anybody."""
        return Script(json={"data": catalog.MODELS, "success": True})

    def balance(self, received: Received) -> Script:
        """GET /v1/balance."""
        self.require_key(received)
        return Script(json={"account_name": "simulated", "credit_balance": 9.99})

    def require_key(self, received: Received) -> None:
        """Reject a request without the key."""
        scheme, _, key = received.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise RejectedError(401, "No token provided")
        if key != self.api_key:
            raise RejectedError(401, "The token status is not available")


def is_due(number: int, share: Fraction) -> bool:
    """Whether the request of this number, from 1, makes the share of those before it whole."""
    return int(number * share) > int((number - 1) * share)


def no_such_path(received: Received) -> Script:
    """Any other path or method."""
    raise RejectedError(404, f"Invalid URL ({received.method} {received.path})")


def new_request_id() -> str:
    """Make an id as the gateway does: the time, some digits, eight characters."""
    now = datetime.now(timezone.utc)
    return f"{now:%Y%m%d%H%M%S%f}{secrets.randbelow(10**6):06d}{secrets.token_hex(4)}"
