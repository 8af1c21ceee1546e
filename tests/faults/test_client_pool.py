"""Pooled connections that end, and redirects."""

from __future__ import annotations

import socket
import time
from typing import Any

import openai
import pytest

from tests.core.payloads import chunk, completion
from tests.faults.adapters import KEY, MODEL_FIELDS, VARIANTS, Caller, CallVariant
from tests.faults.cases import Outcome
from tests.faults.conftest import CLASSES, Loop, answer
from tests.faults.http_scripts import HTML, head, response, stream
from tests.faults.server import End, Endpoint, HTTPScript, Repeat, Server

each_variant = pytest.mark.parametrize("variant", VARIANTS, ids=str)
each_class = pytest.mark.parametrize("name", CLASSES)
SHORTLY = 0.05  # seconds


def error_name(outcome: Outcome) -> str:
    """Return the name of the error's class."""
    return type(outcome.error).__name__


@each_class
@each_variant
@pytest.mark.parametrize("end", [End.CLOSE, End.RESET], ids=["closed", "reset"])
def test_an_idle_connection_closed_by_the_server_is_replaced(
    server: Server, caller: Caller, end: End
) -> None:
    """The server ends an idle connection: the next call sends one request, on a new one."""
    endpoint = server.endpoint((*answer(caller), SHORTLY, end), answer(caller, "again"))
    assert caller.call(endpoint, max_retries=0).text == "Hi"
    time.sleep(3 * SHORTLY)
    outcome = caller.call(endpoint, max_retries=0)
    assert (outcome.text, outcome.error) == ("again", None)
    assert len(endpoint.requests) == 2


@each_class
@each_variant
def test_cookies_are_not_stored(server: Server, caller: Caller) -> None:
    """Clients are shared: a cookie set for one API key is not sent with another."""
    cookie = {"set_cookie": "account=1; Path=/"}
    script = (
        response(completion("Hi"), **cookie)
        if caller.mode == "complete"
        else stream(chunk("Hi", "stop"), **cookie)
    )
    # A host name: no HTTP library stores a cookie for an IP address.
    endpoint = server.endpoint(script, script, host="localhost")
    for key in ("key-a", "key-b"):
        assert caller.call(endpoint, api_key=key, max_retries=0).text == "Hi"
    assert [request.headers.get("cookie") for request in endpoint.requests] == [None, None]


@each_class
@each_variant
@pytest.mark.parametrize("end", [End.CLOSE, End.RESET], ids=["closed", "reset"])
@pytest.mark.parametrize("max_retries", [0, 2])
def test_a_reused_connection_that_ends_is_retried_within_max_retries(
    server: Server, caller: Caller, end: End, max_retries: int
) -> None:
    """The server may have read the request: it is sent again only if retries are allowed."""
    endpoint = server.endpoint(answer(caller), (end,), answer(caller, "again"))
    assert caller.call(endpoint, max_retries=0).text == "Hi"
    outcome = caller.call(endpoint, max_retries=max_retries)
    if max_retries:
        assert (outcome.text, outcome.error, len(endpoint.requests)) == ("again", None, 3)
    else:
        assert (error_name(outcome), len(endpoint.requests)) == ("APIConnectionError", 2)


@each_class
@each_variant
def test_a_refused_connection_is_a_connection_error(caller: Caller) -> None:
    """A port without a listener is an APIConnectionError after all allowed attempts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        unused = Endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", ())
    for max_retries in (0, 2):
        outcome: Any = caller.call(unused, max_retries=max_retries)
        assert error_name(outcome) == "APIConnectionError"
        assert outcome.error.attempts == max_retries + 1
        assert outcome.error.transient


# --- redirects ---


STATUSES = (301, 302, 303, 307, 308)


def redirect(status: int, location: str) -> HTTPScript:
    """Return the script of a redirect."""
    return (head(status, None, location=location, content_length=0),)


@each_class
@each_variant
@pytest.mark.parametrize("status", STATUSES)
def test_a_redirect_to_another_host_does_not_carry_the_key(
    server: Server, caller: Caller, status: int
) -> None:
    """Nor anything else: nothing is sent there, and the error names the host."""
    other = server.endpoint(answer(caller), host="localhost")
    endpoint = server.endpoint(redirect(status, f"{other.base_url}/chat/completions"))
    outcome: Any = caller.call(endpoint, max_retries=2)
    assert (error_name(outcome), outcome.error.status) == ("APIConnectionError", status)
    assert f"redirects the request to http://localhost:{server.port}" in str(outcome.error)
    assert not outcome.error.transient
    assert (len(endpoint.requests), other.requests) == (1, [])


@each_class
@each_variant
@pytest.mark.parametrize(
    "address",
    ["//127.0.0.2:{port}/v1", "http://127.0.0.1:9/v1", "https://127.0.0.1:{port}/v1", "http://x"],
)
def test_a_redirect_to_another_port_or_scheme_is_an_error(
    server: Server, caller: Caller, address: str
) -> None:
    """The path and the query, which may hold something secret, are not named."""
    endpoint = server.endpoint(redirect(307, address.format(port=server.port) + "?secret=1"))
    outcome = caller.call(endpoint, max_retries=0)
    assert error_name(outcome) == "APIConnectionError"
    assert "redirects the request to " in str(outcome.error)
    assert "secret" not in str(outcome.error)


@each_class
@each_variant
def test_a_redirect_of_a_users_client_to_another_host_is_an_error(
    server: Server, loop: Loop, name: str, variant: CallVariant
) -> None:
    """Default headers of a client that follows redirects stay here, too."""
    other = server.endpoint(response(completion("Hi")), host="localhost")
    endpoint = server.endpoint(redirect(307, f"{other.base_url}/chat/completions"))
    clients = {"aiohttp": openai.DefaultAioHttpClient, "default": openai.DefaultAsyncHttpxClient}
    make_client: Any = clients.get(variant.backend or "", openai.DefaultHttpxClient)
    client = make_client(headers={"x-mine": "1"}, follow_redirects=True)
    field = "http_client" if variant.backend is None else "http_async_client"
    model = CLASSES[name][0](**MODEL_FIELDS, **{field: client})
    outcome = Caller(CLASSES[name][1], model, variant, loop).call(endpoint, max_retries=0)
    if variant.backend is None:
        client.close()
    else:
        loop.run_until_complete(client.aclose())
    assert error_name(outcome) == "APIConnectionError"
    assert f"to http://localhost:{server.port}" in str(outcome.error)
    assert endpoint.last.headers["x-mine"] == "1"
    assert other.requests == []


@each_class
@each_variant
@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_within_the_host_is_followed(
    server: Server, caller: Caller, status: int
) -> None:
    """With the same method, body and headers."""
    other = server.endpoint(answer(caller))
    endpoint = server.endpoint(redirect(status, f"{other.base_url}/chat/completions"))
    outcome = caller.call(endpoint, max_retries=0)
    assert (outcome.text, outcome.error) == ("Hi", None)
    assert (other.last.method, other.last.json) == ("POST", endpoint.last.json)
    assert other.last.headers["authorization"] == f"Bearer {KEY}"


@each_class
@each_variant
@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_drops_the_body_is_an_error(
    server: Server, caller: Caller, status: int
) -> None:
    """These redirects turn the POST into a GET, whose page is no answer; there is no retry."""
    page = server.endpoint(response(b"<title>Log in</title>", kind=HTML))
    endpoint = server.endpoint(redirect(status, page.base_url))
    outcome = caller.call(endpoint, max_retries=2)
    assert (error_name(outcome), len(endpoint.requests)) == ("APIConnectionError", 1)
    assert "an address that takes no POST" in str(outcome.error)
    assert page.requests == []


@each_class
@each_variant
def test_the_body_of_a_redirect_is_not_read(server: Server, caller: Caller) -> None:
    """A body without an end delays nothing."""
    other = server.endpoint(answer(caller))
    location = f"{other.base_url}/chat/completions"
    endless = head(307, None, location=location, transfer_encoding="chunked")
    endpoint = server.endpoint((endless, Repeat(b"1\r\nx\r\n", 0.01)))
    outcome = caller.call(endpoint, max_retries=0, timeout=20)
    assert (outcome.text, outcome.error) == ("Hi", None)
    assert outcome.seconds < 10


@each_class
@each_variant
def test_a_redirect_without_a_location_is_a_malformed_reply(server: Server, caller: Caller) -> None:
    """The error carries the status, and the request is sent once."""
    endpoint = server.endpoint((head(302, None, content_length=0),))
    outcome: Any = caller.call(endpoint, max_retries=2)
    assert (error_name(outcome), outcome.error.status) == ("MalformedReplyError", 302)
    assert len(endpoint.requests) == 1


@each_class
@each_variant
def test_a_redirect_loop_is_a_connection_error(server: Server, caller: Caller) -> None:
    """An endpoint that redirects to itself is an error and does not hang the call."""
    endpoint = server.endpoint((head(307, None, location="/", content_length=0),))
    location = _path_of_next_endpoint(endpoint)
    endpoint = server.endpoint((head(307, None, location=location, content_length=0),))
    outcome = caller.call(endpoint, max_retries=0)
    assert error_name(outcome) == "APIConnectionError"
    assert "redirect" in str(outcome.error)


def _path_of_next_endpoint(endpoint: Endpoint) -> str:
    """Return the request path of the endpoint that the server adds next."""
    name, number = endpoint.base_url.split("/")[3].split("-")
    return f"/{name}-{int(number) + 1}/v1/chat/completions"
