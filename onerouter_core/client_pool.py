"""Pool of SDK clients: created on first use, shared by all instances, closed with the last user.

There is one sync client for the process and one async client per event loop, for each environment
that a client is created in (proxies, certificates). Sharing works because a client holds nothing of
a gateway: URL, API key, headers and timeout come with each request.

References decide how long a client lives. `_SharedClient` wraps a client; the pool refers to it
weakly, and each `Clients` that uses it strongly. When the last `Clients` is closed or collected,
the wrapper's finalizer closes the client. A client of an event loop must be closed on that loop:
its loop guard, an async generator, does so when the loop ends. This module knows threads, event
loops and forks; it does not know how a client is created.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Hashable
from typing import Any
from urllib.request import getproxies
from weakref import ReferenceType, WeakKeyDictionary, WeakValueDictionary, finalize, ref

from typing_extensions import Self

from onerouter_core.errors import ConfigurationError
from onerouter_core.sdk_clients import new_async_client, new_client


class _SharedClient:
    """Wrapper of a client; empty once its event loop has ended, and in a forked child process."""

    __slots__ = ("__weakref__", "client", "finalizer", "loop_guard")

    def __init__(self, client: Any) -> None:
        self.client = client
        self.loop_guard: Any = None  # async client only: closes it when its event loop ends
        self.finalizer: Any = None  # closes the client when the wrapper is collected


_lock = threading.Lock()
_sync_clients: WeakValueDictionary[Hashable, _SharedClient] = WeakValueDictionary()
_async_clients: WeakKeyDictionary[Any, WeakValueDictionary[Hashable, _SharedClient]] = (
    WeakKeyDictionary()
)


class Clients:
    """References of one instance to shared clients: a sync one, and an async one per event loop.

    A copied or unpickled instance starts without references. An HTTP client of the user is not
    shared, and is never closed here.
    """

    def __init__(self) -> None:
        """Start without references; the first call takes or creates a client."""
        self._sync: _SharedClient | None = None
        self._by_loop: WeakKeyDictionary[Any, _SharedClient] = WeakKeyDictionary()

    def __reduce__(self) -> tuple[Any, ...]:
        return Clients, ()

    def __deepcopy__(self, memo: dict[int, Any]) -> Clients:
        return Clients()

    def get_sync(self, sdk: Any, user_client: Any) -> Any:
        """Return the SDK client for a sync call."""
        if user_client is not None:
            return new_client(sdk, user_client)
        shared = self._sync
        if shared is None or shared.client is None:
            self._sync = shared = _get_sync_client(sdk)
        return shared.client

    async def get_async(self, sdk: Any, user_client: Any) -> Any:
        """Return the SDK client for a call on the running event loop; see `get_sync`.

        Raises:
            ConfigurationError: the user's client has connections of another event loop.

        """
        loop = asyncio.get_running_loop()
        if user_client is not None:
            client = new_async_client(sdk, user_client)
            _check_loop(loop, user_client)
            return client
        shared = self._by_loop.get(loop)
        if shared is None or shared.client is None:
            shared = await _get_async_client(loop, sdk)
            with _lock:
                self._by_loop[loop] = shared
        return shared.client

    def close(self) -> None:
        """Drop the reference to the sync client; it is closed if no other instance has one."""
        self._sync = None

    async def aclose(self) -> None:
        """Drop the references to the sync client and to the running event loop's client."""
        self.close()
        with _lock:
            shared = self._by_loop.pop(asyncio.get_running_loop(), None)
        if shared is not None and shared.loop_guard is not None:
            loop_guard, weak_shared = shared.loop_guard, ref(shared)
            del shared
            if weak_shared() is None:  # this was the last reference
                await loop_guard.aclose()


class ClientOwner:
    """Base class with `close` and `aclose`; a sync and async context manager."""

    _clients: Clients

    def close(self) -> None:
        """Close the sync client, unless other instances use it. The next call takes a new one."""
        self._clients.close()

    async def aclose(self) -> None:
        """Close the sync client and this event loop's, unless other instances use them."""
        await self._clients.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


# --- HTTP clients of the user: the connections of one belong to one event loop ---

_loops_of_user_clients: WeakKeyDictionary[Any, ReferenceType[Any]] = WeakKeyDictionary()


def remember_loop(user_client: Any) -> None:
    """Note that a user's client has a connection of the running event loop."""
    _loops_of_user_clients.setdefault(user_client, ref(asyncio.get_running_loop()))


def _check_loop(loop: asyncio.AbstractEventLoop, user_client: Any) -> None:
    first_loop = _loops_of_user_clients.get(user_client)
    if first_loop is not None and first_loop() is not loop:
        raise ConfigurationError(
            "http_async_client has connections of another event loop, on which alone they work: "
            "create one client for each event loop, or give none."
        )


# --- the pool ---


def _environment_key() -> Hashable:
    """Return the settings that a client reads from the environment when it is created."""
    certificates = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    return (*certificates, *sorted(getproxies().items()))


def _get_sync_client(sdk: Any) -> _SharedClient:
    environment = _environment_key()
    with _lock:
        shared = _sync_clients.get(environment)
        if shared is None:
            client = new_client(sdk)
            shared = _sync_clients[environment] = _SharedClient(client)
            shared.finalizer = finalize(shared, client.close)
        return shared


async def _get_async_client(loop: asyncio.AbstractEventLoop, sdk: Any) -> _SharedClient:
    environment = _environment_key()
    with _lock:
        of_loop = _async_clients.setdefault(loop, WeakValueDictionary())
        shared = of_loop.get(environment)
        if shared is not None and shared.client is not None:
            return shared
        client = new_async_client(sdk)
        shared = of_loop[environment] = _SharedClient(client)
        shared.loop_guard = loop_guard = _close_with_loop(client, ref(shared))
        shared.finalizer = finalize(shared, _schedule_close, loop, client, loop_guard)
        shared.finalizer.atexit = False
    await anext(loop_guard)  # from now on the loop finalizes it
    return shared


# A loop finalizes the async generators that were started on it when it ends (PEP 525). The
# wrapper is emptied as well: the client of an ended loop would keep the loop in memory.
async def _close_with_loop(
    client: Any, shared: ReferenceType[_SharedClient]
) -> AsyncGenerator[None, None]:
    """Loop guard: close a client when its event loop ends."""
    try:
        yield
    finally:
        if (ended := shared()) is not None:
            ended.finalizer.detach()
            ended.client = ended.loop_guard = None
        _closing_clients.pop(client, None)
        await client.close()


_closing_clients: dict[Any, Any] = {}
"""Unused clients and their loop guards; a loop may end before `_close` has run on it."""


def _schedule_close(loop: asyncio.AbstractEventLoop, client: Any, loop_guard: Any) -> None:
    """Close an unused client on its loop; the finalizer may run in any thread."""
    if not loop.is_closed():
        _closing_clients[client] = loop_guard
        loop.call_soon_threadsafe(lambda: loop.create_task(_close(client, loop_guard)))


async def _close(client: Any, loop_guard: Any) -> None:
    await client.close()
    if not loop_guard.ag_running:  # else the end of the loop, or `aclose`, is running it
        await loop_guard.aclose()


# --- forks ---

_parent_clients: list[object] = []
"""In a forked child process: the parent's clients, kept so that they are not finalized."""


def _forget_after_fork() -> None:
    """Neither use nor close the parent's clients in a child process: the parent is using them."""
    global _lock  # noqa: PLW0603 -- a thread of the parent may have held the old one
    _lock = threading.Lock()
    async_clients = [shared for of_loop in _async_clients.values() for shared in of_loop.values()]
    for shared in (*_sync_clients.values(), *async_clients):
        if shared.finalizer is not None:
            shared.finalizer.detach()
        _parent_clients.extend((shared.client, shared.loop_guard))
        shared.client = shared.loop_guard = None
    _sync_clients.clear()
    _async_clients.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_forget_after_fork)
