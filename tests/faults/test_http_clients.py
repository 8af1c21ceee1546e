"""HTTP clients of the user, and connections that the system gives up."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from tests.core.payloads import chunk
from tests.faults.adapters import MODEL_FIELDS, VARIANTS, Caller, CallVariant
from tests.faults.cases import Outcome
from tests.faults.conftest import CLASSES, Loop, answer
from tests.faults.http_scripts import stream
from tests.faults.server import End, Endpoint, Server

each_variant = pytest.mark.parametrize("variant", VARIANTS, ids=str)
each_class = pytest.mark.parametrize("name", CLASSES)
Call = Callable[..., Outcome]
BACKENDS: dict[str | None, Any] = {
    None: openai.DefaultHttpxClient,
    "aiohttp": openai.DefaultAioHttpClient,
    "default": openai.DefaultAsyncHttpxClient,
}


@pytest.fixture
def call(name: str, variant: CallVariant, loop: Loop) -> Iterator[Call]:
    """Provide a function that calls with one HTTP client of the user, made by the first call."""
    clients: list[Any] = []

    def call(endpoint: Endpoint, client_options: dict[str, Any], **options: Any) -> Outcome:
        if not clients:
            clients.append(BACKENDS[variant.backend](**client_options))
        field = "http_client" if variant.backend is None else "http_async_client"
        model = CLASSES[name][0](**MODEL_FIELDS, **{field: clients[0]})
        caller = Caller(CLASSES[name][1], model, variant, loop)
        return caller.call(endpoint, max_retries=0, **options)

    yield call
    if variant.backend is None:
        clients[0].close()
    else:
        loop.run_until_complete(clients[0].aclose())


# --- timeouts ---


@each_class
@each_variant
@pytest.mark.parametrize(
    ("own", "timeout"), [(0.3, 60.0), (60.0, 0.3), (None, 0.3)], ids=["own", "ours", "ours-only"]
)
def test_the_stricter_of_both_timeouts_holds(
    server: Server, call: Call, own: float | None, timeout: float
) -> None:
    """The error of the client's own timeout says which limit it was."""
    endpoint = server.endpoint((End.HANG,))
    outcome = call(endpoint, {"timeout": own}, timeout=timeout)
    assert type(outcome.error).__name__ == "APITimeoutError"
    assert outcome.seconds < 5
    assert ("no data for 0.3 s" in str(outcome.error)) == (timeout < 1)
    assert ("of your own HTTP client" in str(outcome.error)) == (timeout > 1)


@each_class
@each_variant
def test_a_limit_of_one_kind_does_not_shorten_the_others(
    server: Server, call: Call, variant: CallVariant
) -> None:
    """A short limit for connecting leaves the model its time."""
    script = answer(variant)
    timeout = type(openai.DefaultHttpxClient().timeout)(60, connect=0.2)
    outcome = call(server.endpoint((0.6, *script)), {"timeout": timeout})
    assert (outcome.text, outcome.error) == ("Hi", None)


# --- connections ---


@each_class
@each_variant
def test_a_users_client_reuses_its_connection(
    server: Server, call: Call, variant: CallVariant
) -> None:
    """After a stream, too: its end is read, although it comes a little later."""
    *begin, end = answer(variant)
    pause = (0.01,) if variant.mode == "stream" else ()
    scripts = [(*begin, *pause, end)] * 3
    endpoint = server.endpoint(*scripts)
    opened = server.opened
    for _ in range(3):
        assert call(endpoint, {}).text == "Hi"
    assert server.opened - opened == 1


@each_class
@pytest.mark.parametrize("variant", [v for v in VARIANTS if v.mode == "stream"], ids=str)
def test_a_stream_without_end_does_not_delay_a_users_client(server: Server, call: Call) -> None:
    """The answer was whole with [DONE]."""
    *begin, _ = stream(chunk("Hi", "stop"))
    outcome = call(server.endpoint((*begin, End.HANG)), {})
    assert (outcome.text, outcome.error) == ("Hi", None)
    assert outcome.seconds < 5


@each_class
@pytest.mark.parametrize("backend", ["aiohttp", "default"])
def test_a_users_client_on_a_second_loop_is_an_error_at_once(
    endpoint: Endpoint, loop: Loop, name: str, backend: str
) -> None:
    """Its connections belong to the first one, whose calls go on."""
    model_class, adapter = CLASSES[name]
    client = BACKENDS[backend]()
    model: Any = model_class(**MODEL_FIELDS, http_async_client=client)
    variant = CallVariant("complete", backend)
    assert Caller(adapter, model, variant, loop).call(endpoint).text == "Hi"
    second = asyncio.new_event_loop()
    outcome = Caller(adapter, model, variant, second).call(endpoint)
    second.run_until_complete(second.shutdown_asyncgens())
    second.close()
    assert type(outcome.error).__name__ == "ConfigurationError"
    assert "one client for each event loop" in str(outcome.error)
    assert len(endpoint.requests) == 1
    Caller(adapter, model, CallVariant("stream", backend), loop).call(endpoint)
    assert len(endpoint.requests) == 2
    loop.run_until_complete(client.aclose())


@each_class
@pytest.mark.parametrize("variant", [CallVariant("complete"), CallVariant("stream")], ids=str)
def test_a_closed_client_is_a_configuration_error(
    endpoint: Endpoint, name: str, variant: CallVariant, loop: Loop
) -> None:
    """Nothing is sent."""
    client = openai.DefaultHttpxClient()
    client.close()
    model = CLASSES[name][0](**MODEL_FIELDS, http_client=client)
    outcome = Caller(CLASSES[name][1], model, variant, loop).call(endpoint)
    assert type(outcome.error).__name__ == "ConfigurationError"
    assert "The HTTP client is closed" in str(outcome.error)
    assert endpoint.requests == []


# --- errors of the system ---


@each_class
@each_variant
@pytest.mark.parametrize("number", [errno.ETIMEDOUT, errno.EMFILE, errno.EHOSTUNREACH])
def test_an_error_of_the_system_is_a_connection_error(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A connection that the system gave up, too: Python calls ETIMEDOUT a TimeoutError."""

    def connect(_: socket.socket, address: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "connect", connect)
    outcome: Any = caller.call(Endpoint("http://127.0.0.1:9/v1", ()), max_retries=1)
    assert type(outcome.error).__name__ == "APIConnectionError"
    assert os.strerror(number) in str(outcome.error)
    assert (outcome.error.transient, outcome.error.attempts) == (True, 2)


@pytest.mark.usefixtures("new_clients")
@each_class
@each_variant
def test_too_many_open_files_are_no_wrong_certificates(
    name: str, variant: CallVariant, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an HTTP client is created, which reads the certificates."""

    def create_default_context(**_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(ssl, "create_default_context", create_default_context)
    model = CLASSES[name][0](**MODEL_FIELDS)
    caller = Caller(CLASSES[name][1], model, variant, loop)
    outcome: Any = caller.call(Endpoint("http://127.0.0.1:9/v1", ()), max_retries=0)
    assert type(outcome.error).__name__ == "APIConnectionError"
    assert os.strerror(errno.EMFILE) in str(outcome.error)
    assert "SSL_CERT_FILE" not in str(outcome.error)
    assert outcome.error.transient
