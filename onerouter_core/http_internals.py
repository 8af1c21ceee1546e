"""Undocumented parts of HTTP libraries: leftover bytes on idle connections, and hard closing.

Only this module uses private attributes of httpx, httpcore, aiohttp, anyio and asyncio (seen in
httpx 0.28, httpx2 2.16, httpcore 1.0, httpcore2 2.16, aiohttp 3.14, anyio 4.16, Python 3.10 to
3.13). Where one is missing, a warning is logged that names it with package and version, and the
library does what it does by itself (`FALLBACK`).
"""

from __future__ import annotations

import logging
import platform
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from importlib import metadata
from time import monotonic
from typing import Any
from weakref import WeakSet

FALLBACK = (
    "Connections are left to the library: bytes that follow an answer are not looked for, name "
    "resolution has no deadline, and sockets of a closed event loop close when they are collected."
)
"""Meaning of a missing attribute, for the warning."""

_log = logging.getLogger("onerouter_core")


def package_version(kind: type) -> str:
    """Return the package that defines a class, and its version, such as "httpx 0.28.1".

    A class that we, or the SDK, derived from an HTTP library's is that library's.
    """
    modules = [base.__module__ for base in kind.__mro__]
    packages = [name.partition(".")[0] for name in modules]
    known = [name for name in packages if name not in {*sys.stdlib_module_names, "onerouter_core"}]
    if not known:
        return f"Python {platform.python_version()}"
    others = [] if "_vendor" in kind.__module__ else [n for n in known if n != "openai"]
    package = (others or known)[0]
    with suppress(metadata.PackageNotFoundError):
        return f"{package} {metadata.version(package)}"
    return package


@cache
def warn_missing(kind: type, name: str) -> None:
    """Log once that a class of another version of a library lacks an attribute."""
    _log.warning("%s: %s has no %s. %s", package_version(kind), kind.__name__, name, FALLBACK)


def _find(owner: Any, name: str) -> Any:
    """Return a private attribute, of None None; None with a warning if this version has none."""
    if owner is not None and not hasattr(owner, name):
        kind: Any = type(owner)
        warn_missing(kind, name)
    return getattr(owner, name, None)


def is_aiohttp(transport: Any) -> bool:
    """Tell whether a transport is the SDK's on aiohttp.

    It is `openai._vendor.httpx_aiohttp` in openai 3, and `httpx_aiohttp` before.
    """
    return "aiohttp" in type(transport).__module__


def find_http_client(client: Any) -> Any:
    """Return the HTTP client of an SDK client."""
    return _find(client, "_client")


def iter_transports(http_client: Any) -> Iterator[Any]:
    """Yield the transports of an httpx client: the default one, then those for proxies."""
    mounts = _find(http_client, "_mounts") or {}
    for transport in (_find(http_client, "_transport"), *mounts.values()):
        if transport is not None:  # None is mounted for the hosts of NO_PROXY
            yield transport


def replace_network_backend(transport: Any, replace: Callable[[Any], Any]) -> None:
    """Replace the network backend of a transport on httpcore."""
    pool = _find(transport, "_pool")
    if (backend := _find(pool, "_network_backend")) is not None:
        pool._network_backend = replace(backend)  # noqa: SLF001


def replace_protocol(connector: Any, protocol_class: Callable[[], type]) -> None:
    """Have an aiohttp connector create connections of another class."""
    factory = _find(connector, "_factory")  # partial(ResponseHandler, loop=loop)
    if isinstance(factory, partial):
        connector._factory = partial(protocol_class(), **factory.keywords)  # noqa: SLF001


def find_aiohttp_body(response: Any) -> Any:
    """Return aiohttp's reader of the body of a response; None of any other library."""
    stream = getattr(response.stream, "_stream", response.stream)  # the HTTP library's wrapper
    raw = _find(stream, "_aiohttp_response") if is_aiohttp(stream) else None
    return getattr(raw, "content", None)


# --- leftover bytes: after a response they would be read as the next one, of another key ---


def close_leftovers(http_client: Any) -> None:
    """Make an httpx client close an idle connection that holds bytes beyond its last response."""
    for transport in iter_transports(http_client):
        pool = None if is_aiohttp(transport) else _find(transport, "_pool")
        if _find(pool, "create_connection"):
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
    if hasattr(http11, "_h2_state"):  # HTTP/2 numbers its responses
        return False
    stream, state = _find(http11, "_network_stream"), _find(http11, "_h11_state")
    if stream is None or state is None:
        return False
    if state.trailing_data[0]:
        return True
    decrypter = stream.get_extra_info("ssl_object")
    if isinstance(decrypter, ssl.SSLObject) and _has_decrypted(decrypter):
        return True
    source = _innermost(stream, "_stream", "transport_stream")
    is_async = type(source).__module__.startswith("anyio")
    return is_async and bool(_find(_find(source, "_protocol"), "read_queue"))


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
    while inner := [found for name in names if (found := getattr(value, name, None))]:
        value = inner[0]
    return value


def close_aiohttp_leftovers(connector: Any) -> None:
    """Make an aiohttp connector close an idle connection that has received too much."""
    get_idle = _find(connector, "_get")  # a coroutine function from aiohttp 3.11 on
    if get_idle is None or _find(connector, "_conns") is None:
        return

    def get_clean(key: Any, *traces: Any) -> Any:
        oldest = monotonic() - (_find(connector, "_keepalive_timeout") or 0)
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
    parser = _find(protocol, "_parser")
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


# Of a dropped event loop and all that it owns, Python finalizes the objects in any order.
def close_when_collected(connector: Any) -> None:
    """Have an aiohttp connector close its connections when it is collected; it only warns."""
    connector_class: Any = type(connector)
    connector.__class__ = _closing_class(connector_class)


@cache
def _closing_class(connector_class: type[Any]) -> type[Any]:
    def __del__(connector: Any) -> None:  # noqa: N807 -- a method of the class
        with suppress(Exception):  # as in `abort_connections`
            _abort_all(_connector_transports(connector))

    return type(connector_class.__name__, (connector_class,), {"__del__": __del__})


def abort_connections(http_client: Any) -> None:
    """Close the sockets of an async httpx client at once; its event loop may have been closed."""
    for transport in iter_transports(http_client):
        found = _aiohttp_connections if is_aiohttp(transport) else _httpcore_connections
        with suppress(Exception):  # at the end of the interpreter anything may be missing
            _abort_all(found(transport))


def _abort_all(asyncio_transports: Iterator[Any]) -> None:
    for asyncio_transport in list(asyncio_transports):
        _abort(asyncio_transport)


def _aiohttp_connections(transport: Any) -> Iterator[Any]:
    connector = getattr(getattr(transport, "client", None), "connector", None)
    return iter(()) if connector is None else _connector_transports(connector)


def _connector_transports(connector: Any) -> Iterator[Any]:
    """Yield the asyncio transports of an aiohttp connector; let all go, else they would warn."""
    idle = [found for conns in (_find(connector, "_conns") or {}).values() for found, _ in conns]
    for protocol in (*idle, *(_find(connector, "_acquired") or ())):
        if protocol.transport is not None:
            yield protocol.transport
    if close := _find(connector, "_close"):  # `close` is for an event loop that runs
        close()
    for connection in list(getattr(connector, "open_connections", ())):
        connection.release()


def _httpcore_connections(transport: Any) -> Iterator[Any]:
    """Yield the asyncio transports of httpcore's connection pool."""
    for connection in getattr(_find(transport, "_pool"), "connections", ()):
        opened = _innermost(connection, "_connection")
        if opened is connection:  # it is being opened
            continue
        stream = _innermost(_find(opened, "_network_stream"), "_stream", "transport_stream")
        if (asyncio_transport := _find(stream, "_transport")) is not None:
            yield asyncio_transport


# `abort` only schedules the close, which a closed loop never does (it raises RuntimeError). The
# protocols are not told: they would set futures of tasks that never run again, and asyncio would
# log each of them.
def _abort(transport: Any) -> None:
    """Close an asyncio transport, and its socket if the event loop cannot."""
    inner = transport
    if "SSL" in type(transport).__name__:
        inner = _find(_find(transport, "_ssl_protocol"), "_transport") or transport
    # uvloop's transports close by themselves.
    loop = _find(inner, "_loop") if type(inner).__module__.startswith("asyncio") else None
    is_open = loop is None or not loop.is_closed()
    with suppress(RuntimeError):
        transport.abort()
    if not is_open and transport is not inner:
        transport._closed = True  # noqa: SLF001 -- on Python 3.10, `abort` fails before it does
    if not is_open and (connected := _find(inner, "_sock")) is not None:
        inner._sock = None  # noqa: SLF001 -- else the transport warns when it is collected
        connected.close()
