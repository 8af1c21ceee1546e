"""Bodies of HTTP responses: all that was received, decompressed in small steps.

The HTTP libraries decompress a whole packet at once, up to a thousand times its size with gzip and
more with Brotli and Zstandard (httpx 0.28): far more than a limit allows. So only gzip and deflate
are asked for (RFC 9110, section 8.4.1) and decompressed here, and a body in another encoding is
refused. This module knows the response of an HTTP client only by the methods that it calls.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from functools import partial, reduce
from itertools import chain
from typing import Any, TypeAlias

from onerouter_core.aiohttp_sessions import take_unread
from onerouter_core.errors import MalformedReplyError

ACCEPT_ENCODING = "gzip, deflate"
"""Value of the header accept-encoding."""

MAX_STEP_BYTES = 2**16
"""Bytes. Largest piece that one decompression step makes."""

_MAX_ENCODINGS = 4
_UNSUPPORTED = frozenset({"br", "zstd", "dcb", "dcz", "compress", "x-compress", "lzma", "xz"})

_GZIP = zlib.MAX_WBITS | 16
_RAW = -zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f"


def iter_body(response: Any) -> Iterator[bytes]:
    """Return an iterator over the body of a response; it raises what the HTTP library raises.

    Raises:
        MalformedReplyError: the body is not compressed as its headers say.

    """
    if response.is_stream_consumed:  # by a hook or a mock, which decompressed it
        chunks: Iterator[bytes] = response.iter_bytes()
        return chunks
    chunks = response.iter_raw()
    decode = _new_decoder(response.headers) if "content-encoding" in response.headers else None
    return chunks if decode is None else chain.from_iterable(map(decode, chunks))


def aiter_body(response: Any) -> AsyncGenerator[bytes, None]:
    """Return an iterator over the body of a response; the async variant of `iter_body`."""
    if response.is_stream_consumed:
        chunks: AsyncGenerator[bytes, None] = response.aiter_bytes()
        return chunks
    decode = _new_decoder(response.headers)
    received = _aiter_received(response)
    return received if decode is None else _adecode(received, decode)


async def _adecode(
    received: AsyncGenerator[bytes, None], decode: Decode
) -> AsyncGenerator[bytes, None]:
    async with aclosing(received):
        async for chunk in received:
            for piece in decode(chunk):
                yield piece


async def _aiter_received(response: Any) -> AsyncGenerator[bytes, None]:
    """Yield all that was received, also where aiohttp raises before it hands out the last of it."""
    try:
        async for chunk in response.aiter_raw():
            yield chunk
    except Exception as error:  # noqa: BLE001 -- HTTP libraries have no common base class
        errors = [error]
    else:
        return
    if unread := take_unread(response):
        yield unread
    raise errors.pop()  # kept in no local variable: see transport.send


# --- decompression ---

Decode: TypeAlias = Callable[[bytes], Iterator[bytes]]
"""Function that decompresses the next bytes of a body, in pieces of at most MAX_STEP_BYTES."""


def _new_decoder(headers: Mapping[str, str]) -> Decode | None:
    """Return the decoder of a body with these headers; None if it is not compressed."""
    names = [name.strip().lower() for name in headers.get("content-encoding", "").split(",")]
    compressed = [name for name in names if name in {"gzip", "x-gzip", "deflate"}]
    if unsupported := _UNSUPPORTED.intersection(names):
        raise MalformedReplyError(
            f"The reply cannot be decoded: it is compressed as {min(unsupported)!r}, and only "
            f"{ACCEPT_ENCODING} were asked for."
        )
    if len(compressed) > _MAX_ENCODINGS:
        raise MalformedReplyError(
            f"The reply cannot be decoded: it is compressed {len(compressed)} times."
        )
    # Any other name is ignored: some servers write a character set there.
    decoders: list[Decode] = [
        _Inflater(is_gzip=name != "deflate").decode for name in reversed(compressed)
    ]
    return reduce(_chain, decoders) if decoders else None


def _chain(first: Decode, second: Decode) -> Decode:
    return partial(_decode_twice, first, second)


def _decode_twice(first: Decode, second: Decode, data: bytes) -> Iterator[bytes]:
    for piece in first(data):
        yield from second(piece)


class _Inflater:
    """Decompressor of gzip (RFC 1952) with any number of members, or of deflate.

    Some servers send deflate without the header that RFC 9110 requires.
    """

    def __init__(self, *, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._inflater = zlib.decompressobj(_GZIP) if is_gzip else None
        self._head = b""  # the first byte of deflate: the second one tells if it has a header

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what these bytes decompress to."""
        if self._inflater is None:
            data, self._head = self._head + data, b""
            if len(data) < len(b"\x78\x9c"):
                self._head = data
                return
            self._inflater = zlib.decompressobj(zlib.MAX_WBITS if _has_zlib_header(data) else _RAW)
        while data:
            if self._inflater.eof:
                if not (self._is_gzip and data.startswith(_GZIP_MAGIC)):
                    return  # bytes after the end are ignored, as in browsers
                self._inflater = zlib.decompressobj(_GZIP)
            yield from _inflate(self._inflater, data)
            data = self._inflater.unused_data


def _has_zlib_header(data: bytes) -> bool:
    """Tell whether data starts with the header of RFC 1950, section 2.2."""
    return data[0] & 15 == zlib.DEFLATED and int.from_bytes(data[:2], "big") % 31 == 0


def _inflate(inflater: Any, data: bytes) -> Iterator[bytes]:
    """Yield the pieces that data decompresses to, up to the end of the compressed data."""
    size = MAX_STEP_BYTES
    while size == MAX_STEP_BYTES and not inflater.eof:
        try:
            piece = inflater.decompress(data, MAX_STEP_BYTES)
        except zlib.error as error:
            reason = f"{type(error).__name__}: {error}"
            break
        if piece:
            yield piece
        size, data = len(piece), inflater.unconsumed_tail
    else:
        return
    raise MalformedReplyError(f"The reply cannot be decoded: {reason}")
