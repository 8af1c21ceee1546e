"""What LangSmith is told of our calls: its payloads, captured on loopback."""

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
from tests.langchain.conftest import Async, Colour, Sync

Traced: TypeAlias = Callable[..., dict[str, Any]]
KEY, HEADER, LATER = "sk-canary-key", "canary-header", "sk-canary-per-call"


class LangSmith(ThreadingHTTPServer):
    """LangSmith as far as runs are sent to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Runs)
        self.told = b""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def runs(self) -> dict[str, dict[str, Any]]:
        """Return what is known of each run, by its id: how it began and how it ended."""
        known: dict[str, dict[str, Any]] = {}
        for run in map(json.loads, self.told.splitlines()):
            facts = {name: value for name, value in run.items() if value is not None}
            known.setdefault(run["id"], {}).update(facts)
        return known


class Runs(BaseHTTPRequestHandler):
    """One request to LangSmith."""

    server: LangSmith

    def do_POST(self) -> None:
        """Take how a run begins."""
        self.server.told += self.rfile.read(int(self.headers["content-length"])) + b"\n"
        self.send_response(202)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_PATCH(self) -> None:
        """Take how it ends."""
        self.do_POST()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def langsmith() -> Iterator[LangSmith]:
    """Run LangSmith."""
    with LangSmith() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(langsmith: LangSmith) -> Iterator[Client]:
    """Make LangSmith's client, which tells of each run as it begins and as it ends."""
    client = Client(api_url=langsmith.url, api_key="lsv2-test", info={}, auto_batch_tracing=False)
    yield client
    client.cleanup()


@pytest.fixture(params=[Sync(), Async()], ids=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Colour:
    """Run a test twice, once in each colour."""
    return request.param


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Run a gateway that knows one key."""
    with Simulator(api_key=KEY) as simulator:
        yield simulator


@pytest.fixture
def llm(client: Client, simulator: Simulator) -> Iterator[ChatOneRouter]:
    """Make a traced model with secrets in every place that takes one."""
    with ChatOneRouter(
        model="simulated/echo",
        base_url=simulator.base_url,
        api_key=KEY,
        default_headers={"X-Secret": HEADER},
        callbacks=[LangChainTracer(client=client)],
    ) as model:
        yield model


@pytest.fixture(params=["invoke", "stream"])
def traced(
    request: pytest.FixtureRequest, langsmith: LangSmith, client: Client, colour: Colour
) -> Traced:
    """Ask with each verb in both colours, and return what LangSmith knows of it afterwards."""

    def asking(asked: Runnable, text: str, **options: Any) -> dict[str, Any]:
        with suppress(OneRouterError):
            getattr(colour, request.param)(asked, text, **options)
        (run,) = (run for run in langsmith.runs().values() if run["run_type"] == "llm")
        return run

    return asking


def said(run: dict[str, Any]) -> dict[str, Any]:
    """Return what the message of a run was made of."""
    ((generation,),) = run["outputs"]["generations"]
    message: dict[str, Any] = generation["message"]["kwargs"]
    return message


def test_an_answer(llm: ChatOneRouter, traced: Traced) -> None:
    """LangSmith knows model, provider, text, and the tokens from which it makes a price."""
    run = traced(llm, "Hello")
    message, known = said(run), run["extra"]["metadata"]
    assert (known["ls_provider"], known["ls_model_name"]) == ("onerouter", "simulated/echo")
    assert message["content"] == "You said: Hello"
    used = message["usage_metadata"]
    assert used["input_tokens"] + used["output_tokens"] == used["total_tokens"] > 0
    assert message["response_metadata"]["cost"] > 0


def test_a_tool_call(llm: ChatOneRouter, traced: Traced) -> None:
    """The tools that were offered, and the call."""

    def get_weather(city: str) -> str:
        """Tell the weather of a city."""
        return f"sunny in {city}"

    run = traced(llm.bind_tools([get_weather]), "get_weather in 'Oslo'")
    (call,) = said(run)["tool_calls"]
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Oslo"})
    (tool,) = run["extra"]["invocation_params"]["tools"]
    assert tool["function"]["name"] == "get_weather"


def test_an_error(llm: ChatOneRouter, simulator: Simulator, traced: Traced) -> None:
    """Its class and what the gateway said."""
    simulator.script(failure(400, "out of my range"))
    error = traced(llm, "Hello")["error"]
    assert "InvalidRequestError" in error
    assert "out of my range" in error


def test_secrets(
    llm: ChatOneRouter, simulator: Simulator, langsmith: LangSmith, traced: Traced
) -> None:
    """Keys and headers of the constructor and of a call reach the gateway, and not LangSmith."""
    traced(llm, "Hello", api_key=LATER, extra_headers={"X-Later": HEADER})
    sent = simulator.last.headers
    assert sent["authorization"] == f"Bearer {LATER}"
    assert (sent["x-secret"], sent["x-later"]) == (HEADER, HEADER)
    for secret in (KEY, LATER, HEADER):
        assert secret.encode() not in langsmith.told
