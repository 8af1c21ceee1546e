"""Undocumented parts of HTTP libraries: a loop that has been closed, and leftover bytes.

The bytes themselves are in tests/faults/test_leftover_bytes.py, and more loops in
tests/faults/test_ended_loops.py.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from onerouter_core import Clients, Gateway
from onerouter_core.errors import ConfigurationError
from onerouter_core.http_internals import (
    abort_connections,
    close_aiohttp_leftovers,
    close_leftovers,
    find_aiohttp_body,
    find_http_client,
    iter_transports,
    package_version,
    replace_network_backend,
    replace_protocol,
    warn_missing,
)
from onerouter_core.sdk_clients import new_async_client, new_client
from onerouter_simulator import Script, Simulator
from tests.core.payloads import HELLO, chunk, completion

Make = Callable[..., Gateway]
HALF = Script(events=[chunk("Hel")], end="hang")


class MissingClient:
    """Stands in for the SDK's aiohttp client where aiohttp is not installed."""

    def __init__(self, **_: Any) -> None:
        raise RuntimeError("not installed")


@pytest.mark.parametrize("library", ["aiohttp", "httpx"])
@pytest.mark.usefixtures("new_clients")
def test_a_loop_that_is_closed_disconnects(
    sim: Simulator, gateway: Make, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    """An open stream, although nothing was told to close; the next loop has a new connection."""
    if library == "httpx":
        monkeypatch.setattr(openai, "DefaultAioHttpClient", MissingClient)
    sim.script(HALF, Script(json=completion()))
    one = gateway(clients=Clients())

    async def start() -> Any:
        stream = await one.astream(HELLO)
        await anext(stream)
        return stream

    loop = asyncio.new_event_loop()
    stream = loop.run_until_complete(start())
    loop.close()
    assert sim.last.wait_hung_up(2)
    del stream
    assert asyncio.run(one.acomplete(HELLO)).text == "Hi"


@pytest.mark.parametrize(
    "function",
    [abort_connections, close_leftovers, close_aiohttp_leftovers],
    ids=lambda f: f.__name__,
)
def test_another_version_of_a_library_is_left_alone(function: Callable[[Any], None]) -> None:
    """An object without the known attributes is no error, and is not changed."""

    class Transport:
        pool = "renamed"

    class Client:
        transport = Transport()

    client = Client()
    function(client)
    function(Transport())
    assert vars(client) == {}
    assert list(iter_transports(client)) == []


# --- renamed attributes: each is named with its package and version ---

HTTP_LIBRARY = openai.DefaultHttpxClient.__mro__[1].__module__.split(".")[0]  # httpx or httpx2
HTTP_CORE = HTTP_LIBRARY.replace("httpx", "httpcore")


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Provide the warnings, which are logged once per process."""
    warn_missing.cache_clear()
    messages: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("onerouter_core").addHandler(handler)
    yield messages
    logging.getLogger("onerouter_core").removeHandler(handler)
    warn_missing.cache_clear()
    caplog.clear()


def expect_warning(warned: list[str], package: str, name: str) -> None:
    """Check that one attribute was reported, with package, version and fallback."""
    (message,) = warned
    assert message.startswith(f"{package} {metadata.version(package)}: ")
    assert f" has no {name}. Connections are left to the library" in message


@pytest.mark.parametrize("name", ["_transport", "_mounts"])
def test_a_renamed_attribute_of_a_client_is_reported(warned: list[str], name: str) -> None:
    """Once; what is there is used."""
    client = openai.DefaultHttpxClient()
    delattr(client, name)
    assert len(list(iter_transports(client))) == (name == "_mounts")
    list(iter_transports(client))
    expect_warning(warned, HTTP_LIBRARY, name)


@pytest.mark.parametrize(
    ("name", "package"),
    [("_pool", HTTP_LIBRARY), ("_network_backend", HTTP_CORE), ("create_connection", HTTP_CORE)],
)
def test_a_renamed_attribute_of_a_transport_is_reported(
    warned: list[str], monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    """The client is used as it is."""
    client = openai.DefaultHttpxClient()
    transport: Any = next(iter_transports(client))
    owners = {"_pool": transport, "_network_backend": transport._pool}
    monkeypatch.delattr(owners.get(name, type(transport._pool)), name)
    if name != "create_connection":
        replace_network_backend(transport, lambda backend: backend)
    if name != "_network_backend":
        close_leftovers(client)
    expect_warning(warned, package, name)


class Without:
    """A connection of httpcore without one of its attributes."""

    __module__ = HTTP_CORE

    def __init__(self, connection: Any, name: str) -> None:
        """Hide an attribute of a connection."""
        self.connection = connection
        self.name = name

    def __getattr__(self, name: str) -> Any:
        if name == self.name:
            raise AttributeError(name)
        return getattr(self.connection, name)


@pytest.mark.parametrize("name", ["_network_stream", "_h11_state"])
def test_a_renamed_attribute_of_a_connection_is_reported(
    sim: Simulator, gateway: Make, warned: list[str], name: str
) -> None:
    """An idle connection is used again, as the library does."""
    sim.script(Script(json=completion()), Script(json=completion()))
    client = openai.DefaultHttpxClient()
    close_leftovers(client)
    with client, gateway(http_client=client) as one:
        one.complete(HELLO)
        (connection,) = next(iter_transports(client))._pool.connections
        connection._connection = Without(connection._connection, name)
        assert not connection.has_expired()
        assert one.complete(HELLO).text == "Hi"
    expect_warning(warned, HTTP_CORE, name)


AIOHTTP_NAMES = ["_factory", "_get", "_conns", "_keepalive_timeout", "_acquired", "_close"]


@pytest.mark.parametrize("name", AIOHTTP_NAMES)
def test_a_renamed_attribute_of_a_connector_is_reported(
    warned: list[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """An aiohttp connector stays as it is, and can be closed."""
    aiohttp = pytest.importorskip("aiohttp")

    async def run() -> None:
        session = aiohttp.ClientSession()
        transport = type("Transport", (), {"client": session, "__module__": "httpx_aiohttp"})()
        client = type("Client", (), {"_transport": transport, "_mounts": {}})()
        connector = session.connector
        with monkeypatch.context() as patch:
            for owner in (connector, *type(connector).__mro__):
                if name in getattr(owner, "__dict__", {}):
                    patch.delattr(owner, name)
            if name == "_factory":
                replace_protocol(connector, lambda: object)
            elif name in {"_get", "_conns"}:
                close_aiohttp_leftovers(connector)
            elif name == "_keepalive_timeout":
                close_aiohttp_leftovers(connector)
                await connector._get(None, [])
            else:
                abort_connections(client)
        await session.close()

    asyncio.run(run())
    expect_warning(warned, "aiohttp", name)


def test_a_renamed_response_of_the_aiohttp_transport_is_an_error_of_its_own(
    warned: list[str],
) -> None:
    """That of any other library has none."""
    stream = type("Stream", (), {"__module__": "openai._vendor.httpx_aiohttp.transport"})()
    assert find_aiohttp_body(type("Response", (), {"stream": stream})()) is None
    expect_warning(warned, "openai", "_aiohttp_response")
    assert find_aiohttp_body(type("Response", (), {"stream": object()})()) is None


def stub(module: str, class_name: str = "Stub", **attributes: Any) -> Any:
    """Return an object of a library's class that has only these attributes."""
    return type(class_name, (SimpleNamespace,), {"__module__": module})(**attributes)


def open_client(asyncio_transport: Any, **names: Any) -> Any:
    """Return an async client with one open connection, whose attributes can be replaced."""
    stream = stub("anyio", **names.get("stream", {"_transport": asyncio_transport}))
    inner = stub("httpcore", **names.get("inner", {"_network_stream": stream}))
    pool = stub("httpcore", connections=[stub("httpcore", _connection=inner)])
    return stub("httpx", _transport=stub("httpx", _pool=pool), _mounts={})


LOOP = stub("asyncio", is_closed=lambda: True)
ABORT: Any = {"abort": lambda: None}
OPEN_CLIENTS = {
    "_network_stream": ("httpcore", open_client(None, inner={"is_open": True})),
    "_transport": ("anyio", open_client(None, stream={"is_open": True})),
    "_loop": ("Python", open_client(stub("asyncio.transports", **ABORT))),
    "_sock": ("Python", open_client(stub("asyncio.transports", _loop=LOOP, **ABORT))),
    "_ssl_protocol": ("Python", open_client(stub("ssl", "SSLTransport", **ABORT))),
    "_transport of TLS": (
        "Python",
        open_client(stub("ssl", "SSLTransport", _ssl_protocol=stub("ssl", other=1), **ABORT)),
    ),
}


@pytest.mark.parametrize("case", OPEN_CLIENTS)
def test_a_renamed_attribute_of_an_open_connection_is_reported(
    warned: list[str], case: str
) -> None:
    """Its socket is closed by the library, or when it is collected."""
    package, client = OPEN_CLIENTS[case]
    abort_connections(client)
    assert warned[0].startswith(f"{package} ")
    assert f" has no {case.split(maxsplit=1)[0]}. Connections" in warned[0]


@pytest.mark.parametrize("name", ["_protocol", "read_queue"])
def test_a_renamed_attribute_of_an_async_stream_is_reported(warned: list[str], name: str) -> None:
    """The idle connection is used again."""
    attributes = {"_protocol": stub("anyio", other=1)} if name == "read_queue" else {"other": 1}
    source = stub("anyio", get_extra_info=lambda _: None, **attributes)
    state = SimpleNamespace(trailing_data=(b"", False))
    inner = stub("httpcore", _network_stream=source, _h11_state=state)
    methods = {"has_expired": lambda _: False, "is_idle": lambda _: True, "_connection": inner}
    connection = type("Connection", (), methods)()
    pool = type("Pool", (), {"create_connection": lambda *_: connection})()
    close_leftovers(stub("httpx", _transport=stub("httpx", _pool=pool), _mounts={}))
    assert not pool.create_connection("origin").has_expired()
    assert len(warned) == 1
    assert f"Stub has no {name}. " in warned[0]


def test_a_renamed_parser_of_an_idle_connection_is_reported(warned: list[str]) -> None:
    """Of aiohttp."""
    idle = stub("aiohttp", should_close=False, is_connected=lambda: True)
    connector = stub(
        "aiohttp", _get=lambda _: idle, _conns={"key": [(idle, 1e12)]}, _keepalive_timeout=9
    )
    close_aiohttp_leftovers(connector)
    assert connector._get("key") is idle
    expect_warning(warned, "aiohttp", "_parser")


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("name", ["_prepare_request", "_prepare_url", "_validate_headers"])
def test_a_renamed_method_of_the_sdk_is_an_error(
    monkeypatch: pytest.MonkeyPatch, name: str, is_async: bool
) -> None:
    """A client whose keys and deadlines are not ours is not created."""
    kind: Any = openai.AsyncOpenAI if is_async else openai.OpenAI
    renamed = type(kind.__name__, (kind,), {"__module__": "openai"})
    for owner in kind.__mro__:
        if name in vars(owner):
            monkeypatch.delattr(owner, name)
    sdk = type("SDK", (), {"OpenAI": renamed, "AsyncOpenAI": renamed})
    create, library = (new_async_client, "AsyncClient") if is_async else (new_client, "Client")
    expected = rf"openai {openai.__version__} cannot be used: its {kind.__name__} has no {name},"
    with pytest.raises(ConfigurationError, match=expected):
        create(sdk, getattr(sys.modules[HTTP_LIBRARY], library)())


def test_a_renamed_http_client_of_the_sdk_is_reported(warned: list[str]) -> None:
    """Its sockets are closed when it is collected."""
    client = openai.OpenAI(api_key="-")
    inner = client._client
    del client._client
    abort_connections(find_http_client(client))
    client._client = inner
    client.close()
    assert warned[0].startswith(f"openai {openai.__version__}: OpenAI has no _client. ")


def test_the_version_is_that_of_the_package_or_of_python() -> None:
    """A class of a package without metadata is named without a version."""
    assert package_version(asyncio.Future).startswith(f"Python {sys.version_info.major}.")
    assert package_version(ssl.SSLContext).startswith("Python ")
    assert package_version(Script) == "onerouter_simulator"
