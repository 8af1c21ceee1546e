"""Transport: what is sent, the API key per request, and the errors of HTTP libraries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr

from onerouter_core import ConnectionSettings, Gateway, Request
from onerouter_core.errors import ConfigurationError
from onerouter_core.transport import HTTPRequest, aget_api_key, get_api_key
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO, chunk, completion

Make = Callable[..., Gateway]
Send = Callable[..., Any]
ANSWER = Script(json=completion())
STREAM = Script(events=[chunk("Hi", "stop")])
SECRET = "sk-very-secret-0123456789"


# --- requests ---


def test_a_call_is_one_post_with_key_headers_and_body(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """Headers of the connection win over those of the SDK."""
    sim.script(ANSWER, STREAM)
    one = gateway(headers={"X-Title": "t", "User-Agent": "mine/1"})
    request = Request("m", HELLO.messages, parameters={"temperature": 0, "user": ""})
    caller.complete(one, request)
    assert (sim.last.method, sim.last.path) == ("POST", "/v1/chat/completions")
    assert sim.last.headers["authorization"] == f"Bearer {sim.api_key}"
    assert sim.last.headers["content-type"] == "application/json"
    assert (sim.last.headers["x-title"], sim.last.headers["user-agent"]) == ("t", "mine/1")
    expected = {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello"}],
        "temperature": 0,
        "user": "",
        "usage": {"include": True},
    }
    assert sim.last.body == expected
    caller.stream(one, request)
    streaming = {"stream": True, "stream_options": {"include_usage": True}}
    assert sim.last.body == {**expected, **streaming}


def test_a_body_that_json_cannot_hold_is_a_configuration_error(
    sim: Simulator, gateway: Make, send: Send
) -> None:
    """NaN, an object of a class, and nesting that is too deep; nothing is sent, nor retried."""
    nested: list[Any] = []
    for _ in range(100_000):  # Python 3.13 still encodes 5,000 levels
        nested = [nested]
    circular: list[Any] = []
    circular.append(circular)
    values = {"ValueError": float("nan"), "TypeError": object(), "RecursionError": nested}
    for error, value in (*values.items(), ("ValueError", circular)):
        request = replace(HELLO, parameters={"extra_body": {"x": value}})
        expected = f"cannot be written as JSON: {error}"
        with pytest.raises(ConfigurationError, match=expected) as caught:
            send(gateway(), request)
        assert caught.value.attempts == 1
    assert sim.requests == []


def test_dates_and_models_in_the_body_are_written(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """As the SDK's third major version writes them; text is sent as UTF-8."""

    class Place(BaseModel):
        name: str = Field(alias="Name")
        country: str = "unknown"

    sim.script(ANSWER)
    values = {"at": datetime(2026, 1, 2, tzinfo=timezone.utc), "place": Place(Name="K\xf6ln")}
    caller.complete(gateway(), replace(HELLO, parameters={"extra_body": values}))
    assert sim.last.body["at"] == "2026-01-02T00:00:00+00:00"
    assert sim.last.body["place"] == {"Name": "K\xf6ln"}


def test_the_repr_of_a_request_shows_no_header() -> None:
    """One of them has the key."""
    request = HTTPRequest("https://a/v1", {"authorization": f"Bearer {SECRET}"}, 1.0)
    assert SECRET not in repr(request)


# --- API key ---


def test_a_callable_returns_the_key_of_each_request(
    sim: Simulator, gateway: Make, send: Send
) -> None:
    """Of a retry, too; the key may be a string or a SecretStr."""
    keys = iter(["sk-first", SecretStr("sk-second")])
    sim.script(Script(status=500, body="oops"), STREAM)
    send(gateway(api_key=lambda: next(keys)), HELLO)
    headers = [request.headers["authorization"] for request in sim.requests]
    assert headers == ["Bearer sk-first", "Bearer sk-second"]


async def test_an_async_callable_is_awaited(sim: Simulator, gateway: Make) -> None:
    """Its result may be a string or a SecretStr; async methods take sync callables, too."""
    sim.script(ANSWER)

    async def fetch_key() -> SecretStr:
        await asyncio.sleep(0)
        return SecretStr("sk-awaited")

    async with gateway(api_key=fetch_key) as one:
        assert (await one.acomplete(HELLO)).text == "Hi"
    assert sim.last.headers["authorization"] == "Bearer sk-awaited"
    assert await aget_api_key(ConnectionSettings(api_key=lambda: "sk")) == "sk"
    assert await aget_api_key(ConnectionSettings()) is None


def test_an_async_callable_is_an_error_in_a_sync_call(gateway: Make) -> None:
    """The coroutine is closed, so there is no warning; a future has no `close`."""

    async def fetch_key() -> str:
        return "sk"

    one = gateway(api_key=fetch_key)
    for method in (one.complete, one.stream):
        with pytest.raises(ConfigurationError, match="only async methods can await it"):
            method(HELLO)
    loop = asyncio.new_event_loop()
    with pytest.raises(ConfigurationError, match="only async methods can await it"):
        get_api_key(ConnectionSettings(api_key=loop.create_future))
    loop.close()


@pytest.mark.parametrize("key", [b"sk-123456", 5, SecretStr, ["sk-123456"]])
def test_a_callable_that_returns_no_text_is_an_error_with_words(
    sim: Simulator, gateway: Make, send: Send, key: Any
) -> None:
    """It names the type, not the value; nothing is sent."""
    with pytest.raises(ConfigurationError, match="must return a string or a SecretStr") as caught:
        send(gateway(api_key=lambda: key), HELLO)
    assert "123456" not in str(caught.value)
    assert sim.requests == []
