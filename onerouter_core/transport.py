"""Transport: sends one HTTP request through an SDK client and iterates over the response body.

Exceptions of the HTTP libraries become errors of this package here. The module does not decode
bodies, and knows neither how clients are shared nor how long a call may take.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Coroutine, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from inspect import isawaitable
from time import monotonic
from typing import Any

from pydantic import SecretStr

from onerouter_core.client_pool import Clients
from onerouter_core.connection import ConnectionSettings
from onerouter_core.deadlines import DeadlineFn, ReadTimeout, set_read_deadline
from onerouter_core.errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    MalformedReplyError,
    OneRouterError,
)
from onerouter_core.response_body import aiter_body, iter_body
from onerouter_core.sdk_clients import aload_sdk, load_sdk, response_type
from onerouter_core.tracebacks import iter_chain, without_frames


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


def send(clients: Clients, connection: ConnectionSettings, http_request: HTTPRequest) -> Response:
    """Send a request; return when the response headers have arrived, whatever the status.

    Args:
        clients: the instance's references to shared clients.
        connection: connection settings, for an HTTP client of the user.
        http_request: the request.

    Raises:
        APIConnectionError: the connection failed, or timed out.
        ConfigurationError: JSON cannot hold the body, or no HTTP client can be created.

    """
    sdk = load_sdk()
    client = clients.get_sync(sdk, connection.http_client)
    set_read_deadline(None if http_request.timeout is None else monotonic() + http_request.timeout)
    try:
        return Response(_post(client, http_request))
    except Exception as error:  # noqa: BLE001 -- HTTP libraries have no common base class
        errors = [error]
    if (raw := _response_of(errors[0])) is not None:
        return Response(raw)
    # Raised after the block, because the SDK's error must not become its context: it quotes the
    # body. Popped from a list, because a local variable of a frame in the traceback would make a
    # reference cycle: see tracebacks.py.
    raise _to_error(errors.pop())


async def asend(
    clients: Clients,
    connection: ConnectionSettings,
    http_request: HTTPRequest,
    read_timeout: ReadTimeout,
) -> Response:
    """Send a request; the async variant of `send`, which ends at the deadline of `read_timeout`."""
    sdk = await aload_sdk()
    client = await clients.get_async(sdk, connection.http_async_client)
    for _ in range(2):  # let a busy event loop notice which idle connections the server has closed
        await asyncio.sleep(0)
    try:
        return Response(await read_timeout.wait(_post(client, http_request)))
    except Exception as error:  # noqa: BLE001 -- as in `send`
        errors = [error]
    if (raw := _response_of(errors[0])) is not None:
        return Response(raw)
    raise _to_error(errors.pop())


class _RedactedHeader(str):
    """Header value with a masked repr: the SDK's second major version logs headers at DEBUG."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def _post(client: Any, http_request: HTTPRequest) -> Any:
    """Send a request through the SDK, which returns before the body is read (`stream`)."""
    headers = {name: _RedactedHeader(value) for name, value in http_request.headers.items()}
    options = {"headers": headers, "timeout": http_request.timeout}
    arguments = {"cast_to": response_type(client), "options": options, "stream": True}
    if http_request.body is None:
        return client.get(http_request.url, **arguments)
    return client.post(http_request.url, body=http_request.body, **arguments)


# A response hook of the user's HTTP client may call `raise_for_status`.
def _response_of(error: Exception) -> Any:
    """Return the response that an exception of `_post`, or a cause of it, has; else None."""
    responses = (getattr(linked, "response", None) for linked in iter_chain(error))
    return next((raw for raw in responses if raw is not None), None)


def _to_error(error: Exception) -> OneRouterError:
    """Return the error to raise for an exception of `_post`."""
    chain = list(iter_chain(without_frames(error)))
    is_unverified = any(isinstance(linked, ssl.SSLCertVerificationError) for linked in chain)
    new_error = _unserializable_body_error(error) or _to_connection_error(
        error, is_unverified=is_unverified
    )
    # The root cause only: an error of aiohttp that it led to shows the request with the key.
    *_, new_error.__cause__ = _iter_causes(error)
    return new_error


def _unserializable_body_error(error: Exception) -> ConfigurationError | None:
    """Return an error if the root cause is that JSON cannot hold the body; nothing was sent."""
    *_, root_cause = _iter_causes(error)
    classes = (TypeError, ValueError, RecursionError)  # of `json.dumps`
    if not isinstance(root_cause, classes) or isinstance(root_cause, OSError | UnicodeDecodeError):
        return None
    reason = f"{type(root_cause).__name__}: {root_cause}"
    return ConfigurationError(f"The request cannot be written as JSON: {reason}")


class Response:
    """HTTP response whose body is read in chunks; `headers` have names in lower case."""

    __slots__ = ("_raw", "headers", "status")

    def __init__(self, raw: Any) -> None:
        """Wrap the SDK's response."""
        self._raw = raw
        self.status: int = raw.status_code
        self.headers: dict[str, str] = {k.lower(): v for k, v in raw.headers.items()}

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx; else the body is no reply."""
        return self.status // 100 == 2  # noqa: PLR2004 -- the first digit is the class

    def chunks(self, deadline: DeadlineFn) -> Generator[bytes, None, None]:
        """Yield the chunks of the body, decompressed.

        Args:
            deadline: function that returns the present read deadline.

        Raises:
            APITimeoutError: the read deadline has passed.
            APIConnectionError: the connection failed before the end of the body.
            MalformedReplyError: the body is not compressed as its headers say.

        """
        try:
            set_read_deadline(deadline())
            for chunk in iter_body(self._raw):
                yield chunk
                set_read_deadline(deadline())
        except Exception as error:  # noqa: BLE001 -- as in `send`
            errors = [error]
        else:
            return
        raise _to_read_error(errors.pop())

    async def achunks(self, read_timeout: ReadTimeout) -> AsyncGenerator[bytes, None]:
        """Yield the chunks of the body; the async variant of `chunks`."""
        chunks = aiter_body(self._raw)
        try:
            while (chunk := await read_timeout.wait(anext(chunks, None))) is not None:
                yield chunk
        except Exception as error:  # noqa: BLE001 -- as in `send`
            errors = [error]
        else:
            return
        raise _to_read_error(errors.pop())

    def close(self) -> None:
        """Close the connection, unless the body was read to its end."""
        self._raw.close()

    async def aclose(self) -> None:
        """Close the connection, unless the body was read to its end."""
        await self._raw.aclose()


# --- API key ---


def get_api_key(connection: ConnectionSettings) -> str | None:
    """Return the API key for the next request; call a callable.

    Raises:
        ConfigurationError: the callable is async.

    """
    key = connection.api_key() if callable(connection.api_key) else connection.api_key
    if isawaitable(key):
        if isinstance(key, Coroutine):
            key.close()  # else Python warns that it was never awaited
        raise ConfigurationError("api_key is an async callable: only async methods can await it.")
    return key.get_secret_value() if isinstance(key, SecretStr) else key


async def aget_api_key(connection: ConnectionSettings) -> str | None:
    """Return the API key for the next request; call a callable, and await it if it is async."""
    key = connection.api_key() if callable(connection.api_key) else connection.api_key
    if isawaitable(key):
        key = await key
    return key.get_secret_value() if isinstance(key, SecretStr) else key


# --- errors ---


def _to_read_error(error: Exception) -> OneRouterError:
    """Return the error to raise for an exception while the body was read."""
    if isinstance(error, OneRouterError):
        return error
    new_error = _to_connection_error(error)
    new_error.__cause__ = without_frames(error)
    return new_error


# The root cause decides between timeout and connection error: over aiohttp, openai 2.54 reports
# a refused, closed or reset connection as `APITimeoutError <- ConnectTimeout <- aiohttp's error`.
# A certificate that cannot be verified (`is_unverified`) is not transient.
def _to_connection_error(error: Exception, *, is_unverified: bool = False) -> OneRouterError:
    """Classify an exception of an HTTP library by the class names of its causes."""
    causes = list(_iter_causes(error))
    root_cause, class_names = causes[-1], " ".join(type(cause).__name__ for cause in causes)
    root_name = type(root_cause).__name__
    reason = " ".join(f"{root_name}: {root_cause}".split()).removesuffix(":")
    if "Timeout" in root_name:
        return APITimeoutError("The gateway did not answer in time.")
    if "Decod" in class_names or "ContentEncoding" in class_names:
        return MalformedReplyError(f"The reply cannot be decoded: {reason}")
    return APIConnectionError(
        f"The connection to the gateway failed: {reason}", transient=not is_unverified
    )


def _iter_causes(error: BaseException | None) -> Iterator[Exception]:
    """Yield an exception and its causes; the last one is the root cause."""
    while isinstance(error, Exception):
        yield error
        error = error.__cause__
