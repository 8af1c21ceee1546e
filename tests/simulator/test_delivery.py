"""Delivery of scripts over a real socket: headers, packets, pauses, ends, and disconnects."""

from __future__ import annotations

import socket
import time
from typing import Any

import httpx
import pytest

from onerouter_simulator import Script, Simulator
from tests.simulator.conftest import Complete, Connect, Post

# Seconds that a busy machine may add. On a quiet one both are about 1 ms.
MAX_NOTICE_DELAY = 0.2
MAX_PAUSE_DELAY = 0.3


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def body_of(response: bytes) -> bytes:
    """Return the body of a response, with its chunked encoding."""
    return response.partition(b"\r\n\r\n")[2]


# --- headers ------------------------------------------------------------------------------------


def test_every_reply_is_marked_as_simulated(http: httpx.Client) -> None:
    """All replies have the header, and each has its own request id."""
    replies = [http.get(path) for path in ("/models", "/balance", "/nowhere")]
    assert {reply.headers["x-simulated"] for reply in replies} == {"true"}
    assert len({reply.headers["x-infron-request-id"] for reply in replies}) == 3


def test_headers_of_a_script_replace_the_simulators_own(post: Post, sim: Simulator) -> None:
    """Names are compared without case."""
    sim.script(Script(429, headers={"Retry-After": "2", "X-Infron-Request-Id": "mine"}))
    reply = post()
    assert reply.headers["retry-after"] == "2"
    assert reply.headers.get_list("x-infron-request-id") == ["mine"]
    assert reply.headers["x-simulated"] == "true"


# --- packets and pauses -------------------------------------------------------------------------


def test_packets_are_sent_separately(connect: Connect, sim: Simulator) -> None:
    """With `split` and `chunk_delay`, packets arrive one after the other."""
    sim.script(Script(events=["ab", "c"], split=7, chunk_delay=0.05))
    connection = connect()
    reads = [connection.recv(65536)]
    while not reads[-1].endswith(b"0\r\n\r\n"):
        reads.append(connection.recv(65536))
    lines = body_of(b"".join(reads)).split(b"\r\n")
    assert lines[0:-3:2] == [b"7", b"7", b"7", b"7", b"5"]
    assert b"".join(lines[1:-3:2]) == b"data: ab\n\ndata: c\n\ndata: [DONE]\n\n"
    assert len(reads) >= 3  # five on a quiet machine; a busy one may read two packets at once


def test_a_pause_delays_the_next_packet(connect: Connect, sim: Simulator) -> None:
    """A number among the events is a pause in seconds, also if the body is split."""
    sim.script(Script(events=[0.01, b"abc", 0.1, b"d"], done=False, split=2))
    connection, started, arrived = connect(), time.monotonic(), {}
    received = b""
    while not received.endswith(b"0\r\n\r\n"):
        received += connection.recv(65536)
        for letter in (b"c", b"d"):
            if b"\r\n" + letter + b"\r\n" in received:
                arrived.setdefault(letter, time.monotonic() - started)
    assert arrived[b"d"] - arrived[b"c"] > 0.08
    assert arrived[b"d"] < 0.1 + MAX_PAUSE_DELAY


def test_delay_is_before_the_head_and_chunk_delay_between_packets(
    post: Post, sim: Simulator
) -> None:
    """Two delays of 0.02 seconds lie between two events and `[DONE]`."""
    sim.script(Script(events=["a", "b"], delay=0.05, chunk_delay=0.02))
    started = time.monotonic()
    post()
    assert 0.09 <= time.monotonic() - started < 0.09 + MAX_PAUSE_DELAY


# --- ends of the connection ---------------------------------------------------------------------


def test_cut_closes_within_the_body(connect: Connect, sim: Simulator) -> None:
    """All events are sent, without `[DONE]` and without the last chunk of the encoding."""
    sim.script(Script(events=["a", "b"], end="cut"))
    response = read_all(connect())
    assert b"transfer-encoding: chunked" in response.lower()
    assert body_of(response) == b"9\r\ndata: a\n\n\r\n9\r\ndata: b\n\n\r\n"


def test_a_cut_json_body_is_a_protocol_error_of_the_client(post: Post, sim: Simulator) -> None:
    """An HTTP client sees that the body is incomplete."""
    sim.script(Script(json={}, end="cut"))
    with pytest.raises(httpx.RemoteProtocolError):
        post()


def test_a_body_can_be_shorter_than_its_content_length(connect: Connect, sim: Simulator) -> None:
    """A script with its own Content-Length and `cut` sends fewer bytes."""
    sim.script(Script(body="abc", headers={"Content-Length": "9"}, end="cut"))
    response = read_all(connect())
    assert b"content-length: 9" in response
    assert body_of(response) == b"abc"


def test_reset_comes_after_the_sent_bytes(connect: Connect, sim: Simulator) -> None:
    """The client can read all bytes before the RST."""
    sim.script(Script(events=["a"], end="reset"))
    connection, received = connect(), []
    with pytest.raises(ConnectionResetError):
        received.extend(iter(lambda: connection.recv(65536), b""))
    assert b"data: a\n\n" in b"".join(received)


def test_reset_without_a_response(connect: Connect, sim: Simulator) -> None:
    """`status=None` sends no head and no body."""
    sim.script(Script(status=None, end="reset"))
    connection = connect()
    with pytest.raises(ConnectionResetError):
        connection.recv(65536)


@pytest.mark.parametrize("end", ["close", "cut"])
def test_close_without_a_response(connect: Connect, sim: Simulator, end: Any) -> None:
    """`status=None` closes the connection after the delay, before any head."""
    sim.script(Script(status=None, end=end, delay=0.05))
    connection, started = connect(), time.monotonic()
    assert connection.recv(65536) == b""
    assert time.monotonic() - started >= 0.04


@pytest.mark.parametrize("script", [Script(events=["a"], end="hang"), Script(None, end="hang")])
def test_hang_leaves_the_connection_open(connect: Connect, sim: Simulator, script: Script) -> None:
    """Nothing more is sent, and the connection is not closed."""
    sim.script(script)
    connection = connect()
    connection.settimeout(0.1)
    with pytest.raises(TimeoutError):
        read_all(connection)


# --- disconnects of the client ------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        Script(json={}, delay=30),
        Script(events=["a", 30.0, "b"]),
        Script(events=["a", "b"], chunk_delay=30),
        Script(events=["a"], end="hang"),
        Script(None, end="hang"),
    ],
    ids=["before-head", "pause", "chunk-delay", "hang", "hang-without-head"],
)
def test_a_disconnect_is_recorded_at_once(connect: Connect, sim: Simulator, script: Script) -> None:
    """The request has the time of the disconnect, also during a pause."""
    sim.script(script)
    connection = connect()
    deadline = time.monotonic() + 5
    while not sim.requests:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert not sim.last.wait_hung_up(0.02)
    closed = time.monotonic()
    connection.close()
    assert sim.last.wait_hung_up(1)
    assert sim.last.hung_up is not None
    assert -MAX_NOTICE_DELAY < sim.last.hung_up - closed < MAX_NOTICE_DELAY


def test_a_complete_answer_is_no_disconnect(complete: Complete, sim: Simulator) -> None:
    """Neither reading to the end nor a close by the server is recorded as a disconnect."""
    complete("Hello", stream=True)
    sim.script(Script(None), Script(json={}))
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{sim.base_url}/chat/completions")
    httpx.post(f"{sim.base_url}/chat/completions")
    assert [request.hung_up for request in sim.requests] == [None] * 3
    assert not sim.last.wait_hung_up(0.01)
