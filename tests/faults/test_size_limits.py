"""Endless responses: they end at a size limit, with an error, and the client disconnects."""

from __future__ import annotations

from typing import Any

import pytest

from onerouter_core import call_state
from onerouter_core.wire import sse
from tests.faults.adapters import VARIANTS, Caller
from tests.faults.conftest import CLASSES
from tests.faults.fault_cases.connections import HEL
from tests.faults.http_scripts import HTML, JSON, chunked, head
from tests.faults.server import HTTPScript, Repeat, Server

LIMIT = 2**20  # bytes
ENDLESS = Repeat(b"x" * 2**16)

each_class = pytest.mark.parametrize("name", CLASSES)
COMPLETE_VARIANTS = [variant for variant in VARIANTS if variant.mode == "complete"]
STREAM_VARIANTS = [variant for variant in VARIANTS if variant.mode == "stream"]


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the limits: to send as much as the real ones allow would take long."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", LIMIT)
    monkeypatch.setattr(call_state, "MAX_BODY_BYTES", LIMIT)


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
