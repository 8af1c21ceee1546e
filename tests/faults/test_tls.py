"""TLS with a certificate authority of the user's own, wrong certificates, and proxies."""

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

from tests.core.payloads import chunk
from tests.faults.adapters import (
    KEY,
    MODEL_FIELDS,
    VARIANTS,
    CallVariant,
    acall_model,
    call_model,
    default_async_client,
)
from tests.faults.cases import Outcome
from tests.faults.conftest import CLASSES, Loop, answer, tls_server
from tests.faults.http_scripts import chunked, event
from tests.faults.proxy import SocksProxy, TunnelProxy
from tests.faults.server import End, Endpoint, Server

each_variant = pytest.mark.parametrize("variant", VARIANTS, ids=str)
each_class = pytest.mark.parametrize("name", CLASSES)

Call: TypeAlias = Callable[..., Outcome]
HOST = "gateway.test"


@pytest.fixture(scope="module")
def misnamed(authority: trustme.CA) -> Iterator[Server]:
    """Run a server with a certificate for another host."""
    yield from tls_server(authority, HOST)


@pytest.fixture(scope="module")
def expired(authority: trustme.CA) -> Iterator[Server]:
    """Run a server with an expired certificate."""
    not_after = datetime(2020, 1, 1, tzinfo=timezone.utc)
    yield from tls_server(authority, "127.0.0.1", not_after=not_after)


@pytest.fixture(autouse=True)
def _no_proxy_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tuple(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """Trust the authority through the environment."""
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return authority


@pytest.fixture
def call(name: str, variant: CallVariant, loop: Loop) -> Iterator[Call]:
    """Provide a function that calls once, with a model and HTTP clients of its own."""
    adapter, made = CLASSES[name][1], []

    def call(endpoint: Endpoint, **fields: Any) -> Outcome:
        if variant.backend == "default" and "http_async_client" not in fields:
            fields["http_async_client"] = default_async_client()
        model: Any = CLASSES[name][0](**{**MODEL_FIELDS, "base_url": endpoint.base_url, **fields})
        made.extend((model, fields.get("http_async_client")))
        if variant.backend is None:
            return call_model(adapter, model, variant.mode)
        return loop.run_until_complete(acall_model(adapter, model, variant.mode))

    yield call
    for closable in made:
        if closable is not None:
            loop.run_until_complete(closable.aclose())


# --- certificates ---


@each_class
@each_variant
def test_a_certificate_authority_from_ssl_cert_file(
    secure: Server, trusted: trustme.CA, call: Call, variant: CallVariant
) -> None:
    """`SSL_CERT_FILE` names the trusted certificate authorities."""
    endpoint = secure.endpoint(answer(variant))
    outcome = call(endpoint)
    assert (outcome.text, outcome.error, len(endpoint.requests)) == ("Hi", None, 1)


@each_class
@each_variant
def test_a_certificate_authority_of_the_http_client(
    secure: Server, authority: trustme.CA, call: Call, variant: CallVariant
) -> None:
    """`http_client` and `http_async_client` may trust an authority of their own."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    clients = {"aiohttp": openai.DefaultAioHttpClient, "default": openai.DefaultAsyncHttpxClient}
    endpoint = secure.endpoint(answer(variant))
    if variant.backend is None:
        with openai.DefaultHttpxClient(verify=context) as client:
            outcome = call(endpoint, http_client=client)
    else:
        outcome = call(endpoint, http_async_client=clients[variant.backend](verify=context))
    assert (outcome.text, outcome.error, len(endpoint.requests)) == ("Hi", None, 1)


def check_certificate_rejected(outcome: Outcome, endpoint: Endpoint) -> None:
    """Check that the call failed at its first attempt, and that no request was sent."""
    error: Any = outcome.error
    assert type(error).__name__ == "APIConnectionError"
    assert (error.transient, error.attempts, len(endpoint.requests)) == (False, 1, 0)
    assert "certificate" in str(error).lower()


@each_class
@each_variant
def test_an_unknown_certificate_authority_is_rejected(
    secure: Server, call: Call, variant: CallVariant
) -> None:
    """The key is not sent, and there is no retry: the same certificate would come again."""
    endpoint = secure.endpoint(answer(variant))
    check_certificate_rejected(call(endpoint), endpoint)


@each_class
@each_variant
@pytest.mark.parametrize("server_name", ["misnamed", "expired"])
def test_a_wrong_certificate_is_rejected(
    request: pytest.FixtureRequest,
    trusted: trustme.CA,
    call: Call,
    variant: CallVariant,
    server_name: str,
) -> None:
    """A certificate for another host, and an expired one."""
    endpoint = request.getfixturevalue(server_name).endpoint(answer(variant))
    check_certificate_rejected(call(endpoint), endpoint)


@each_class
@each_variant
def test_a_server_without_tls_is_a_connection_error(
    server: Server, call: Call, variant: CallVariant
) -> None:
    """An https URL of a plain HTTP server: the server gets no request."""
    plain = server.endpoint(answer(variant))
    outcome = call(Endpoint(plain.base_url.replace("http:", "https:"), ()), max_retries=1)
    assert type(outcome.error).__name__ == "APIConnectionError"
    assert plain.requests == []


# Python 3.10 warns of a TLS transport that only the peer closed.
@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
@each_class
@pytest.mark.parametrize("variant", [v for v in VARIANTS if v.mode == "stream"], ids=str)
@pytest.mark.parametrize("end", [End.CLOSE, End.RESET], ids=["closed", "reset"])
def test_a_tls_stream_that_breaks_off_is_incomplete(
    secure: Server, trusted: trustme.CA, call: Call, end: End
) -> None:
    """A cut stream over TLS is an IncompleteStreamError with the partial text."""
    endpoint = secure.endpoint((*chunked(event(chunk("Hel")), ended=False), 0.1, end))
    outcome: Any = call(endpoint)
    assert (type(outcome.error).__name__, outcome.text) == ("IncompleteStreamError", "Hel")
    assert outcome.error.partial.text == "Hel"


# --- proxies ---


@each_class
@each_variant
@pytest.mark.filterwarnings("ignore:The API key is sent")
def test_http_proxy_is_used(
    server: Server, call: Call, variant: CallVariant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy of `HTTP_PROXY` gets the whole URL."""
    endpoint = server.endpoint(answer(variant))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.port}")
    url = endpoint.base_url.replace(f"127.0.0.1:{server.port}", HOST)
    outcome = call(Endpoint(url, ()))
    assert (outcome.text, outcome.error, len(endpoint.requests)) == ("Hi", None, 1)
    assert endpoint.last.target == f"{url}/chat/completions"
    assert endpoint.last.headers["host"] == HOST


@each_class
@each_variant
def test_https_proxy_tunnels(
    misnamed: Server,
    trusted: trustme.CA,
    call: Call,
    variant: CallVariant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The proxy of `HTTPS_PROXY` opens a tunnel with CONNECT and does not see the key."""
    endpoint = misnamed.endpoint(answer(variant))
    with TunnelProxy(misnamed.port).running() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        url = endpoint.base_url.replace(f"127.0.0.1:{misnamed.port}", HOST)
        outcome = call(Endpoint(url, ()))
    assert (outcome.text, outcome.error, len(endpoint.requests)) == ("Hi", None, 1)
    assert proxy.targets == [f"CONNECT {HOST}:443"]
    assert endpoint.last.headers["authorization"] == f"Bearer {KEY}"


@each_class
@each_variant
def test_no_proxy_is_honoured(
    server: Server, call: Call, variant: CallVariant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host in `NO_PROXY` is called directly."""
    endpoint = server.endpoint(answer(variant))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    outcome = call(endpoint)
    assert (outcome.text, outcome.error) == ("Hi", None)
    assert endpoint.last.target.startswith("/")


@each_class
@each_variant
def test_an_unreachable_proxy_is_a_connection_error(
    server: Server, call: Call, variant: CallVariant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call is retried like any connection error, and never goes around the proxy."""
    endpoint = server.endpoint(answer(variant))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    outcome: Any = call(endpoint, max_retries=1)
    assert type(outcome.error).__name__ == "APIConnectionError"
    assert outcome.error.attempts == 2
    assert endpoint.requests == []


@each_class
@each_variant
@pytest.mark.filterwarnings("ignore:The API key is sent")
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks_proxy_is_used(
    server: Server, call: Call, variant: CallVariant, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """The proxy of `ALL_PROXY`, which the aiohttp transport cannot use."""
    pytest.importorskip("socksio", reason="httpx needs it for SOCKS proxies")
    endpoint = server.endpoint(answer(variant))
    with SocksProxy(server.port).running() as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url.replace("http", scheme))
        outcome = call(Endpoint(endpoint.base_url.replace("127.0.0.1", HOST), ()))
    assert (outcome.text, outcome.error, len(endpoint.requests)) == ("Hi", None, 1)
    assert proxy.targets == [f"{HOST}:{server.port}"]
