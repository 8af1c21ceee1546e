"""The FastAPI example behind a real server: complete streams, errors, and disconnects."""

from __future__ import annotations

import http.client
import importlib.util
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from onerouter_simulator import Script, Simulator, chunk, failure
from tests.integration.servers import Server, free_port, is_healthy, running, wait_until

pytestmark = pytest.mark.timeout(180)  # the first test waits for the server

EXAMPLES = Path(__file__).parents[2] / "examples"
TIMEOUT = 5.0  # seconds for the simulator to see a disconnect


@pytest.fixture(scope="session")
def app(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the example, with the simulator as its gateway."""
    if importlib.util.find_spec("fastapi") is None:
        pytest.skip("fastapi is not installed: make integration installs it")
    port, log = free_port(), tmp_path_factory.mktemp("app") / "log"
    server = Server("app", f"http://127.0.0.1:{port}", "", "", log)
    command = [
        *(sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "--port", str(port)),
        "fastapi_stream:app",
    ]
    env = {
        "ONEROUTER_BASE_URL": simulator.base_url,
        "ONEROUTER_API_KEY": simulator.api_key,
        "ONEROUTER_MODEL": "simulated/echo",
    }
    with running(command, log, lambda: is_healthy(f"{server.root}/docs"), env):
        yield server


@contextmanager
def open_chat(app: Server) -> Iterator[http.client.HTTPConnection]:
    """Send the message "Hello", and close the connection at the end of the block."""
    connection = http.client.HTTPConnection("127.0.0.1", int(app.root.rpartition(":")[2]))
    body = json.dumps({"text": "Hello"})
    connection.request("POST", "/chat", body, {"content-type": "application/json"})
    try:
        yield connection
    finally:
        connection.close()


def read_events(app: Server) -> list[tuple[str, str]]:
    """Send the message, read to the end, and return the name and the data of each event."""
    with open_chat(app) as connection:
        response = connection.getresponse()
        assert response.headers["content-type"].startswith("text/event-stream")
        blocks = response.read().decode().strip().split("\n\n")
    events = [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]
    return [(event.get("event", ""), json.loads(event["data"])) for event in events]


def test_the_answer_is_streamed_in_several_events(app: Server, sim: Simulator) -> None:
    """The data of all events are the answer."""
    events = read_events(app)
    assert "".join(text for _, text in events) == "You said: Hello"
    assert len([text for _, text in events if text]) > 1


def test_a_cut_stream_ends_with_an_error_event(app: Server, sim: Simulator) -> None:
    """The event describes the error and shows no secret."""
    sim.script(Script(events=[chunk("Hel")], end="cut"))
    events = read_events(app)
    assert events[0] == ("", "Hel")
    assert events[-1][0] == "error"
    assert "stream" in events[-1][1]
    assert sim.api_key not in str(events)


def test_a_rejected_request_is_one_error_event(app: Server, sim: Simulator) -> None:
    """The error is the only event."""
    sim.script(failure(400, "out of my range"))
    ((name, data),) = read_events(app)
    assert (name, "out of my range" in data) == ("error", True)


def test_a_disconnect_within_the_stream_reaches_the_gateway(app: Server, sim: Simulator) -> None:
    """The gateway sees the disconnect while it sends nothing."""
    sim.script(Script(events=[chunk("Hel"), chunk("lo")], end="hang"))
    with open_chat(app) as connection:
        assert b"Hel" in connection.getresponse().readline()
        assert sim.last.hung_up is None
    assert sim.last.wait_hung_up(TIMEOUT)


def test_a_disconnect_before_the_first_event_reaches_the_gateway(
    app: Server, sim: Simulator
) -> None:
    """The gateway sees the disconnect before it has sent anything."""
    sim.script(Script(delay=60))
    with open_chat(app):
        wait_until(lambda: sim.requests, TIMEOUT)
    assert sim.last.wait_hung_up(TIMEOUT)
