"""Network backend: only a deadline changes how a host is connected to."""

from __future__ import annotations

from typing import Any

from onerouter_core.network_backend import NetworkBackend, limit_connecting


class Backend:
    """A backend that records where it connects to."""

    def __init__(self) -> None:
        self.hosts: list[str] = []

    def connect_tcp(self, host: str, port: int, **_: Any) -> str:
        """Connect to anything."""
        self.hosts.append(host)
        return f"{host}:{port}"

    def sleep(self, seconds: float) -> float:
        """Return the seconds."""
        return seconds


def test_without_a_deadline_the_backend_resolves() -> None:
    """And everything else is the backend's."""
    backend = NetworkBackend(inner := Backend())
    assert backend.connect_tcp("nowhere.invalid", 1, timeout=2) == "nowhere.invalid:1"
    assert inner.hosts == ["nowhere.invalid"]
    assert backend.sleep(3) == 3


def test_a_transport_without_a_pool_is_left_alone() -> None:
    """Such as one of a mock."""
    limit_connecting(transport := object())
    assert not hasattr(transport, "_pool")
