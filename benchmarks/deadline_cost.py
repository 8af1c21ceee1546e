"""Cost of the read deadline of a sync call: what is set before its request and reset after it.

    python -m benchmarks.deadline_cost

No thread watches a sync call: its sockets read until a deadline that is set for the thread. Each
row is the fastest of several rounds, in microseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from timeit import repeat

from onerouter_core.deadlines import limit_by_deadline, read_deadline_on, set_read_deadline

_CALLS = 20_000  # in each round
_ROUNDS = 7


class Stream:
    """A network stream whose reads are to be limited."""

    def read(self) -> bytes:
        """Return no data."""
        return b""


def thread_deadline() -> None:
    """Set the deadline of the thread, then the previous one."""
    set_read_deadline(set_read_deadline(1e9))


def body_deadline() -> None:
    """Limit the reads of a response's body, then stop to limit them."""
    with read_deadline_on(STREAM, _no_deadline):
        pass


def one_read() -> None:
    """Compute the timeout of one read."""
    limit_by_deadline(600.0)


def _no_deadline() -> float | None:
    return None


STREAM = Stream()
ROWS: dict[str, Callable[[], None]] = {
    "deadline of the thread, set and reset": thread_deadline,
    "deadline of a response's body, set and reset": body_deadline,
    "timeout of one read or write": one_read,
}


def main() -> None:
    """Print the cost of each operation."""
    previous = set_read_deadline(monotonic() + 3600)
    try:
        for name, operation in ROWS.items():
            seconds = min(repeat(operation, number=_CALLS, repeat=_ROUNDS)) / _CALLS
            print(f"{name:<46}{seconds * 1e6:6.2f} us")
    finally:
        set_read_deadline(previous)


if __name__ == "__main__":
    main()
