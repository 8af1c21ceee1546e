"""The account's balance (GET /balance), without the account's name.

This module knows the keys of the reply. Source: reference of a client that recorded real replies,
`{"account_name": "...", "credit_balance": 9.99}`.
"""

from __future__ import annotations

from decimal import Decimal

from onerouter_core.wire.coerce import (
    as_mapping,
    as_number,
    beginning_of_text,
    parse_json_bytes,
)
from onerouter_core.wire.error_bodies import decode_error


def decode_balance(body: bytes | bytearray) -> Decimal:
    """Return the balance in USD; raise MalformedReplyError, or the error in the body."""
    try:
        reply = parse_json_bytes(body)
    except ValueError:
        reply = beginning_of_text(body)
    balance = as_number(as_mapping(reply).get("credit_balance"))
    if balance is None:
        raise decode_error({key: v for key, v in as_mapping(reply).items() if key == "error"})
    return Decimal(str(balance))
