"""Error responses: their body is read as far as it goes, sync and async."""

from __future__ import annotations

from collections.abc import Callable
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
)
from onerouter_core.http_errors import MAX_ERROR_BODY_BYTES, to_http_error_response
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


def test_an_http_client_of_the_user_gets_the_same_error(sim: Simulator, gateway: Make) -> None:
    """It has no response hook: the error is read from the SDK's exception."""
    sim.script(Script(status=401, body=BODY))
    with openai.DefaultHttpxClient() as http_client:
        with pytest.raises(AuthenticationError, match="No such key") as caught:
            gateway(http_client=http_client).complete(HELLO)
        assert caught.value.status == 401


def test_an_exception_without_response_is_no_error_response() -> None:
    """A failed connection, for example."""
    assert to_http_error_response(OSError("refused")) is None
