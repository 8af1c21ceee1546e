"""Peak memory of what a server sends without end: at most 1.5 times the limit that ends it.

So it is for what is no reply, whole or not. A whole reply has its text in memory, too.
"""

from __future__ import annotations

import json
import tracemalloc
from contextlib import nullcontext

import pytest

from onerouter_core import ConnectionSettings, Gateway, Message, Request, Text, http_errors, warm_up
from onerouter_core.errors import OneRouterError
from onerouter_core.http_errors import MAX_ERROR_BODY_BYTES
from onerouter_core.wire import sse
from tests.core.payloads import chunk, completion
from tests.core.payloads import sse as sse_bytes
from tests.faults.adapters import KEY
from tests.faults.conftest import Loop, hide_aiohttp
from tests.faults.http_scripts import HTML, JSON, chunked, head, response
from tests.faults.server import Endpoint, HTTPScript, Repeat, Server

LIMIT = 6 * 2**20  # bytes
PEAK = 1.5  # times the limit
WITH_TEXT = 1.0  # times the length of a whole reply, for its text
REQUEST = Request("vendor/model", (Message("user", (Text("Hello"),)),))
FILL = b"x" * 2**14

STREAMED: dict[str, HTTPScript] = {
    "first event": chunked(b"data: ", Repeat(FILL)),
    "later event": chunked(sse_bytes(chunk("a"), done=False), b"data: ", Repeat(FILL)),
    "event of two lines": chunked(
        b"data: ", *[FILL] * (LIMIT // len(FILL) // 2), b"\ndata: ", Repeat(FILL)
    ),
    "comments in an event": chunked(Repeat(b"data: " + FILL + b"\n: a comment\n")),
    "event behind another field": chunked(b"retry: 5\n\ndata: ", Repeat(FILL)),
    "event behind a BOM": chunked(b"\xef\xbb\xbfdata: ", Repeat(FILL)),
    "event behind a line of text": chunked(b"x\ndata: ", Repeat(FILL)),
    "JSON instead of a stream": chunked(b'{"x":"', Repeat(FILL), kind=JSON),
    "whole stream": chunked(Repeat(sse_bytes(chunk("Hel" * 5000), done=False))),
}
COMPLETE: dict[str, HTTPScript] = {"body": chunked(b'{"x":"', Repeat(FILL), kind=JSON)}
ERRORS: dict[str, HTTPScript] = {
    "error body": (head(500, HTML), Repeat(FILL)),
    "error body, 4 bytes a character": (head(500, HTML), Repeat("\U0001f600".encode() * 2**12)),
    "error body that is not UTF-8": (head(500, HTML), Repeat(b"\xff" * 2**14)),
    "JSON error body": (head(500, JSON), b'{"error":{"message":"', Repeat(FILL)),
}


def in_pieces(body: bytes, kind: str) -> HTTPScript:
    """Return the script of a body just below the limit."""
    pieces = (body[start : start + 2**14] for start in range(0, len(body), 2**14))
    return chunked(*pieces, kind=kind)


LONG = "x" * (LIMIT - 2**12)
REPLY_PIECES = in_pieces(json.dumps(completion(LONG)).encode(), JSON)
EVENT = sse_bytes(chunk(LONG, "stop"))
EVENT_PIECES = in_pieces(EVENT, "text/event-stream")
WHOLE = {
    "reply": REPLY_PIECES,
    "reply of one event": EVENT_PIECES,
    "reply of one event behind a BOM": in_pieces(b"\xef\xbb\xbf" + EVENT, "text/event-stream"),
}
PAGE = in_pieces(f"<html>{LONG}".encode(), HTML)


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the limits that are no fields, and import what the first call imports."""
    warm_up()
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", LIMIT)
    monkeypatch.setattr(http_errors, "MAX_ERROR_BODY_BYTES", LIMIT)


class Peak:
    """The most memory that was held at once, until it is read."""

    def __init__(self) -> None:
        tracemalloc.start()
        self._before = tracemalloc.get_traced_memory()[0]
        self.bytes = 0

    def read(self) -> None:
        """Read the peak so far."""
        self.bytes = tracemalloc.get_traced_memory()[1] - self._before


def call(gateway: Gateway, mode: str, peak: Peak) -> None:
    """Read a reply; of a stream, the peak is read with each delta."""
    if mode == "complete":
        gateway.complete(REQUEST)
    else:
        for _ in gateway.stream(REQUEST):
            peak.read()


async def acall(gateway: Gateway, mode: str, peak: Peak) -> None:
    """Read a reply, async."""
    async with gateway:
        if mode == "complete":
            await gateway.acomplete(REQUEST)
        else:
            async for _ in await gateway.astream(REQUEST):
                peak.read()


def run(gateway: Gateway, mode: str, peak: Peak, loop: Loop | None) -> None:
    """Read a reply, on an event loop if there is one."""
    with gateway:
        if loop is None:
            call(gateway, mode, peak)
        else:
            loop.run_until_complete(acall(gateway, mode, peak))


def peak_of(
    endpoint: Endpoint, mode: str, loop: Loop | None, *, at_end: bool = True, fails: bool = True
) -> float:
    """Return the peak of a call, in limits."""
    settings = ConnectionSettings(
        base_url=endpoint.base_url, api_key=KEY, max_retries=0, max_reply_bytes=LIMIT, timeout=20
    )
    peak = Peak()
    try:
        with pytest.raises(OneRouterError) if fails else nullcontext():
            run(Gateway(settings), mode, peak, loop)
        if at_end:
            peak.read()
    finally:
        tracemalloc.stop()
    return peak.bytes / LIMIT


CASES = [
    *(("stream", name, script) for name, script in STREAMED.items()),
    *(("complete", name, script) for name, script in COMPLETE.items()),
    *(("complete", name, script) for name, script in ERRORS.items()),
    *((mode, "page instead of a reply", PAGE) for mode in ("complete", "stream")),
]


@pytest.fixture(params=["sync", "aiohttp", "default"])
def call_loop(
    request: pytest.FixtureRequest, new_clients: None, monkeypatch: pytest.MonkeyPatch
) -> Loop | None:
    """Return the event loop of each backend; None is sync."""
    if request.param == "sync":
        return None
    if request.param == "default":
        hide_aiohttp(monkeypatch)
    name = "loop" if request.param == "aiohttp" else "loop_without_aiohttp"
    loop: Loop = request.getfixturevalue(name)
    return loop


@pytest.mark.parametrize(
    ("mode", "name", "script"), CASES, ids=[f"{name} ({mode})" for mode, name, _ in CASES]
)
def test_the_peak_is_at_most_one_and_a_half_times_the_limit(
    server: Server, call_loop: Loop | None, mode: str, name: str, script: HTTPScript
) -> None:
    """Until the limit is reached; the texts of a stream are joined after its end."""
    peak = peak_of(server.endpoint(script), mode, call_loop, at_end=name != "whole stream")
    assert 0 < peak <= PEAK


@pytest.mark.parametrize("mode", ["complete", "stream"])
@pytest.mark.parametrize("script", WHOLE.values(), ids=WHOLE)
def test_a_whole_reply_is_held_once_with_its_text(
    server: Server, call_loop: Loop | None, mode: str, script: HTTPScript
) -> None:
    """Also where it comes as one event, whether events were asked for or not."""
    peak = peak_of(server.endpoint(script), mode, call_loop, fails=False)
    assert WITH_TEXT < peak <= PEAK + WITH_TEXT


VALUES = {
    "objects": b"{}",
    "lists": b"[[]]",
    "numbers": b"987",
    "texts": b'"ab"',
    "one text": '"{}\U0001f600"'.format("x" * (http_errors.MAX_HELD_BYTES - 100)).encode(),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_the_json_of_an_error_takes_little_memory(
    server: Server, call_loop: Loop | None, value: bytes
) -> None:
    """The longest that is read, of the values that take the most memory for each byte."""
    number = (http_errors.MAX_HELD_BYTES - 20) // len(value + b",")
    body = b'{"error":[%s]}' % b",".join([value] * number)
    peak = peak_of(server.endpoint(response(body, 500)), "complete", call_loop)
    assert 0 < peak * LIMIT <= PEAK * MAX_ERROR_BODY_BYTES
