"""`timeout` and `deadline` where no answer is read: connecting, TLS, uploads, the key."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import openai
import pytest

from onerouter_core import Ledger
from tests.faults.adapters import MODEL_FIELDS, acall_model, call_model
from tests.faults.cases import Outcome
from tests.faults.conftest import CLASSES, hide_aiohttp
from tests.faults.http_scripts import chunked
from tests.faults.leak_check import answer_scripts
from tests.faults.server import HTTPScript, Repeat, Server

LIMIT = 0.6  # seconds
LATEST = 0.95  # seconds
TRIES = 4  # a busy machine may be late

each_class = pytest.mark.parametrize("name", CLASSES)
each_limit = pytest.mark.parametrize(
    ("name", "limit"), [("ChatOneRouter", "timeout"), ("OneRouterLLM", "deadline")]
)
ERROR_NAMES = {"timeout": "APITimeoutError", "deadline": "DeadlineExceededError"}


@pytest.fixture(params=["sync", "own client", "aiohttp", "default"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test over each backend, and with a sync client of the user."""
    if request.param == "default":
        hide_aiohttp(monkeypatch)
    return str(request.param)


@pytest.fixture
def call(backend: str, name: str, new_clients: None) -> Callable[..., Outcome]:
    """Provide a function that makes a model and calls it once."""
    model_class, adapter = CLASSES[name]

    async def acall(model: Any, prompt: dict[str, Any]) -> Outcome:
        try:
            return await acall_model(adapter, model, "complete", **prompt)
        finally:
            await model.aclose()

    def call(base_url: str, **fields: Any) -> Outcome:
        for _ in range(TRIES):
            outcome = call_once(base_url, **fields)
            if outcome.seconds <= LATEST:
                break
        return outcome

    def call_once(base_url: str, **fields: Any) -> Outcome:
        fields = {**MODEL_FIELDS, "base_url": base_url, "max_retries": 0, **fields}
        if backend in {"aiohttp", "default"}:
            return asyncio.run(acall(model_class(**fields), {}))
        own = openai.DefaultHttpxClient() if backend == "own client" else None
        with closing(model_class(**fields, http_client=own)) as model:
            outcome = call_model(adapter, model, "complete")
        if own is not None:
            own.close()
        return outcome

    return call


def check_in_time(outcome: Outcome, limit: str) -> None:
    """Check the class of the error and the time."""
    assert type(outcome.error).__name__ == ERROR_NAMES[limit], repr(outcome.error)
    assert LIMIT - 0.1 <= outcome.seconds <= LATEST


# --- connecting ---


@pytest.fixture
def full_port() -> Iterator[int]:
    """Provide a port that accepts no connection, on all addresses of this machine."""
    with socket.create_server(("", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for connection in waiting:
            connection.setblocking(False)
            with suppress(BlockingIOError):
                connection.connect(("127.0.0.1", port))
        time.sleep(0.05)
        yield port
        for connection in waiting:
            connection.close()


def resolve_to(patch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Have each name of a host resolved to these addresses."""

    def getaddrinfo(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        kind = socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, ""
        found = [str(host)] if str(host)[:3] == "127" else addresses
        return [(*kind, (address, int(port))) for address in found]

    patch.setattr(socket, "getaddrinfo", getaddrinfo)


@each_limit
def test_many_dead_addresses_share_the_time(
    call: Any, backend: str, limit: str, full_port: int, monkeypatch: Any
) -> None:
    """A client of the user gives each address the whole timeout; the page says so."""
    if backend == "own client":
        pytest.skip("not promised")
    resolve_to(monkeypatch, "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4")
    outcome = call(f"http://gateway.localhost:{full_port}/v1", **{limit: LIMIT})
    check_in_time(outcome, limit)


@each_class
def test_a_living_address_behind_a_dead_one_is_used(
    call: Any, server: Server, monkeypatch: Any
) -> None:
    """Nothing listens at the first address."""
    resolve_to(monkeypatch, "127.0.0.9", "127.0.0.1")
    endpoint = server.endpoint(answer_scripts("Hi").complete)
    url = endpoint.base_url.replace("127.0.0.1", "gateway.localhost")
    assert call(url, timeout=5).text == "Hi"


@each_limit
def test_slow_name_resolution_ends_in_time(
    call: Any, backend: str, limit: str, monkeypatch: Any
) -> None:
    """A thread that resolves is left behind; a client of the user has none."""
    if backend == "own client":
        pytest.skip("not promised")
    released = threading.Event()

    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        released.wait(5)
        raise socket.gaierror(socket.EAI_AGAIN, "too late")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    # An event loop waits for its threads at its end.
    threading.Timer(LIMIT + (2 if backend == "sync" else 0.2), released.set).start()
    outcome = call("http://gateway.localhost:9/v1", **{limit: LIMIT})
    check_in_time(outcome, limit)


@each_class
def test_a_name_that_cannot_be_resolved_is_a_connection_error(call: Any, monkeypatch: Any) -> None:
    """With the reason of the system."""

    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    outcome = call("http://gateway.localhost:9/v1", timeout=5)
    assert type(outcome.error).__name__ == "APIConnectionError"
    assert "Name or service not known" in str(outcome.error)


# --- TLS and uploads ---


@contextmanager
def slow_server(answer: bytes = b"", delay: float = 0) -> Iterator[int]:
    """Accept connections; send an answer after a delay, or read now and then a little."""
    connections = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                data = connection.recv(65536)
                time.sleep(delay)
                connection.sendall(answer)
                while not answer and data:
                    time.sleep(0.05)
                    data = connection.recv(65536)

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**14)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection in connections:
            connection.close()


@each_limit
def test_tls_silence_behind_a_proxy_ends_in_time(call: Any, limit: str, monkeypatch: Any) -> None:
    """The time of CONNECT and that of the handshake are counted together."""
    with slow_server(b"HTTP/1.1 200 OK\r\n\r\n", LIMIT * 0.9) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        outcome = call("https://gateway.example/v1", **{limit: LIMIT})
    check_in_time(outcome, limit)


@each_limit
@pytest.mark.filterwarnings("ignore:Sending a large body")  # of aiohttp
def test_a_slow_upload_ends_in_time(call: Any, limit: str, monkeypatch: Any) -> None:
    """The server takes a little of the request from time to time."""
    monkeypatch.setattr("tests.faults.adapters.PROMPT", "x" * 12_000_000)
    with slow_server() as port:
        outcome = call(f"http://127.0.0.1:{port}/v1", **{limit: LIMIT})
    check_in_time(outcome, limit)


# --- data that is no answer, without a pause ---

PACKED = zlib.compressobj(wbits=31).flush(zlib.Z_SYNC_FLUSH)
NOTHING = Repeat(b"\0\0\0\xff\xff" * 500)  # empty blocks of gzip
FLOODS: dict[str, HTTPScript] = {
    "interim responses": (Repeat(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100),),
    "a body of nothing": chunked(PACKED, NOTHING, content_encoding="gzip"),
}


@each_limit
@pytest.mark.parametrize("script", FLOODS.values(), ids=FLOODS)
def test_data_that_is_no_answer_ends_in_time(
    call: Any, server: Server, script: HTTPScript, limit: str
) -> None:
    """Also where the HTTP library reads on by itself."""
    check_in_time(call(server.endpoint(script).base_url, **{limit: LIMIT}), limit)


HINT = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"


@each_class
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_an_answer_behind_interim_responses_arrives(call: Any, server: Server, size: int) -> None:
    """However they are divided into packets."""
    answer = b"".join(step for step in answer_scripts("Hi").complete if isinstance(step, bytes))
    sent = b"HTTP/1.1 100 Continue\r\n\r\n" + HINT * 10 + answer
    pieces = [sent[start : start + size] for start in range(0, len(sent), size)]
    assert call(server.endpoint(tuple(pieces)).base_url, timeout=5).text == "Hi"


# --- the key ---


@each_limit
@pytest.mark.parametrize("backend", ["aiohttp"], indirect=True)
def test_a_key_that_does_not_come_ends_in_time(call: Any, server: Server, limit: str) -> None:
    """Nothing is sent."""

    async def api_key() -> str:
        await asyncio.sleep(30)
        return "key"

    endpoint, ledger = server.endpoint(answer_scripts("Hi").complete), Ledger()
    outcome = call(endpoint.base_url, api_key=api_key, ledger=ledger, **{limit: LIMIT})
    check_in_time(outcome, limit)
    assert limit == "deadline" or "api_key" in str(outcome.error)
    assert (endpoint.requests, getattr(outcome.error, "attempts", None)) == ([], 0)


@each_class
@pytest.mark.parametrize("backend", ["aiohttp"], indirect=True)
def test_a_timeout_of_the_key_function_is_its_own(call: Any, server: Server) -> None:
    """It reaches the caller as it is."""

    async def api_key() -> str:
        raise TimeoutError("the vault is closed")

    endpoint = server.endpoint(answer_scripts("Hi").complete)
    outcome = call(endpoint.base_url, api_key=api_key)
    assert repr(outcome.error) == "TimeoutError('the vault is closed')"


# --- a thread's deadline ends with its call ---


@each_class
def test_a_client_of_the_user_is_not_limited_afterwards(name: str, server: Server) -> None:
    """Its other requests in the same thread may take longer, on the same connection."""
    scripts = answer_scripts("Hi")
    endpoint = server.endpoint(scripts.complete, (0.4, *scripts.complete))
    model_class, adapter = CLASSES[name]
    with openai.DefaultHttpxClient() as own:
        model = model_class(
            **MODEL_FIELDS, base_url=endpoint.base_url, http_client=own, timeout=0.2
        )
        assert call_model(adapter, model, "complete").text == "Hi"
        assert own.post(f"{endpoint.base_url}/other", json={}).status_code == 200
