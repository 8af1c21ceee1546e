"""Network guard: refuses connections that leave this machine, and remembers them.

Knows the socket module. It sees every client that connects through Python's sockets: the standard
library, httpx, requests, asyncio and aiohttp. A library that connects in C (uvloop, grpc) is not
seen. Knows no test and no pytest.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address
from typing import Any
from unittest.mock import patch

NETWORK_FAMILIES = {socket.AF_INET, socket.AF_INET6}


class NetworkAccessError(ConnectionError):
    """Something in a test connects to an address that is not of this machine."""


@contextmanager
def loopback_only() -> Iterator[list[str]]:
    """Refuse connections to other machines, and look-ups of their names, until the block ends.

    Yields the addresses that were refused so far, as "host:port". Local sockets (AF_UNIX) stay
    allowed. Code that was refused gets a NetworkAccessError.
    """
    refused: list[str] = []

    def check(host: Any, port: Any) -> None:
        if not is_local(text := _text(host)):
            refused.append(f"{text}:{port}")
            raise NetworkAccessError(
                f"the test connects to {text}:{port}, which is not this machine"
            )

    with (
        patch.object(socket.socket, "connect", _guarded(socket.socket.connect, check)),
        patch.object(socket.socket, "connect_ex", _guarded(socket.socket.connect_ex, check)),
        patch.object(socket, "getaddrinfo", _guarded_look_up(socket.getaddrinfo, check)),
    ):
        yield refused


def _guarded(connect: Callable[..., Any], check: Callable[..., None]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in NETWORK_FAMILIES and isinstance(address, tuple):
            check(*address[:2])
        return connect(self, address)

    return guarded


def _guarded_look_up(look_up: Callable[..., Any], check: Callable[..., None]) -> Callable[..., Any]:
    def guarded(host: Any, port: Any, *arguments: Any, **keywords: Any) -> Any:
        if not _is_address(_text(host)):  # the look-up of an address asks no server
            check(host, port)
        return look_up(host, port, *arguments, **keywords)

    return guarded


def is_local(host: str) -> bool:
    """Whether a host is this machine: loopback, its own name, or no address at all."""
    return host in {"", "0.0.0.0", "::", socket.gethostname()} or is_loopback(host)  # noqa: S104 -- compared


def is_loopback(host: str) -> bool:
    """Whether a host name or IP address is this machine (RFC 6761, RFC 1122, RFC 4291)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    if not _is_address(host):
        return False
    address = ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _text(host: Any) -> str:
    """Return a host as text; None, which is this machine, as an empty one."""
    return host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
