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

from onerouter_core.clients import Clients
from onerouter_core.errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    MalformedReplyError,
    OneRouterError,
)
from onerouter_core.parameters import Connection
from onerouter_core.refusals import BadStatus, refusal_of
from onerouter_core.sdk import aload_sdk, load_sdk, response_type
from onerouter_core.tracebacks import led_to, without_frames
from onerouter_core.waits import Alarm, Until, wait_until


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One HTTP request; without a body it is a GET. `timeout` is in seconds."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    timeout: float | None
    body: Mapping[str, Any] | None = None


def send(clients: Clients, connection: Connection, outgoing: Outgoing) -> Response:
    """Send, and return when the headers are there; raise BadStatus or APIConnectionError."""
    sdk = load_sdk()
    client = clients.for_threads(sdk, connection.http_client)
    wait_until(None if outgoing.timeout is None else monotonic() + outgoing.timeout)
    try:
        return Response(_post(client, outgoing))
    except Exception as error:  # noqa: BLE001 -- whatever an HTTP library raises
        failed = [error]
    # Not from there: the SDK's error quotes the body, and so perhaps the key. And held by no local
    # of the frames that it goes through: it would keep them alive until the collector comes.
    raise _told(failed.pop())


async def asend(
    clients: Clients, connection: Connection, outgoing: Outgoing, alarm: Alarm
) -> Response:
    """Do the same without blocking the event loop."""
    sdk = await aload_sdk()
    client = await clients.for_loop(sdk, connection.http_async_client)
    for _ in range(2):  # let a loop that was busy hear which kept connections have ended
        await asyncio.sleep(0)
    try:
        return Response(await alarm.wait(_post(client, outgoing)))
    except Exception as error:  # noqa: BLE001 -- whatever an HTTP library raises
        failed = [error]
    raise _told(failed.pop())


class _Hidden(str):
    """A header's value that shows nothing: the SDK's second major version logs it at DEBUG."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def _post(client: Any, outgoing: Outgoing) -> Any:
    """Have the SDK return before the body is read, also that of a reply that is no stream."""
    headers = {name: _Hidden(value) for name, value in outgoing.headers.items()}
    options = {"headers": headers, "timeout": outgoing.timeout}
    how = {"cast_to": response_type(client), "options": options, "stream": True}
    if outgoing.body is None:
        return client.get(outgoing.url, **how)
    return client.post(outgoing.url, body=outgoing.body, **how)


def _told(error: Exception) -> BadStatus | OneRouterError:
    """Return the refusal that an error is, or has behind it, or else our error."""
    causes = list(led_to(without_frames(error)))
    for cause in causes:
        if (refused := refusal_of(cause)) is not None:
            refused.__cause__ = refused.__context__ = None
            return refused
    ours = _unwritable(error) or _named(
        error, unverified=any(isinstance(c, _UNVERIFIED) for c in causes)
    )
    *_, ours.__cause__ = _causes(error)  # the first: aiohttp's next shows the request, key and all
    return ours


_UNVERIFIED = ssl.SSLCertVerificationError


def _unwritable(error: Exception) -> ConfigurationError | None:
    """Return what is wrong with a request that no JSON can say, before it was sent."""
    *_, first = _causes(error)
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

    def chunks(self, until: Until) -> Generator[bytes, None, None]:
        """Yield bytes; raise APIConnectionError if the connection breaks or is silent too long."""
        try:
            wait_until(until())
            for chunk in self._raw.iter_bytes():
                yield chunk
                wait_until(until())
        except Exception as error:  # noqa: BLE001 -- whatever an HTTP library raises
            failed = [error]
        else:
            return
        raise _unread(failed.pop())

    async def achunks(self, alarm: Alarm) -> AsyncGenerator[bytes, None]:
        """Do the same on an event loop."""
        chunks = self._raw.aiter_bytes()
        try:
            while (chunk := await alarm.wait(anext(chunks, None))) is not None:
                yield chunk
        except Exception as error:  # noqa: BLE001 -- whatever an HTTP library raises
            failed = [error]
        else:
            return
        raise _unread(failed.pop())

    def close(self) -> None:
        """Hang up, unless all was read."""
        self._raw.close()

    async def aclose(self) -> None:
        """Hang up, unless all was read."""
        await self._raw.aclose()


# --- the key ---


def key_of(connection: Connection) -> str | None:
    """Return the key for the next request."""
    key = connection.api_key() if callable(connection.api_key) else connection.api_key
    if isawaitable(key):
        if hasattr(key, "close"):
            key.close()
        raise ConfigurationError("api_key is an async callable: only async methods can await it.")
    return key.get_secret_value() if isinstance(key, SecretStr) else key


async def akey_of(connection: Connection) -> str | None:
    """Return the key for the next request, awaiting a callable that must be."""
    key = connection.api_key() if callable(connection.api_key) else connection.api_key
    if isawaitable(key):
        key = await key
    return key.get_secret_value() if isinstance(key, SecretStr) else key


# --- what went wrong ---


def _unread(error: Exception) -> OneRouterError:
    """Return the error of ours that a failure to read is."""
    if isinstance(error, OneRouterError):
        return error
    ours = _named(error)
    ours.__cause__ = without_frames(error)
    return ours


def _named(error: Exception, *, unverified: bool = False) -> OneRouterError:
    """Name a failure by its first cause: over aiohttp the SDK calls a dead server a slow one."""
    causes = list(_causes(error))
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


def _causes(error: BaseException | None) -> Iterator[Exception]:
    while isinstance(error, Exception):
        yield error
        error = error.__cause__
