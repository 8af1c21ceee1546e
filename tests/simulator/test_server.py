"""The server: start, stop, restart, arguments, and many requests at once."""

from __future__ import annotations

import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from onerouter_simulator import Script, Simulator, completion
from tests.simulator.conftest import authorization, complete_sync

THREAD_NAME = "onerouter-simulator"


def count_threads() -> int:
    """Return the number of threads of running simulators."""
    return sum(thread.name == THREAD_NAME for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"failing": -0.1}, "failing must be a share of requests from 0 to 1, not -0.1"),
        ({"failing": 1.1}, "failing must be a share of requests from 0 to 1, not 1.1"),
        ({"port": 65536}, "port must be from 0 to 65535, not 65536"),
        ({"port": -1}, "port must be from 0 to 65535, not -1"),
        ({"chunk_size": 0}, "chunk_size must be at least 1 character, not 0"),
    ],
)
def test_an_argument_out_of_its_range_is_an_error(arguments: Any, message: str) -> None:
    """The constructor raises, with the name and the value."""
    with pytest.raises(ValueError, match=message):
        Simulator(**arguments)


def test_a_queued_object_that_is_no_script_is_an_error(sim: Simulator) -> None:
    """`script` raises at once, not when the client waits for its answer."""
    with pytest.raises(TypeError, match=r"takes a Script\(...\) or a failure\(...\), not a dict"):
        sim.script(completion("Hi"))  # type: ignore[arg-type]


def test_last_raises_if_no_request_was_received(sim: Simulator) -> None:
    """The error is a LookupError."""
    with pytest.raises(LookupError, match="has received no request"):
        _ = sim.last


def test_start_and_stop_take_a_fraction_of_a_second() -> None:
    """After the stop no thread is left."""
    before = count_threads()
    started = time.monotonic()
    with Simulator() as sim:
        running = time.monotonic()
        assert count_threads() == before + 1
        complete_sync(sim, "Hello")
        stopping = time.monotonic()
    assert running - started < 0.3
    assert time.monotonic() - stopping < 0.5
    assert count_threads() == before


def test_stop_closes_open_streams(caplog: pytest.LogCaptureFixture) -> None:
    """A stream that hangs is closed, its client has not hung up, and nothing is logged."""
    caplog.set_level(logging.DEBUG)
    with Simulator() as sim, httpx.Client() as client:
        sim.script(Script(events=["a"], end="hang"))
        with client.stream("POST", f"{sim.base_url}/chat/completions") as reply:
            lines = reply.iter_lines()
            assert next(lines) == "data: a"
            stopping = time.monotonic()
            sim.stop()
            assert time.monotonic() - stopping < 0.5
            with pytest.raises(httpx.TransportError):
                list(lines)
        assert sim.last.hung_up is None
    assert not [record for record in caplog.records if "uvicorn" in record.name]


def test_a_simulator_can_be_restarted() -> None:
    """Repeated calls of start and stop do no harm; the recorded requests stay."""
    sim = Simulator()
    with pytest.raises(RuntimeError, match="not running"):
        sim.base_url  # noqa: B018 - reading the property is under test
    for _ in range(2):
        assert sim.start() is sim.start()
        complete_sync(sim, "Hello")
        sim.stop()
        sim.stop()
    assert len(sim.requests) == 2


def test_two_simulators_have_their_own_port_and_key() -> None:
    """Each records its own requests."""
    with Simulator() as first, Simulator(api_key="sk-other") as second:
        assert first.base_url != second.base_url
        assert (first.api_key, second.api_key) == ("sk-simulated", "sk-other")
        complete_sync(second, "Hello")
        assert (len(first.requests), len(second.requests)) == (0, 1)


def test_a_port_can_be_chosen_and_must_be_free() -> None:
    """The URL has the port; a second server on it is an OSError."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with Simulator(port=port) as sim:
        assert sim.base_url == f"http://127.0.0.1:{port}/v1"
        with pytest.raises(OSError, match="in use"):
            Simulator(port=port).start()


def test_delay_slows_answers_and_streams() -> None:
    """A complete answer waits once; a stream waits once per chunk and for `[DONE]`."""
    with Simulator(delay=0.02, chunk_size=100) as sim:
        body = {"model": "a/b", "messages": [{"role": "user", "content": "Hi"}]}
        url = f"{sim.base_url}/chat/completions"
        for stream, seconds in ((False, 0.02), (True, 0.08)):
            started = time.monotonic()
            httpx.post(url, headers=authorization(sim), json=body | {"stream": stream})
            assert time.monotonic() - started >= seconds


def test_requests_of_many_threads_are_all_answered(sim: Simulator) -> None:
    """Each thread gets the answer to its own request, and all are recorded."""
    prompts = [f"Number {number}" for number in range(48)]
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda prompt: complete_sync(sim, prompt, stream=True), prompts))
    texts = [
        "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
        for chunks in replies
    ]
    assert texts == [f"You said: {prompt}" for prompt in prompts]
    assert len(sim.requests) == 48
