"""An answer with a bad status, read as far as it says something and no further.

This module knows the response of an HTTP client, of either kind, by its methods alone. Left to
itself, the SDK reads the body of a refusal to its end, however long that takes, and forgets the
status if the end does not come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

MAX_ERROR_BODY_BYTES = 2**20
"""Bytes: what is wrong has been said by then."""


class HTTPErrorResponse(Exception):  # noqa: N818 -- not an error yet: the gateway reads what it says
    """An answer with a status of 400 or above, or a redirect that leads nowhere."""

    def __init__(self, status: int, headers: Mapping[str, str], body: str) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers
        self.body = body


def raise_for_status(response: Any) -> None:
    """Raise BadStatus if a response is one; an event hook of HTTP clients."""
    if response.status_code >= 400:  # noqa: PLR2004 -- where refusals begin
        body = bytearray()
        try:
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_ERROR_BODY_BYTES:
                    break
        except Exception as broken:  # a body that breaks off has said what it has said
            raise _to_response_error(response, body) from broken
        raise _to_response_error(response, body)


async def araise_for_status(response: Any) -> None:
    """Do the same on an event loop."""
    if response.status_code >= 400:  # noqa: PLR2004 -- where refusals begin
        body = bytearray()
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_ERROR_BODY_BYTES:
                    break
        except asyncio.CancelledError as cancelled:  # by a timer, or by the caller
            raise cancelled from _to_response_error(response, body)
        except Exception as broken:  # a body that breaks off has said what it has said
            raise _to_response_error(response, body) from broken
        raise _to_response_error(response, body)


def _to_response_error(response: Any, body: bytearray) -> HTTPErrorResponse:
    headers = {key.lower(): value for key, value in response.headers.items()}
    return HTTPErrorResponse(response.status_code, headers, body.decode("utf-8", "replace"))


def to_http_error_response(error: Any) -> HTTPErrorResponse | None:
    """Return what an error refuses: ours, or the SDK's where a user's own client has no hook."""
    if isinstance(error, HTTPErrorResponse):
        return error
    response = getattr(error, "response", None)
    return (
        None
        if response is None
        else _to_response_error(response, bytearray(_read_content(response)))
    )


def _read_content(response: Any) -> bytes:
    try:
        return bytes(response.content)
    except Exception:  # noqa: BLE001 -- whatever an HTTP library raises for a body that broke off
        return b""
