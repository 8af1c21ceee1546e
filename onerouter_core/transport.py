"""Transport: sends one HTTP request through an SDK client and iterates over the response body.

Exceptions of the HTTP libraries become errors of this package here. The module does not decode
bodies, and knows neither how clients are shared nor how long a call may take.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Generator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from inspect import isawaitable
from json import JSONEncoder
from time import monotonic
from typing import Any

from pydantic import BaseModel, SecretStr

from onerouter_core.client_pool import Clients, remember_loop
from onerouter_core.connection import ConnectionSettings
from onerouter_core.deadlines import DeadlineFn, ReadTimeout, limit_reads, set_read_deadline
from onerouter_core.errors import APIConnectionError, APITimeoutError, ConfigurationError
from onerouter_core.model_json import join_surrogates
from onerouter_core.redirects import MAX_REDIRECTS, is_redirect, redirect_target
from onerouter_core.response_body import aiter_body, iter_body
from onerouter_core.sdk_clients import (
    aload_sdk,
    content_argument,
    is_from_network,
    load_sdk,
    stricter_timeout,
)
from onerouter_core.transport_errors import find_response, to_read_error, to_send_error


@dataclass(frozen=True, slots=True)
class HTTPRequest:
    """One HTTP request."""

    url: str
    """Absolute URL."""

    headers: Mapping[str, str] = field(repr=False)
    """Headers, the API key included; names in lower case."""

    timeout: float | None
    """Seconds until the response headers must have arrived. None: no limit."""

    body: Mapping[str, Any] | None = None
    """JSON body of a POST. None: a GET."""

    redirects: int = 0
    """Number of redirects that led to the URL."""


# A failure is raised again by the first attempt, with all that an error of a call has.
def prepare(clients: Clients, connection: ConnectionSettings) -> None:
    """Import the SDK and create the client, which takes seconds in a cold process.

    To be called before the clock of a call starts: its limits are for the network.
    """
    sdk = load_sdk()
    if connection.http_client is None:
        with suppress(ConfigurationError):
            clients.get_sync(sdk, None)


async def aprepare(clients: Clients, connection: ConnectionSettings) -> None:
    """Import the SDK and create the event loop's client; the async variant of `prepare`."""
    sdk = await aload_sdk()
    if connection.http_async_client is None:
        with suppress(ConfigurationError):
            await clients.get_async(sdk, None)


def send(clients: Clients, connection: ConnectionSettings, http_request: HTTPRequest) -> Response:
    """Send a request; return when the response headers have arrived, whatever the status.

    Args:
        clients: the instance's references to shared clients.
        connection: connection settings, for an HTTP client of the user.
        http_request: the request.

    Raises:
        APIConnectionError: the connection failed, or timed out.
        ConfigurationError: JSON cannot hold the body, or no HTTP client can be created.
        Exception: an exception of the user's hook, authentication or transport.

    """
    sdk = load_sdk()
    client = clients.get_sync(sdk, connection.http_client)
    content = encode_json(http_request.body)
    timeout = http_request.timeout
    previous = set_read_deadline(None if timeout is None else monotonic() + timeout)
    try:
        while True:
            response = _send_once(client, http_request, content, connection.http_client)
            if response.is_success or not is_redirect(response.status, response.headers):
                return response
            response.close()
            http_request = _redirected(http_request, response)
    finally:
        set_read_deadline(previous)


def _send_once(
    client: Any, http_request: HTTPRequest, content: bytes | None, user_client: Any
) -> Response:
    try:
        return Response(
            _post(client, http_request, content, user_client), is_shared=user_client is None
        )
    except Exception as error:  # noqa: BLE001 -- HTTP libraries have no common base class
        errors = [error]
    if (raw := find_response(errors[0], http_request.url)) is not None:
        return Response(raw, is_shared=user_client is None)
    # Raised after the block, because the SDK's error must not become its context: it quotes the
    # body. Popped from a list, because a local variable of a frame in the traceback would make a
    # reference cycle: see tracebacks.py.
    raise to_send_error(errors.pop(), http_request.url)


async def asend(
    clients: Clients,
    connection: ConnectionSettings,
    http_request: HTTPRequest,
    read_timeout: ReadTimeout,
) -> Response:
    """Send a request; the async variant of `send`, which ends at the deadline of `read_timeout`."""
    sdk = await aload_sdk()
    user_client = connection.http_async_client
    client = await clients.get_async(sdk, user_client)
    content = encode_json(http_request.body)
    for _ in range(2):  # let a busy event loop notice which idle connections the server has closed
        await asyncio.sleep(0)
    while True:
        sending = _post(client, http_request, content, user_client)
        response = await _asend_once(read_timeout.wait(sending), http_request.url, user_client)
        if response.is_success or not is_redirect(response.status, response.headers):
            return response
        await response.aclose()
        http_request = _redirected(http_request, response)


async def _asend_once(sending: Awaitable[Any], url: str, user_client: Any) -> Response:
    try:
        raw = await sending
        if user_client is not None and is_from_network(user_client, raw):
            remember_loop(user_client)
        return Response(raw, is_shared=user_client is None)
    except Exception as error:  # noqa: BLE001 -- as in `_send_once`
        errors = [error]
    if (raw := find_response(errors[0], url)) is not None:
        return Response(raw, is_shared=user_client is None)
    raise to_send_error(errors.pop(), url)


class _RedactedHeader(str):
    """Header value with a masked repr: the SDK's second major version logs headers at DEBUG."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def _post(client: Any, http_request: HTTPRequest, content: bytes | None, user_client: Any) -> Any:
    """Send a request through the SDK, which returns before the body is read (`stream`)."""
    headers = {name: _RedactedHeader(value) for name, value in http_request.headers.items()}
    timeout = http_request.timeout
    if user_client is not None:
        timeout = stricter_timeout(user_client, timeout)
    # Redirects are followed here: the user's client might follow one to another host.
    options = {"headers": headers, "timeout": timeout, "follow_redirects": False}
    arguments = {"cast_to": client.response_type, "options": options, "stream": True}
    if content is None:
        return client.get(http_request.url, **arguments)
    arguments[content_argument(type(client).post)] = content
    return client.post(http_request.url, **arguments)


# --- JSON ---


def encode_json(body: Mapping[str, Any] | None) -> bytes | None:
    """Return the JSON of a body.

    The SDK would write it where its errors cannot be told from those of a user's hook.

    Raises:
        ConfigurationError: JSON cannot hold the body.

    """
    try:
        return None if body is None else _JSON_ENCODER.encode(body).encode()
    except (TypeError, ValueError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise ConfigurationError(f"The request cannot be written as JSON: {reason}")


def _to_json_value(value: Any) -> Any:
    """Return what the SDK's encoder makes of a value of another class, as in `extra_body`."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True, by_alias=True)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


_JSON_ENCODER = JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_to_json_value
)


def _redirected(http_request: HTTPRequest, response: Response) -> HTTPRequest:
    """Return the request that follows a redirect."""
    if http_request.redirects >= MAX_REDIRECTS:
        raise APIConnectionError("The gateway redirects the request again and again.")
    url = redirect_target(
        http_request.url,
        response.headers["location"],
        status=response.status,
        has_body=http_request.body is not None,
    )
    return replace(http_request, url=url, redirects=http_request.redirects + 1)


class Response:
    """HTTP response whose body is read in chunks; `headers` have names in lower case."""

    __slots__ = ("_raw", "_url", "can_drain", "headers", "is_success", "status")

    def __init__(self, raw: Any, *, is_shared: bool = True) -> None:
        """Wrap the SDK's response.

        Args:
            raw: the response.
            is_shared: whether the client is shared, and not the user's.

        """
        self._raw: Any = raw
        self._url = str(raw.url)
        self.status: int = raw.status_code
        self.is_success = self.status // 100 == 2  # noqa: PLR2004 -- the first digit is the class
        """Whether the status is 2xx; else the body is no reply."""

        # aiohttp decodes bytes that are not UTF-8 to surrogates.
        self.headers: dict[str, str] = {
            name.lower(): value if value.isascii() else join_surrogates(value)
            for name, value in raw.headers.items()
        }
        self.can_drain = is_shared or _limit_reads_of(raw)
        """Whether read deadlines hold for sync reads, so that reading on cannot take long."""

    def chunks(self, deadline: DeadlineFn) -> Generator[bytes, None, None]:
        """Yield the chunks of the body, decompressed.

        Args:
            deadline: function that returns the present read deadline.

        Raises:
            APITimeoutError: the read deadline has passed.
            APIConnectionError: the connection failed before the end of the body.
            MalformedReplyError: the body is not compressed as its headers say.

        """
        body = iter_body(self._raw)
        try:
            # Of the thread, not of the connection: when the body has ended, another thread may
            # already use its connection, and would be given the deadline of this one.
            while True:
                previous = set_read_deadline(deadline())
                try:
                    chunk = next(body, None)
                finally:
                    set_read_deadline(previous)
                if chunk is None:
                    break
                yield chunk
        except Exception as error:  # noqa: BLE001 -- as in `send`
            errors = [error]
        else:
            return
        raise to_read_error(errors.pop(), self._url)

    async def achunks(self, read_timeout: ReadTimeout) -> AsyncGenerator[bytes, None]:
        """Yield the chunks of the body; the async variant of `chunks`."""
        try:
            async with aclosing(aiter_body(self._raw)) as chunks:
                while (chunk := await read_timeout.wait(anext(chunks, None))) is not None:
                    yield chunk
        except Exception as error:  # noqa: BLE001 -- as in `send`
            errors = [error]
        else:
            return
        raise to_read_error(errors.pop(), self._url)

    def close(self) -> None:
        """Close the connection, unless the body was read to its end."""
        raw, self._raw = self._raw, None  # it has the request, with its headers
        raw.close()

    async def aclose(self) -> None:
        """Close the connection, unless the body was read to its end."""
        raw, self._raw = self._raw, None
        await raw.aclose()


# Only of HTTP/1 (httpx documentation, "Extensions"): an HTTP/2 connection carries several
# responses. That of a mock has none, and that of an async client needs none: `ReadTimeout`.
def _limit_reads_of(raw: Any) -> bool:
    """Have the connection of a user's response read until deadlines; return whether it does."""
    stream = raw.extensions.get("network_stream")
    if stream is None or raw.extensions.get("http_version") not in {b"HTTP/1.1", b"HTTP/1.0"}:
        return False
    limit_reads(stream)
    return True


# --- API key ---


def get_api_key(connection: ConnectionSettings) -> str | None:
    """Return the API key for the next request; call a callable.

    Raises:
        ConfigurationError: the callable is async, or has returned no text.

    """
    key = connection.api_key() if callable(connection.api_key) else connection.api_key
    if isawaitable(key):
        if isinstance(key, Coroutine):
            key.close()  # else Python warns that it was never awaited
        raise ConfigurationError("api_key is an async callable: only async methods can await it.")
    return key.get_secret_value() if isinstance(key, SecretStr) else _key_text(key)


def _key_text(key: Any) -> str | None:
    key = key.get_secret_value() if isinstance(key, SecretStr) else key
    if key is None or isinstance(key, str):
        return key
    raise ConfigurationError(
        f"api_key must return a string or a SecretStr, not {type(key).__name__}."
    )


async def aget_api_key(
    connection: ConnectionSettings, read_timeout: ReadTimeout | None = None
) -> str | None:
    """Return the API key for the next request; call a callable, and await it if it is async.

    Args:
        connection: connection settings.
        read_timeout: timeout of an async callable. None: no limit.

    Raises:
        APITimeoutError: the deadline of `read_timeout` has passed.

    """
    key = connection.api_key() if callable(connection.api_key) else connection.api_key
    if isawaitable(key):
        read_timeout = read_timeout or ReadTimeout(lambda: None)
        try:
            key = await read_timeout.wait(key)
        except TimeoutError:
            if not read_timeout.is_expired:
                raise  # it is the callable's own
            raise APITimeoutError("The api_key function did not return a key in time.") from None
    return _key_text(key)
