"""HTTP error responses: their bodies are read within limits.

The status comes before the body and is kept if the body does not come, or breaks off. This module
knows bytes; it knows no HTTP library and no JSON key of the API.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from contextlib import suppress

from onerouter_core.errors import OneRouterError

MAX_ERROR_BODY_BYTES = 2**20
"""Bytes. Error bodies are far smaller; the rest of a larger one is not read."""


def read_error_body(chunks: Iterable[bytes], check: Callable[[], None]) -> str:
    """Return the text of a body up to the limit, or up to the failure of the connection.

    Args:
        chunks: the chunks of the body.
        check: function that raises an OneRouterError if the time is over.

    """
    body = bytearray()
    with suppress(OneRouterError):
        for chunk in chunks:
            body += chunk
            if len(body) > MAX_ERROR_BODY_BYTES:
                break
            check()
    return body.decode("utf-8", "replace")


async def aread_error_body(chunks: AsyncIterable[bytes]) -> str:
    """Return the text of a body; the async variant of `read_error_body`."""
    body = bytearray()
    with suppress(OneRouterError):
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_ERROR_BODY_BYTES:
                break
    return body.decode("utf-8", "replace")
