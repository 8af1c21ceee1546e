"""Request log: the received requests and the queued scripts, shared by tests and the server thread.

Knows threads and requests. Knows no HTTP server and no rule of the answers.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from onerouter_simulator.scripts import Script


@dataclass(eq=False)
class RecordedRequest:
    """One request as the simulator received it.

    Args:
        method: HTTP method, such as "POST".
        path: Path of the URL, such as "/v1/chat/completions".
        headers: Headers, with their names in lower case.
        raw: Bytes of the body.
        port: Port of the client: requests over one connection have the same.
        query: Query string of the URL, without the question mark.

    `received_at` is the time of arrival and `hung_up` the time at which the client disconnected
    before the answer was complete (None if it did not): both in seconds of `time.monotonic()`.
    """

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes
    port: int = 0
    query: str = ""
    received_at: float = field(default_factory=time.monotonic, init=False)
    hung_up: float | None = field(default=None, init=False)
    _disconnected: threading.Event = field(default_factory=threading.Event, init=False, repr=False)

    @property
    def body(self) -> Any:
        """The JSON body, parsed again on each access; None if the body is not JSON."""
        try:
            return json.loads(self.raw)
        except ValueError:
            return None

    def hang_up(self) -> None:
        """Record that the client has disconnected; the server calls this."""
        self.hung_up = time.monotonic()
        self._disconnected.set()

    def wait_hung_up(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until the client has disconnected; False if it has not."""
        return self._disconnected.wait(timeout)


class RequestLog:
    """Thread-safe list of received requests and queue of scripts.

    Args:
        on_request: Function that is called with each request, in the server's thread.
    """

    def __init__(self, on_request: Callable[[RecordedRequest], None] | None = None) -> None:
        self._on_request = on_request
        self._lock = threading.Lock()
        self._requests: list[RecordedRequest] = []
        self._scripts: deque[Script] = deque()
        self._numbered = 0

    @property
    def requests(self) -> list[RecordedRequest]:
        """A copy of the list of all requests, the oldest first."""
        with self._lock:
            return list(self._requests)

    def record(self, request: RecordedRequest) -> None:
        """Add a request to the list."""
        with self._lock:
            self._requests.append(request)
        if self._on_request is not None:
            self._on_request(request)

    def queue_scripts(self, scripts: tuple[Script, ...]) -> None:
        """Add scripts to the end of the queue."""
        with self._lock:
            self._scripts.extend(scripts)

    def take_script(self) -> Script | None:
        """Remove and return the next script; None if the queue is empty."""
        with self._lock:
            return self._scripts.popleft() if self._scripts else None

    def next_number(self) -> int:
        """Return the number, from 1, of the next request that the rules answer."""
        with self._lock:
            self._numbered += 1
            return self._numbered

    def clear(self) -> None:
        """Remove all requests and scripts, and restart the numbers."""
        with self._lock:
            self._numbered = 0
            self._requests.clear()
            self._scripts.clear()
