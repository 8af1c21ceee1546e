"""Upstream: one HTTP exchange with a real gateway, passed through byte by byte.

Knows HTTP, TLS and proxies, through the standard library: the simulator needs no HTTP library. Its
calls block: an event loop runs them in threads. Knows no file and no ASGI.
"""

import http.client
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from onerouter_simulator.network_guard import is_loopback
from onerouter_simulator.recordings import RecordingError

CONNECT_TIMEOUT = 30.0  # seconds
READ_TIMEOUT = 600.0  # seconds without a byte
READ_SIZE = 65536  # bytes
FAILURES = (OSError, http.client.HTTPException)

# RFC 9110, section 7.6.1; and headers that each side sets for itself.
NOT_PASSED_ON = {
    *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"),
    *("upgrade", "host", "content-length", "accept-encoding", "expect", "proxy-authorization"),
}
SET_BY_SERVER = NOT_PASSED_ON - {"content-length"} | {"date", "server"}


class Upstream:
    """The address of a gateway.

    Args:
        url: Base URL, up to and including /v1.

    Raises:
        RecordingError: The URL is neither https nor of this machine, or is no base URL.
    """

    def __init__(self, url: str) -> None:
        self.parts = check_upstream(url)

    def exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> "UpstreamExchange":
        """Return an exchange, which is not sent yet; `path` is relative to the base URL."""
        passed_on = {k: v for k, v in headers.items() if k.lower() not in NOT_PASSED_ON}
        return UpstreamExchange(self.parts, method, path, passed_on, body)


class UpstreamExchange:
    """One request and its response. `send` and `read` block; `abort` ends them from outside."""

    def __init__(
        self,
        parts: SplitResult,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self._request = (method, parts.path.rstrip("/") + path, body or None)
        self._request_headers = {**headers, "connection": "close"}
        self._connection = connection_to(parts)
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._is_aborted = False
        self._response: http.client.HTTPResponse | None = None

    def send(self) -> None:
        """Send the request, and read status and headers; raise one of FAILURES."""
        with self._step():
            self._connection.connect()
            self._socket = connected = self._connection.sock
            if self._is_aborted:
                raise ConnectionAbortedError("the client has disconnected")
            connected.settimeout(READ_TIMEOUT)
            self._connection.request(*self._request, self._request_headers)
            self._response = self._connection.getresponse()
        self.status = self._response.status
        headers = ((name.lower(), value) for name, value in self._response.getheaders())
        self.headers = [(name, value) for name, value in headers if name not in SET_BY_SERVER]

    def read(self) -> bytes:
        """Return the next bytes of the body, b"" at its end; raise one of FAILURES if it is cut."""
        with self._step():
            if self._response is None:
                return b""
            data = self._response.read1(READ_SIZE)
            if not data and self._response.length:  # bytes of Content-Length that have not come
                raise http.client.IncompleteRead(b"", self._response.length)
            return data

    def abort(self) -> None:
        """Close the connection without waiting; a step in another thread ends, and closes it."""
        self._is_aborted = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        if not self._lock.locked():
            self._close()

    @contextmanager
    def _step(self) -> Iterator[None]:
        """Keep the connection open until a step has ended: http.client is not thread-safe."""
        try:
            with self._lock:
                yield
        finally:
            if self._is_aborted:
                self._close()

    def _close(self) -> None:
        with self._lock:
            if self._response is not None:
                self._response.close()
            self._connection.close()


def check_upstream(url: str) -> SplitResult:
    """Return the parts of a base URL; raise RecordingError if it cannot be used."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", 0
    if not host or port == 0 or parts.scheme not in {"http", "https"}:
        raise RecordingError(
            "upstream must be the base URL of a gateway, such as https://llm.onerouter.pro/v1."
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise RecordingError("upstream must have no user name, and must end with its path.")
    if parts.scheme == "http" and not is_loopback(host):
        raise RecordingError(
            f"upstream must begin with https://: the API key would be sent to {host} unencrypted."
            " Only an upstream on this machine may begin with http://."
        )
    return parts


def connection_to(parts: SplitResult) -> http.client.HTTPConnection:
    """Return a connection to a host, through the environment's proxy if there is one."""
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=CONNECT_TIMEOUT)
    context = ssl.create_default_context()
    proxies = {} if is_loopback(host) or proxy_bypass(host) else getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if not proxy:
        return http.client.HTTPSConnection(host, port, timeout=CONNECT_TIMEOUT, context=context)
    via = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    connection = http.client.HTTPSConnection(
        via.hostname or "", via.port or 80, timeout=CONNECT_TIMEOUT, context=context
    )
    connection.set_tunnel(host, port, proxy_authorization(via))
    return connection


def proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    """Return the header with the credentials of a proxy's URL, if it has any."""
    if proxy.username is None:
        return {}
    credentials = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(credentials.encode()).decode()}"}
