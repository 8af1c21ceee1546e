"""Peak memory of what a server sends without end: at most 1.5 times the limit that ends it.

An error body ends at its limit without an error of its own, so its peak includes its text.
"""

from __future__ import annotations

import tracemalloc

import pytest

from onerouter_core import ConnectionSettings, Gateway, Message, Request, Text, http_errors, warm_up
from onerouter_core.errors import OneRouterError
from onerouter_core.wire import sse
from tests.core.payloads import chunk
from tests.core.payloads import sse as sse_bytes
from tests.faults.adapters import KEY
from tests.faults.conftest import Loop, hide_aiohttp
from tests.faults.http_scripts import HTML, JSON, chunked, head
from tests.faults.server import Endpoint, HTTPScript, Repeat, Server

LIMIT = 6 * 2**20  # bytes
PEAK = 1.5  # times the limit
ERROR_PEAK = 3.5  # with the text of the body, which the error quotes in part
REQUEST = Request("vendor/model", (Message("user", (Text("Hello"),)),))
FILL = b"x" * 2**14

STREAMED: dict[str, HTTPScript] = {
    "first event": chunked(b"data: ", Repeat(FILL)),
    "later event": chunked(sse_bytes(chunk("a"), done=False), b"data: ", Repeat(FILL)),
    "event of two lines": chunked(
        b"data: ", *[FILL] * (LIMIT // len(FILL) // 2), b"\ndata: ", Repeat(FILL)
    ),
    "comments in an event": chunked(Repeat(b"data: " + FILL + b"\n: a comment\n")),
    "JSON instead of a stream": chunked(b'{"x":"', Repeat(FILL), kind=JSON),
    "whole stream": chunked(Repeat(sse_bytes(chunk("Hel" * 5000), done=False))),
}
COMPLETE: dict[str, HTTPScript] = {"body": chunked(b'{"x":"', Repeat(FILL), kind=JSON)}
ERRORS: dict[str, HTTPScript] = {"error body": (head(500, HTML), Repeat(FILL))}


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


def peak_of(endpoint: Endpoint, mode: str, loop: Loop | None, *, at_end: bool) -> float:
    """Return the peak of a call that fails, in limits."""
    settings = ConnectionSettings(
        base_url=endpoint.base_url, api_key=KEY, max_retries=0, max_reply_bytes=LIMIT, timeout=20
    )
    peak = Peak()
    try:
        with pytest.raises(OneRouterError):
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
    assert 0 < peak <= (ERROR_PEAK if name == "error body" else PEAK)
