"""The application: paths, API keys, failing requests, and the order of the steps."""

from __future__ import annotations

import re
import socket
import time
from datetime import datetime, timezone
from fractions import Fraction

import httpx
import pytest

from onerouter_simulator import Script, Simulator
from onerouter_simulator.app import new_request_id, should_fail
from tests.simulator.conftest import authorization


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "No token provided"),
        ("Bearer", "No token provided"),
        ("Basic abc", "No token provided"),
        ("Bearer wrong", "The token status is not available"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/chat/completions"), ("POST", "/embeddings"), ("GET", "/balance")],
)
def test_a_missing_or_wrong_key_is_a_401(
    http: httpx.Client, method: str, path: str, header: str | None, message: str
) -> None:
    """A missing and a wrong key have different messages; the key is checked before the body."""
    del http.headers["authorization"]
    headers = {} if header is None else {"authorization": header}
    reply = http.request(method, path, headers=headers, content=b"{")
    assert reply.status_code == 401
    assert reply.json()["error"] == {
        "message": f"{message} (request id: {reply.headers['x-infron-request-id']})",
        "type": "infron_ai_error",
    }


def test_the_balance_is_returned_with_the_key(http: httpx.Client) -> None:
    """GET /balance has a name and a sum."""
    assert http.get("/balance").json() == {"account_name": "simulated", "credit_balance": 9.99}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/chat/completions"), ("POST", "/models"), ("GET", "/embeddings")]
)
def test_an_unknown_path_or_method_is_a_404(http: httpx.Client, method: str, path: str) -> None:
    """The error body is the gateway's, also for a method that is not allowed."""
    reply = http.request(method, path)
    assert reply.status_code == 404
    assert reply.json()["error"]["message"].startswith(f"Invalid URL ({method} /v1{path})")


def test_a_script_is_sent_without_key_and_validation(sim: Simulator) -> None:
    """A queued script answers any chat completion; other paths do not use it."""
    sim.script(Script(json=7))
    assert httpx.get(f"{sim.base_url}/models").json()["success"]
    assert httpx.post(f"{sim.base_url}/chat/completions", content=b"?").json() == 7


@pytest.mark.parametrize(("share", "failed"), [(0.3, [4, 7, 10]), (0, []), (1, list(range(1, 11)))])
def test_a_share_of_valid_requests_fails(share: float, failed: list[int]) -> None:
    """The same requests of every ten fail; scripted and invalid requests do not count."""
    with Simulator(failing=share) as sim, httpx.Client(headers=authorization(sim)) as client:
        url = f"{sim.base_url}/chat/completions"
        body = {"model": "simulated/echo", "messages": [{"role": "user", "content": "Hello"}]}
        for _ in range(2):
            sim.clear()
            sim.script(Script(json={}))
            assert client.post(url, json={}).status_code == 200
            assert client.post(url, json={}).status_code == 400
            replies = [client.post(url, json=body) for _ in range(10)]
            assert [n for n, reply in enumerate(replies, 1) if reply.is_error] == failed
            errors = [reply.json()["error"]["type"] for reply in replies if reply.is_error]
            assert errors == ["infron_ai_error"] * len(failed)


@pytest.mark.parametrize("share", ["0.02", "0.1", "1/3"])
def test_failures_are_spread_evenly(share: str) -> None:
    """Of the first n requests, n * share fail, rounded down."""
    fraction = Fraction(share)
    failed = 0
    for number in range(1, 301):
        failed += should_fail(number, fraction)
        assert failed == int(number * fraction)


def test_a_request_id_has_time_digits_and_hex() -> None:
    """Twenty digits of UTC time, six more digits, eight hex characters; each id is different."""
    request_id = new_request_id()
    assert re.fullmatch(r"\d{26}[0-9a-f]{8}", request_id)
    created = datetime.strptime(request_id[:20], "%Y%m%d%H%M%S%f").replace(tzinfo=timezone.utc)
    assert abs((datetime.now(timezone.utc) - created).total_seconds()) < 5
    assert new_request_id() != request_id


def test_a_disconnect_within_the_request_is_not_recorded(sim: Simulator) -> None:
    """A request that never arrives completely is ignored, and the server goes on."""
    host, port = sim.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /v1/balance HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(1024)
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
        )
        time.sleep(0.02)
    time.sleep(0.02)
    assert [request.path for request in sim.requests] == ["/v1/balance"]
    assert httpx.get(f"{sim.base_url}/models").is_success
