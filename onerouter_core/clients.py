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

from onerouter_core.sdk import new_async_client, new_client


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
            return new_client(sdk, own)
        shared = self._of_threads
        if shared is None or shared.client is None:
            self._of_threads = shared = _shared_by_threads(sdk)
        return shared.client

    async def for_loop(self, sdk: Any, own: Any) -> Any:
        """Return the SDK client for a call on the running event loop."""
        if own is not None:
            return new_async_client(sdk, own)
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
            client = new_client(sdk)
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
        client = new_async_client(sdk)
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
