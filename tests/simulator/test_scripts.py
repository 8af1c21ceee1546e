"""Scripts: exact replies, and every way in which a connection can end, over a real socket."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import httpx
import pytest

from onerouter_simulator import Script, Simulator, chunk, completion, failure, tool_call
from tests.simulator.conftest import Ask

Post: TypeAlias = Callable[..., httpx.Response]
Open: TypeAlias = Callable[[], socket.socket]

# How soon a hang-up is noticed and how late a pause may end, on a busy machine. It is about 1 ms.
PROMPT = 0.2
SLACK = 0.3


@pytest.fixture
def wire(sim: Simulator) -> Iterator[Open]:
    """Post a chat completion over a bare socket."""
    opened: list[socket.socket] = []
    host, port = sim.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\n{{}}"

    def post() -> socket.socket:
        connection = socket.create_connection((host, int(port)), timeout=5)
        connection.sendall(head.encode())
        opened.append(connection)
        return connection

    yield post
    for connection in opened:
        connection.close()


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def body_of(response: bytes) -> bytes:
    """Return what follows the head."""
    return response.partition(b"\r\n\r\n")[2]


# --- bodies -------------------------------------------------------------------------------------


def test_a_script_is_said_once_then_the_rules_answer_again(ask: Ask, sim: Simulator) -> None:
    """Scripts wait in line, one for each chat completion."""
    sim.script(Script(json=completion("One")), Script(json=completion("Two")))
    replies = [ask("Hello")["choices"][0]["message"]["content"] for _ in range(3)]
    assert replies == ["One", "Two", "You said: Hello"]


def test_a_script_asks_for_no_key_and_no_valid_request(sim: Simulator) -> None:
    """Exact replies are given to whatever is posted; other paths use none up."""
    sim.script(Script(json=7))
    assert httpx.get(f"{sim.base_url}/models").json()["success"]
    assert httpx.post(f"{sim.base_url}/chat/completions", content=b"?").json() == 7


def test_clear_forgets_scripts_and_requests(ask: Ask, sim: Simulator) -> None:
    """After `clear` the rules answer and nothing is recorded."""
    sim.script(Script(json=completion("One")))
    sim.clear()
    assert ask("Hello")["choices"][0]["message"]["content"] == "You said: Hello"
    sim.clear()
    assert sim.requests == []


@pytest.mark.parametrize(
    ("script", "head", "body"),
    [
        (Script(json={"a": "ü"}), (200, "application/json"), '{"a":"ü"}'),
        (Script(json=None), (200, "application/json"), "null"),
        (Script(502, body="Bad gateway"), (502, "text/plain; charset=utf-8"), "Bad gateway"),
        (Script(body=b"<p>", content_type="text/html"), (200, "text/html"), "<p>"),
        (Script(500), (500, "text/plain; charset=utf-8"), ""),
        (
            Script(events=[{"a": 1}, "b", b": hush\n\n", "[DONE]"]),
            (200, "text/event-stream"),
            'data: {"a":1}\n\ndata: b\n\n: hush\n\ndata: [DONE]\n\n',
        ),
        (Script(events=["b"]), (200, "text/event-stream"), "data: b\n\ndata: [DONE]\n\n"),
        (Script(events=["b"], done=False), (200, "text/event-stream"), "data: b\n\n"),
        (Script(events=[]), (200, "text/event-stream"), "data: [DONE]\n\n"),
        (Script(body="abc", split=2), (200, "text/plain; charset=utf-8"), "abc"),
    ],
)
def test_a_body_is_given_in_one_of_three_ways(
    post: Post, sim: Simulator, script: Script, head: tuple[int, str], body: str
) -> None:
    """JSON, text or bytes, events; each with its content type."""
    sim.script(script)
    reply = post()
    assert (reply.status_code, reply.headers["content-type"]) == head
    assert reply.text == body
    assert reply.headers["x-simulated"] == "true"


def test_headers_of_a_script_win(post: Post, sim: Simulator) -> None:
    """A script may set any header, also those that every reply has."""
    sim.script(Script(429, headers={"Retry-After": "2", "X-Infron-Request-Id": "mine"}))
    reply = post()
    assert reply.headers["retry-after"] == "2"
    assert reply.headers["x-infron-request-id"] == "mine"


@pytest.mark.parametrize(
    "wrong",
    [{"json": 1, "body": ""}, {"body": b"", "events": []}, {"end": "melt"}, {"split": 0}],
)
def test_a_script_that_contradicts_itself_is_refused(wrong: Any) -> None:
    """One body, a known end, packets of at least one byte."""
    with pytest.raises(ValueError, match=r"script|split"):
        Script(**wrong)


def test_what_is_no_script_is_refused(sim: Simulator) -> None:
    """At once, and not when the client has waited for it."""
    with pytest.raises(TypeError, match="not a dict"):
        sim.script(completion("Hi"))
    with pytest.raises(TypeError, match="a status is a number"):
        failure("429", "Slow down")
    with pytest.raises(ValueError, match="0 characters"):
        Simulator(chunk_size=0)
    with pytest.raises(LookupError, match="no request has come"):
        _ = sim.last


def test_the_helpers_build_gateway_shaped_bodies(ask: Ask, sim: Simulator) -> None:
    """The SDK reads what they make, streamed and whole."""
    call = tool_call("search", {"q": "x"})
    sim.script(
        Script(json=completion(None, message={"tool_calls": [call]}, finish_reason="tool_calls")),
        Script(
            events=[
                chunk("Hel"),
                chunk("lo", provider="simulated/us"),
                chunk({"tool_calls": [tool_call("f", "{}", "c2", index=0)]}),
                chunk({}, finish_reason="stop"),
                chunk(usage=None, cost=0.5),
            ]
        ),
    )
    whole = ask("Hello")
    assert whole["choices"][0]["message"]["tool_calls"] == [call]
    assert json.loads(call["function"]["arguments"]) == {"q": "x"}
    assert whole["usage"]["total_tokens"] == 12
    chunks = ask("Hello", stream=True)
    assert [one["choices"][0]["delta"].get("content") for one in chunks[:2]] == ["Hel", "lo"]
    assert chunks[1]["provider"] == "simulated/us"
    assert chunks[2]["choices"][0]["delta"]["tool_calls"][0]["index"] == 0
    assert chunks[3]["choices"][0]["finish_reason"] == "stop"
    assert (chunks[4]["choices"], chunks[4]["cost"]) == ([], 0.5)


def test_a_failure_has_the_shape_of_the_gateways_errors(post: Post, sim: Simulator) -> None:
    """Status, message, and whatever fields are given."""
    sim.script(failure(429, "Slow down", code="rate"), failure(400, "No", type="BadRequestError"))
    reply = post()
    assert reply.status_code == 429
    expected = {"message": "Slow down", "type": "infron_ai_error", "code": "rate"}
    assert reply.json() == {"error": expected}
    assert post().json()["error"]["type"] == "BadRequestError"


# --- time and packets ---------------------------------------------------------------------------


def test_packets_are_really_sent_one_by_one(wire: Open, sim: Simulator) -> None:
    """With `split` the byte stream is cut anew, and each packet can be read alone."""
    sim.script(Script(events=["ab", "c"], split=7, chunk_delay=0.01))
    connection = wire()
    reads = [connection.recv(65536)]
    while not reads[-1].endswith(b"0\r\n\r\n"):
        reads.append(connection.recv(65536))
    pieces = body_of(b"".join(reads)).split(b"\r\n")
    assert pieces[0:-3:2] == [b"7", b"7", b"7", b"7", b"5"]
    assert b"".join(pieces[1:-3:2]) == b"data: ab\n\ndata: c\n\ndata: [DONE]\n\n"
    assert len(reads) >= 5


def test_a_pause_ends_a_packet(wire: Open, sim: Simulator) -> None:
    """Numbers among events are pauses, also where the stream is split."""
    sim.script(Script(events=[0.01, b"abc", 0.1, b"d"], done=False, split=2))
    connection, started, arrived = wire(), time.monotonic(), {}
    received = b""
    while not received.endswith(b"0\r\n\r\n"):
        received += connection.recv(65536)
        for letter in (b"c", b"d"):
            if b"\r\n" + letter + b"\r\n" in received:
                arrived.setdefault(letter, time.monotonic() - started)
    assert arrived[b"d"] - arrived[b"c"] > 0.08
    assert arrived[b"d"] < 0.1 + SLACK


def test_delays_before_the_head_and_between_packets(post: Post, sim: Simulator) -> None:
    """`delay` holds the head back, `chunk_delay` every packet but the first."""
    sim.script(Script(events=["a", "b"], delay=0.05, chunk_delay=0.02))
    started = time.monotonic()
    post()
    assert 0.09 <= time.monotonic() - started < 0.09 + SLACK


def test_the_simulators_own_delay() -> None:
    """`delay` slows answers by rule down, whole and streamed."""
    with Simulator(delay=0.02, chunk_size=100) as sim:
        body = {"model": "a/b", "messages": [{"role": "user", "content": "Hi"}]}
        headers = {"authorization": f"Bearer {sim.api_key}"}
        for stream, pause in ((False, 0.02), (True, 0.08)):
            started = time.monotonic()
            url = f"{sim.base_url}/chat/completions"
            httpx.post(url, headers=headers, json=body | {"stream": stream})
            assert time.monotonic() - started >= pause


# --- ends ---------------------------------------------------------------------------------------


def test_a_cut_sends_everything_but_the_end(wire: Open, sim: Simulator) -> None:
    """The connection closes in mid-body, without an error and without `[DONE]`."""
    sim.script(Script(events=["a", "b"], end="cut"))
    response = read_all(wire())
    assert b"transfer-encoding: chunked" in response.lower()
    assert body_of(response) == b"9\r\ndata: a\n\n\r\n9\r\ndata: b\n\n\r\n"


def test_a_cut_is_an_error_for_a_client(post: Post, sim: Simulator) -> None:
    """HTTP clients see that the body is not whole, also where it is JSON."""
    sim.script(Script(json={}, end="cut"))
    with pytest.raises(httpx.RemoteProtocolError):
        post()


def test_an_announced_length_can_be_cut_too(wire: Open, sim: Simulator) -> None:
    """A script may promise more bytes than it sends."""
    sim.script(Script(body="abc", headers={"Content-Length": "9"}, end="cut"))
    response = read_all(wire())
    assert b"content-length: 9" in response
    assert body_of(response) == b"abc"


def test_a_reset_comes_after_what_was_sent(wire: Open, sim: Simulator) -> None:
    """RST instead of FIN, once the client could read."""
    sim.script(Script(events=["a"], end="reset"))
    connection, received = wire(), []
    with pytest.raises(ConnectionResetError):
        received.extend(iter(lambda: connection.recv(65536), b""))
    assert b"data: a\n\n" in b"".join(received)


def test_nothing_but_a_reset(wire: Open, sim: Simulator) -> None:
    """`status=None` and a reset: no head, no body."""
    sim.script(Script(status=None, end="reset"))
    with pytest.raises(ConnectionResetError):
        wire().recv(65536)


@pytest.mark.parametrize("end", ["close", "cut"])
def test_nothing_but_a_close(wire: Open, sim: Simulator, end: Any) -> None:
    """`status=None`: the connection closes, after the delay, before any head."""
    sim.script(Script(status=None, end=end, delay=0.05))
    connection, started = wire(), time.monotonic()
    assert connection.recv(65536) == b""
    assert time.monotonic() - started >= 0.04


@pytest.mark.parametrize("script", [Script(events=["a"], end="hang"), Script(None, end="hang")])
def test_a_hanging_reply_stays_open(wire: Open, sim: Simulator, script: Script) -> None:
    """Nothing more comes, and the connection is not closed."""
    sim.script(script)
    connection = wire()
    connection.settimeout(0.1)
    with pytest.raises(TimeoutError):
        read_all(connection)


@pytest.mark.parametrize(
    "script",
    [
        Script(json={}, delay=30),
        Script(events=["a", 30.0, "b"]),
        Script(events=["a", "b"], chunk_delay=30),
        Script(events=["a"], end="hang"),
        Script(None, end="hang"),
    ],
    ids=["before-head", "pause", "chunk-delay", "hang", "nothing"],
)
def test_a_client_that_leaves_is_noticed_at_once(
    wire: Open, sim: Simulator, script: Script
) -> None:
    """Whatever the server is waiting for, the request knows when its client hung up."""
    sim.script(script)
    connection = wire()
    deadline = time.monotonic() + 5
    while not sim.requests:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert not sim.last.wait_hung_up(0.02)
    left = time.monotonic()
    connection.close()
    assert sim.last.wait_hung_up(1)
    assert sim.last.hung_up is not None
    assert -PROMPT < sim.last.hung_up - left < PROMPT


def test_a_client_that_stays_has_not_hung_up(ask: Ask, sim: Simulator) -> None:
    """An answer read to its end leaves no mark, nor does a connection that the script ends."""
    ask("Hello", stream=True)
    sim.script(Script(None), Script(json={}))
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{sim.base_url}/chat/completions")
    httpx.post(f"{sim.base_url}/chat/completions")
    assert [received.hung_up for received in sim.requests] == [None] * 3
    assert not sim.last.wait_hung_up(0.01)
