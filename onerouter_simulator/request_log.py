"""What arrived, and what is still to be said: the part that tests and the server's thread share.

Knows threads and requests. Knows no HTTP server and no rule by which requests are answered.
"""

import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from onerouter_simulator.scripts import Script


@dataclass(eq=False)
class Received:
    """One request as it arrived. `hung_up`: when its client left before the answer was complete.

    `port` is the client's, and so the same for what comes over one connection.
    """

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes
    port: int = 0
    received_at: float = field(default_factory=time.monotonic, init=False)
    hung_up: float | None = field(default=None, init=False)
    _left: threading.Event = field(default_factory=threading.Event, init=False, repr=False)

    @property
    def body(self) -> Any:
        """The JSON of the request, parsed anew each time; None when there is none."""
        try:
            return json.loads(self.raw)
        except ValueError:
            return None

    def hang_up(self) -> None:
        """Note that the client is gone."""
        self.hung_up = time.monotonic()
        self._left.set()

    def wait_hung_up(self, timeout: float) -> bool:
        """Wait until the client has hung up; False when it did not in time."""
        return self._left.wait(timeout)


class Journal:
    """The requests that came and the scripts that wait, safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: list[Received] = []
        self._scripts: deque[Script] = deque()
        self._answered = 0

    @property
    def requests(self) -> list[Received]:
        """All requests so far, the oldest first."""
        with self._lock:
            return list(self._requests)

    def note(self, received: Received) -> None:
        """Write one request down."""
        with self._lock:
            self._requests.append(received)

    def queue(self, scripts: tuple[Script, ...]) -> None:
        """Put exact replies in line."""
        with self._lock:
            self._scripts.extend(scripts)

    def next_script(self) -> Script | None:
        """Take the next exact reply, if one waits."""
        with self._lock:
            return self._scripts.popleft() if self._scripts else None

    def count(self) -> int:
        """Count a request that the rules answer, and return its number, from 1."""
        with self._lock:
            self._answered += 1
            return self._answered

    def clear(self) -> None:
        """Forget requests and scripts, and count anew."""
        with self._lock:
            self._answered = 0
            self._requests.clear()
            self._scripts.clear()
