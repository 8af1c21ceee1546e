"""Connecting of sync HTTP clients: name resolution and all addresses together end at the deadline.

Python resolves a name without a timeout, and gives each address of a host the whole timeout. Here a
thread resolves the name, which is left behind at the deadline, and the addresses share the time.
The module knows the network backend of httpcore (its documentation, "Network Backends").
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeAlias

from onerouter_core.deadlines import limit_by_deadline
from onerouter_core.http_internals import replace_network_backend

Result: TypeAlias = tuple[list[str], OSError | None]


def limit_connecting(transport: Any) -> None:
    """Have a transport of an HTTP client connect within the deadline of the thread.

    A transport that is not on httpcore is left as it is.
    """
    replace_network_backend(transport, NetworkBackend)


class NetworkBackend:
    """Network backend that connects within the deadline of the thread."""

    def __init__(self, backend: Any) -> None:
        """Wrap a backend, which connects to one address at a time."""
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, **options: Any
    ) -> Any:
        """Connect to the first address of a host that answers."""
        is_known = limit_by_deadline(None) is None or _is_address(host)
        *others, last = [host] if is_known else _resolve(host, port)
        for number, address in enumerate(others):
            share = (limit_by_deadline(timeout) or 0) / (len(others) + 1 - number)
            try:
                return self._backend.connect_tcp(address, port, timeout=share, **options)
            except Exception:  # noqa: BLE001, S112 -- that of the last address is raised
                continue
        timeout = limit_by_deadline(timeout)
        return self._backend.connect_tcp(last, port, timeout=timeout, **options)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host; raise TimeoutError at the deadline of the thread."""
    results: SimpleQueue[Result] = SimpleQueue()
    _run_in_thread(lambda: results.put(_get_addresses(host, port)))
    try:
        addresses, error = results.get(timeout=limit_by_deadline(None))
    except Empty:
        raise TimeoutError("The name of the host was not resolved in time.") from None
    if error is not None:
        raise error.with_traceback(None)
    return addresses


def _get_addresses(host: str, port: int) -> Result:
    try:
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    except OSError as error:
        return [], error
    return list(dict.fromkeys(str(address[0]) for *_, address in found)), None


def _run_in_thread(fn: Callable[[], None]) -> None:
    try:
        Thread(target=fn, name="onerouter-resolve", daemon=True).start()
    except RuntimeError:  # no thread can be started, as at the end of the interpreter
        fn()
