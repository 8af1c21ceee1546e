"""The openai SDK: import on demand, and clients that read no OPENAI_* variable.

No other module imports the SDK. Its typed models and its own retries are not used. No HTTP library
is named: the SDK's second major version is based on httpx, its third on httpx2.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache, lru_cache
from importlib import import_module
from inspect import isawaitable, iscoroutinefunction, signature
from typing import Any
from urllib.request import getproxies

from onerouter_core.aiohttp_sessions import adapt_transport
from onerouter_core.deadlines import ainstall_read_deadline, install_read_deadline
from onerouter_core.errors import APIConnectionError, ConfigurationError
from onerouter_core.http_internals import (
    abort_connections,
    close_leftovers,
    find_http_client,
    is_aiohttp,
    iter_transports,
    package_version,
)
from onerouter_core.network_backend import limit_connecting
from onerouter_core.response_body import ACCEPT_ENCODING
from onerouter_core.version import __version__

# Modules that HTTP libraries import only when they open a connection: httpcore that of anyio (if it
# is used at all), and `socket` that of host names.
_LATE_IMPORTS = ("anyio._backends._asyncio", "encodings.idna")


@cache
def load_sdk() -> Any:
    """Import the SDK and what it imports later; the first import takes up to seconds."""
    log_level = os.environ.pop("OPENAI_LOG", None)  # the SDK sets up logging at its import
    try:
        import openai  # noqa: PLC0415 -- importing this package must not import the SDK
    finally:
        if log_level is not None:
            os.environ["OPENAI_LOG"] = log_level
    for name in _LATE_IMPORTS:
        with suppress(ImportError):
            import_module(name)
    return openai


async def aload_sdk() -> Any:
    """Import the SDK in a thread, as the first import would block the event loop."""
    global _loaded  # noqa: PLW0603 -- a thread per call would cost more than the call
    if not _loaded:
        await asyncio.to_thread(load_sdk)
        _loaded = True
    return load_sdk()


_loaded = False


# --- the HTTP library of a client, whichever it is ---


def _http_library_of(http_client: Any) -> Any:
    """Return the module of the HTTP library that a client uses."""
    return sys.modules[type(http_client.base_url).__module__]


@cache
def content_argument(post: Callable[..., Any]) -> str:
    """Return the argument for bytes of `post`, a method of an SDK client's class.

    It is `body` in openai 2.0, and `content` in versions that have it: those warn of bytes in
    `body`.
    """
    return "content" if "content" in signature(post).parameters else "body"


def is_from_network(http_client: Any, response: Any) -> bool:
    """Tell whether a response came over a connection, and not from a mock or an application.

    Responses of the aiohttp transport have no network stream.
    """
    return "network_stream" in response.extensions or any(
        map(is_aiohttp, iter_transports(http_client))
    )


_TIMEOUT_KINDS = ("connect", "read", "write", "pool")


def stricter_timeout(http_client: Any, seconds: float | None) -> Any:
    """Return the timeout of a user's HTTP client, each of its four limits lowered to `seconds`.

    A client that was created without a timeout has no limits: the HTTP library's default of five
    seconds without data is no choice of the user's, and models often take longer.
    """
    own = http_client.timeout
    limits = {name: getattr(own, name) for name in _TIMEOUT_KINDS}
    default = _default_timeout(_http_library_of(http_client))
    # A chosen limit of the same length is another object: a client copies references.
    if all(limits[name] is getattr(default, name) for name in _TIMEOUT_KINDS):
        limits = dict.fromkeys(_TIMEOUT_KINDS)
    if seconds is not None:
        limits = {name: min(seconds, limit or seconds) for name, limit in limits.items()}
    return type(own)(**limits)


@cache
def _default_timeout(library: Any) -> Any:
    """Return the timeout of clients of an HTTP library that are created without one."""
    return signature(library.Client).parameters["timeout"].default


@cache
def _url_parser(url_class: Any) -> Any:
    """Return a URL class with a cache; without it, parsing was 4 % of a short call."""
    return lru_cache(maxsize=256)(url_class)


# --- clients ---


def _replace_by_nothing(*_: Any) -> dict[str, str]:
    """Take the place of methods that would add headers, or raise."""
    return {}


# Attributes that replace those of the SDK's client class (seen in openai 2.0 to 3.57), which would
# take key, organization and headers from OPENAI_* variables: here they come with each request.
_CLIENT_OVERRIDES: dict[str, Any] = {
    "auth_headers": {},
    "_auth_headers": _replace_by_nothing,
    "default_headers": {
        "accept": "application/json",
        "accept-encoding": ACCEPT_ENCODING,
        "content-type": "application/json",
        "user-agent": f"onerouter-integrations/{__version__}",
    },
    "_validate_headers": _replace_by_nothing,
}


_NEW_NAMES = {"_auth_headers"}  # of the third major version


@cache
def _client_class(sdk_class: Any, library: Any) -> Callable[..., Any]:
    """Return a subclass of the SDK's; raise ConfigurationError if it would have no effect.

    Its `response_type` is the SDK's argument `cast_to`: such a response is not parsed.
    """
    # The SDK's hook for each request, so that a client of the user has deadlines, too.
    is_async = iscoroutinefunction(getattr(sdk_class, "_prepare_request", None))
    prepare = ainstall_read_deadline if is_async else install_read_deadline
    parse_url = staticmethod(_url_parser(library.URL))
    overrides = {
        **_CLIENT_OVERRIDES,
        "_prepare_url": parse_url,
        "_prepare_request": staticmethod(prepare),
    }
    if missing := [n for n in overrides if n not in _NEW_NAMES and not hasattr(sdk_class, n)]:
        raise ConfigurationError(
            f"{package_version(sdk_class)} cannot be used: its {sdk_class.__name__} has no "
            f"{', '.join(missing)}, so keys and deadlines would not be ours. Install a version "
            "that this package was tested with."
        )
    return type("Client", (sdk_class,), {**overrides, "response_type": library.Response})


def new_client(sdk: Any, http_client: Any = None) -> Any:
    """Create an SDK client.

    Args:
        sdk: the openai module.
        http_client: HTTP client of the user. None: a new one, made to be shared by all instances.

    Raises:
        ConfigurationError: the user's HTTP client is of another library, or none can be created
            because of the environment (certificates, proxies).

    """
    if http_client is None:
        http_client = _create_http_client(_new_http_client, sdk)
    return _new_sdk_client(sdk.OpenAI, http_client)


def new_async_client(sdk: Any, http_client: Any = None) -> Any:
    """Create an SDK client for an event loop; see `new_client`."""
    if http_client is None:
        http_client = _create_http_client(_new_async_http_client, sdk)
    return _new_sdk_client(sdk.AsyncOpenAI, http_client)


def abort_client(client: Any) -> None:
    """Close the sockets of an async client at once; its event loop may have been closed."""
    abort_connections(find_http_client(client))


def _new_sdk_client(sdk_class: Any, http_client: Any) -> Any:
    if getattr(http_client, "is_closed", False):
        raise ConfigurationError("The HTTP client is closed: give the model an open one.")
    try:
        return _client_class(sdk_class, _http_library_of(http_client))(
            api_key="-",
            base_url="http://-/",
            max_retries=0,
            http_client=_WithoutStatusCheck(http_client),
        )
    except (AttributeError, TypeError) as error:
        raise ConfigurationError(
            f"The HTTP client {type(http_client).__name__} does not fit the openai SDK: {error}"
        ) from None


# The SDK reads the body of an error response to its end, however long that takes, and loses the
# status if the connection fails on the way. An exception in a response hook would avoid that, but
# tracers, which wrap `send` or the class's methods, would see a failed request without a status.
class _WithoutStatusCheck:
    """Proxy of an HTTP client: its responses are returned whatever their status is.

    The SDK's check of the class sees that of the HTTP client, which is not changed.
    """

    def __init__(self, http_client: Any) -> None:
        self._http_client = http_client
        self.build_request = http_client.build_request  # used by each request

    def __getattr__(self, name: str) -> Any:
        return getattr(self._http_client, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return type(self._http_client)

    def send(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request; of an async client, return an awaitable."""
        response = self._http_client.send(*args, **kwargs)
        if isawaitable(response):
            return _aaccept(response)
        response.raise_for_status = _replace_by_nothing
        return response


async def _aaccept(sending: Awaitable[Any]) -> Any:
    response = await sending
    response.raise_for_status = _replace_by_nothing
    return response


def _create_http_client(create: Callable[[Any], Any], sdk: Any) -> Any:
    """Create an HTTP client; explain an error, which comes from the environment."""
    try:
        http_client = create(sdk)
    except ImportError:  # of socksio; with HTTP proxies nothing else is imported
        if not _uses_socks_proxy():
            raise
        raise ConfigurationError(
            "A SOCKS proxy is set in the environment (such as ALL_PROXY), which needs the package "
            "socksio: install it with `pip install socksio`."
        ) from None
    except Exception as error:  # noqa: BLE001 -- HTTP libraries have no common base class
        if getattr(error, "errno", None) in {errno.EMFILE, errno.ENFILE}:
            raise APIConnectionError(f"The HTTP client cannot be created: {error}") from None
        raise ConfigurationError(
            "The HTTP client cannot be created: check the environment variables SSL_CERT_FILE, "
            f"SSL_CERT_DIR and those for proxies ({type(error).__name__}: {error})."
        ) from None
    close_leftovers(http_client)
    return http_client


def _new_http_client(sdk: Any) -> Any:
    client = _cookieless_client_class(sdk.DefaultHttpxClient)(limits=_shared_limits(sdk))
    for transport in iter_transports(client):
        limit_connecting(transport)
    return client


# With aiohttp, the cost of a call does not grow with the number of open calls. It has no callback
# for new connections, so TCP keep-alive is not set on them. It would speak HTTP to a SOCKS proxy.
def _new_async_http_client(sdk: Any) -> Any:
    """Return the SDK's client on aiohttp if that is usable, else its default one."""
    limits = _shared_limits(sdk)
    if _uses_socks_proxy():
        return _cookieless_client_class(sdk.DefaultAsyncHttpxClient)(limits=limits)
    try:
        client = _cookieless_client_class(sdk.DefaultAioHttpClient)(limits=limits)
    except RuntimeError:  # the SDK raises it if aiohttp is not installed
        return _cookieless_client_class(sdk.DefaultAsyncHttpxClient)(limits=limits)
    for transport in iter_transports(client):
        adapt_transport(transport)
    return client


def _uses_socks_proxy() -> bool:
    """Tell whether a variable that HTTP libraries read names a SOCKS proxy."""
    proxies = getproxies()
    urls = (proxies.get(scheme, "") for scheme in ("http", "https", "all"))
    return any(url.lower().startswith("socks") for url in urls)


def _shared_limits(sdk: Any) -> Any:
    """Return the connection limits of an HTTP client that all instances share.

    The SDK's limit of 1,000 connections is meant for one instance: here it would make a call of one
    instance wait for the streams of others. HTTP libraries have no common value for "no limit".
    """
    return type(sdk.DEFAULT_CONNECTION_LIMITS)(
        max_connections=_MAX_CONNECTIONS, max_keepalive_connections=1_000, keepalive_expiry=5.0
    )


_MAX_CONNECTIONS = 1_000_000  # more than the file descriptors that a process may have


# --- no cookies: one HTTP client serves many keys, and a cookie may identify one key's account ---


class _NoCookies(dict[str, str]):
    """Cookie jar that stays empty; a real one took 4 % of a short call."""

    extract_cookies = _replace_by_nothing


@cache
def _cookieless_client_class(http_class: Any) -> Callable[..., Any]:
    def build_request(client: Any, method: str, url: Any, **options: Any) -> Any:
        url_class: Any = type(client.base_url)
        return http_class.build_request(client, method, _url_parser(url_class)(str(url)), **options)

    return type(
        "HttpClient", (http_class,), {"cookies": _NoCookies(), "build_request": build_request}
    )
