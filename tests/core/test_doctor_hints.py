"""Hints of the doctor: what the words of an error mean."""

from __future__ import annotations

import pytest

from onerouter_core import Reply
from onerouter_core.doctor_hints import describe, hint_for, quote
from onerouter_core.errors import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    IncompleteStreamError,
    OneRouterError,
)


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (
            APIConnectionError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify"),
            "SSL_CERT_FILE",
        ),
        (APIConnectionError("SSLCertVerificationError: self-signed certificate"), "SSL_CERT_FILE"),
        (
            APIConnectionError("[SSL: WRONG_VERSION_NUMBER] wrong version number"),
            "http:// or https",
        ),
        (APIConnectionError("SSLError: [SSL] record layer failure"), "http:// or https://"),
        (
            APIConnectionError("gaierror: [Errno -2] Name or service not known"),
            "cannot be resolved",
        ),
        (
            APIConnectionError("[Errno -3] Temporary failure in name resolution"),
            "cannot be resolve",
        ),
        (APIConnectionError("[Errno 8] nodename nor servname provided"), "cannot be resolved"),
        (APIConnectionError("[Errno 11001] getaddrinfo failed"), "cannot be resolved"),
        (
            APIConnectionError("ConnectionRefusedError: [Errno 111] refused"),
            "Nothing listens there",
        ),
        (APIConnectionError("Connect call failed ('127.0.0.1', 1)"), "Nothing listens there"),
        (APIConnectionError("something else"), "Check base_url, proxy and certificates."),
        (APITimeoutError("no data for 30 s"), "check firewall and proxy"),
        (ConfigurationError("SSL_CERT_FILE: no certificate"), "SSL_CERT_FILE"),
        (IncompleteStreamError("The stream ended"), "a proxy or firewall on the way may cut"),
        (AuthenticationError("No"), "Check api_key or ONEROUTER_API_KEY."),
    ],
    ids=str,
)
def test_an_error_has_a_hint(error: OneRouterError, hint: str) -> None:
    """The words of OpenSSL, Python, aiohttp, macOS and Windows."""
    assert hint in hint_for(error)


def test_an_error_is_described_without_its_hint() -> None:
    """Its class, its message, and what support asks for."""
    error = AuthenticationError("No token.", status=401, request_id="r1")
    assert describe(error) == "AuthenticationError: No token. [status 401, request id r1]"
    assert describe(OneRouterError("Broken")) == "OneRouterError: Broken"


def test_an_answer_is_quoted_on_one_line() -> None:
    """A long one is cut; one without text says why it ended."""
    assert quote(Reply(text="a\n b")) == "'a b'"
    assert len(quote(Reply(text="x" * 100))) == 65
    assert quote(Reply(finish_reason="length")) == "no text (finish reason length)"
