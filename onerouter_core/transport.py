"""Bytes there and back: the only room with the openai SDK.

This module knows how to reach a server: clients, keys, headers, timeouts, and what each failure on
the way is called here. It does not know what the bytes mean. The SDK sends, authenticates, keeps
proxies and TLS; its typed models and its own retries are not used. No HTTP library is named: the
SDK's second major version is on one, its third on another.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, finalize, ref

from pydantic import SecretStr
from typing_extensions import Self

from onerouter_core.errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    MalformedReplyError,
    OneRouterError,
)
from onerouter_core.parameters import USER_AGENT, Connection


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One HTTP request; without a body it is a GET. `timeout` is in seconds."""

    url: str
    headers: Mapping[str, str]
    timeout: float | None
    body: Mapping[str, Any] | None = None


class BadStatus(Exception):  # noqa: N818 -- not an error yet: the gateway reads what it says
    """An answer with a status of 300 or above, read to its end."""

    def __init__(self, status: int, headers: Mapping[str, str], body: str) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers
        self.body = body


class Clients:
    """SDK clients, made on first use: one for sync calls, one for each event loop.

    Never pickled or copied: a copy begins with none.
    """

    def __init__(self) -> None:
        """Hold none yet."""
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._sync: dict[Any, Any] = {}
        self._at_the_end = finalize(self, _close_own, self._sync)
        self._by_loop: WeakKeyDictionary[Any, dict[Any, Any]] = WeakKeyDictionary()

    def __reduce__(self) -> tuple[Any, ...]:
        return Clients, ()

    def __deepcopy__(self, memo: dict[int, Any]) -> Clients:
        return Clients()

    def open(self, connection: Connection, outgoing: Outgoing) -> Response:
        """Send, and return when the headers are there; raise BadStatus or APIConnectionError."""
        sdk = load_sdk()
        client = self._client_for_threads(sdk, connection.http_client)
        try:
            return Response(_send(client, sdk.Stream[object], outgoing).response)
        except sdk.APIStatusError as error:
            refused = _refused(error.response)
        except Exception as error:  # whatever an HTTP library raises
            raise in_our_words(error) from error
        raise refused

    async def aopen(self, connection: Connection, outgoing: Outgoing) -> Response:
        """Do the same without blocking the event loop."""
        sdk = await aload_sdk()
        client = await self._client_for_loop(sdk, connection.http_async_client)
        try:
            stream = await _send(client, sdk.AsyncStream[object], outgoing)
            return Response(stream.response)
        except sdk.APIStatusError as error:
            refused = _refused(error.response)
        except Exception as error:  # whatever an HTTP library raises
            raise in_our_words(error) from error
        raise refused

    def _client_for_threads(self, sdk: Any, http_client: Any) -> Any:
        with self._lock:
            self._check_process()
            if http_client not in self._sync:
                self._sync[http_client] = _make(sdk.OpenAI, http_client)
            return self._sync[http_client]

    async def _client_for_loop(self, sdk: Any, http_client: Any) -> Any:
        with self._lock:
            self._check_process()
            clients = self._by_loop.setdefault(asyncio.get_running_loop(), {})
            if known := clients.get(http_client):
                return known[0]
            own = http_client or _aiohttp_client(sdk)
            client = _make(sdk.AsyncOpenAI, own)
            guard = _closed_with_the_loop(client if http_client is None else None, ref(self))
            clients[http_client] = client, guard
        await anext(guard)
        return client

    def _check_process(self) -> None:
        """Leave a parent's sockets to the parent, after a fork."""
        if self._pid != os.getpid():
            self._at_the_end.detach()
            self._forget()

    def close(self) -> None:
        """Close the sync client; the next call makes a new one."""
        with self._lock:
            _close_own(self._sync)

    async def aclose(self) -> None:
        """Close this event loop's client, and the sync one."""
        self.close()
        for _, guard in self.let_go().values():
            await guard.aclose()

    def let_go(self) -> dict[Any, Any]:
        """Return the clients of this event loop, with what will close them, and hold none."""
        with self._lock:
            return self._by_loop.pop(asyncio.get_running_loop(), {})


class HoldsClients:
    """Whoever holds clients can be closed, and used as a context manager of either colour."""

    _clients: Clients

    def close(self) -> None:
        """Close the sync client; the next call makes a new one."""
        self._clients.close()

    async def aclose(self) -> None:
        """Close this event loop's client, and the sync one."""
        await self._clients.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _close_own(clients: dict[Any, Any]) -> None:
    """Close what no user gave us; the collector would close sockets in any order, and warn."""
    if client := clients.pop(None, None):
        client.close()


class Response:
    """The headers of an answer, and its bytes as they come."""

    __slots__ = ("_raw", "headers")

    def __init__(self, raw: Any) -> None:
        """Wrap the SDK's response."""
        self._raw = raw
        self.headers: dict[str, str] = {k.lower(): v for k, v in raw.headers.items()}

    def chunks(self) -> Generator[bytes, None, None]:
        """Yield bytes; raise APIConnectionError if the connection breaks."""
        try:
            yield from self._raw.iter_bytes()
        except Exception as error:  # whatever an HTTP library raises
            raise in_our_words(error) from error

    async def achunks(self) -> AsyncGenerator[bytes, None]:
        """Do the same on an event loop."""
        try:
            async for chunk in self._raw.aiter_bytes():
                yield chunk
        except Exception as error:  # whatever an HTTP library raises
            raise in_our_words(error) from error

    def close(self) -> None:
        """Hang up, unless all was read."""
        self._raw.close()

    async def aclose(self) -> None:
        """Hang up, unless all was read."""
        await self._raw.aclose()


# --- the SDK ---


def load_sdk() -> Any:
    """Import the SDK; the first time takes up to a second."""
    told = os.environ.pop("OPENAI_LOG", None)  # read at import; nothing of OPENAI_* is ours
    try:
        import openai  # noqa: PLC0415 -- importing and constructing our classes must not
    finally:
        if told is not None:
            os.environ["OPENAI_LOG"] = told
    return openai


async def aload_sdk() -> Any:
    """Import the SDK in a thread: the import would block the event loop."""
    global _loaded  # noqa: PLW0603 -- a thread for each call would cost more than the call
    if not _loaded:
        await asyncio.to_thread(load_sdk)
        _loaded = True
    return load_sdk()


_loaded = False


# What an SDK client of ours has of its own. Key, organisation and headers come with each request or
# not at all: the SDK would take them from OPENAI_* variables.
_OURS = {
    "auth_headers": {},
    "_auth_headers": lambda *_: {},  # as the third major version calls them
    "default_headers": {
        "accept": "application/json",
        "content-type": "application/json",
        "user-agent": USER_AGENT,
    },
    "_validate_headers": lambda *_: None,
}


def _make(kind: Any, http_client: Any) -> Any:
    try:
        return type("Client", (kind,), dict(_OURS))(
            api_key="-", base_url="http://-/", max_retries=0, http_client=http_client
        )
    except (AttributeError, TypeError) as error:
        raise ConfigurationError(f"That http client does not fit the openai SDK: {error}") from None


def _aiohttp_client(sdk: Any) -> Any:
    """Return the SDK's client on aiohttp, whose cost does not grow with open calls, or None."""
    try:
        return sdk.DefaultAioHttpClient()
    except RuntimeError:  # aiohttp is not installed: the SDK's default will do
        return None


async def _closed_with_the_loop(
    client: Any, holder: ReferenceType[Clients]
) -> AsyncGenerator[None, None]:
    """Close a client when its loop ends, which finalises the async generators begun on it.

    Then its holder lets it go: this generator, and so what refers to it, keeps the loop alive.
    """
    try:
        yield
    finally:
        if (holding := holder()) is not None:
            holding.let_go()
        if client is not None:
            await client.close()


def _send(client: Any, stream_cls: Any, outgoing: Outgoing) -> Any:
    options = {"headers": dict(outgoing.headers), "timeout": outgoing.timeout}
    how = {"cast_to": object, "options": options, "stream": True, "stream_cls": stream_cls}
    if outgoing.body is None:
        return client.get(outgoing.url, **how)
    return client.post(outgoing.url, body=outgoing.body, **how)


def _refused(response: Any) -> BadStatus:
    return BadStatus(
        response.status_code,
        {key.lower(): value for key, value in response.headers.items()},
        response.text,
    )


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


def in_our_words(error: Exception) -> OneRouterError:
    """Return the error of ours that a failure to send or to read is."""
    if isinstance(error, OneRouterError):
        return error
    causes = list(_causes(error))
    first, names = causes[-1], " ".join(type(cause).__name__ for cause in causes)
    name = type(first).__name__
    what = " ".join(f"{name}: {first}".split()).removesuffix(":")
    if isinstance(first, TypeError | UnicodeEncodeError):
        return ConfigurationError(f"The request cannot be written as JSON: {what}")
    if "Timeout" in name:
        return APITimeoutError("The gateway did not answer in time.")
    if "Decod" in names or "ContentEncoding" in names:
        return MalformedReplyError(f"The reply cannot be decoded: {what}")
    refused = isinstance(first, ssl.SSLCertVerificationError)
    return APIConnectionError(
        f"The connection to the gateway failed: {what}", transient=not refused
    )


def _causes(error: BaseException | None) -> Iterator[Exception]:
    """Go down the chain: over aiohttp the SDK calls a dead server a slow one, at its top."""
    while isinstance(error, Exception):
        yield error
        error = error.__cause__
