"""Bytes there and back.

This module knows how a request is sent and its answer read through an SDK client, and what each
failure on the way is called here. It does not know what the bytes mean, how clients come and go,
nor how long anything may take.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
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
from onerouter_core.http_errors import HTTPErrorResponse, to_http_error_response
from onerouter_core.sdk_clients import aload_sdk, load_sdk, response_type
from onerouter_core.tracebacks import iter_chain, without_frames


@dataclass(frozen=True, slots=True)
class HTTPRequest:
    """One HTTP request; without a body it is a GET. `timeout` is in seconds."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    timeout: float | None
    body: Mapping[str, Any] | None = None


def send(clients: Clients, connection: ConnectionSettings, http_request: HTTPRequest) -> Response:
    """Send, and return when the headers are there; raise BadStatus or APIConnectionError."""
    sdk = load_sdk()
    client = clients.get_sync(sdk, connection.http_client)
    set_read_deadline(None if http_request.timeout is None else monotonic() + http_request.timeout)
    try:
        return Response(_post(client, http_request))
    except Exception as error:  # noqa: BLE001 -- whatever an HTTP library raises
        failed = [error]
    # Not from there: the SDK's error quotes the body, and so perhaps the key. And held by no local
    # of the frames that it goes through: it would keep them alive until the collector comes.
    raise _to_error(failed.pop())


async def asend(
    clients: Clients, connection: ConnectionSettings, http_request: HTTPRequest, alarm: ReadTimeout
) -> Response:
    """Do the same without blocking the event loop."""
    sdk = await aload_sdk()
    client = await clients.get_async(sdk, connection.http_async_client)
    for _ in range(2):  # let a loop that was busy hear which kept connections have ended
        await asyncio.sleep(0)
    try:
        return Response(await alarm.wait(_post(client, http_request)))
    except Exception as error:  # noqa: BLE001 -- whatever an HTTP library raises
        failed = [error]
    raise _to_error(failed.pop())


class _RedactedHeader(str):
    """A header's value that shows nothing: the SDK's second major version logs it at DEBUG."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def _post(client: Any, http_request: HTTPRequest) -> Any:
    """Have the SDK return before the body is read, also that of a reply that is no stream."""
    headers = {name: _RedactedHeader(value) for name, value in http_request.headers.items()}
    options = {"headers": headers, "timeout": http_request.timeout}
    how = {"cast_to": response_type(client), "options": options, "stream": True}
    if http_request.body is None:
        return client.get(http_request.url, **how)
    return client.post(http_request.url, body=http_request.body, **how)


def _to_error(error: Exception) -> HTTPErrorResponse | OneRouterError:
    """Return the refusal that an error is, or has behind it, or else our error."""
    causes = list(iter_chain(without_frames(error)))
    for cause in causes:
        if (refused := to_http_error_response(cause)) is not None:
            refused.__cause__ = refused.__context__ = None
            return refused
    ours = _unserializable_body_error(error) or _name_failure(
        error, unverified=any(isinstance(c, _CERTIFICATE_ERROR) for c in causes)
    )
    *_, ours.__cause__ = _iter_causes(
        error
    )  # the first: aiohttp's next shows the request, key and all
    return ours


_CERTIFICATE_ERROR = ssl.SSLCertVerificationError


def _unserializable_body_error(error: Exception) -> ConfigurationError | None:
    """Return what is wrong with a request that no JSON can say, before it was sent."""
    *_, first = _iter_causes(error)
    kinds = (TypeError, ValueError, RecursionError)
    if not isinstance(first, kinds) or isinstance(first, OSError | UnicodeDecodeError):
        return None
    what = f"{type(first).__name__}: {first}"
    return ConfigurationError(f"The request cannot be written as JSON: {what}")


class Response:
    """The headers of an answer, and its bytes as they come."""

    __slots__ = ("_raw", "headers")

    def __init__(self, raw: Any) -> None:
        """Wrap the SDK's response."""
        self._raw = raw
        self.headers: dict[str, str] = {k.lower(): v for k, v in raw.headers.items()}

    def chunks(self, deadline: DeadlineFn) -> Generator[bytes, None, None]:
        """Yield bytes; raise APIConnectionError if the connection breaks or is silent too long."""
        try:
            set_read_deadline(deadline())
            for chunk in self._raw.iter_bytes():
                yield chunk
                set_read_deadline(deadline())
        except Exception as error:  # noqa: BLE001 -- whatever an HTTP library raises
            failed = [error]
        else:
            return
        raise _to_read_error(failed.pop())

    async def achunks(self, alarm: ReadTimeout) -> AsyncGenerator[bytes, None]:
        """Do the same on an event loop."""
        chunks = self._raw.aiter_bytes()
        try:
            while (chunk := await alarm.wait(anext(chunks, None))) is not None:
                yield chunk
        except Exception as error:  # noqa: BLE001 -- whatever an HTTP library raises
            failed = [error]
        else:
            return
        raise _to_read_error(failed.pop())

    def close(self) -> None:
        """Hang up, unless all was read."""
        self._raw.close()

    async def aclose(self) -> None:
        """Hang up, unless all was read."""
        await self._raw.aclose()


# --- the key ---


def get_api_key(connection: ConnectionSettings) -> str | None:
    """Return the key for the next request."""
    key = connection.api_key() if callable(connection.api_key) else connection.api_key
    if isawaitable(key):
        if hasattr(key, "close"):
            key.close()
        raise ConfigurationError("api_key is an async callable: only async methods can await it.")
    return key.get_secret_value() if isinstance(key, SecretStr) else key


async def aget_api_key(connection: ConnectionSettings) -> str | None:
    """Return the key for the next request, awaiting a callable that must be."""
    key = connection.api_key() if callable(connection.api_key) else connection.api_key
    if isawaitable(key):
        key = await key
    return key.get_secret_value() if isinstance(key, SecretStr) else key


# --- what went wrong ---


def _to_read_error(error: Exception) -> OneRouterError:
    """Return the error of ours that a failure to read is."""
    if isinstance(error, OneRouterError):
        return error
    ours = _name_failure(error)
    ours.__cause__ = without_frames(error)
    return ours


def _name_failure(error: Exception, *, unverified: bool = False) -> OneRouterError:
    """Name a failure by its first cause: over aiohttp the SDK calls a dead server a slow one."""
    causes = list(_iter_causes(error))
    first, names = causes[-1], " ".join(type(cause).__name__ for cause in causes)
    name = type(first).__name__
    what = " ".join(f"{name}: {first}".split()).removesuffix(":")
    if "Timeout" in name:
        return APITimeoutError("The gateway did not answer in time.")
    if "Decod" in names or "ContentEncoding" in names:
        return MalformedReplyError(f"The reply cannot be decoded: {what}")
    return APIConnectionError(
        f"The connection to the gateway failed: {what}", transient=not unverified
    )


def _iter_causes(error: BaseException | None) -> Iterator[Exception]:
    while isinstance(error, Exception):
        yield error
        error = error.__cause__
