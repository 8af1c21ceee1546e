"""Exceptions of the user's own code: hooks, authentication, transports, mocks."""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import openai
import pytest

from onerouter_core import Gateway
from onerouter_core.errors import APIConnectionError, APITimeoutError, AuthenticationError
from onerouter_core.foreign_errors import origin_of
from onerouter_simulator import Script, Simulator
from tests.core.payloads import HELLO, completion

Make = Callable[..., Gateway]
library: ModuleType = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.split(".")[0]]
"""The HTTP library of the SDK: httpx or httpx2."""


class UserError(Exception):
    """An exception class of the user."""


class UserValueError(ValueError):
    """A class of which `json` raises, too."""


class UserTimeout(library.TimeoutException):  # type: ignore[misc, name-defined]
    """A subclass of the HTTP library's."""


EXCEPTIONS = [
    UserError("mine"),
    UserValueError("mine"),
    UserTimeout("mine"),
    KeyError("mine"),
    RuntimeError("mine"),
    TimeoutError("mine"),
    ConnectionResetError(104, "mine"),
]


def raiser(error: Exception, *, is_async: bool) -> Callable[..., Any]:
    """Return a hook, or the handler of a mock, that raises an exception."""

    def raise_error(_: Any) -> None:
        raise error

    async def araise_error(_: Any) -> None:
        raise error

    return araise_error if is_async else raise_error


@pytest.fixture(params=["complete-sync", "stream-sync", "complete-async", "stream-async"])
def call(
    request: pytest.FixtureRequest, gateway: Make, loop: asyncio.AbstractEventLoop
) -> Callable[..., Any]:
    """Provide a function that makes one call with a user's client of given options."""
    mode, colour = request.param.split("-")

    async def acall(one: Gateway, client: Any) -> None:
        async with client:
            if mode == "complete":
                await one.acomplete(HELLO)
            else:
                [delta async for delta in await one.astream(HELLO)]

    def call(options: Callable[[bool], dict[str, Any]], **fields: Any) -> None:
        if colour == "async":
            client = library.AsyncClient(**options(True))
            loop.run_until_complete(acall(gateway(http_async_client=client, **fields), client))
            return
        with library.Client(**options(False)) as client:
            one = gateway(http_client=client, **fields)
            list(one.stream(HELLO)) if mode == "stream" else one.complete(HELLO)

    return call


@pytest.mark.parametrize("error", EXCEPTIONS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["request", "response", "transport"])
def test_an_exception_of_the_user_is_raised_unchanged(
    sim: Simulator, call: Callable[..., Any], error: Exception, where: str
) -> None:
    """Of a hook before or after the request, and of a transport; there is no retry."""
    sim.script(Script(json=completion()))

    def options(is_async: bool) -> dict[str, Any]:
        raise_error = raiser(error, is_async=is_async)
        if where == "transport":
            return {"transport": library.MockTransport(raise_error)}
        return {"event_hooks": {where: [raise_error]}}

    with pytest.raises(type(error)) as caught:
        call(options, max_retries=2)
    assert caught.value is error
    assert len(sim.requests) == (where == "response")
    frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    assert Path(frames[-1]).name == Path(__file__).name
    # Locals of the frames of HTTP libraries hold the key.
    assert not [frame for frame in frames if "site-packages" in frame]


def test_an_exception_of_an_authentication_is_raised_unchanged(call: Callable[..., Any]) -> None:
    """The innermost frame may be the standard library's."""

    class Auth(library.Auth):  # type: ignore[misc, name-defined]
        def auth_flow(self, request: Any) -> Iterator[Any]:
            json.loads("{")
            yield request

    with pytest.raises(json.JSONDecodeError):
        call(lambda _: {"auth": Auth()})


def test_a_failed_request_of_a_hook_to_another_server_is_raised_unchanged(
    call: Callable[..., Any],
) -> None:
    """Such as the one for an access token; the gateway was not reached."""

    def fetch_token(_: Any) -> None:
        library.get("http://127.0.0.1:9/token")

    async def afetch_token(_: Any) -> None:
        fetch_token(_)

    with pytest.raises(library.ConnectError) as caught:
        call(
            lambda is_async: {
                "event_hooks": {"request": [afetch_token if is_async else fetch_token]}
            }
        )
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert "fetch_token" in names


def test_an_exception_while_a_mock_sends_the_body_is_raised_unchanged(
    call: Callable[..., Any],
) -> None:
    """After the first bytes."""
    error = UserError("in the body")

    def body() -> Iterator[bytes]:
        yield b"{"
        raise error

    async def abody() -> AsyncIterator[bytes]:
        yield b"{"
        raise error

    def options(is_async: bool) -> dict[str, Any]:
        response = library.Response(200, content=abody() if is_async else body())
        return {"transport": library.MockTransport(lambda _: response)}

    with pytest.raises(UserError) as caught:
        call(options, max_retries=0)
    assert caught.value is error


def test_a_hook_that_raises_for_status_is_the_gateways_error(
    sim: Simulator, call: Callable[..., Any]
) -> None:
    """The documented hook of HTTP libraries: the response is the gateway's."""
    sim.script(Script(status=401, json={"error": {"message": "No such key"}}))

    def check(response: Any) -> None:
        response.raise_for_status()

    async def acheck(response: Any) -> None:
        response.raise_for_status()

    with pytest.raises(AuthenticationError):
        call(lambda is_async: {"event_hooks": {"response": [acheck if is_async else check]}})


def test_an_exception_of_the_http_library_is_an_error_of_the_connection(
    call: Callable[..., Any],
) -> None:
    """Whoever raises it: so do mocks, one of them from an error of its own."""

    def raise_timeout(_: Any) -> None:
        raise library.ReadTimeout("as respx does") from UserError("a rule")

    def raise_error(_: Any) -> None:
        raise library.ConnectError("refused")

    with pytest.raises(APITimeoutError, match="ReadTimeout: as respx does"):
        call(lambda _: {"transport": library.MockTransport(raise_timeout)}, max_retries=0)
    with pytest.raises(APIConnectionError, match="ConnectError: refused") as caught:
        call(lambda _: {"transport": library.MockTransport(raise_error)}, max_retries=0)
    assert not isinstance(caught.value, APITimeoutError)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://A/v1", ("https", "a", 443)),
        ("http://a", ("http", "a", 80)),
        ("http://[::1]:8/x", ("http", "::1", 8)),
    ],
)
def test_origin_of(url: str, origin: tuple[str, str, int]) -> None:
    """Letters of a host are lower case; default ports are named."""
    assert origin_of(url) == origin
