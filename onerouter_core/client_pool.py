"""Pool of SDK clients: created on first use, shared by all instances, closed after the last user.

There is one sync client for the process and one async client per event loop, for each environment
that a client is created in (proxies, certificates). Sharing works because a client holds nothing of
a gateway: URL, API key, headers and timeout come with each request.

The process owns its sync clients, and an event loop owns its async clients (`_LoopClients`). An
instance only holds a `_Hold`: it keeps the client open, but neither the client nor its event loop
in memory. When the last hold is gone, the client is kept for a few seconds, for the next instance
(`lingering.py`); an explicit `close` closes it at once, and the end of its event loop does, too.
This module knows threads, event loops and forks; it does not know how a client is created.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
from collections.abc import Hashable
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import Any
from urllib.request import getproxies
from weakref import ReferenceType, WeakKeyDictionary, ref

from typing_extensions import Self

from onerouter_core.errors import ConfigurationError
from onerouter_core.lingering import LoopTimer, ThreadTimer
from onerouter_core.sdk_clients import abort_client, new_async_client, new_client
from onerouter_core.sent_secrets import SentSecrets


class _PooledClient:
    """Client of the pool; `client` is None once it is closed, and in a forked child process."""

    __slots__ = ("__weakref__", "client", "hold", "is_closing", "timer")

    def __init__(self, client: Any, timer: Any) -> None:
        self.client = client
        self.timer = timer
        self.hold: ReferenceType[_Hold] | None = None
        self.is_closing = False  # an explicit close: do not linger

    @property
    def is_held(self) -> bool:
        return self.hold is not None and self.hold() is not None

    def take(self) -> _Hold:
        """Return the hold that all instances share; call it with `_lock`."""
        hold = None if self.hold is None else self.hold()
        if hold is None:
            hold = _Hold(self)
            self.hold = ref(hold, partial(_start_lingering, ref(self)))
        return hold


class _Hold:
    """Reference of instances to a client: the last one that is dropped lets the client go."""

    __slots__ = ("__weakref__", "pooled")

    def __init__(self, pooled: _PooledClient) -> None:
        self.pooled = ref(pooled)


# Called by the garbage collector in any thread, also while that has `_lock`: it takes no lock.
def _start_lingering(weak_pooled: ReferenceType[_PooledClient], _: object = None) -> None:
    pooled = weak_pooled()
    if pooled is not None and pooled.client is not None and not pooled.is_closing:
        pooled.timer.start(weak_pooled)


_lock = threading.Lock()
_sync_clients: dict[Hashable, _PooledClient] = {}


class Clients:
    """Holds of one instance on shared clients: a sync one, and an async one per event loop.

    They know the secrets that the instance has sent with them.

    A copied or unpickled instance starts without. An HTTP client of the user is not shared, and is
    never closed here.
    """

    def __init__(self) -> None:
        """Start without clients; the first call takes or creates one."""
        self._sync: _Hold | None = None
        self._by_loop: WeakKeyDictionary[Any, _Hold] = WeakKeyDictionary()
        self.sent_secrets = SentSecrets()

    def __reduce__(self) -> tuple[Any, ...]:
        return Clients, ()

    def __deepcopy__(self, memo: dict[int, Any]) -> Clients:
        return Clients()

    def get_sync(self, sdk: Any, user_client: Any) -> Any:
        """Return the SDK client for a sync call."""
        if user_client is not None:
            return new_client(sdk, user_client)
        hold = self._sync
        pooled = None if hold is None else hold.pooled()
        if pooled is None or (client := pooled.client) is None:
            self._sync, client = _take_sync_client(sdk)
        return client

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
        hold = self._by_loop.get(loop)
        pooled = None if hold is None else hold.pooled()
        if pooled is None or (client := pooled.client) is None:
            hold, client = _take_async_client(loop, sdk)
            with _lock:
                self._by_loop[loop] = hold
        return client

    def close(self) -> None:
        """Let the sync client go; it is closed if no other instance holds it."""
        hold, self._sync = self._sync, None
        pooled = None if hold is None else hold.pooled()
        if pooled is not None:
            pooled.is_closing = True
            del hold
            if (client := _remove_unheld(pooled)) is not None:
                client.close()

    async def aclose(self) -> None:
        """Let the sync client and the running event loop's client go."""
        self.close()
        with _lock:
            hold = self._by_loop.pop(asyncio.get_running_loop(), None)
        pooled = None if hold is None else hold.pooled()
        if pooled is not None:
            pooled.is_closing = True
            del hold
            if (client := _remove_unheld(pooled)) is not None:
                await client.close()


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


def _find_open(
    clients: dict[Hashable, _PooledClient], environment: Hashable
) -> _PooledClient | None:
    """Return the client of an environment; remove those that are closed."""
    for key in [key for key, pooled in clients.items() if pooled.client is None]:
        del clients[key]
    return clients.get(environment)


def _take_sync_client(sdk: Any) -> tuple[_Hold, Any]:
    environment = _environment_key()
    with _lock:
        pooled = _find_open(_sync_clients, environment)
        if pooled is None:
            timer = ThreadTimer(_close_lingering)
            pooled = _sync_clients[environment] = _PooledClient(new_client(sdk), timer)
        return pooled.take(), pooled.client


def _take_async_client(loop: asyncio.AbstractEventLoop, sdk: Any) -> tuple[_Hold, Any]:
    environment = _environment_key()
    with _lock:
        _abort_ended_loops()
        weak_clients = _by_loop.get(loop)
        loop_clients = None if weak_clients is None else weak_clients()
        if loop_clients is None:
            loop_clients = _LoopClients(loop)
            _by_loop[loop] = ref(loop_clients)
        pooled = _find_open(loop_clients.by_environment, environment)
        if pooled is None:
            timer = LoopTimer(loop, _abort_lingering)
            pooled = _PooledClient(new_async_client(sdk), timer)
            loop_clients.by_environment[environment] = pooled
        return pooled.take(), pooled.client


def _remove_unheld(pooled: _PooledClient) -> Any:
    """Return the client for closing, and empty its wrapper; None if an instance holds it."""
    with _lock:
        pooled.is_closing = False
        if pooled.is_held:
            return None
        client, pooled.client = pooled.client, None
        return client


def _close_lingering(pooled: _PooledClient) -> None:
    if (client := _remove_unheld(pooled)) is not None:
        client.close()


def _abort_lingering(pooled: _PooledClient) -> None:
    if (client := _remove_unheld(pooled)) is not None:
        abort_client(client)


# --- the ends of event loops and of the process ---

_KEEP_SECONDS = 86_400.0


class _LoopClients:
    """Async clients of one event loop, owned by the loop itself: they end with it.

    A loop discards its callbacks when it is closed (documentation of `loop.close`), also if nothing
    has called `shutdown_asyncgens` before. The only strong reference to this object is a callback
    of a timer that does nothing. A loop that is dropped without being closed is garbage-collected
    together with its clients.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = ref(loop)
        self.by_environment: dict[Hashable, _PooledClient] = {}
        self._stay()
        register: Any = sys.get_asyncgen_hooks().firstiter
        if register is not None:
            register(self)

    # uvloop (0.22) warns of each connection that is open when a loop is closed.
    async def aclose(self) -> None:
        """Close the sockets; `loop.shutdown_asyncgens` calls this, as of an async generator."""
        self.abort()
        await asyncio.sleep(0)  # until the transports have called their protocols

    def _stay(self) -> None:
        if (loop := self._loop()) is not None:
            # An empty context: a copy would keep the caller's context variables in memory.
            loop.call_later(_KEEP_SECONDS, self._stay, context=Context())

    def __del__(self) -> None:
        with suppress(Exception):  # at the end of the interpreter anything may be missing
            self.abort()

    def abort(self) -> None:
        """Close the sockets at once, without the event loop."""
        while self.by_environment:
            _, pooled = self.by_environment.popitem()
            client, pooled.client = pooled.client, None
            if client is not None:
                abort_client(client)


_by_loop: WeakKeyDictionary[Any, ReferenceType[_LoopClients]] = WeakKeyDictionary()


def _abort_ended_loops() -> None:
    """Close the clients of loops that have kept their callbacks beyond their end."""
    for loop, weak_clients in list(_by_loop.items()):
        if loop.is_closed() and (loop_clients := weak_clients()) is not None:
            loop_clients.abort()


@atexit.register
def _close_at_exit() -> None:
    """Close sync clients, and those of event loops that nobody has closed."""
    for pooled in list(_sync_clients.values()):
        client, pooled.client = pooled.client, None
        if client is not None:
            client.close()
    for loop, weak_clients in list(_by_loop.items()):
        if not loop.is_running() and (loop_clients := weak_clients()) is not None:
            loop_clients.abort()


# --- forks ---

_parent_clients: list[object] = []
"""In a forked child process: the parent's clients, kept so that they are not finalized."""


def _forget_after_fork() -> None:
    """Neither use nor close the parent's clients in a child process: the parent is using them."""
    global _lock  # noqa: PLW0603 -- a thread of the parent may have held the old one
    _lock = threading.Lock()
    of_loops = [loop_clients for weak in _by_loop.values() if (loop_clients := weak()) is not None]
    for by_environment in (_sync_clients, *(clients.by_environment for clients in of_loops)):
        for pooled in by_environment.values():
            _parent_clients.append(pooled.client)
            pooled.client = None
        by_environment.clear()
    _by_loop.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_forget_after_fork)
