"""The account's balance: a number, or an error; never the account's name."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from onerouter_core.errors import AuthenticationError, MalformedReplyError
from onerouter_core.wire.balance import decode_balance


@pytest.mark.parametrize(
    ("balance", "expected"), [(9.99, "9.99"), ("9.99", "9.99"), (0, "0.0"), (-1.5, "-1.5")]
)
def test_a_balance_is_decoded(balance: Any, expected: str) -> None:
    """Exactly, also if it is a text."""
    body = json.dumps({"account_name": "me", "credit_balance": balance}).encode()
    assert decode_balance(body) == Decimal(expected)


@pytest.mark.parametrize(
    "body",
    [
        b'{"account_name": "me@example.org"}',
        b'{"account_name": "me@example.org", "credit_balance": null}',
        b"[]",
        b"null",
        b"<html>",
        b"",
    ],
)
def test_a_body_without_balance_is_malformed(body: bytes) -> None:
    """The error does not show the account's name."""
    with pytest.raises(MalformedReplyError) as caught:
        decode_balance(body)
    assert "me@" not in str(caught.value)


def test_an_error_in_place_of_a_balance_is_raised() -> None:
    """The gateway may send it with status 200."""
    with pytest.raises(AuthenticationError, match="No token"):
        decode_balance(b'{"error": {"message": "No token provided", "code": 401}}')
