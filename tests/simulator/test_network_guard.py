"""The network guard: which addresses are this machine, what is refused, and what is restored."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from onerouter_simulator import Simulator
from onerouter_simulator.network_guard import NetworkAccessError, is_local, loopback_only

# An address for documentation (RFC 5737): nothing answers there.
ELSEWHERE = "192.0.2.1"


def connect(host: str) -> None:
    """Connect to an address."""
    with socket.socket() as connection:
        connection.connect((host, 443))


def connect_ex(host: str) -> None:
    """Connect to an address; other failures would be an error number."""
    with socket.socket() as connection:
        connection.connect_ex((host, 443))


def connect_udp(host: str) -> None:
    """Connect a socket of datagrams."""
    with socket.socket(type=socket.SOCK_DGRAM) as connection:
        connection.connect((host, 443))


def create_connection(host: str) -> None:
    """Connect as http.client does."""
    socket.create_connection((host, 443), timeout=1).close()


def open_connection(host: str) -> None:
    """Connect as asyncio does."""
    asyncio.run(asyncio.open_connection(host, 443))


CONNECTS = [connect, connect_ex, connect_udp, create_connection, open_connection]


@pytest.mark.parametrize("call", CONNECTS)
def test_a_connection_to_another_machine_is_refused(call: Callable[[str], None]) -> None:
    """Whatever the call; the address is remembered."""
    with loopback_only() as refused, pytest.raises(NetworkAccessError, match=r"192\.0\.2\.1:443"):
        call(ELSEWHERE)
    assert refused == [f"{ELSEWHERE}:443"]


@pytest.mark.parametrize("call", [create_connection, open_connection])
def test_the_name_of_another_machine_is_not_looked_up(call: Callable[[str], None]) -> None:
    """The error names the host, not an address of it."""
    with loopback_only() as refused, pytest.raises(NetworkAccessError, match=r"gateway\.test:443"):
        call("gateway.test")
    assert refused == ["gateway.test:443"]


async def get_async(url: str) -> int:
    """Return the status of a page, over aiohttp."""
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status


CLIENTS: list[Callable[[str], int]] = [
    lambda url: httpx.get(url).status_code,
    lambda url: asyncio.run(get_async(url)),
]


@pytest.mark.parametrize("get", CLIENTS, ids=["httpx", "aiohttp"])
def test_http_clients_reach_this_machine_only(sim: Simulator, get: Callable[[str], int]) -> None:
    """By address and by name."""
    with loopback_only() as refused:
        assert get(f"{sim.base_url}/models") == 200
        assert get(f"{sim.base_url}/models".replace("127.0.0.1", "localhost")) == 200
        with pytest.raises((httpx.ConnectError, aiohttp.ClientConnectorError)):
            get("http://gateway.test/v1")
    assert refused == ["gateway.test:80"]


def test_a_local_socket_stays_allowed(tmp_path: Path) -> None:
    """It has a path, not an address."""
    path = f"{tmp_path}/s"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        with loopback_only() as refused:
            client.connect(path)
    assert refused == []


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", True),  # noqa: S104 -- compared
        ("", True),
        ("localhost", True),
        ("app.localhost", True),
        (socket.gethostname(), True),
        (ELSEWHERE, False),
        ("::ffff:192.0.2.1", False),
        ("2001:db8::1", False),
        ("fe80::1%1", False),
        ("localhost.gateway.test", False),
        ("127.0.0.1.gateway.test", False),
    ],
)
def test_loopback_and_the_own_name_are_this_machine(host: str, expected: Any) -> None:
    """A name that only begins like loopback is not."""
    assert is_local(host) is expected


def test_the_socket_module_is_restored() -> None:
    """Also after an error."""
    before = dict(vars(socket.socket)), socket.getaddrinfo
    with loopback_only():
        assert dict(vars(socket.socket)) != before[0]
    with pytest.raises(ZeroDivisionError), loopback_only():
        _ = 1 / 0
    assert (dict(vars(socket.socket)), socket.getaddrinfo) == before
