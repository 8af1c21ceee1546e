"""SDK clients: made on first use, shared by all instances, closed when the last lets go.

This is the only room with the openai SDK. Its clients are stripped here of what they would read
from OPENAI_* variables; its typed models and its own retries are not used. No HTTP library is
named: the SDK's second major version is on one, its third on another. A client belongs to no
gateway: key, URL, headers and time limits come with each request.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Hashable
from functools import cache, lru_cache
from http.cookies import SimpleCookie
from typing import Any
from urllib.request import getproxies
from weakref import ReferenceType, WeakKeyDictionary, WeakValueDictionary, finalize, ref

from typing_extensions import Self

from onerouter_core.errors import ConfigurationError
from onerouter_core.refusals import arefuse, refuse
from onerouter_core.version import __version__
from onerouter_core.waits import awatch, watch


class _Shared:
    """A client that many hold; empty once its event loop has ended, and in a forked child."""

    __slots__ = ("__weakref__", "at_the_end", "client", "guard")

    def __init__(self, client: Any) -> None:
        self.client = client
        self.guard: Any = None  # closes a client of an event loop
        self.at_the_end: Any = None  # closes any client when this is let go


_lock = threading.Lock()
_for_threads: WeakValueDictionary[Hashable, _Shared] = WeakValueDictionary()
_for_loops: WeakKeyDictionary[Any, WeakValueDictionary[Hashable, _Shared]] = WeakKeyDictionary()


class Clients:
    """What one instance holds of the shared clients: one for threads, one for each event loop.

    Never pickled or copied: a copy begins with none. A client that the user gave is used as it is.
    """

    def __init__(self) -> None:
        """Hold none yet."""
        self._of_threads: _Shared | None = None
        self._of_loops: WeakKeyDictionary[Any, _Shared] = WeakKeyDictionary()

    def __reduce__(self) -> tuple[Any, ...]:
        return Clients, ()

    def __deepcopy__(self, memo: dict[int, Any]) -> Clients:
        return Clients()

    def for_threads(self, sdk: Any, own: Any) -> Any:
        """Return the SDK client for a sync call."""
        if own is not None:
            return _make(sdk.OpenAI, own)
        shared = self._of_threads
        if shared is None or shared.client is None:
            self._of_threads = shared = _shared_by_threads(sdk)
        return shared.client

    async def for_loop(self, sdk: Any, own: Any) -> Any:
        """Return the SDK client for a call on the running event loop."""
        if own is not None:
            return _make(sdk.AsyncOpenAI, own)
        loop = asyncio.get_running_loop()
        shared = self._of_loops.get(loop)
        if shared is None or shared.client is None:
            shared = await _shared_on(loop, sdk)
            with _lock:
                self._of_loops[loop] = shared
        return shared.client

    def close(self) -> None:
        """Let go of the sync client, which is closed if nobody else uses it."""
        self._of_threads = None

    async def aclose(self) -> None:
        """Let go of this event loop's client as well."""
        self.close()
        with _lock:
            shared = self._of_loops.pop(asyncio.get_running_loop(), None)
        if shared is not None and shared.guard is not None:
            guard, still_used = shared.guard, ref(shared)
            del shared
            if still_used() is None:
                await guard.aclose()


class HoldsClients:
    """Whoever holds clients can be closed, and used as a context manager of either colour."""

    _clients: Clients

    def close(self) -> None:
        """Close the sync client, unless others use it; the next call takes a new one."""
        self._clients.close()

    async def aclose(self) -> None:
        """Close this event loop's client and the sync one, unless others use them."""
        await self._clients.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


# --- sharing ---


def _surroundings() -> Hashable:
    """Return what a client reads from the environment as it is made, and what tells two apart."""
    certificates = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    return (*certificates, *sorted(getproxies().items()))


def _shared_by_threads(sdk: Any) -> _Shared:
    where = _surroundings()
    with _lock:
        shared = _for_threads.get(where)
        if shared is None:
            hooks = {"request": [watch], "response": [refuse]}
            http_client = _forgetful(sdk.DefaultHttpxClient)(**_for_all(sdk, hooks))
            client = _make(sdk.OpenAI, http_client)
            shared = _for_threads[where] = _Shared(client)
            shared.at_the_end = finalize(shared, client.close)
        return shared


async def _shared_on(loop: asyncio.AbstractEventLoop, sdk: Any) -> _Shared:
    where = _surroundings()
    with _lock:
        here = _for_loops.setdefault(loop, WeakValueDictionary())
        shared = here.get(where)
        if shared is not None and shared.client is not None:
            return shared
        client = _make(sdk.AsyncOpenAI, _async_http_client(sdk))
        shared = here[where] = _Shared(client)
        shared.guard = guard = _closed_with_the_loop(client, ref(shared))
        shared.at_the_end = finalize(shared, _close_soon, loop, client, guard)
        shared.at_the_end.atexit = False
    await anext(guard)
    return shared


async def _closed_with_the_loop(
    client: Any, shared: ReferenceType[_Shared]
) -> AsyncGenerator[None, None]:
    """Close a client when its loop ends, which finalises the async generators begun on it.

    Then it is let go: whoever held on to it would keep the ended loop alive.
    """
    try:
        yield
    finally:
        if (ended := shared()) is not None:
            ended.at_the_end.detach()
            ended.client = ended.guard = None
        _unheld.pop(client, None)
        await client.close()


_unheld: dict[Any, Any] = {}
"""Clients that nobody holds, with their guards: a loop may end before it comes to close them."""


def _close_soon(loop: asyncio.AbstractEventLoop, client: Any, guard: Any) -> None:
    """Have the loop close a client that nobody holds; the collector calls from any thread."""
    if not loop.is_closed():
        _unheld[client] = guard
        loop.call_soon_threadsafe(lambda: loop.create_task(_close(client, guard)))


async def _close(client: Any, guard: Any) -> None:
    await client.close()
    if not guard.ag_running:  # else the loop ends, or who let go closes, at this moment
        await guard.aclose()


_parents: list[object] = []


def _leave_to_the_parent() -> None:
    """Hold nothing of the parent's after a fork: neither use nor close what it is using."""
    global _lock  # noqa: PLW0603 -- another thread may have held it when the process forked
    _lock = threading.Lock()
    of_loops = [shared for here in _for_loops.values() for shared in here.values()]
    for shared in (*_for_threads.values(), *of_loops):
        if shared.at_the_end is not None:
            shared.at_the_end.detach()
        _parents.extend((shared.client, shared.guard))
        shared.client = shared.guard = None
    _for_threads.clear()
    _for_loops.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_leave_to_the_parent)


# --- making ---


def _library_of(client: Any) -> Any:
    """Return the HTTP library that an SDK client is on, by no name."""
    return sys.modules[type(client.base_url).__module__]


def response_type(client: Any) -> Any:
    """Return the library's response: an SDK client that is asked for one leaves it as it is."""
    return _library_of(client).Response


@lru_cache(maxsize=256)
def _address(library: Any, url: str) -> Any:
    """Return an address that needs no base; to parse it anew was 4 % of a short call."""
    return library.URL(url)


# What an SDK client of ours has of its own. Key, organisation and headers come with each request or
# not at all: the SDK would take them from OPENAI_* variables.
_OURS: dict[str, Any] = {
    "auth_headers": {},
    "_auth_headers": lambda *_: {},  # as the third major version calls them
    "default_headers": {
        "accept": "application/json",
        "content-type": "application/json",
        "user-agent": f"onerouter-integrations/{__version__}",
    },
    "_validate_headers": lambda *_: None,
    "_prepare_url": lambda client, url: _address(_library_of(client), url),
}


@cache
def _ours(kind: Any) -> Callable[..., Any]:
    return type("Client", (kind,), dict(_OURS))


def _make(kind: Any, http_client: Any) -> Any:
    try:
        return _ours(kind)(
            api_key="-", base_url="http://-/", max_retries=0, http_client=http_client
        )
    except (AttributeError, TypeError) as error:
        raise ConfigurationError(f"That http client does not fit the openai SDK: {error}") from None


def _async_http_client(sdk: Any) -> Any:
    """Return the SDK's client on aiohttp, whose cost does not grow with open calls, if it can be.

    It has no way to be told of new connections, so it sends no keep-alive probes.
    """
    how = _for_all(sdk, {"request": [awatch], "response": [arefuse]})
    try:
        client = _forgetful(sdk.DefaultAioHttpClient)(**how)
    except RuntimeError:  # aiohttp is not installed: the SDK's default will do
        return _forgetful(sdk.DefaultAsyncHttpxClient)(**how)
    for transport in (vars(client)["_transport"], *vars(client)["_mounts"].values()):
        if transport is not None:  # else it is one of NO_PROXY
            transport.get_client = _forgetting(transport.get_client)
    return client


def _for_all(sdk: Any, hooks: dict[str, Any]) -> dict[str, Any]:
    """Return how a client is made that all instances share: a stream of one never waits for others.

    The SDK's thousand connections are for one instance. How many are open is the callers' business,
    and no number stands for that in all HTTP libraries.
    """
    limits = type(sdk.DEFAULT_CONNECTION_LIMITS)(
        max_connections=_MORE_THAN_ANY, max_keepalive_connections=1_000, keepalive_expiry=5.0
    )
    return {"event_hooks": hooks, "limits": limits}


_MORE_THAN_ANY = 1_000_000  # no process may have so many descriptors


# --- no cookies: one client serves many keys, and a cookie may be the account of one ---


class _NoCookies(dict[str, str]):
    """The cookies of an HTTP client that keeps none; to look for them took 4 % of a short call."""

    def extract_cookies(self, response: Any) -> None:
        """Leave them where they are."""


@cache
def _forgetful(kind: Any) -> Callable[..., Any]:
    def build_request(client: Any, method: str, url: Any, **how: Any) -> Any:
        return kind.build_request(client, method, _address(_library_of(client), str(url)), **how)

    return type("HttpClient", (kind,), {"cookies": _NoCookies(), "build_request": build_request})


def _forgetting(make_session: Callable[[], Any]) -> Callable[[], Any]:
    def make() -> Any:
        session = make_session()
        session.cookie_jar.filter_cookies = lambda _: SimpleCookie()  # none is for any address
        return session

    return make


# --- loading ---


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
