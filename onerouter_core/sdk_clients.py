"""The openai SDK: loaded when it is first needed, and clients of it made.

This is the only room with the SDK. Its clients are stripped here of what they would read from
OPENAI_* variables; its typed models and its own retries are not used. No HTTP library is named:
the SDK's second major version is on one, its third on another.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from functools import cache, lru_cache
from http.cookies import SimpleCookie
from typing import Any

from onerouter_core.deadlines import ainstall_read_deadline, install_read_deadline
from onerouter_core.errors import ConfigurationError
from onerouter_core.http_errors import araise_for_status, raise_for_status
from onerouter_core.version import __version__


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


# --- the HTTP library of a client, by no name ---


def _http_library_of(client: Any) -> Any:
    """Return the HTTP library that a client is on."""
    return sys.modules[type(client.base_url).__module__]


def response_type(client: Any) -> Any:
    """Return the library's response: an SDK client that is asked for one leaves it as it is."""
    return _http_library_of(client).Response


@lru_cache(maxsize=256)
def _parse_url(library: Any, url: str) -> Any:
    """Return an address that needs no base; to parse it anew was 4 % of a short call."""
    return library.URL(url)


# --- clients ---


# What an SDK client of ours has of its own. Key, organisation and headers come with each request or
# not at all: the SDK would take them from OPENAI_* variables.
_CLIENT_OVERRIDES: dict[str, Any] = {
    "auth_headers": {},
    "_auth_headers": lambda *_: {},  # as the third major version calls them
    "default_headers": {
        "accept": "application/json",
        "content-type": "application/json",
        "user-agent": f"onerouter-integrations/{__version__}",
    },
    "_validate_headers": lambda *_: None,
    "_prepare_url": lambda client, url: _parse_url(_http_library_of(client), url),
}


@cache
def _client_class(kind: Any) -> Callable[..., Any]:
    return type("Client", (kind,), dict(_CLIENT_OVERRIDES))


def new_client(sdk: Any, http_client: Any = None) -> Any:
    """Return an SDK client on a user's HTTP client, or else on one that all instances may share."""
    return _new_sdk_client(
        sdk.OpenAI,
        _new_http_client_or_error(_http_client, sdk) if http_client is None else http_client,
    )


def new_async_client(sdk: Any, http_client: Any = None) -> Any:
    """Return the same for an event loop."""
    if http_client is None:
        http_client = _new_http_client_or_error(_async_http_client, sdk)
    return _new_sdk_client(sdk.AsyncOpenAI, http_client)


def _new_sdk_client(kind: Any, http_client: Any) -> Any:
    try:
        return _client_class(kind)(
            api_key="-", base_url="http://-/", max_retries=0, http_client=http_client
        )
    except (AttributeError, TypeError) as error:
        raise ConfigurationError(f"That http client does not fit the openai SDK: {error}") from None


def _new_http_client_or_error(make: Callable[[Any], Any], sdk: Any) -> Any:
    """Make an HTTP client, which reads the environment; say so if that is what is wrong."""
    try:
        return make(sdk)
    except Exception as error:
        raise ConfigurationError(
            "No HTTP client can be made: check SSL_CERT_FILE, SSL_CERT_DIR and the variables for "
            f"proxies ({type(error).__name__}: {error})."
        ) from error


def _http_client(sdk: Any) -> Any:
    hooks = {"request": [install_read_deadline], "response": [raise_for_status]}
    return _cookieless_client_class(sdk.DefaultHttpxClient)(**_shared_client_options(sdk, hooks))


def _async_http_client(sdk: Any) -> Any:
    """Return the SDK's client on aiohttp, whose cost does not grow with open calls, if it can be.

    It has no way to be told of new connections, so it sends no keep-alive probes.
    """
    how = _shared_client_options(
        sdk, {"request": [ainstall_read_deadline], "response": [araise_for_status]}
    )
    try:
        client = _cookieless_client_class(sdk.DefaultAioHttpClient)(**how)
    except RuntimeError:  # aiohttp is not installed: the SDK's default will do
        return _cookieless_client_class(sdk.DefaultAsyncHttpxClient)(**how)
    for transport in (vars(client)["_transport"], *vars(client)["_mounts"].values()):
        if transport is not None:  # else it is one of NO_PROXY
            transport.get_client = _without_cookies(transport.get_client)
    return client


def _shared_client_options(sdk: Any, hooks: dict[str, Any]) -> dict[str, Any]:
    """Return how a client is made that all instances share: a stream of one never waits for others.

    The SDK's thousand connections are for one instance. How many are open is the callers' business,
    and no number stands for that in all HTTP libraries.
    """
    limits = type(sdk.DEFAULT_CONNECTION_LIMITS)(
        max_connections=_MAX_CONNECTIONS, max_keepalive_connections=1_000, keepalive_expiry=5.0
    )
    return {"event_hooks": hooks, "limits": limits}


_MAX_CONNECTIONS = 1_000_000  # no process may have so many descriptors


# --- one HTTP client for many keys: it keeps no cookies, for one may be the account of a key ---


class _NoCookies(dict[str, str]):
    """The cookies of an HTTP client that keeps none; to look for them took 4 % of a short call."""

    def extract_cookies(self, response: Any) -> None:
        """Leave them where they are."""


@cache
def _cookieless_client_class(kind: Any) -> Callable[..., Any]:
    def build_request(client: Any, method: str, url: Any, **how: Any) -> Any:
        return kind.build_request(
            client, method, _parse_url(_http_library_of(client), str(url)), **how
        )

    return type("HttpClient", (kind,), {"cookies": _NoCookies(), "build_request": build_request})


def _without_cookies(make_session: Callable[[], Any]) -> Callable[[], Any]:
    def make() -> Any:
        session = make_session()
        session.cookie_jar.filter_cookies = lambda _: SimpleCookie()  # none is for any address
        return session

    return make
