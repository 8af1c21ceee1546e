"""The request log: recorded requests, queued scripts, numbers."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from onerouter_simulator import RecordedRequest, Script, Simulator, completion
from onerouter_simulator.request_log import RequestLog
from tests.simulator.conftest import Complete


def test_a_request_is_recorded(complete: Complete, sim: Simulator) -> None:
    """Method, path, headers in lower case, JSON, bytes and the time of arrival."""
    started = time.monotonic()
    complete("Grüße", user="ada")
    recorded = sim.last
    assert isinstance(recorded, RecordedRequest)
    assert (recorded.method, recorded.path) == ("POST", "/v1/chat/completions")
    assert recorded.headers["authorization"] == "Bearer sk-simulated"
    assert recorded.body["user"] == "ada"
    assert recorded.body["messages"] == [{"role": "user", "content": "Grüße"}]
    assert b"ada" in recorded.raw
    assert started <= recorded.received_at <= time.monotonic()
    assert sim.requests == [recorded]


def test_requests_over_one_connection_have_the_same_port(
    http: httpx.Client, sim: Simulator
) -> None:
    """The port is the client's, not the server's."""
    http.get("/models")
    http.get("/models")
    httpx.get(f"{sim.base_url}/models")
    first, second, other = [request.port for request in sim.requests]
    assert first == second != other
    assert f":{first}/" not in sim.base_url


def test_a_request_without_json_has_no_body(http: httpx.Client, sim: Simulator) -> None:
    """GET requests, unknown paths and broken JSON are recorded too, in the order of arrival."""
    http.get("/models")
    http.get("/nowhere")
    http.post("/chat/completions", content=b"{")
    paths = ["/v1/models", "/v1/nowhere", "/v1/chat/completions"]
    assert [request.path for request in sim.requests] == paths
    assert [request.body for request in sim.requests] == [None] * 3


def test_changes_to_a_body_are_not_recorded(complete: Complete, sim: Simulator) -> None:
    """The body is parsed again on each access, and the list of requests is a copy."""
    complete("Hello")
    sim.last.body["model"] = "changed"
    sim.requests.clear()
    assert sim.last.body["model"] == "simulated/echo"


def test_each_script_is_used_once_then_the_rules_answer(complete: Complete, sim: Simulator) -> None:
    """Scripts are used in the order in which they were queued."""
    sim.script(Script(json=completion("One")), Script(json=completion("Two")))
    texts = [complete("Hello")["choices"][0]["message"]["content"] for _ in range(3)]
    assert texts == ["One", "Two", "You said: Hello"]


def test_clear_removes_scripts_and_requests(complete: Complete, sim: Simulator) -> None:
    """After `clear` the rules answer, and no request is recorded."""
    sim.script(Script(json=completion("One")))
    sim.clear()
    assert complete("Hello")["choices"][0]["message"]["content"] == "You said: Hello"
    sim.clear()
    assert sim.requests == []


def test_hang_up_sets_the_time_and_ends_the_wait() -> None:
    """Before, `hung_up` is None and the wait times out."""
    request = RecordedRequest("GET", "/", {}, b"")
    assert request.hung_up is None
    assert not request.wait_hung_up(0)
    started = time.monotonic()
    request.hang_up()
    assert request.wait_hung_up(0)
    assert request.hung_up is not None
    assert started <= request.hung_up <= time.monotonic()


@pytest.mark.parametrize(
    ("raw", "body"), [(b"7", 7), (b"null", None), (b"", None), (b"\xff", None), (b"{", None)]
)
def test_the_body_is_the_json_of_the_bytes(raw: bytes, body: object) -> None:
    """Bytes that are not JSON give None."""
    assert RecordedRequest("POST", "/", {}, raw).body == body


def test_numbers_are_unique_across_threads_and_restart_after_clear() -> None:
    """Each answered request gets the next number, from 1."""
    log = RequestLog()
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: log.next_number(), range(200)))
    assert sorted(numbers) == list(range(1, 201))
    log.clear()
    assert log.next_number() == 1
    assert log.take_script() is None
