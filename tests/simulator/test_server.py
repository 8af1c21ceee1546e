"""The server: starting, stopping, recording, and the paths besides chat completions."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import onerouter_simulator
from onerouter_simulator import Script, Simulator
from onerouter_simulator.__main__ import FOREVER, main
from tests.simulator.conftest import Ask, ask_sync

THREAD = "onerouter-simulator"


def threads() -> int:
    """Count the threads of running simulators."""
    return sum(thread.name == THREAD for thread in threading.enumerate())


def test_the_door() -> None:
    """`__all__` is sorted and complete, and the docstring holds the rules."""
    names = onerouter_simulator.__all__
    assert names == sorted(names)
    assert all(hasattr(onerouter_simulator, name) for name in names)
    assert "max_tokens" in (onerouter_simulator.__doc__ or "")


@pytest.mark.parametrize(("share", "failed"), [(0.3, [4, 7, 10]), (0, []), (1, list(range(1, 11)))])
def test_a_share_of_requests_fails(share: float, failed: list[int]) -> None:
    """The same requests of every ten; what is invalid or scripted does not count."""
    with Simulator(failing=share) as sim, httpx.Client(headers=get_api_key(sim)) as client:
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


def get_api_key(sim: Simulator) -> dict[str, str]:
    """Return the header that lets in."""
    return {"authorization": f"Bearer {sim.api_key}"}


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_no_such_share(share: float) -> None:
    """Fewer than none and more than all are refused at once."""
    with pytest.raises(ValueError, match="share"):
        Simulator(failing=share)


def test_it_starts_and_stops_fast() -> None:
    """Both are done in a fraction of a second, and no thread is left."""
    before = threads()
    started = time.monotonic()
    with Simulator() as sim:
        running = time.monotonic()
        assert threads() == before + 1
        ask_sync(sim, "Hello")
        leaving = time.monotonic()
    assert running - started < 0.3
    assert time.monotonic() - leaving < 0.5
    assert threads() == before


def test_it_stops_fast_with_open_streams(caplog: pytest.LogCaptureFixture) -> None:
    """Streams that hang are closed, their clients are not blamed, and nothing is logged."""
    caplog.set_level(logging.DEBUG)
    with Simulator() as sim, httpx.Client() as client:
        sim.script(Script(events=["a"], end="hang"))
        with client.stream("POST", f"{sim.base_url}/chat/completions") as reply:
            lines = reply.iter_lines()
            assert next(lines) == "data: a"
            leaving = time.monotonic()
            sim.stop()
            assert time.monotonic() - leaving < 0.5
            with pytest.raises(httpx.TransportError):
                list(lines)
        assert sim.last.hung_up is None
    assert not [record for record in caplog.records if "uvicorn" in record.name]


def test_it_can_be_started_again() -> None:
    """Start and stop may be called as often as one likes; what was recorded stays."""
    sim = Simulator()
    with pytest.raises(RuntimeError, match="not running"):
        sim.base_url  # noqa: B018 - reading it is the point
    for _ in range(2):
        assert sim.start() is sim.start()
        ask_sync(sim, "Hello")
        sim.stop()
        sim.stop()
    assert len(sim.requests) == 2


def test_each_has_its_own_port_and_key() -> None:
    """Two simulators run side by side."""
    with Simulator() as one, Simulator(api_key="sk-other") as two:
        assert one.base_url != two.base_url
        assert (one.api_key, two.api_key) == ("sk-simulated", "sk-other")
        ask_sync(two, "Hello")
        assert (len(one.requests), len(two.requests)) == (0, 1)


def test_requests_are_recorded(ask: Ask, sim: Simulator) -> None:
    """Method, path, headers in lower case, the JSON and the bytes, in the order of arrival."""
    started = time.monotonic()
    ask("Grüße", user="ada")
    received = sim.last
    assert (received.method, received.path) == ("POST", "/v1/chat/completions")
    assert received.headers["authorization"] == "Bearer sk-simulated"
    assert received.body["user"] == "ada"
    assert received.body["messages"] == [{"role": "user", "content": "Grüße"}]
    assert b"ada" in received.raw
    assert started <= received.received_at <= time.monotonic()
    assert sim.requests == [received]


def test_a_request_without_json_has_no_body(http: httpx.Client, sim: Simulator) -> None:
    """GETs, wrong paths and broken JSON are recorded too."""
    http.get("/models")
    http.get("/nowhere")
    http.post("/chat/completions", content=b"{")
    paths = ["/v1/models", "/v1/nowhere", "/v1/chat/completions"]
    assert [one.path for one in sim.requests] == paths
    assert [one.body for one in sim.requests] == [None] * 3


def test_what_is_recorded_is_a_copy(ask: Ask, sim: Simulator) -> None:
    """A test that changes a body changes nothing but its own copy."""
    ask("Hello")
    sim.last.body["model"] = "changed"
    sim.requests.clear()
    assert sim.last.body["model"] == "simulated/echo"


def test_many_at_once(sim: Simulator) -> None:
    """Requests of many threads are all answered and all recorded."""
    with ThreadPoolExecutor(16) as pool:
        texts = [f"Number {number}" for number in range(48)]
        replies = list(pool.map(lambda text: ask_sync(sim, text, stream=True), texts))
    said = ["".join(c["choices"][0]["delta"].get("content", "") for c in r) for r in replies]
    assert said == [f"You said: {text}" for text in texts]
    assert len(sim.requests) == 48


def test_a_client_that_leaves_while_it_asks(sim: Simulator) -> None:
    """A request that never arrives whole is not recorded, and does no harm."""
    host, port = sim.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /v1/balance HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(1024)
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
        )
        time.sleep(0.02)
    time.sleep(0.02)
    assert [one.path for one in sim.requests] == ["/v1/balance"]


def test_the_catalogue_is_for_anybody(sim: Simulator) -> None:
    """The envelope has no `object`; the entries have the gateway's keys, numbers and oddities."""
    envelope = httpx.get(f"{sim.base_url}/models").json()
    assert set(envelope) == {"data", "success"}
    models = {entry["id"]: entry for entry in envelope["data"]}
    assert len(models) >= 6
    senses = models["simulated/senses"]
    assert "Text" in senses["input_modalities"]
    assert senses["providers"][0]["context_length"] < senses["context_length"]
    assert models["simulated/boundless:free"]["context_length"] is None
    assert models["simulated/boundless:free"]["min_prompt_price"] == 0
    assert models["simulated/embedding"]["category_type"] == "Embeddings"
    assert models["simulated/embedding"]["min_completion_price"] is None
    assert models["simulated/showroom"]["is_display_only"]
    assert all(entry["created"] == 1626777600 for entry in models.values())


def test_the_balance_needs_the_key(http: httpx.Client) -> None:
    """With the key it is told."""
    assert http.get("/balance").json() == {"account_name": "simulated", "credit_balance": 9.99}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/chat/completions"), ("POST", "/models"), ("GET", "/embeddings")]
)
def test_other_paths_and_methods_are_no_urls(http: httpx.Client, method: str, path: str) -> None:
    """A 404 in the gateway's shape."""
    reply = http.request(method, path)
    assert reply.status_code == 404
    assert reply.json()["error"]["message"].startswith(f"Invalid URL ({method} /v1{path})")


def test_every_reply_says_that_it_is_simulated(http: httpx.Client) -> None:
    """A header on all of them, with the id of the request beside it."""
    replies = [http.get(path) for path in ("/models", "/balance", "/nowhere")]
    assert {reply.headers["x-simulated"] for reply in replies} == {"true"}
    assert len({reply.headers["x-infron-request-id"] for reply in replies}) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_interrupted(number: int) -> None:
    """It prints what a client needs, answers, and ends quietly."""
    arguments = ["--port", "0", "--api-key", "sk-mine"]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and our own module
        [sys.executable, "-W", "error", "-m", "onerouter_simulator", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert "no model" in process.stdout.readline()
        base_url = process.stdout.readline().strip().removeprefix("ONEROUTER_BASE_URL=")
        assert process.stdout.readline() == "ONEROUTER_API_KEY=sk-mine\n"
        headers = {"authorization": "Bearer sk-mine"}
        assert httpx.get(f"{base_url}/balance", headers=headers).status_code == 200
        process.send_signal(number)
        assert process.communicate(timeout=5) == ("Stopped.\n", "")
        assert process.returncode == 0


def test_the_command_in_this_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Host and port can be chosen; an interrupt ends it."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    simulator = Simulator(port=port)
    with simulator:
        assert simulator.base_url == f"http://127.0.0.1:{port}/v1"
    monkeypatch.setattr(FOREVER, "wait", interrupt)
    main(["--port", "0", "--host", "127.0.0.1"])
    assert "ONEROUTER_BASE_URL=http://127.0.0.1:" in capsys.readouterr().out
    for wrong in (["--port", "99999"], ["--failing", "2"]):
        with pytest.raises(SystemExit):
            main(wrong)
        assert "python -m onerouter_simulator: error: " in capsys.readouterr().err
