"""SSE parser: any split and any line end give the same events, and none is lost or invented."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onerouter_core.errors import MalformedReplyError
from onerouter_core.wire import sse
from onerouter_core.wire.sse import SSEParser
from tests.core.generated import cut
from tests.core.payloads import reference_sse_events, sse_events

STREAMS = {
    "plain": (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
    "no space": (b"data:a\n\n", [b"a"]),
    "one space is removed": (b"data:  a \n\n", [b" a "]),
    "CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
    "CR alone": (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    "mixed line ends": (b"data: a\r\n\rdata: b\n\r\n", [b"a", b"b"]),
    "several data lines": (b"data: a\ndata: b\n\n", [b"a\nb"]),
    "data without a colon": (b"data\n\n", [b""]),
    "comments": (b": ping\n\n:\ndata: a\n: pong\n\n", [b"a"]),
    "other fields": (b"event: x\nid: 1\nretry: 5\ndata: a\n\n", [b"a"]),
    "fields with a name like data": (b"datas: a\n data: b\nxdata: c\n\n", []),
    "blank lines": (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
    "BOM": (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
    "BOM within": (b"data: \xef\xbb\xbfa\n\n", [b"\xef\xbb\xbfa"]),
    "half a BOM": (b"\xef\xbb", []),
    "no final newline": (b"data: a\n\ndata: b", [b"a", b"b"]),
    "one final newline": (b"data: a\n", [b"a"]),
    "characters of several bytes": ("data: é漢🙂\n\n".encode(), ["é漢🙂".encode()]),
    "empty": (b"", []),
}


@pytest.mark.parametrize(("stream", "expected"), STREAMS.values(), ids=STREAMS)
def test_a_stream_has_these_events(stream: bytes, expected: list[bytes]) -> None:
    """The events are the same at once, byte by byte, and by the reference implementation."""
    assert sse_events([stream]) == expected
    assert sse_events(bytes([byte]) for byte in stream) == expected
    assert reference_sse_events(stream) == expected


@pytest.mark.parametrize("event", [b"data: b\n\n", b"data: b\r\n\r\n", b"data: b\nid: 1\n\n"])
@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"\xef",
        b"data: a",
        b"data: a\n",
        b"data: a\n\n",
        b"data: a\r",
        b": ping",
        b"da",
        b"xdata: a",
    ],
)
def test_a_chunk_that_is_one_event_continues_what_came_before(before: bytes, event: bytes) -> None:
    """A chunk that looks like one whole event may be the end of another line or event."""
    expected = reference_sse_events(before + event + event)
    assert sse_events([before, event, event]) == expected


def test_an_event_is_returned_with_its_last_byte() -> None:
    """An event is returned with the byte that completes it, also if that is a lone CR."""
    parser = SSEParser()
    assert parser.feed(b"data: a\r\n\r") == [b"a"]
    assert parser.feed(b"\n") == []
    assert parser.finish() == []


def test_an_event_that_never_ends_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit counts the bytes of one event, in one line or in several."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 20)
    for line in (b"data: 5678", b"data: 567\n"):
        parser = SSEParser()
        for _ in range(3):
            assert parser.feed(line) == []
        with pytest.raises(MalformedReplyError, match="more than 20 bytes"):
            parser.feed(line)


@pytest.mark.parametrize("end", [b"data: 56\n\n", b": 345678\n\n"], ids=["events", "comments"])
def test_the_size_limit_is_not_for_the_stream(end: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event and a comment each begin a new count."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 20)
    events = sse_events([end] * 10)
    assert events == ([b"56"] * 10 if end.startswith(b"data") else [])


FRAGMENTS = st.sampled_from(
    (
        *(b"data: ", b"data:", b"data", b"data: x", b"data:\xc3", b"\r", b"\n", b"\r\n", b"\n\n"),
        *(b": ", b":", b"id: 1", b"event: y", b"x", b" ", "é".encode(), b"\xa9", b"\xff", b"\x00"),
        *(b"\xef\xbb\xbf", b"\xef", b"\xbb\xbf", b"\xbb", b"\xbf"),
    )
)


@given(
    stream=st.lists(FRAGMENTS | st.binary(max_size=3), max_size=12).map(b"".join), data=st.data()
)
def test_a_stream_may_be_cut_anywhere(stream: bytes, data: st.DataObject) -> None:
    """The events of a stream in any chunks are those that the reference finds in the whole."""
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=6))
    assert sse_events(cut(stream, sorted(places))) == reference_sse_events(stream)
