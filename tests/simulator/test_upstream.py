"""The upstream of a recorder: allowed addresses, TLS, proxies, headers, and bodies that are cut."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import pytest
import trustme

from onerouter_simulator import RecordingError
from onerouter_simulator.upstream import FAILURES, Upstream, UpstreamExchange, proxy_authorization
from tests.faults.conftest import tls_server
from tests.faults.http_scripts import chunked, event, head, response, until_closed
from tests.faults.proxy import TunnelProxy
from tests.faults.server import End, Endpoint, Server

Send: TypeAlias = Callable[..., UpstreamExchange]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Run a server without TLS."""
    with Server().running() as running:
        yield running


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Make a certificate authority."""
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(authority: trustme.CA) -> Iterator[Server]:
    """Run a server with a certificate for two names."""
    yield from tls_server(authority, "127.0.0.1")


@pytest.fixture(scope="module")
def named(authority: trustme.CA) -> Iterator[Server]:
    """Run a server with a certificate for a host that only a proxy knows."""
    yield from tls_server(authority, "gateway.test")


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the authority through the environment."""
    authority.cert_pem.write_to_path(f"{tmp_path}/ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", f"{tmp_path}/ca.pem")


@pytest.fixture
def send() -> Iterator[Send]:
    """Provide a function that sends a request; its connection is closed at the end."""
    exchanges: list[UpstreamExchange] = []

    def send(endpoint: Endpoint, **headers: str) -> UpstreamExchange:
        upstream = Upstream(endpoint.base_url)
        exchange = upstream.exchange("POST", "/chat/completions?a=1", headers, b"{}")
        exchanges.append(exchange)
        exchange.send()
        return exchange

    yield send
    for exchange in exchanges:
        exchange.abort()


def read_all(exchange: UpstreamExchange) -> bytes:
    """Read the body to its end."""
    return b"".join(iter(exchange.read, b""))


def read_until_failure(exchange: UpstreamExchange) -> None:
    """Read from a connection that will be aborted."""
    with suppress(*FAILURES):
        exchange.read()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://gateway.test/v1", "upstream must begin with https://.* gateway.test unencrypted"),
        ("http://192.0.2.1/v1", "upstream must begin with https://"),
        ("gateway.test/v1", "upstream must be the base URL of a gateway, such as https://"),
        ("ftp://gateway.test/v1", "upstream must be the base URL"),
        ("https://", "upstream must be the base URL"),
        ("https://[::1/v1", "upstream must be the base URL"),
        ("https://gateway.test:0/v1", "upstream must be the base URL"),
        ("https://gateway.test:99999/v1", "upstream must be the base URL"),
        ("https://key@gateway.test/v1", "upstream must have no user name"),
        ("https://gateway.test/v1?key=1", "must end with its path"),
    ],
)
def test_an_address_that_cannot_be_used_is_an_error(url: str, message: str) -> None:
    """It is raised before anything is sent; a key in the address is not shown."""
    with pytest.raises(RecordingError, match=message) as caught:
        Upstream(url)
    assert "key" not in str(caught.value).replace("API key", "")


@pytest.mark.parametrize(
    "url",
    ["https://gateway.test", "http://localhost:1/v1", "http://127.0.0.1/v1", "http://[::1]:1"],
)
def test_https_and_this_machine_are_allowed(url: str) -> None:
    """Nothing is sent before `send`."""
    assert Upstream(url).exchange("GET", "/models", {}, b"").status == 0


def test_a_request_arrives_as_it_is_except_for_headers_of_the_connection(
    send: Send, server: Server
) -> None:
    """Hop-by-hop headers and the accepted encodings are set anew: bodies come uncompressed."""
    endpoint = server.endpoint(response({"a": 1}, set_cookie="a=b", date="now"))
    sent = {"authorization": "Bearer k", "x-title": "t", "accept-encoding": "gzip", "te": "x"}
    exchange = send(endpoint, **sent, host="simulator", connection="keep-alive")
    assert read_all(exchange) == b'{"a":1}'
    assert exchange.status == 200
    assert dict(exchange.headers) == {
        "content-type": "application/json",
        "content-length": "7",
        "set-cookie": "a=b",
    }
    request = endpoint.last
    assert (request.method, request.body) == ("POST", b"{}")
    assert request.target.endswith("/v1/chat/completions?a=1")
    received = {name: request.headers.get(name) for name in sent}
    assert received == {**sent, "accept-encoding": "identity", "te": None}
    assert request.headers["host"] == f"127.0.0.1:{server.port}"


def test_packets_come_as_they_are_sent(send: Send, server: Server) -> None:
    """A packet is read before the next one is sent."""
    endpoint = server.endpoint(chunked(event({"a": 1}), 0.2, event({"a": 2})))
    exchange = send(endpoint)
    assert [exchange.read(), exchange.read(), exchange.read()] == [
        event({"a": 1}),
        event({"a": 2}),
        b"",
    ]


@pytest.mark.parametrize(
    "script",
    [
        (head(200, content_length=9) + b"abc", End.CLOSE),
        chunked(b"abc", End.CLOSE, ended=False),
        chunked(b"abc", End.RESET, ended=False),
    ],
    ids=["length", "chunks", "reset"],
)
def test_a_body_that_is_cut_is_an_error(
    send: Send, server: Server, script: tuple[bytes, ...]
) -> None:
    """After the bytes that have come."""
    exchange = send(server.endpoint(script))
    assert exchange.read() == b"abc"
    with pytest.raises(FAILURES):
        exchange.read()


def test_a_body_without_length_ends_with_the_connection(send: Send, server: Server) -> None:
    """As HTTP/1.0 has it."""
    assert read_all(send(server.endpoint(until_closed(b"abc")))) == b"abc"


def test_abort_ends_a_read_in_another_thread(send: Send, server: Server) -> None:
    """And the server sees the disconnect."""
    endpoint = server.endpoint(chunked(b"abc", End.HANG))
    exchange = send(endpoint)
    assert exchange.read() == b"abc"
    reading = threading.Thread(target=read_until_failure, args=[exchange])
    reading.start()
    time.sleep(0.02)
    exchange.abort()
    reading.join(5)
    assert not reading.is_alive()
    assert endpoint.last.disconnected.wait(5)


def test_a_server_that_sends_no_http_is_an_error(send: Send, server: Server) -> None:
    """The error is one of FAILURES."""
    with pytest.raises(http.client.HTTPException):
        send(server.endpoint((b"hello\r\n\r\n", End.CLOSE)))


def test_a_trusted_certificate_is_accepted(send: Send, secure: Server, trusted: None) -> None:
    """Python's variables name it."""
    assert read_all(send(secure.endpoint(response({})))) == b"{}"


def test_an_unknown_certificate_is_an_error(send: Send, secure: Server) -> None:
    """Nothing is sent."""
    endpoint = secure.endpoint(response({}))
    with pytest.raises(OSError, match="certificate verify failed"):
        send(endpoint)
    assert endpoint.requests == []


@pytest.fixture(params=["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def variable(request: pytest.FixtureRequest) -> str:
    """Name the variable that is set."""
    return str(request.param)


@pytest.fixture(params=["http://{}", "http://user:p%40ss@{}", "{}"])
def proxy(
    request: pytest.FixtureRequest, named: Server, variable: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TunnelProxy]:
    """Run a proxy that a variable names, with and without credentials and scheme."""
    with TunnelProxy(named.port).running() as running:
        monkeypatch.setenv(variable, request.param.format(running.url.removeprefix("http://")))
        yield running


def test_a_proxy_of_the_environment_is_used(
    send: Send, named: Server, trusted: None, proxy: TunnelProxy
) -> None:
    """For https; the certificate is that of the gateway."""
    endpoint = named.endpoint(response({"a": 1}), host="gateway.test")
    assert read_all(send(endpoint)) == b'{"a":1}'
    assert [target.split(":")[0] for target in proxy.targets] == ["CONNECT gateway.test"]


def test_the_credentials_of_a_proxy_are_sent_to_it() -> None:
    """They are decoded, and sent as RFC 7617 has it."""
    header = {"Proxy-Authorization": "Basic dXNlcjpwQHNz"}
    assert proxy_authorization(urlsplit("http://user:p%40ss@proxy.test:1")) == header
    assert proxy_authorization(urlsplit("http://proxy.test:1")) == {}


def test_no_proxy_is_used_for_this_machine(
    send: Send, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A simulator can be an upstream behind any proxy."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert read_all(send(server.endpoint(response({})))) == b"{}"
