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

MAX_HELD_BYTES = 2**15
"""Bytes. Beginning of an error body that is kept: its JSON takes up to 50 times its length in
memory, and its other text is quoted in part."""


def read_error_body(chunks: Iterable[bytes], check: Callable[[], None]) -> bytearray:
    """Return the beginning of a body, which is read up to the limit, or until its connection fails.

    `check` raises an OneRouterError if the time is over.
    """
    beginning, received = bytearray(), 0
    with suppress(OneRouterError):
        for chunk in chunks:
            beginning += chunk[: MAX_HELD_BYTES - len(beginning)]
            received += len(chunk)
            if received > MAX_ERROR_BODY_BYTES:
                break
            check()
    return beginning


async def aread_error_body(chunks: AsyncIterable[bytes]) -> bytearray:
    """Return the beginning of a body; the async variant of `read_error_body`."""
    beginning, received = bytearray(), 0
    with suppress(OneRouterError):
        async for chunk in chunks:
            beginning += chunk[: MAX_HELD_BYTES - len(beginning)]
            received += len(chunk)
            if received > MAX_ERROR_BODY_BYTES:
                break
    return beginning
