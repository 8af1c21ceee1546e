"""A server that never stops talking: there is a limit, an error, and the line is hung up."""

from __future__ import annotations

from typing import Any

import pytest

from onerouter_core import call_state
from onerouter_core.wire import sse
from tests.faults.adapters import WAYS, User
from tests.faults.conftest import CLASSES
from tests.faults.http_scripts import HTML, JSON, chunked, head
from tests.faults.rows.connections import HEL
from tests.faults.server import Ever, Play, Server

LIMIT = 2**20
MUCH = Ever(b"x" * 2**16)

each_class = pytest.mark.parametrize("name", CLASSES)
WHOLE = [way for way in WAYS if way.mode == "whole"]
STREAM = [way for way in WAYS if way.mode == "stream"]


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the limits lower: the real ones would take their time."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", LIMIT)
    monkeypatch.setattr(call_state, "MAX_BODY_BYTES", LIMIT)


@pytest.fixture
def error(request: pytest.FixtureRequest, server: Server, user: User) -> Any:
    """Return what a call ends by; the server has seen the client leave, after one request."""
    line = server.line(request.param)
    got = user.calls(line, max_retries=0, timeout=3)
    assert line.last.left.wait(2)
    assert len(line.requests) == 1
    assert got.seconds < 2.5
    return got.error


def played(play: Play) -> Any:
    """Parametrise by what the server does."""
    return pytest.mark.parametrize("error", [play], indirect=True, ids=[""])


@each_class
@pytest.mark.parametrize("way", STREAM, ids=str)
@played(chunked(HEL, b"data: ", MUCH))
def test_an_event_without_end(error: Any) -> None:
    """What came before it is in the error."""
    assert type(error).__name__ == "MalformedReplyError"
    assert error.partial.text == "Hel"


@each_class
@pytest.mark.parametrize("way", STREAM, ids=str)
@played(chunked(HEL, Ever(b"data: " + b"x" * 2**16 + b"\n")))
def test_an_event_of_endless_lines(error: Any) -> None:
    """Lines that never make an event are one event without end."""
    assert type(error).__name__ == "MalformedReplyError"
    assert error.partial.text == "Hel"


@each_class
@pytest.mark.parametrize("way", WHOLE, ids=str)
@played(chunked(b'{"x":"', MUCH, kind=JSON))
def test_a_body_without_end(error: Any) -> None:
    """It is no answer."""
    assert type(error).__name__ == "MalformedReplyError"


@each_class
@pytest.mark.parametrize("way", STREAM, ids=str)
@played(chunked(b'{"x":"', MUCH, kind=JSON))
def test_a_body_without_end_for_a_stream(error: Any) -> None:
    """Nor is it one for who asked for a stream."""
    assert type(error).__name__ == "MalformedReplyError"


@each_class
@pytest.mark.parametrize("way", WAYS, ids=str)
@played((head(500, HTML), Ever(b"x" * 2**16)))
def test_a_refusal_without_end(error: Any) -> None:
    """Its status says enough."""
    assert type(error).__name__ == "UpstreamError"
    assert error.status == 500
