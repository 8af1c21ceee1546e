"""LangSmith traces of our calls: their payloads, captured on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

import pytest
from langchain_core.runnables import Runnable
from langchain_core.tracers import LangChainTracer
from langsmith import Client

from langchain_onerouter import ChatOneRouter
from onerouter_core import OneRouterError
from onerouter_simulator import Simulator, failure
from tests.langchain.conftest import Async, Mode, Sync

CallTraced: TypeAlias = Callable[..., dict[str, Any]]
KEY, HEADER, CALL_KEY = "sk-canary-key", "canary-header", "sk-canary-per-call"


class LangSmith(ThreadingHTTPServer):
    """The part of LangSmith's API that receives runs; `received` is one JSON body per line."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), RunsHandler)
        self.received = b""

    @property
    def url(self) -> str:
        """The server's URL."""
        return f"http://127.0.0.1:{self.server_port}"

    def runs(self) -> dict[str, dict[str, Any]]:
        """Return the runs by their id; a run is sent at its start and at its end."""
        runs: dict[str, dict[str, Any]] = {}
        for run in map(json.loads, self.received.splitlines()):
            fields = {name: value for name, value in run.items() if value is not None}
            runs.setdefault(run["id"], {}).update(fields)
        return runs


class RunsHandler(BaseHTTPRequestHandler):
    """Handler of the requests to LangSmith."""

    server: LangSmith

    def do_POST(self) -> None:
        """Store the start of a run."""
        self.server.received += self.rfile.read(int(self.headers["content-length"])) + b"\n"
        self.send_response(202)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_PATCH(self) -> None:
        """Store the end of a run."""
        self.do_POST()

    def log_message(self, *_: Any) -> None:
        """Write no log."""


@pytest.fixture
def langsmith() -> Iterator[LangSmith]:
    """Run the LangSmith server."""
    with LangSmith() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(langsmith: LangSmith) -> Iterator[Client]:
    """Provide LangSmith's client; it sends each run at once, at its start and at its end."""
    client = Client(api_url=langsmith.url, api_key="lsv2-test", info={}, auto_batch_tracing=False)
    yield client
    client.cleanup()


@pytest.fixture(params=[Sync(), Async()], ids=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Run a test sync and async."""
    return request.param


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Run a simulator that accepts one key."""
    with Simulator(api_key=KEY) as simulator:
        yield simulator


@pytest.fixture
def llm(client: Client, simulator: Simulator) -> Iterator[ChatOneRouter]:
    """Provide a traced model with a secret in its key and in its headers."""
    with ChatOneRouter(
        model="simulated/echo",
        base_url=simulator.base_url,
        api_key=KEY,
        default_headers={"X-Secret": HEADER},
        callbacks=[LangChainTracer(client=client)],
    ) as model:
        yield model


@pytest.fixture(params=["invoke", "stream"])
def call_traced(
    request: pytest.FixtureRequest, langsmith: LangSmith, client: Client, mode: Mode
) -> CallTraced:
    """Provide a function that calls a runnable and returns its run as LangSmith has it."""

    def call(runnable: Runnable, text: str, **options: Any) -> dict[str, Any]:
        with suppress(OneRouterError):
            getattr(mode, request.param)(runnable, text, **options)
        (run,) = (run for run in langsmith.runs().values() if run["run_type"] == "llm")
        return run

    return call


def message_of(run: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the message in a run."""
    ((generation,),) = run["outputs"]["generations"]
    message: dict[str, Any] = generation["message"]["kwargs"]
    return message


def test_a_run_has_model_provider_text_usage_and_cost(
    llm: ChatOneRouter, call_traced: CallTraced
) -> None:
    """LangSmith calculates a price from the model and the usage."""
    run = call_traced(llm, "Hello")
    message, metadata = message_of(run), run["extra"]["metadata"]
    assert (metadata["ls_provider"], metadata["ls_model_name"]) == ("onerouter", "simulated/echo")
    assert message["content"] == "You said: Hello"
    usage = message["usage_metadata"]
    assert usage["input_tokens"] + usage["output_tokens"] == usage["total_tokens"] > 0
    assert message["response_metadata"]["cost"] > 0


def test_a_run_has_the_tools_and_the_tool_call(llm: ChatOneRouter, call_traced: CallTraced) -> None:
    """The tools are in the invocation parameters, the call in the message."""

    def get_weather(city: str) -> str:
        """Tell the weather of a city."""
        return f"sunny in {city}"

    run = call_traced(llm.bind_tools([get_weather]), "get_weather in 'Oslo'")
    (call,) = message_of(run)["tool_calls"]
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Oslo"})
    (tool,) = run["extra"]["invocation_params"]["tools"]
    assert tool["function"]["name"] == "get_weather"


def test_a_failed_run_has_the_error(
    llm: ChatOneRouter, simulator: Simulator, call_traced: CallTraced
) -> None:
    """The class of the error and the message of the gateway."""
    simulator.script(failure(400, "out of my range"))
    error = call_traced(llm, "Hello")["error"]
    assert "InvalidRequestError" in error
    assert "out of my range" in error


def test_a_run_has_no_secret(
    llm: ChatOneRouter, simulator: Simulator, langsmith: LangSmith, call_traced: CallTraced
) -> None:
    """Keys and headers of the constructor and of a call reach the gateway, but not LangSmith."""
    call_traced(llm, "Hello", api_key=CALL_KEY, extra_headers={"X-Call": HEADER})
    sent = simulator.last.headers
    assert sent["authorization"] == f"Bearer {CALL_KEY}"
    assert (sent["x-secret"], sent["x-call"]) == (HEADER, HEADER)
    for secret in (KEY, CALL_KEY, HEADER):
        assert secret.encode() not in langsmith.received
