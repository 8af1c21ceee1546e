"""Errors of HTTP libraries: which error of this package each of them is."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import pytest

from onerouter_core import Gateway
from onerouter_core.errors import APIConnectionError, MalformedReplyError
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO

Make = Callable[..., Gateway]
Send = Callable[..., Any]


def test_a_refused_connection_is_a_connection_error(gateway: Make, send: Send) -> None:
    """It is retried, and is no timeout: over aiohttp the SDK calls it one."""
    with pytest.raises(APIConnectionError, match="connection to the gateway failed") as caught:
        send(gateway(base_url="http://127.0.0.1:9/v1", max_retries=1), HELLO)
    assert type(caught.value) is APIConnectionError
    assert caught.value.attempts == 2


def test_an_interrupted_body_is_a_connection_error(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """It is not an empty answer."""
    sim.script(Script(body=b'{"choices": [', headers={"content-length": "99"}, end="cut"))
    with pytest.raises(APIConnectionError, match="connection to the gateway failed"):
        caller.complete(gateway(max_retries=0), HELLO)


def test_a_body_with_a_wrong_content_encoding_is_a_malformed_reply(
    sim: Simulator, gateway: Make, send: Send
) -> None:
    """It says gzip, and is plain text."""
    sim.script(Script(body="plain", headers={"content-encoding": "gzip"}))
    with pytest.raises(MalformedReplyError, match="cannot be decoded"):
        send(gateway(max_retries=0), HELLO)


def fail_to_verify() -> None:
    """Raise the error of a certificate that cannot be verified."""
    raise ssl.SSLCertVerificationError("of another server")


def test_an_exception_that_the_caller_is_handling_is_no_cause(
    sim: Simulator, gateway: Make, send: Send
) -> None:
    """Python sets it as context of the error; a certificate error would not be transient."""
    sim.script(Script(status=None))
    try:
        fail_to_verify()
    except ssl.SSLCertVerificationError:
        with pytest.raises(APIConnectionError) as caught:
            send(gateway(max_retries=0), HELLO)
    assert caught.value.transient
