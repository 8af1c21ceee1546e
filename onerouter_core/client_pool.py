"""SDK clients: made on first use, shared by all instances, closed when the last lets go.

This module knows threads, event loops and forks, and that a client belongs to no gateway: key, URL,
headers and time limits come with each request. It does not know how a client is made.
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

from onerouter_core.sdk_clients import new_async_client, new_client


class _SharedClient:
    """A client that many hold; empty once its event loop has ended, and in a forked child."""

    __slots__ = ("__weakref__", "client", "finalizer", "loop_guard")

    def __init__(self, client: Any) -> None:
        self.client = client
        self.loop_guard: Any = None  # closes a client of an event loop
        self.finalizer: Any = None  # closes any client when this is let go


_lock = threading.Lock()
_sync_clients: WeakValueDictionary[Hashable, _SharedClient] = WeakValueDictionary()
_async_clients: WeakKeyDictionary[Any, WeakValueDictionary[Hashable, _SharedClient]] = (
    WeakKeyDictionary()
)


class Clients:
    """What one instance holds of the shared clients: one for threads, one for each event loop.

    Never pickled or copied: a copy begins with none. A client that the user gave is used as it is.
    """

    def __init__(self) -> None:
        """Hold none yet."""
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
        """Return the SDK client for a call on the running event loop."""
        if user_client is not None:
            return new_async_client(sdk, user_client)
        loop = asyncio.get_running_loop()
        shared = self._by_loop.get(loop)
        if shared is None or shared.client is None:
            shared = await _get_async_client(loop, sdk)
            with _lock:
                self._by_loop[loop] = shared
        return shared.client

    def close(self) -> None:
        """Let go of the sync client, which is closed if nobody else uses it."""
        self._sync = None

    async def aclose(self) -> None:
        """Let go of this event loop's client as well."""
        self.close()
        with _lock:
            shared = self._by_loop.pop(asyncio.get_running_loop(), None)
        if shared is not None and shared.loop_guard is not None:
            loop_guard, still_used = shared.loop_guard, ref(shared)
            del shared
            if still_used() is None:
                await loop_guard.aclose()


class ClientOwner:
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


def _environment_key() -> Hashable:
    """Return what a client reads from the environment as it is made, and what tells two apart."""
    certificates = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    return (*certificates, *sorted(getproxies().items()))


def _get_sync_client(sdk: Any) -> _SharedClient:
    where = _environment_key()
    with _lock:
        shared = _sync_clients.get(where)
        if shared is None:
            client = new_client(sdk)
            shared = _sync_clients[where] = _SharedClient(client)
            shared.finalizer = finalize(shared, client.close)
        return shared


async def _get_async_client(loop: asyncio.AbstractEventLoop, sdk: Any) -> _SharedClient:
    where = _environment_key()
    with _lock:
        here = _async_clients.setdefault(loop, WeakValueDictionary())
        shared = here.get(where)
        if shared is not None and shared.client is not None:
            return shared
        client = new_async_client(sdk)
        shared = here[where] = _SharedClient(client)
        shared.loop_guard = loop_guard = _close_with_loop(client, ref(shared))
        shared.finalizer = finalize(shared, _schedule_close, loop, client, loop_guard)
        shared.finalizer.atexit = False
    await anext(loop_guard)
    return shared


async def _close_with_loop(
    client: Any, shared: ReferenceType[_SharedClient]
) -> AsyncGenerator[None, None]:
    """Close a client when its loop ends, which finalises the async generators begun on it.

    Then it is let go: whoever held on to it would keep the ended loop alive.
    """
    try:
        yield
    finally:
        if (ended := shared()) is not None:
            ended.finalizer.detach()
            ended.client = ended.loop_guard = None
        _closing_clients.pop(client, None)
        await client.close()


_closing_clients: dict[Any, Any] = {}
"""Clients that nobody holds, with their guards: a loop may end before it comes to close them."""


def _schedule_close(loop: asyncio.AbstractEventLoop, client: Any, loop_guard: Any) -> None:
    """Have the loop close a client that nobody holds; the collector calls from any thread."""
    if not loop.is_closed():
        _closing_clients[client] = loop_guard
        loop.call_soon_threadsafe(lambda: loop.create_task(_close(client, loop_guard)))


async def _close(client: Any, loop_guard: Any) -> None:
    await client.close()
    if not loop_guard.ag_running:  # else the loop ends, or who let go closes, at this moment
        await loop_guard.aclose()


_parent_clients: list[object] = []


def _forget_after_fork() -> None:
    """Hold nothing of the parent's after a fork: neither use nor close what it is using."""
    global _lock  # noqa: PLW0603 -- another thread may have held it when the process forked
    _lock = threading.Lock()
    of_loops = [shared for here in _async_clients.values() for shared in here.values()]
    for shared in (*_sync_clients.values(), *of_loops):
        if shared.finalizer is not None:
            shared.finalizer.detach()
        _parent_clients.extend((shared.client, shared.loop_guard))
        shared.client = shared.loop_guard = None
    _sync_clients.clear()
    _async_clients.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_forget_after_fork)
