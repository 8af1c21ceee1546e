"""Bodies: decompressed in small steps, in the two encodings that are asked for."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from onerouter_core.errors import MalformedReplyError
from onerouter_core.response_body import MAX_STEP_BYTES, aiter_body, iter_body

TEXT = bytes(range(256)) * 64
_raw = zlib.compressobj(wbits=-15)
RAW_DEFLATE = _raw.compress(TEXT) + _raw.flush()


class Received:
    """A response whose body arrives in these chunks."""

    is_stream_consumed = False
    stream = None

    def __init__(self, encoding: str, *chunks: bytes) -> None:
        self.headers = {"content-encoding": encoding}
        self.chunks = chunks

    def iter_raw(self) -> Iterator[bytes]:
        """Yield the chunks."""
        yield from self.chunks

    async def aiter_raw(self) -> AsyncIterator[bytes]:
        """Yield the chunks."""
        for chunk in self.chunks:
            yield chunk


def read_sync(response: Any) -> list[bytes]:
    """Read a body."""
    return list(iter_body(response))


def read_async(response: Any) -> list[bytes]:
    """Read a body on an event loop."""

    async def read() -> list[bytes]:
        return [piece async for piece in aiter_body(response)]

    return asyncio.run(read())


each_way = pytest.mark.parametrize("read", [read_sync, read_async])


# gzip writes the time into its data, which therefore must be no id of a test.
BODIES = {
    "plain": ("", TEXT),
    "identity": ("identity", TEXT),
    "a character set": ("utf-8", TEXT),  # some servers write one there
    "gzip": ("gzip", gzip.compress(TEXT)),
    "upper case": ("X-GZIP", gzip.compress(TEXT)),
    "two members": ("gzip", gzip.compress(TEXT[:5]) + gzip.compress(TEXT[5:])),
    "bytes behind the end": ("gzip", gzip.compress(TEXT) + b"\0\0"),
    "deflate": ("deflate", zlib.compress(TEXT)),
    "deflate without header": ("deflate", RAW_DEFLATE),
    "twice": ("deflate, gzip", gzip.compress(zlib.compress(TEXT))),
}


@each_way
@pytest.mark.parametrize(("encoding", "data"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_encodings_in_any_split(read: Any, encoding: str, data: bytes, size: int) -> None:
    """Each packet size, each encoding, members of gzip, and bytes behind the end."""
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    assert b"".join(read(Received(encoding, *chunks))) == TEXT


@each_way
def test_a_packet_is_decompressed_in_small_steps(read: Any) -> None:
    """Nothing is lost at the end of a step."""
    pieces = read(Received("gzip", gzip.compress(TEXT * 32)))
    assert max(map(len, pieces)) <= MAX_STEP_BYTES < len(TEXT * 32)
    assert b"".join(pieces) == TEXT * 32


def test_a_packet_is_decompressed_only_as_far_as_it_is_read() -> None:
    """So a limit ends it after one step more."""
    body = iter_body(Received("gzip", gzip.compress(TEXT * 32) + b"\x1fbad"))
    assert len(next(body)) <= MAX_STEP_BYTES


@each_way
@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br", ", ".join(["gzip"] * 5)])
def test_other_encodings_are_refused(read: Any, encoding: str) -> None:
    """The error names the encoding; nothing is decompressed without a limit."""
    with pytest.raises(MalformedReplyError, match="cannot be decoded: it is compressed"):
        read(Received(encoding, b"..."))


@each_way
@pytest.mark.parametrize(
    ("encoding", "data"),
    [("gzip", b"\x1f\x8b nothing"), ("deflate", TEXT)],
    ids=["gzip", "deflate"],
)
def test_damaged_data_is_a_malformed_reply(read: Any, encoding: str, data: bytes) -> None:
    """With the reason, and without a cause whose frames hold the body."""
    with pytest.raises(MalformedReplyError, match="cannot be decoded") as caught:
        read(Received(encoding, data))
    assert caught.value.__context__ is None
