"""Secrets: errors show neither key nor headers, and no OPENAI_* variable changes a request."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from onerouter_core import Clients, Gateway, OneRouterError
from onerouter_core.errors import ConfigurationError
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO, chunk, completion

Make = Callable[..., Gateway]
Send = Callable[..., Any]

KEY = "sk-very-secret-0123456789"
OPENAI_VARIABLES = {
    "OPENAI_API_KEY": "poison-key",
    "OPENAI_ADMIN_KEY": "poison-admin",
    "OPENAI_ORG_ID": "poison-org",
    "OPENAI_ORGANIZATION": "poison-org",
    "OPENAI_PROJECT_ID": "poison-project",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/poison",
    "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer poison-header\nX-Poison: poison",
    "OPENAI_WEBHOOK_SECRET": "poison-secret",
    "OPENAI_LOG": "debug",
}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and the chain of its causes and contexts."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


ECHOES = {
    "error response": Script(status=401, json={"error": {"message": f"Bad key {KEY}"}}),
    "HTML page": Script(status=502, body=f"<title>{KEY}</title>"),
    "error under 200": Script(json={"error": f"Bad key {KEY}"}),
    "error chunk": Script(events=[chunk("a"), {"error": {"message": f"Bad key {KEY}"}}]),
    "event that is not JSON": Script(body=f"data: {KEY}\n\n"),
    "reply without an answer": Script(json={"text": KEY}),
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_a_key_echoed_by_the_server_is_not_in_the_error(
    sim: Simulator, gateway: Make, send: Send, echo: Script
) -> None:
    """Neither in the error, nor in its causes, nor in the traceback."""
    sim.script(echo)
    with pytest.raises(OneRouterError) as caught:
        send(gateway(api_key=SecretStr(KEY), max_retries=0), HELLO)
    error = caught.value
    texts = [str(error), repr(error), error.message, *traceback.format_exception(error)]
    texts += [repr(value) for cause in chain(error) for value in (cause, cause.args)]
    assert not [text for text in texts if KEY in text]


# Headers whose values are secret, and the part of each that a server may echo.
SECRET_HEADERS: dict[str, tuple[Any, str]] = {
    "Authorization": ("Bearer tok-1234567", "tok-1234567"),
    "proxy-authorization": ("Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    "X-Api-Key": ("apple-pie", "apple-pie"),
    "apikey": ("apple-pie", "apple-pie"),
    "x-auth-token": ("apple-pie", "apple-pie"),
    "X-Client-Secret": ("apple-pie", "apple-pie"),
    "Cookie": ("id=apple-pie; lang=en", "apple-pie"),
    "X-Session": ("apple-pie", "apple-pie"),
    "X-Tenant": (SecretStr("apple-pie"), "apple-pie"),
    "X-Label": ("eyJhbGciOiJIUzI1NiJ9.e30", "eyJhbGciOiJIUzI1NiJ9.e30"),
}


@pytest.mark.parametrize("name", SECRET_HEADERS)
def test_a_secret_header_is_sent_and_is_not_in_the_error(
    sim: Simulator, gateway: Make, send: Send, name: str
) -> None:
    """Its name says so, or the user marks it as SecretStr, or it is too long for a word."""
    value, secret = SECRET_HEADERS[name]
    sim.script(Script(status=400, json={"error": {"message": f"Bad value {secret}!"}}))
    headers = {name: value}
    with pytest.raises(OneRouterError) as caught:
        send(gateway(headers=headers, max_retries=0), HELLO)
    assert caught.value.message == "Bad value ***!"
    assert secret in sim.requests[-1].headers[name.lower()]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("X-Environment", "production"), ("X-Kind", "request"), ("X-Author", "content")),
        *(("X-Title", "The gateway of all models"), ("X-Region", "eu-west-1")),
        *(("HTTP-Referer", "https://e.test"), ("User-Agent", "client/1.0")),
    ],
)
def test_other_headers_are_words_of_a_message(
    sim: Simulator, gateway: Make, send: Send, name: str, value: str
) -> None:
    """A message stays readable, and its class is found by its words."""
    sim.script(Script(status=400, json={"error": {"message": f"The {value} is wrong"}}))
    with pytest.raises(OneRouterError) as caught:
        send(gateway(headers={name: value}, max_retries=0), HELLO)
    assert caught.value.message == f"The {value} is wrong"


@pytest.mark.parametrize(
    "key", [f"{KEY}\nX-Other: 1", f"{KEY[:-2]}\x00x", f"{KEY}\u201d", f"\U0001f511{KEY}"]
)
def test_an_illegal_key_is_not_in_the_error(
    sim: Simulator, gateway: Make, send: Send, key: str
) -> None:
    """Nothing is sent: the HTTP library's own error would quote the key."""
    with pytest.raises(ConfigurationError, match="must be printable ASCII") as caught:
        send(gateway(api_key=SecretStr(key)), HELLO)
    assert sim.requests == []
    texts = [*traceback.format_exception(caught.value), *map(repr, chain(caught.value))]
    assert not [text for text in texts if KEY[:10] in text]


def test_openai_variables_do_not_change_a_request(
    sim: Simulator, gateway: Make, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its address, nor its headers, nor its body."""
    for name, value in OPENAI_VARIABLES.items():
        monkeypatch.setenv(name, value)
    sim.script(Script(json=completion()), Script(events=[chunk("Hi", "stop")]))
    clients = Clients()
    one = gateway(clients=clients)
    caller.complete(one, HELLO)
    caller.stream(one, HELLO)
    caller.models(one)
    caller.models(gateway(clients=clients, api_key=None))
    assert len(sim.requests) == 4
    for request in sim.requests:
        texts = [*request.headers, *request.headers.values(), request.raw.decode(), request.path]
        assert not [text for text in texts if "poison" in text.lower()]
        assert request.headers.get("authorization") in (f"Bearer {sim.api_key}", None)
    assert os.environ["OPENAI_LOG"] == "debug"
