"""Undocumented parts of HTTP libraries: leftover bytes on idle connections, and hard closing.

Only this module uses private attributes of httpx, httpcore, aiohttp, anyio and asyncio (seen in
httpx 0.28, httpx2 2.16, httpcore 1.0, httpcore2 2.16, aiohttp 3.14, anyio 4.16, Python 3.10 to
3.13). One that is missing is skipped: then a connection is closed when it is garbage-collected.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from time import monotonic
from typing import Any
from weakref import WeakSet


def iter_transports(http_client: Any) -> Iterator[Any]:
    """Yield the transports of an httpx client: the default one, then those for proxies."""
    mounts = getattr(http_client, "_mounts", {}).values()
    for transport in (getattr(http_client, "_transport", None), *mounts):
        if transport is not None:  # None is mounted for the hosts of NO_PROXY
            yield transport


def replace_network_backend(transport: Any, replace: Callable[[Any], Any]) -> None:
    """Replace the network backend of a transport; one that is not on httpcore has none."""
    pool = getattr(transport, "_pool", None)
    backend = getattr(pool, "_network_backend", None)
    if pool is not None and backend is not None:
        pool._network_backend = replace(backend)  # noqa: SLF001


def replace_protocol(connector: Any, protocol_class: Callable[[], type]) -> None:
    """Have an aiohttp connector create connections of another class."""
    factory = getattr(connector, "_factory", None)  # partial(ResponseHandler, loop=loop)
    if isinstance(factory, partial):
        connector._factory = partial(protocol_class(), **factory.keywords)  # noqa: SLF001


def find_aiohttp_body(response: Any) -> Any:
    """Return aiohttp's reader of the body of a response; None if it has none."""
    stream = getattr(response.stream, "_stream", response.stream)  # the HTTP library's wrapper
    return getattr(getattr(stream, "_aiohttp_response", None), "content", None)


# --- leftover bytes: after a response they would be read as the next one, of another key ---


def close_leftovers(http_client: Any) -> None:
    """Make an httpx client close an idle connection that holds bytes beyond its last response."""
    for transport in iter_transports(http_client):
        pool = getattr(transport, "_pool", None)
        if hasattr(pool, "create_connection"):
            pool_class: Any = type(pool)
            pool.__class__ = _checked_pool_class(pool_class)


@cache
def _checked_pool_class(pool_class: type[Any]) -> type[Any]:
    def create_connection(pool: Any, origin: Any) -> Any:
        connection = pool_class.create_connection(pool, origin)
        connection_class: Any = type(connection)
        connection.__class__ = _checked_connection_class(connection_class)
        return connection

    return type(pool_class.__name__, (pool_class,), {"create_connection": create_connection})


# httpcore closes an idle connection that has expired. It only asks whether its socket is readable:
# bytes that were read together with the end of a response are in buffers above the socket.
@cache
def _checked_connection_class(connection_class: type[Any]) -> type[Any]:
    def has_expired(connection: Any) -> bool:
        return connection_class.has_expired(connection) or (
            connection.is_idle() and _has_leftover(connection)
        )

    return type(connection_class.__name__, (connection_class,), {"has_expired": has_expired})


def _has_leftover(connection: Any) -> bool:
    """Tell whether an idle connection of httpcore has bytes in a buffer above its socket."""
    http11 = _innermost(connection, "_connection")
    stream = getattr(http11, "_network_stream", None)
    if stream is None or not hasattr(http11, "_h11_state"):  # HTTP/2 numbers its responses
        return False
    if http11._h11_state.trailing_data[0]:  # noqa: SLF001
        return True
    decrypter = stream.get_extra_info("ssl_object")
    if isinstance(decrypter, ssl.SSLObject) and _has_decrypted(decrypter):
        return True
    protocol = getattr(_innermost(stream, "_stream", "transport_stream"), "_protocol", None)
    return bool(getattr(protocol, "read_queue", None))  # of anyio


def _has_decrypted(decrypter: ssl.SSLObject) -> bool:
    try:
        decrypter.read(1)
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError:  # the connection has ended
        return True
    return True


def _innermost(value: Any, *names: str) -> Any:
    """Follow the attributes of these names from object to object, and return the last object."""
    while True:
        inner = next((found for name in names if (found := getattr(value, name, None))), None)
        if inner is None:
            return value
        value = inner


def close_aiohttp_leftovers(connector: Any) -> None:
    """Make an aiohttp connector close an idle connection that has received too much."""
    if not (hasattr(connector, "_get") and hasattr(connector, "_conns")):
        return
    get_idle = connector._get  # noqa: SLF001 -- a coroutine function from aiohttp 3.11 on

    def get_clean(key: Any, *traces: Any) -> Any:
        oldest = monotonic() - (getattr(connector, "_keepalive_timeout", None) or 0)
        for protocol, idle_since in connector._conns.get(key, ()):  # noqa: SLF001
            if idle_since < oldest or not protocol.is_connected():
                continue  # not reused either way
            if not _has_received_more(protocol):
                break  # this one is reused
            protocol.close()
        return get_idle(key, *traces)

    connector._get = get_clean  # noqa: SLF001


# aiohttp itself looks before it has parsed what follows the response (3.14: `_release` is called
# from within `feed_data`).
def _has_received_more(protocol: Any) -> bool:
    """Tell whether an idle connection of aiohttp has more than its last response."""
    if protocol.should_close or getattr(protocol, "has_leftover", False):
        return True
    parser = getattr(protocol, "_parser", None)
    try:
        return parser is not None and parser.feed_eof() is not None
    except Exception:  # noqa: BLE001 -- the parser's errors have no common base class
        return True


# --- hard closing: an event loop that has been closed can neither await nor call back ---


def track_connections(connector: Any) -> None:
    """Make an aiohttp connector remember the connections of its open responses."""
    connect = connector.connect
    open_connections: WeakSet[Any] = WeakSet()

    async def tracked_connect(*arguments: Any, **options: Any) -> Any:
        connection = await connect(*arguments, **options)
        open_connections.add(connection)
        return connection

    connector.connect, connector.open_connections = tracked_connect, open_connections


def abort_connections(http_client: Any) -> None:
    """Close the sockets of an async httpx client at once; its event loop may have been closed."""
    for transport in iter_transports(http_client):
        with suppress(Exception):  # of another version
            for connection in [*_aiohttp_connections(transport), *_httpcore_connections(transport)]:
                _abort(connection)


def _aiohttp_connections(transport: Any) -> Iterator[Any]:
    """Yield the asyncio transports of an aiohttp session; let all go, else they would warn."""
    connector = getattr(getattr(transport, "client", None), "connector", None)
    if connector is None:
        return
    idle = [protocol for conns in connector._conns.values() for protocol, _ in conns]  # noqa: SLF001
    for protocol in (*idle, *connector._acquired):  # noqa: SLF001
        if protocol.transport is not None:
            yield protocol.transport
    connector._close()  # noqa: SLF001 -- `close` may only be called while the event loop runs
    for connection in list(getattr(connector, "open_connections", ())):
        connection.release()


def _httpcore_connections(transport: Any) -> Iterator[Any]:
    """Yield the asyncio transports of httpcore's connection pool."""
    for connection in getattr(getattr(transport, "_pool", None), "connections", ()):
        stream = getattr(_innermost(connection, "_connection"), "_network_stream", None)
        socket_stream = _innermost(stream, "_stream", "transport_stream")
        if (asyncio_transport := getattr(socket_stream, "_transport", None)) is not None:
            yield asyncio_transport


# `abort` only schedules the close, which a closed loop never does (it raises RuntimeError). The
# protocols are not told: they would set futures of tasks that never run again, and asyncio would
# log each of them.
def _abort(transport: Any) -> None:
    """Close an asyncio transport, and its socket if the event loop cannot."""
    inner = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None) or transport
    is_open = not inner._loop.is_closed() if hasattr(inner, "_loop") else True  # noqa: SLF001
    with suppress(RuntimeError):
        transport.abort()
    if not is_open and transport is not inner:
        transport._closed = True  # noqa: SLF001 -- on Python 3.10, `abort` fails before it does
    if not is_open and (connected := getattr(inner, "_sock", None)) is not None:
        inner._sock = None  # noqa: SLF001 -- else the transport warns when it is collected
        connected.close()
