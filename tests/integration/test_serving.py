"""The FastAPI example behind a real server: a browser that stays, and one that leaves."""

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
from tests.integration.servers import Server, answers, free_port, running, set_read_deadline

pytestmark = pytest.mark.timeout(180)  # the first test waits for the server

EXAMPLES = Path(__file__).parents[2] / "examples"
SOON = 5.0


@pytest.fixture(scope="session")
def app(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the example, whose gateway is the simulator."""
    if importlib.util.find_spec("fastapi") is None:
        pytest.skip("no fastapi here: make integration installs it")
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
    with running(command, log, lambda: answers(f"{server.root}/docs"), env):
        yield server


@contextmanager
def browser(app: Server) -> Iterator[http.client.HTTPConnection]:
    """Ask "Hello", and leave at the end of the block."""
    connection = http.client.HTTPConnection("127.0.0.1", int(app.root.rpartition(":")[2]))
    body = json.dumps({"text": "Hello"})
    connection.request("POST", "/chat", body, {"content-type": "application/json"})
    try:
        yield connection
    finally:
        connection.close()


def read(app: Server) -> list[tuple[str, str]]:
    """Stay to the end, and return the events: name and data."""
    with browser(app) as connection:
        answer = connection.getresponse()
        assert answer.headers["content-type"].startswith("text/event-stream")
        blocks = answer.read().decode().strip().split("\n\n")
    events = [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]
    return [(event.get("event", ""), json.loads(event["data"])) for event in events]


def test_a_browser_that_stays(app: Server, sim: Simulator) -> None:
    """It reads the answer as it grows."""
    events = read(app)
    assert "".join(text for _, text in events) == "You said: Hello"
    assert len([text for _, text in events if text]) > 1


def test_an_answer_that_fails(app: Server, sim: Simulator) -> None:
    """The browser is told, and of no secret."""
    sim.script(Script(events=[chunk("Hel")], end="cut"))
    events = read(app)
    assert events[0] == ("", "Hel")
    assert events[-1][0] == "error"
    assert "stream" in events[-1][1]
    assert sim.api_key not in str(events)


def test_a_question_that_is_refused(app: Server, sim: Simulator) -> None:
    """The error is the only event."""
    sim.script(failure(400, "out of my range"))
    ((name, said),) = read(app)
    assert (name, "out of my range" in said) == ("error", True)


def test_a_browser_that_leaves(app: Server, sim: Simulator) -> None:
    """The gateway sees the hang-up though it has nothing to say at that moment."""
    sim.script(Script(events=[chunk("Hel"), chunk("lo")], end="hang"))
    with browser(app) as connection:
        assert b"Hel" in connection.getresponse().readline()
        assert sim.last.hung_up is None
    assert sim.last.wait_hung_up(SOON)


def test_a_browser_that_does_not_wait(app: Server, sim: Simulator) -> None:
    """So it does when the first word is still to come."""
    sim.script(Script(delay=60))
    with browser(app):
        set_read_deadline(lambda: sim.requests, SOON)
    assert sim.last.wait_hung_up(SOON)
