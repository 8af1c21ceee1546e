"""Connections that end, stall, trickle or garble, at every place of an answer."""

from __future__ import annotations

from collections.abc import Iterator

from tests.core.payloads import chunk, completion, sse
from tests.faults.cases import Modes, Row, answer, fails, streamed, whole
from tests.faults.http_scripts import (
    EVENTS,
    JSON,
    chunked,
    compact,
    head,
    http,
    stream,
    until_closed,
)
from tests.faults.rows.streams import begun
from tests.faults.server import End, Ever, Play, Step

GOOD = compact(completion("Hi"))
SSE = sse(chunk("Hi", "stop"))
HI = Modes(http(GOOD), stream(chunk("Hi", "stop")))
HEL = sse(chunk("Hel"), done=False)
HALF = b'data: {"choices":[{"index":0,"delta":{"content":"lo"}}'
CALL = sse(begun('{"a"'), done=False)
SHORT = {"timeout": 0.2}

BEFORE: dict[str, Play] = {
    "before the status line": (),
    "within the status line": (b"HTTP/1.1 20",),
    "within the headers": (b"HTTP/1.1 200 OK\r\ncontent-ty",),
}
WHOLE: dict[str, Play] = {
    "after the headers": (head(200, JSON, content_length=len(GOOD)),),
    "after the headers of chunks": (head(200, JSON, transfer_encoding="chunked"),),
    "within the body": (head(200, JSON, content_length=len(GOOD)), GOOD[:40]),
    "within a chunk": (head(200, JSON, transfer_encoding="chunked"), b"ff\r\n" + GOOD[:40]),
    "a byte before the end": (head(200, JSON, content_length=len(GOOD)), GOOD[:-1]),
}
FIRST: dict[str, Play] = {
    "after the headers": (head(200, EVENTS, transfer_encoding="chunked"),),
    "after a comment": chunked(b": x\n\n", ended=False),
    "within the first event": chunked(HALF, ended=False),
}
LATER: dict[str, Play] = {
    "after a piece": chunked(HEL, ended=False),
    "within an event": chunked(HEL, HALF, ended=False),
    "within a chunk": (*chunked(HEL, ended=False), b"ff\r\n" + HALF),
    "within a chunk's size": (*chunked(HEL, ended=False), b"f"),
}
ENDS = {"a close": End.CLOSE, "a reset": End.RESET}


def _broken() -> Iterator[Row]:
    lost = fails("APIConnectionError")
    for name, end in ENDS.items():
        for place, play in BEFORE.items():
            yield Row(f"{name} {place}", (*play, end), lost)
        for place, play in WHOLE.items():
            yield whole(f"{name} {place}", (*play, end), lost)
        for place, play in FIRST.items():
            yield streamed(f"{name} {place}", (*play, end), lost)
        for place, play in LATER.items():
            want = fails("IncompleteStreamError", "Hel", says="broke off")
            yield streamed(f"{name} {place}", (*play, end), want)
        in_call = (*chunked(CALL, ended=False), end)
        want = fails("IncompleteStreamError", says="broke off")
        yield streamed(f"{name} within a tool call", in_call, want, (1, 1))
        once = [(end,), HI]
        yield Row(f"{name}, once", once, lost, (1, 2), mended=answer("Hi"))


def _whole_but_broken() -> Iterator[Row]:
    """Yield what breaks off after the finish reason: the answer is whole."""
    for name, end in ENDS.items():
        play = (*stream(chunk("Hi", "stop"), done=False, ended=False), end)
        yield streamed(f"{name} after the finish reason", play, answer("Hi"))
    silent = (*stream(chunk("Hi", "stop"), done=False, ended=False), End.HANG)
    yield streamed("silence after the finish reason", silent, answer("Hi"), options=SHORT)


def _silent() -> Iterator[Row]:
    late = fails("APITimeoutError")
    for place in ("before the status line", "within the headers"):
        yield Row(f"silence {place}", (*BEFORE[place], End.HANG), late, options=SHORT)
    for place in ("after the headers", "within the body"):
        yield whole(f"silence {place}", (*WHOLE[place], End.HANG), late, options=SHORT)
    for place in ("after the headers", "within the first event"):
        yield streamed(f"silence {place}", (*FIRST[place], End.HANG), late, options=SHORT)
    want = fails("APITimeoutError", "Hel")
    for place in ("after a piece", "within an event"):
        yield streamed(f"silence {place}", (*LATER[place], End.HANG), want, options=SHORT)
    in_call = (*chunked(CALL, ended=False), End.HANG)
    yield streamed("silence within a tool call", in_call, late, (1, 1), options=SHORT)
    once = [(End.HANG,), HI]
    yield Row("silence, once", once, late, (1, 2), mended=answer("Hi"), options=SHORT)


def _noisy() -> Iterator[Row]:
    """Yield bytes that come, and say nothing."""
    comments = Ever(b": OPENROUTER PROCESSING\n\n", 0.01)
    late = fails("APITimeoutError", says="in time")
    yield Row("keep-alives for ever", chunked(comments), late, options=SHORT)
    blanks = chunked(Ever(b"   \n", 0.01), kind=JSON)
    yield whole("blank lines for ever", blanks, late, options=SHORT)
    want = fails("APITimeoutError", "Hel", says="in time")
    yield streamed("keep-alives for ever, later", chunked(HEL, comments), want, options=SHORT)
    trickle = chunked(Ever(b"data: x", 0.01))
    yield streamed("an event for ever", trickle, fails("APITimeoutError"), options=SHORT)
    gone_by = fails("DeadlineExceededError")
    bounded = {"deadline": 0.3}
    yield Row("keep-alives until the deadline", chunked(comments), gone_by, options=bounded)
    slow = (*(GOOD[i : i + 1] for i in range(40)), Ever(b" ", 0.01))
    body = chunked(*slow, kind=JSON)
    yield whole("a body until the deadline", body, gone_by, options=bounded)
    padding = (b"HTTP/1.1 200 OK\r\n", Ever(b"x-pad: " + b"x" * 1000 + b"\r\n"))
    yield Row("headers for ever", padding, fails("APIConnectionError"))
    line = (b"HTTP/1.1 200 OK\r\nx-pad: ", Ever(b"x" * 1000))
    yield Row("a header for ever", line, fails("APIConnectionError"))
    status = (Ever(b"x" * 1000),)
    yield Row("a status line for ever", status, fails("APIConnectionError"))
    quick = Modes(
        chunked(*(step for byte in GOOD for step in (bytes([byte]),)), kind=JSON),
        chunked(*(step for byte in SSE for step in (bytes([byte]), 0.0))),
    )
    yield Row("a trickle that ends", quick, answer("Hi"))


def _garbled() -> Iterator[Row]:
    """Yield what is no HTTP, or not quite."""
    lost = fails("APIConnectionError")

    def row(name: str, *steps: Step) -> Row:
        return Row(name, steps, lost)

    yield row("no HTTP", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", End.CLOSE)
    yield row("a status that is no number", b"HTTP/1.1 abc OK\r\n\r\n", End.CLOSE)
    yield row("a status of one digit", b"HTTP/1.1 2 OK\r\ncontent-length: 0\r\n\r\n", End.CLOSE)
    yield row("a header without a colon", b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", End.CLOSE)
    yield row("a length that is none", head(200, JSON, content_length="many"), GOOD, End.CLOSE)
    yield row("a negative length", head(200, JSON, content_length=-1), GOOD, End.CLOSE)
    # In one packet: if it comes after the headers, aiohttp 3.14 tells nobody.
    bad = head(200, JSON, transfer_encoding="chunked") + b"zz\r\n" + GOOD
    yield row("a chunk of no size", bad, 0.02, End.CLOSE)
    two = head(200, JSON, content_length=5, Content_Length=9)
    yield row("two lengths", two, GOOD, End.CLOSE)
    tls = b"\x15\x03\x01\x00\x02\x02\x46"
    yield row("a TLS alert", tls, End.CLOSE)
    old = b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n"
    yield Row("HTTP/1.0", Modes((old, GOOD, End.CLOSE), (old, SSE, End.CLOSE)), answer("Hi"))
    bare = b"HTTP/1.1 200\r\n\r\n"
    yield Row("no reason", Modes((bare, GOOD, End.CLOSE), (bare, SSE, End.CLOSE)), answer("Hi"))
    odd = {"x_odd": "é\xff", "set_cookie": "a=b; path=/", "x_empty": ""}
    yield Row(
        "odd headers", Modes(http(GOOD, **odd), stream(chunk("Hi", "stop"), **odd)), answer("Hi")
    )
    tail = b"%x\r\n%s\r\n0\r\nx-trailer: a\r\n\r\n"
    start = head(200, JSON, transfer_encoding="chunked")
    trailers = Modes((start, tail % (len(GOOD), GOOD)), (start, tail % (len(SSE), SSE)))
    yield Row("trailers", trailers, answer("Hi"))
    extended = (start, b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD))
    yield whole("a chunk with an extension", extended, answer("Hi"))
    closing = Modes(until_closed(GOOD, kind=JSON), until_closed(SSE))
    yield Row("a body that closing ends", closing, answer("Hi"))


ROWS = [*_broken(), *_whole_but_broken(), *_silent(), *_noisy(), *_garbled()]
