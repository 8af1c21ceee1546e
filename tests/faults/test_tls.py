"""TLS with a certificate authority of one's own, certificates that are wrong, and proxies."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeAlias

import openai
import pytest
import trustme

from tests.core.payloads import chunk, completion
from tests.faults.adapters import KEY, REACH, WAYS, Way, aask, ask, default_async_client
from tests.faults.cases import Outcome
from tests.faults.conftest import CLASSES, Loop
from tests.faults.http_scripts import chunked, event, http, stream
from tests.faults.proxy import Tunnel
from tests.faults.server import End, Line, Play, Server

each_way = pytest.mark.parametrize("way", WAYS, ids=str)
each_class = pytest.mark.parametrize("name", CLASSES)

Call: TypeAlias = Callable[..., Outcome]
HOST = "gateway.test"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Make a certificate authority that nobody knows."""
    return trustme.CA()


def serving(authority: trustme.CA, host: str, **how: Any) -> Iterator[Server]:
    """Serve with a certificate for a host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, **how).configure_cert(context)
    with Server(context).running() as running:
        yield running


@pytest.fixture(scope="module")
def secure(authority: trustme.CA) -> Iterator[Server]:
    """Serve with a certificate that is right."""
    yield from serving(authority, "127.0.0.1")


@pytest.fixture(scope="module")
def misnamed(authority: trustme.CA) -> Iterator[Server]:
    """Serve with a certificate for another host."""
    yield from serving(authority, HOST)


@pytest.fixture(scope="module")
def expired(authority: trustme.CA) -> Iterator[Server]:
    """Serve with a certificate that was right once."""
    yield from serving(authority, "127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=timezone.utc))


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tuple(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """Trust the authority by the environment."""
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return authority


@pytest.fixture
def call(name: str, way: Way, loop: Loop) -> Iterator[Call]:
    """Call once, with a model and clients of one's own."""
    face, made = CLASSES[name][1], []

    def call(line: Line, **fields: Any) -> Outcome:
        if way.backend == "default" and "http_async_client" not in fields:
            fields["http_async_client"] = default_async_client()
        model: Any = CLASSES[name][0](**{**REACH, "base_url": line.base_url, **fields})
        made.extend((model, fields.get("http_async_client")))
        if way.backend is None:
            return ask(face, model, way.mode)
        return loop.run_until_complete(aask(face, model, way.mode))

    yield call
    for one in made:
        if one is not None:
            loop.run_until_complete(one.aclose())


def answer(way: Way) -> Play:
    """Return the play of an answer."""
    return http(completion("Hi")) if way.mode == "whole" else stream(chunk("Hi", "stop"))


# --- certificates ---


@each_class
@each_way
def test_an_authority_in_the_environment(
    secure: Server, trusted: trustme.CA, call: Call, way: Way
) -> None:
    """`SSL_CERT_FILE` names who is trusted, as for other programs."""
    line = secure.line(answer(way))
    got = call(line)
    assert (got.text, got.error, len(line.requests)) == ("Hi", None, 1)


@each_class
@each_way
def test_an_authority_in_a_client(
    secure: Server, authority: trustme.CA, call: Call, way: Way
) -> None:
    """A client of the user's brings its own."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    kinds = {"aiohttp": openai.DefaultAioHttpClient, "default": openai.DefaultAsyncHttpxClient}
    line = secure.line(answer(way))
    if way.backend is None:
        with openai.DefaultHttpxClient(verify=context) as client:
            got = call(line, http_client=client)
    else:
        got = call(line, http_async_client=kinds[way.backend](verify=context))
    assert (got.text, got.error, len(line.requests)) == ("Hi", None, 1)


def is_refused(got: Outcome, line: Line) -> None:
    """Check that a certificate was refused: by a typed error, once, and nothing was sent."""
    error: Any = got.error
    assert type(error).__name__ == "APIConnectionError"
    assert (error.transient, error.attempts, len(line.requests)) == (False, 1, 0)
    assert "certificate" in str(error).lower()


@each_class
@each_way
def test_an_authority_that_nobody_knows(secure: Server, call: Call, way: Way) -> None:
    """Who it is cannot be told: the key is not sent, and asking again would not help."""
    line = secure.line(answer(way))
    is_refused(call(line), line)


@each_class
@each_way
@pytest.mark.parametrize("server_name", ["misnamed", "expired"])
def test_a_certificate_that_is_wrong(
    request: pytest.FixtureRequest, trusted: trustme.CA, call: Call, way: Way, server_name: str
) -> None:
    """For another host, or no longer right."""
    line = request.getfixturevalue(server_name).line(answer(way))
    is_refused(call(line), line)


@each_class
@each_way
def test_no_tls_where_it_should_be(server: Server, call: Call, way: Way) -> None:
    """A server that answers in the clear is a connection error; it may be another one later."""
    plain = server.line(answer(way))
    got = call(Line(plain.base_url.replace("http:", "https:"), ()), max_retries=1)
    assert type(got.error).__name__ == "APIConnectionError"
    assert plain.requests == []


# Python 3.10 says so of TLS that only the other side closed.
@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
@each_class
@pytest.mark.parametrize("way", [way for way in WAYS if way.mode == "stream"], ids=str)
@pytest.mark.parametrize("end", [End.CLOSE, End.RESET], ids=["closed", "reset"])
def test_a_secure_stream_that_breaks_off(
    secure: Server, trusted: trustme.CA, call: Call, end: End
) -> None:
    """Encrypted or not, half a stream is half a stream."""
    line = secure.line((*chunked(event(chunk("Hel")), ended=False), 0.1, end))
    got: Any = call(line)
    assert (type(got.error).__name__, got.text) == ("IncompleteStreamError", "Hel")
    assert got.error.partial.text == "Hel"


# --- proxies ---


@each_class
@each_way
@pytest.mark.filterwarnings("ignore:The key goes to")
def test_a_proxy(server: Server, call: Call, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """`HTTP_PROXY` is asked for the whole address."""
    line = server.line(answer(way))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.port}")
    place = line.base_url.replace(f"127.0.0.1:{server.port}", HOST)
    got = call(Line(place, ()))
    assert (got.text, got.error, len(line.requests)) == ("Hi", None, 1)
    assert line.last.target == f"{place}/chat/completions"
    assert line.last.headers["host"] == HOST


@each_class
@each_way
def test_a_proxy_that_tunnels(
    misnamed: Server, trusted: trustme.CA, call: Call, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`HTTPS_PROXY` is asked for a tunnel, and does not see the key."""
    line = misnamed.line(answer(way))
    with Tunnel(misnamed.port).running() as tunnel:
        monkeypatch.setenv("HTTPS_PROXY", tunnel.url)
        got = call(Line(line.base_url.replace(f"127.0.0.1:{misnamed.port}", HOST), ()))
    assert (got.text, got.error, len(line.requests)) == ("Hi", None, 1)
    assert tunnel.asked == [f"CONNECT {HOST}:443"]
    assert line.last.headers["authorization"] == f"Bearer {KEY}"


@each_class
@each_way
def test_who_needs_no_proxy(
    server: Server, call: Call, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`NO_PROXY` names who is asked directly."""
    line = server.line(answer(way))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    got = call(line)
    assert (got.text, got.error) == ("Hi", None)
    assert line.last.target.startswith("/")


@each_class
@each_way
def test_a_proxy_that_is_not_there(
    server: Server, call: Call, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a connection error like any other, and nothing goes around it."""
    line = server.line(answer(way))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    got: Any = call(line, max_retries=1)
    assert (type(got.error).__name__, got.error.attempts) == ("APIConnectionError", 2)
    assert line.requests == []
