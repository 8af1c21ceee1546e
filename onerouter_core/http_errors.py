"""HTTP error responses: read within limits, and raised from the HTTP client's response hook.

Without the hook, the SDK would read the body of an error response to its end, however long that
takes, and would lose the status if the connection failed on the way. This module knows the response
of an HTTP client, sync or async, only by the methods that it calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

MAX_ERROR_BODY_BYTES = 2**20
"""Bytes. Error bodies are far smaller; the rest of a larger one is not read."""


_FIRST_ERROR_STATUS = 400


class HTTPErrorResponse(Exception):  # noqa: N818 -- the gateway makes an error of it
    """Response with a status of 400 or above, or a redirect that cannot be followed.

    `headers` have names in lower case. `body` is the text up to the limit, or up to the failure of
    the connection.
    """

    def __init__(self, status: int, headers: Mapping[str, str], body: str) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers
        self.body = body


def raise_for_status(response: Any) -> None:
    """Raise HTTPErrorResponse for an error status; response hook of a sync client."""
    if response.status_code >= _FIRST_ERROR_STATUS:
        body = bytearray()
        try:
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_ERROR_BODY_BYTES:
                    break
        except Exception as interrupted:  # the body up to there is used
            raise _to_response_error(response, body) from interrupted
        raise _to_response_error(response, body)


# If the task is cancelled in the meantime, as by a read deadline, the CancelledError has the
# HTTPErrorResponse as its cause.
async def araise_for_status(response: Any) -> None:
    """Raise HTTPErrorResponse for an error status; response hook of an async client."""
    if response.status_code >= _FIRST_ERROR_STATUS:
        body = bytearray()
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_ERROR_BODY_BYTES:
                    break
        except asyncio.CancelledError as cancelled:
            raise cancelled from _to_response_error(response, body)
        except Exception as interrupted:  # the body up to there is used
            raise _to_response_error(response, body) from interrupted
        raise _to_response_error(response, body)


def _to_response_error(response: Any, body: bytes | bytearray) -> HTTPErrorResponse:
    headers = {key.lower(): value for key, value in response.headers.items()}
    return HTTPErrorResponse(response.status_code, headers, body.decode("utf-8", "replace"))


def to_http_error_response(error: Any) -> HTTPErrorResponse | None:
    """Return the error response that an exception is or has; None if it has none.

    The SDK's exceptions have one: a user's HTTP client has no response hook.
    """
    if isinstance(error, HTTPErrorResponse):
        return error
    response = getattr(error, "response", None)
    return None if response is None else _to_response_error(response, _read_content(response))


def _read_content(response: Any) -> bytes:
    try:
        return bytes(response.content)
    except Exception:  # noqa: BLE001 -- HTTP libraries differ for a body that was not read
        return b""
