"""Fixtures of the fault suite: a server, event loops, and models with shared HTTP clients."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import openai
import pytest
import trustme

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from tests.faults.adapters import (
    MODEL_FIELDS,
    Adapter,
    Caller,
    CallVariant,
    LangChainAdapter,
    LlamaIndexAdapter,
)
from tests.faults.leak_check import answer_scripts
from tests.faults.server import Endpoint, HTTPScript, Server
from tests.one_certificate import write_one_certificate

Loop: TypeAlias = asyncio.AbstractEventLoop
MakeCaller: TypeAlias = Callable[[str, CallVariant], Caller]
MakeModel: TypeAlias = Callable[..., Any]

CLASSES: dict[str, tuple[type, Adapter]] = {
    "ChatOneRouter": (ChatOneRouter, LangChainAdapter()),
    "OneRouterLLM": (OneRouterLLM, LlamaIndexAdapter()),
}


@pytest.fixture(scope="session", autouse=True)
def _no_implicit_event_loop() -> None:
    """Keep asyncio from making an event loop when code asks for the current one."""
    asyncio.set_event_loop(None)


def answer(variant: CallVariant | Caller, text: str = "Hi") -> HTTPScript:
    """Return the script of an answer in the mode of a variant or a caller."""
    script: HTTPScript = getattr(answer_scripts(text), variant.mode)
    return script


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Make a certificate authority that is trusted nowhere by default."""
    return trustme.CA()


def tls_server(authority: trustme.CA, host: str, **options: Any) -> Iterator[Server]:
    """Run a server with a certificate for a host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, **options).configure_cert(context)
    with Server(context).running() as running:
        yield running


@pytest.fixture(scope="module")
def secure(authority: trustme.CA) -> Iterator[Server]:
    """Run a server with a valid certificate."""
    yield from tls_server(authority, "127.0.0.1")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Run one server for the whole session; each test adds endpoints of its own."""
    with Server().running() as running:
        yield running


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    """Provide an event loop whose HTTP clients are on aiohttp."""
    yield from _event_loop()


@pytest.fixture(scope="session")
def loop_without_aiohttp() -> Iterator[Loop]:
    """Provide an event loop whose HTTP clients are made as if aiohttp were not installed."""
    yield from _event_loop()


def _event_loop() -> Iterator[Loop]:
    """Yield an event loop; at the end close its async generators, as `asyncio.run` does."""
    running = asyncio.new_event_loop()
    yield running
    running.run_until_complete(running.shutdown_asyncgens())
    running.close()


def hide_aiohttp(patch: pytest.MonkeyPatch) -> None:
    """Make the SDK behave as if aiohttp were not installed."""

    class Missing:
        def __init__(self, **_: Any) -> None:
            raise RuntimeError("not installed")

    patch.setattr(openai, "DefaultAioHttpClient", Missing)


@pytest.fixture(scope="session")
def make_caller(server: Server, loop: Loop, loop_without_aiohttp: Loop) -> Iterator[MakeCaller]:
    """Provide a function that returns a caller; models and their clients are made once."""
    models: dict[tuple[str, bool], Any] = {}
    loops = {False: loop, True: loop_without_aiohttp}

    def make_caller(name: str, variant: CallVariant) -> Caller:
        model_class, adapter = CLASSES[name]
        without_aiohttp = variant.backend == "default"
        key = name, without_aiohttp
        if key in models:
            return Caller(adapter, models[key], variant, loops[without_aiohttp])
        models[key] = model_class(**MODEL_FIELDS)
        caller = Caller(adapter, models[key], variant, loops[without_aiohttp])
        if without_aiohttp:
            _make_client_without_aiohttp(caller, server)
        return caller

    yield make_caller
    for (_, without_aiohttp), model in models.items():
        loops[without_aiohttp].run_until_complete(model.aclose())


def _make_client_without_aiohttp(caller: Caller, server: Server) -> None:
    """Make the first call, which makes the HTTP client, without aiohttp."""
    with pytest.MonkeyPatch.context() as patch:
        hide_aiohttp(patch)
        caller.call(server.endpoint(getattr(answer_scripts("Hi"), caller.mode)))


@pytest.fixture
def caller(make_caller: MakeCaller, name: str, variant: CallVariant) -> Caller:
    """Provide the caller of the test's parameters: the name of a class, and a variant."""
    return make_caller(name, variant)


@pytest.fixture(params=["aiohttp", "default"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test over aiohttp, and as if it were not installed."""
    if request.param == "default":
        hide_aiohttp(monkeypatch)


@pytest.fixture
def new_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have new HTTP clients made: only those with the same certificates are shared."""
    write_one_certificate(tmp_path / "single.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "single.pem"))


@pytest.fixture
def make_model(new_clients: None) -> Iterator[MakeModel]:
    """Provide a function that makes models without retries; they are closed at the end."""
    models: list[Any] = []

    def make_model(name: str, endpoint: Endpoint, **fields: Any) -> Any:
        fields = {**MODEL_FIELDS, "base_url": endpoint.base_url, "max_retries": 0, **fields}
        models.append(CLASSES[name][0](**fields))
        return models[-1]

    yield make_model
    for model in models:
        model.close()


@pytest.fixture
def endpoint(server: Server) -> Endpoint:
    """Add an endpoint whose answers are complete and streamed in turn, 500 of each."""
    scripts = answer_scripts("Hi")
    return server.endpoint(*[scripts.complete, scripts.stream] * 500)
