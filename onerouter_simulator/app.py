"""Starlette application: the gateway's paths, API keys, and the order of steps of one request.

Knows paths and keys. The steps are: record the request, take a queued script, check the key,
validate, answer by the rules, play the quirks. Rules, quirks and bytes are in other modules.
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
from onerouter_simulator.delivery import ScriptResponse
from onerouter_simulator.embeddings import build_embeddings
from onerouter_simulator.errors import RejectedError
from onerouter_simulator.prompt_cache import PromptCache
from onerouter_simulator.quirks import ActiveQuirks
from onerouter_simulator.replies import build_reply
from onerouter_simulator.request_log import RecordedRequest, RequestLog
from onerouter_simulator.routing import select_model
from onerouter_simulator.scripts import Script
from onerouter_simulator.validation import validate_request
from onerouter_simulator.validation.embeddings import validate_embeddings

Handler: TypeAlias = Callable[[RecordedRequest], Script]
# The client disconnected while its request was read. No client receives this status.
CLIENT_DISCONNECTED = Script(499)
BALANCE = {"account_name": "simulated", "credit_balance": 9.99}


class SimulatorApp:
    """ASGI application: records each request, and answers it with the handler of its path.

    Args:
        log: Receives every request; has the queued scripts.
    """

    def __init__(self, log: RequestLog) -> None:
        self.log = log
        self.is_stopping = False
        error_handlers: dict[Any, Any] = dict.fromkeys((404, 405), self.endpoint(not_found))
        self.app = Starlette(routes=self.routes(), exception_handlers=error_handlers)

    def routes(self) -> list[Route]:
        """Return the paths with their handlers; other paths are an error 404."""
        raise NotImplementedError

    def clear(self) -> None:
        """Forget all requests, queued scripts and counts."""
        self.log.clear()

    def advance(self, seconds: float) -> None:
        """Move the clock of what expires forward: nothing, unless the rules answer."""

    def endpoint(self, handler: Handler) -> Callable[..., Awaitable[ScriptResponse]]:
        """Wrap a handler (recorded request to script) as a Starlette endpoint."""

        async def respond(request: Request, _: Exception | None = None) -> ScriptResponse:
            request_id = new_request_id()
            try:
                recorded = await self.record(request)
            except ClientDisconnect:
                return ScriptResponse(CLIENT_DISCONNECTED, request_id, lambda: None)
            return self.answer(handler, recorded, request_id)

        return respond

    def answer(
        self, handler: Handler, recorded: RecordedRequest, request_id: str
    ) -> ScriptResponse:
        """Return the response that a handler gives to a request."""
        try:
            script = handler(recorded)
        except RejectedError as rejected:
            script = rejected.to_script(request_id)
        return ScriptResponse(script, request_id, lambda: self.record_hang_up(recorded))

    async def record(self, request: Request) -> RecordedRequest:
        """Read the whole request and add it to the log."""
        raw = await request.body()
        port = request.client.port if request.client else 0
        headers = dict(request.headers)
        recorded = RecordedRequest(
            request.method, request.url.path, headers, raw, port, request.url.query
        )
        self.log.record(recorded)
        return recorded

    def record_hang_up(self, recorded: RecordedRequest) -> None:
        """Record that the client disconnected, unless the server itself closes the connections."""
        if not self.is_stopping:
            recorded.hang_up()


class GatewayApp(SimulatorApp):
    """ASGI application that answers with the scripts of a test, else by the rules.

    Args:
        log: Receives every request; has the queued scripts.
        api_key: The only key that is accepted.
        chunk_size: Characters per streamed chunk.
        delay: Seconds before an answer and between the chunks of a stream.
        failing: Share of valid requests that fail with status 500, 0 to 1.
        quirks: The quirks of the answers by the rules.
    """

    def __init__(  # noqa: PLR0913, PLR0917 -- the settings of the Simulator, each named here once
        self,
        log: RequestLog,
        api_key: str,
        chunk_size: int,
        delay: float,
        failing: Fraction,
        quirks: ActiveQuirks,
    ) -> None:
        self.api_key = api_key
        self.chunk_size = chunk_size
        self.delay = delay
        self.failing = failing
        self.quirks = quirks
        self.cache = PromptCache()
        super().__init__(log)

    def routes(self) -> list[Route]:
        """Return the gateway's paths."""
        return [
            Route("/v1/chat/completions", self.endpoint(self.chat), methods=["POST"]),
            Route("/v1/embeddings", self.endpoint(self.embeddings), methods=["POST"]),
            Route("/v1/models", self.endpoint(self.models), methods=["GET"]),
            Route("/v1/balance", self.endpoint(self.balance), methods=["GET"]),
        ]

    def clear(self) -> None:
        """Forget the cached prompts, too."""
        super().clear()
        self.cache.clear()

    def advance(self, seconds: float) -> None:
        """Move the clock of the cached prompts forward."""
        self.cache.advance(seconds)

    def chat(self, recorded: RecordedRequest) -> Script:
        """POST /v1/chat/completions."""
        script = self.log.take_script()
        if script is not None:
            return script
        self.check_api_key(recorded)
        request = validate_request(recorded.body)
        self.quirks.check(recorded)
        self.fail_if_due()
        rewrite, use_cache = self.quirks.rewrite, self.cache.use
        reply = build_reply(request, self.chunk_size, self.delay, rewrite, use_cache)
        return self.quirks.play(reply, request)

    def embeddings(self, recorded: RecordedRequest) -> Script:
        """POST /v1/embeddings; it leaves queued scripts to chat completions."""
        self.check_api_key(recorded)
        request = validate_embeddings(recorded.body)
        self.fail_if_due()
        return Script(json=build_embeddings(request, select_model(request)), delay=self.delay)

    def fail_if_due(self) -> None:
        """Count a valid request; raise RejectedError (500) if it is one of the failing share."""
        if should_fail(self.log.next_number(), self.failing):
            raise RejectedError(500, "Internal server error")

    def models(self, _: RecordedRequest) -> Script:
        """GET /v1/models; it needs no API key."""
        return Script(json=self.quirks.list_models({"data": catalog.MODELS, "success": True}))

    def balance(self, recorded: RecordedRequest) -> Script:
        """GET /v1/balance."""
        self.check_api_key(recorded)
        return Script(json=BALANCE)

    def check_api_key(self, recorded: RecordedRequest) -> None:
        """Raise RejectedError (401) if the Authorization header has no key or a wrong one."""
        scheme, _, key = recorded.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise RejectedError(401, "No token provided")
        if key != self.api_key:
            raise RejectedError(401, "The token status is not available")


def should_fail(number: int, share: Fraction) -> bool:
    """Whether the request with this number (from 1) fails, if a share of all requests does.

    Failures are spread evenly: request n fails if n * share passes the next whole number.
    """
    return int(number * share) > int((number - 1) * share)


def not_found(recorded: RecordedRequest) -> Script:
    """Reject an unknown path or method with the gateway's 404."""
    raise RejectedError(404, f"Invalid URL ({recorded.method} {recorded.path})")


def new_request_id() -> str:
    """Return an id in the gateway's form: UTC time, six digits, eight hex characters."""
    now = datetime.now(timezone.utc)
    return f"{now:%Y%m%d%H%M%S%f}{secrets.randbelow(10**6):06d}{secrets.token_hex(4)}"
