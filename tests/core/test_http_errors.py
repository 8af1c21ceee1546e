"""Error responses: their body is read as far as it goes, sync and async."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from time import monotonic
from typing import Any

import openai
import pytest

from onerouter_core import Gateway
from onerouter_core.errors import (
    AuthenticationError,
    InvalidRequestError,
    MalformedReplyError,
    OneRouterError,
    RateLimitError,
)
from onerouter_core.http_errors import MAX_ERROR_BODY_BYTES
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO

Make = Callable[..., Gateway]
Send = Callable[..., Any]
BODY = '{"error": {"message": "No such key"}}'


@pytest.mark.parametrize("end", ["hang", "cut", "reset"])
def test_an_unfinished_error_body_is_used_as_it_is(
    sim: Simulator, gateway: Make, send: Send, end: Any
) -> None:
    """The server stops in the middle of the response; the SDK alone would forget the status."""
    sim.script(Script(status=401, body=BODY, end=end))
    with pytest.raises(AuthenticationError, match="No such key") as caught:
        send(gateway(timeout=1.5), HELLO)
    assert caught.value.status == 401
    assert len(sim.requests) == 1


def test_an_endless_error_body_is_read_up_to_a_limit(
    sim: Simulator, gateway: Make, send: Send
) -> None:
    """The call ends long before its timeout."""
    filler = b" " * (2 * MAX_ERROR_BODY_BYTES)
    sim.script(Script(status=401, body=BODY.encode() + filler, end="hang"))
    started_at = monotonic()
    with pytest.raises(AuthenticationError):
        send(gateway(timeout=30), HELLO)
    assert monotonic() - started_at < 10


def test_an_error_body_need_not_be_utf_8(sim: Simulator, gateway: Make, send: Send) -> None:
    """Invalid bytes are replaced."""
    sim.script(Script(status=400, body=b'{"error": {"message": "caf\xe9"}}'))
    with pytest.raises(InvalidRequestError, match="caf\ufffd"):
        send(gateway(), HELLO)


def test_headers_of_an_error_response_are_read(sim: Simulator, gateway: Make, send: Send) -> None:
    """In any case of letters."""
    headers = {"X-Infron-Request-Id": "r1", "Retry-After": "99"}
    sim.script(Script(status=429, body=BODY, headers=headers))
    with pytest.raises(OneRouterError) as caught:
        send(gateway(), HELLO)
    assert (caught.value.request_id, caught.value.retry_after) == ("r1", 99)


def test_a_redirect_without_location_is_a_malformed_reply(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """Neither an answer nor an error status."""
    sim.script(Script(status=302, body=""))
    with pytest.raises(MalformedReplyError) as caught:
        caller.complete(gateway(max_retries=0), HELLO)
    assert caught.value.status == 302


@pytest.fixture
def seen_by_tracer(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Wrap `send` of the HTTP library's classes, as tracers do; return what it returned."""
    seen: list[Any] = []

    def wrap(send: Any) -> Any:
        def traced(*args: Any, **kwargs: Any) -> Any:
            response = send(*args, **kwargs)
            seen.append(response if isawaitable(response) else response.status_code)
            return atraced(seen.pop()) if isawaitable(response) else response

        async def atraced(awaitable: Any) -> Any:
            response = await awaitable
            seen.append(response.status_code)
            return response

        return traced

    for client_class in (openai.DefaultHttpxClient, openai.DefaultAsyncHttpxClient):
        library_class = next(base for base in client_class.__mro__ if "send" in vars(base))
        monkeypatch.setattr(library_class, "send", wrap(library_class.send))
    return seen


def test_a_tracer_of_http_requests_sees_the_status(
    sim: Simulator, gateway: Make, send: Send, seen_by_tracer: list[Any]
) -> None:
    """No exception leaves `send` of the HTTP library: the status is a value."""
    sim.script(Script(status=429, body=BODY))
    with pytest.raises(RateLimitError, match="No such key"):
        send(gateway(max_retries=0), HELLO)
    assert seen_by_tracer == [429]


async def test_a_tracer_of_a_client_of_the_user_sees_the_status(
    sim: Simulator, gateway: Make, seen_by_tracer: list[Any]
) -> None:
    """Sync and async."""
    sim.script(*[Script(status=429, body=BODY)] * 2)
    async with openai.DefaultAsyncHttpxClient() as async_client:
        with openai.DefaultHttpxClient() as client:
            clients = {"http_client": client, "http_async_client": async_client}
            one = gateway(max_retries=0, **clients)
            with pytest.raises(RateLimitError, match="No such key"):
                one.complete(HELLO)
            with pytest.raises(RateLimitError, match="No such key"):
                await one.acomplete(HELLO)
    assert seen_by_tracer == [429, 429]


@pytest.mark.parametrize("end", ["hang", "cut", "reset", "close"])
def test_an_http_client_of_the_user_gets_the_same_error(
    sim: Simulator, gateway: Make, end: Any
) -> None:
    """It is not changed, and its error bodies are read within the same limits."""
    filler = b" " * (2 * MAX_ERROR_BODY_BYTES)
    sim.script(Script(status=401, body=BODY.encode() + filler, end=end))
    with openai.DefaultHttpxClient() as http_client:
        attributes = dict(vars(http_client))
        with pytest.raises(AuthenticationError, match="No such key") as caught:
            gateway(http_client=http_client).complete(HELLO)
        assert caught.value.status == 401
        assert vars(http_client) == attributes


def test_a_response_hook_of_the_user_may_raise_for_status(sim: Simulator, gateway: Make) -> None:
    """Its exception has the response, of which the body can no longer be read."""
    sim.script(Script(status=401, body=BODY))

    def raise_for_status(response: Any) -> None:
        response.raise_for_status()

    hooks: Any = {"response": [raise_for_status]}
    with openai.DefaultHttpxClient(event_hooks=hooks) as http_client:
        with pytest.raises(AuthenticationError) as caught:
            gateway(http_client=http_client).complete(HELLO)
        assert caught.value.status == 401
    assert len(sim.requests) == 1
