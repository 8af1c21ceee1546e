"""Endless responses: they end at a size limit, with an error, and the client disconnects."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from onerouter_core import call_limits
from onerouter_core.wire import sse
from tests.core.payloads import chunk
from tests.core.payloads import sse as sse_bytes
from tests.faults.adapters import VARIANTS, Caller
from tests.faults.conftest import CLASSES
from tests.faults.fault_cases.connections import GOOD, HEL, SSE
from tests.faults.http_scripts import HTML, JSON, chunked, head, response
from tests.faults.server import End, HTTPScript, Repeat, Server

LIMIT = 2**20  # bytes
ENDLESS = Repeat(b"x" * 2**16)

each_class = pytest.mark.parametrize("name", CLASSES)
COMPLETE_VARIANTS = [variant for variant in VARIANTS if variant.mode == "complete"]
STREAM_VARIANTS = [variant for variant in VARIANTS if variant.mode == "stream"]


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the limits: to send as much as the real ones allow would take long."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", LIMIT)
    monkeypatch.setattr(call_limits, "MAX_BODY_BYTES", LIMIT)


@pytest.fixture
def error(request: pytest.FixtureRequest, server: Server, caller: Caller) -> Any:
    """Return the error of a call; check that the client disconnected after one request."""
    endpoint = server.endpoint(request.param)
    outcome = caller.call(endpoint, max_retries=0, timeout=3)
    assert endpoint.last.disconnected.wait(2)
    assert len(endpoint.requests) == 1
    assert outcome.seconds < 2.5
    return outcome.error


def server_sends(script: HTTPScript) -> Any:
    """Parametrise the `error` fixture with the script of the server."""
    return pytest.mark.parametrize("error", [script], indirect=True, ids=[""])


@each_class
@pytest.mark.parametrize("variant", STREAM_VARIANTS, ids=str)
@server_sends(chunked(HEL, b"data: ", ENDLESS))
def test_an_endless_event_is_a_malformed_reply(error: Any) -> None:
    """The error carries the text before the event."""
    assert type(error).__name__ == "MalformedReplyError"
    assert error.partial.text == "Hel"


@each_class
@pytest.mark.parametrize("variant", STREAM_VARIANTS, ids=str)
@server_sends(chunked(HEL, Repeat(b"data: " + b"x" * 2**16 + b"\n")))
def test_an_event_of_endless_lines_is_a_malformed_reply(error: Any) -> None:
    """The limit counts all lines of an event together."""
    assert type(error).__name__ == "MalformedReplyError"
    assert error.partial.text == "Hel"


@each_class
@pytest.mark.parametrize("variant", COMPLETE_VARIANTS, ids=str)
@server_sends(chunked(b'{"x":"', ENDLESS, kind=JSON))
def test_an_endless_body_is_a_malformed_reply(error: Any) -> None:
    """A JSON body that never ends."""
    assert type(error).__name__ == "MalformedReplyError"


@each_class
@pytest.mark.parametrize("variant", STREAM_VARIANTS, ids=str)
@server_sends(chunked(b'{"x":"', ENDLESS, kind=JSON))
def test_an_endless_body_instead_of_a_stream_is_a_malformed_reply(error: Any) -> None:
    """A JSON body that never ends, although a stream was requested."""
    assert type(error).__name__ == "MalformedReplyError"


@each_class
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@server_sends((head(500, HTML), Repeat(b"x" * 2**16)))
def test_an_endless_error_body_keeps_its_status(error: Any) -> None:
    """The error has the class and the status of the HTTP error."""
    assert type(error).__name__ == "UpstreamError"
    assert error.status == 500


@each_class
@pytest.mark.parametrize("variant", STREAM_VARIANTS, ids=str)
@server_sends(chunked(HEL, Repeat(b"data: " + b"x" * 2**12 + b"\n: a comment\n")))
def test_comments_within_an_event_do_not_extend_its_limit(error: Any) -> None:
    """The lines before and after a comment are lines of one event."""
    assert type(error).__name__ == "MalformedReplyError"
    assert error.partial.text == "Hel"


@each_class
@pytest.mark.parametrize("variant", STREAM_VARIANTS, ids=str)
@server_sends(chunked(Repeat(sse_bytes(chunk("Hel" * 9000), done=False))))
def test_endless_events_are_a_malformed_reply(error: Any) -> None:
    """The limit counts all events of a stream together; the error carries their text."""
    assert type(error).__name__ == "MalformedReplyError"
    assert "max_reply_bytes" in str(error)
    assert error.partial.text.startswith("HelHel")


@each_class
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_limit_is_a_field(server: Server, caller: Caller) -> None:
    """The same reply is one byte too long for one limit, and not for another."""
    body = GOOD if caller.mode == "complete" else SSE
    for limit, name in ((len(body) - 1, "MalformedReplyError"), (len(body), "NoneType")):
        endpoint = server.endpoint(chunked(body[:-20], body[-20:], kind=JSON))
        outcome = caller.call(endpoint, max_retries=0, timeout=3, max_reply_bytes=limit)
        is_complete_stream = caller.mode == "stream"  # what follows its end takes nothing away
        assert type(outcome.error).__name__ == ("NoneType" if is_complete_stream else name)


PACKED = gzip.compress(b" " * LIMIT * 8)


@each_class
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@server_sends((*chunked(PACKED, kind=JSON, content_encoding="gzip", ended=False), End.HANG))
def test_a_limit_counts_decompressed_bytes(error: Any) -> None:
    """A small body that decompresses to a large one."""
    assert type(error).__name__ == "MalformedReplyError"


@each_class
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_an_error_body_is_limited_decompressed(server: Server, caller: Caller) -> None:
    """The error keeps its status; the rest of the body is not decompressed."""
    endpoint = server.endpoint(response(PACKED, 500, content_encoding="gzip"))
    outcome = caller.call(endpoint, max_retries=0, timeout=3)
    assert (type(outcome.error).__name__, len(str(outcome.error)) < 1000) == ("UpstreamError", True)
