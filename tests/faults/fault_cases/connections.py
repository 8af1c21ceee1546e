"""Connections that are cut, silent or slow at every position of a response, and invalid HTTP."""

from __future__ import annotations

from collections.abc import Iterator

from tests.core.payloads import chunk, completion, sse
from tests.faults.cases import FaultCase, ScriptByMode, complete_only, fails, stream_only, succeeds
from tests.faults.fault_cases.streams import first_delta
from tests.faults.http_scripts import (
    EVENTS,
    JSON,
    chunked,
    compact,
    head,
    response,
    stream,
    until_closed,
)
from tests.faults.server import End, HTTPScript, Repeat, Step

GOOD = compact(completion("Hi"))
SSE = sse(chunk("Hi", "stop"))
HI = ScriptByMode(response(GOOD), stream(chunk("Hi", "stop")))
HEL = sse(chunk("Hel"), done=False)
HALF = b'data: {"choices":[{"index":0,"delta":{"content":"lo"}}'
CALL = sse(first_delta('{"a"'), done=False)
SHORT_TIMEOUT = {"timeout": 0.2}

HEAD_CUTS: dict[str, HTTPScript] = {
    "before the status line": (),
    "within the status line": (b"HTTP/1.1 20",),
    "within the headers": (b"HTTP/1.1 200 OK\r\ncontent-ty",),
}
COMPLETE_CUTS: dict[str, HTTPScript] = {
    "after the headers": (head(200, JSON, content_length=len(GOOD)),),
    "after the headers of a chunked body": (head(200, JSON, transfer_encoding="chunked"),),
    "within the body": (head(200, JSON, content_length=len(GOOD)), GOOD[:40]),
    "within a chunk": (head(200, JSON, transfer_encoding="chunked"), b"ff\r\n" + GOOD[:40]),
    "a byte before the end": (head(200, JSON, content_length=len(GOOD)), GOOD[:-1]),
}
FIRST_EVENT_CUTS: dict[str, HTTPScript] = {
    "after the headers": (head(200, EVENTS, transfer_encoding="chunked"),),
    "after a comment": chunked(b": x\n\n", ended=False),
    "within the first event": chunked(HALF, ended=False),
}
LATER_EVENT_CUTS: dict[str, HTTPScript] = {
    "after a delta": chunked(HEL, ended=False),
    "within an event": chunked(HEL, HALF, ended=False),
    "within a chunk": (*chunked(HEL, ended=False), b"ff\r\n" + HALF),
    "within a chunk's size": (*chunked(HEL, ended=False), b"f"),
}
ENDS = {"a close": End.CLOSE, "a reset": End.RESET}


def _cut_connections() -> Iterator[FaultCase]:
    error = fails("APIConnectionError")
    for name, end in ENDS.items():
        for position, script in HEAD_CUTS.items():
            yield FaultCase(f"{name} {position}", (*script, end), error)
        for position, script in COMPLETE_CUTS.items():
            yield complete_only(f"{name} {position}", (*script, end), error)
        for position, script in FIRST_EVENT_CUTS.items():
            yield stream_only(f"{name} {position}", (*script, end), error)
        for position, script in LATER_EVENT_CUTS.items():
            expected = fails("IncompleteStreamError", "Hel", match="interrupted")
            yield stream_only(f"{name} {position}", (*script, end), expected)
        in_call = (*chunked(CALL, ended=False), end)
        expected = fails("IncompleteStreamError", match="interrupted")
        yield stream_only(f"{name} within a tool call", in_call, expected, (1, 1))
        retried = [(end,), HI]
        yield FaultCase(f"{name}, once", retried, error, (1, 2), after_retry=succeeds("Hi"))


def _cuts_after_the_finish_reason() -> Iterator[FaultCase]:
    """Yield connections that break after the finish reason: the answer is complete."""
    for name, end in ENDS.items():
        script = (*stream(chunk("Hi", "stop"), done=False, ended=False), end)
        yield stream_only(f"{name} after the finish reason", script, succeeds("Hi"))
    silent = (*stream(chunk("Hi", "stop"), done=False, ended=False), End.HANG)
    yield stream_only(
        "silence after the finish reason", silent, succeeds("Hi"), options=SHORT_TIMEOUT
    )


def _silence() -> Iterator[FaultCase]:
    timeout = fails("APITimeoutError")
    after_delta = fails("APITimeoutError", "Hel")
    for make_case, cuts, positions, expected in (
        (FaultCase, HEAD_CUTS, ("before the status line", "within the headers"), timeout),
        (complete_only, COMPLETE_CUTS, ("after the headers", "within the body"), timeout),
        (stream_only, FIRST_EVENT_CUTS, ("after the headers", "within the first event"), timeout),
        (stream_only, LATER_EVENT_CUTS, ("after a delta", "within an event"), after_delta),
    ):
        for position in positions:
            script = (*cuts[position], End.HANG)
            yield make_case(f"silence {position}", script, expected, options=SHORT_TIMEOUT)
    in_call = (*chunked(CALL, ended=False), End.HANG)
    yield stream_only("silence within a tool call", in_call, timeout, (1, 1), options=SHORT_TIMEOUT)
    retried = [(End.HANG,), HI]
    yield FaultCase(
        "silence, once", retried, timeout, (1, 2), after_retry=succeeds("Hi"), options=SHORT_TIMEOUT
    )


def _bytes_without_data() -> Iterator[FaultCase]:
    """Yield servers that keep sending bytes without a complete event, body or header."""
    comments = Repeat(b": OPENROUTER PROCESSING\n\n", 0.01)
    timeout = fails("APITimeoutError", match="in time")
    yield FaultCase("keep-alives without end", chunked(comments), timeout, options=SHORT_TIMEOUT)
    blanks = chunked(Repeat(b"   \n", 0.01), kind=JSON)
    yield complete_only("blank lines without end", blanks, timeout, options=SHORT_TIMEOUT)
    expected = fails("APITimeoutError", "Hel", match="in time")
    yield stream_only(
        "keep-alives without end after a delta",
        chunked(HEL, comments),
        expected,
        options=SHORT_TIMEOUT,
    )
    endless = chunked(Repeat(b"data: x", 0.01))
    yield stream_only(
        "an event without end", endless, fails("APITimeoutError"), options=SHORT_TIMEOUT
    )
    expired = fails("DeadlineExceededError")
    deadline = {"deadline": 0.3}
    yield FaultCase("keep-alives until the deadline", chunked(comments), expired, options=deadline)
    slow = (*(GOOD[i : i + 1] for i in range(40)), Repeat(b" ", 0.01))
    body = chunked(*slow, kind=JSON)
    yield complete_only("a body until the deadline", body, expired, options=deadline)
    padding = (b"HTTP/1.1 200 OK\r\n", Repeat(b"x-pad: " + b"x" * 1000 + b"\r\n"))
    yield FaultCase("headers without end", padding, fails("APIConnectionError"))
    header = (b"HTTP/1.1 200 OK\r\nx-pad: ", Repeat(b"x" * 1000))
    yield FaultCase("a header without end", header, fails("APIConnectionError"))
    status = (Repeat(b"x" * 1000),)
    yield FaultCase("a status line without end", status, fails("APIConnectionError"))
    byte_by_byte = ScriptByMode(
        chunked(*(step for byte in GOOD for step in (bytes([byte]),)), kind=JSON),
        chunked(*(step for byte in SSE for step in (bytes([byte]), 0.0))),
    )
    yield FaultCase("a response byte by byte", byte_by_byte, succeeds("Hi"))


def _invalid_http() -> Iterator[FaultCase]:
    """Yield responses that are not valid HTTP, and unusual ones that are."""
    error = fails("APIConnectionError")

    def case(name: str, *steps: Step) -> FaultCase:
        return FaultCase(name, steps, error)

    yield case("an SSH banner", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", End.CLOSE)
    yield case("a status that is not a number", b"HTTP/1.1 abc OK\r\n\r\n", End.CLOSE)
    yield case("a status of one digit", b"HTTP/1.1 2 OK\r\ncontent-length: 0\r\n\r\n", End.CLOSE)
    yield case("a header without a colon", b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", End.CLOSE)
    yield case(
        "a content length that is not a number",
        head(200, JSON, content_length="many"),
        GOOD,
        End.CLOSE,
    )
    yield case("a negative content length", head(200, JSON, content_length=-1), GOOD, End.CLOSE)
    # In one packet: aiohttp 3.14 does not report a bad chunk that comes after the headers.
    bad = head(200, JSON, transfer_encoding="chunked") + b"zz\r\n" + GOOD
    yield case("a chunk size that is not hexadecimal", bad, 0.02, End.CLOSE)
    two = head(200, JSON, content_length=5, Content_Length=9)
    yield case("two different content lengths", two, GOOD, End.CLOSE)
    tls = b"\x15\x03\x01\x00\x02\x02\x46"
    yield case("a TLS alert", tls, End.CLOSE)
    http10 = b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n"
    yield FaultCase(
        "HTTP/1.0",
        ScriptByMode((http10, GOOD, End.CLOSE), (http10, SSE, End.CLOSE)),
        succeeds("Hi"),
    )
    bare = b"HTTP/1.1 200\r\n\r\n"
    yield FaultCase(
        "no reason phrase",
        ScriptByMode((bare, GOOD, End.CLOSE), (bare, SSE, End.CLOSE)),
        succeeds("Hi"),
    )
    odd = {"x_odd": "é\xff", "set_cookie": "a=b; path=/", "x_empty": ""}
    yield FaultCase(
        "unusual headers",
        ScriptByMode(response(GOOD, **odd), stream(chunk("Hi", "stop"), **odd)),
        succeeds("Hi"),
    )
    tail = b"%x\r\n%s\r\n0\r\nx-trailer: a\r\n\r\n"
    start = head(200, JSON, transfer_encoding="chunked")
    trailers = ScriptByMode((start, tail % (len(GOOD), GOOD)), (start, tail % (len(SSE), SSE)))
    yield FaultCase("trailers", trailers, succeeds("Hi"))
    extended = (start, b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD))
    yield complete_only("a chunk with an extension", extended, succeeds("Hi"))
    close_delimited = ScriptByMode(until_closed(GOOD, kind=JSON), until_closed(SSE))
    yield FaultCase("a close-delimited body", close_delimited, succeeds("Hi"))


CASES = [
    *_cut_connections(),
    *_cuts_after_the_finish_reason(),
    *_silence(),
    *_bytes_without_data(),
    *_invalid_http(),
]
