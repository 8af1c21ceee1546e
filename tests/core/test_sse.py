"""Bytes to events: any split, any line end, and never an event lost or invented."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onerouter_core.wire.sse import SSEParser


def events(*chunks: bytes) -> list[bytes]:
    """Return the data of all events."""
    reader = SSEParser()
    return [*(data for chunk in chunks for data in reader.feed(chunk)), *reader.finish()]


def by_the_standard(stream: bytes) -> list[bytes]:
    """Return the same from the whole stream at once, as the HTML standard words it."""
    found: list[bytes] = []
    block: list[bytes] = []
    for line in [*re.split(rb"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf")), b""]:
        field, _, value = line.partition(b":")
        if field == b"data":
            block.append(value.removeprefix(b" "))
        elif not line and block:
            found.append(b"\n".join(block))
            block = []
    return found


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut a stream at some of its bytes."""
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


STREAMS = {
    "plain": (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
    "no space": (b"data:a\n\n", [b"a"]),
    "only one space is taken": (b"data:  a \n\n", [b" a "]),
    "CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
    "CR alone": (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    "line ends mixed": (b"data: a\r\n\rdata: b\n\r\n", [b"a", b"b"]),
    "several data lines": (b"data: a\ndata: b\n\n", [b"a\nb"]),
    "data without a colon": (b"data\n\n", [b""]),
    "comments": (b": ping\n\n:\ndata: a\n: pong\n\n", [b"a"]),
    "other fields": (b"event: x\nid: 1\nretry: 5\ndata: a\n\n", [b"a"]),
    "fields that only look like data": (b"datas: a\n data: b\nxdata: c\n\n", []),
    "blank lines": (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
    "BOM": (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
    "BOM within": (b"data: \xef\xbb\xbfa\n\n", [b"\xef\xbb\xbfa"]),
    "half a BOM": (b"\xef\xbb", []),
    "no final newline": (b"data: a\n\ndata: b", [b"a", b"b"]),
    "one final newline": (b"data: a\n", [b"a"]),
    "letters of several bytes": ("data: é漢🙂\n\n".encode(), ["é漢🙂".encode()]),
    "nothing": (b"", []),
}


@pytest.mark.parametrize(("stream", "expected"), STREAMS.values(), ids=STREAMS)
def test_a_stream_holds_these_events(stream: bytes, expected: list[bytes]) -> None:
    """Each stream gives its events, at once and byte by byte, and so says the standard."""
    assert events(stream) == expected
    assert events(*(bytes([byte]) for byte in stream)) == expected
    assert by_the_standard(stream) == expected


def test_an_event_is_there_as_soon_as_its_last_byte() -> None:
    """An event comes out with the byte that completes it, also when that is a lone CR."""
    reader = SSEParser()
    assert list(reader.feed(b"data: a\r\n\r")) == [b"a"]
    assert list(reader.feed(b"\n")) == []
    assert list(reader.finish()) == []


FRAGMENTS = st.sampled_from(
    (
        *(b"data: ", b"data:", b"data", b"\r", b"\n", b"\r\n", b"\n\n", b": ", b"id: 1", b"x"),
        *(b" ", b"\xef\xbb\xbf", "é".encode(), b"\xef", b"\xbb", b"\xbf", b"\xff", b"\x00"),
    )
)


@given(
    stream=st.lists(FRAGMENTS | st.binary(max_size=3)).map(b"".join),
    places=st.lists(st.integers(min_value=0)),
)
def test_any_split_gives_the_same_events(stream: bytes, places: list[int]) -> None:
    """However a stream is cut, its events are those that the standard finds in the whole."""
    assert events(*cut(stream, places)) == by_the_standard(stream)
