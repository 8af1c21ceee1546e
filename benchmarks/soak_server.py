"""The bad server of the soak, in a process of its own, and how each call to it must end.

A request carries its number, and so must its answer. One in twenty fails, in all ways of the fault
suite; how follows from the number, so both sides know it. Run as a program it prints its port, and
serves until its standard input is closed. It knows neither of the two classes.
"""

from __future__ import annotations

import http.client
import json
import resource
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from zlib import crc32

from tests.core.payloads import chunk, completion
from tests.faults.cases import Row
from tests.faults.http_scripts import http as whole_play
from tests.faults.http_scripts import stream as stream_play
from tests.faults.rows import GROUPS
from tests.faults.server import Arrived, End, Line, Play, Server

RETRIES = 2
ONE_IN = 20  # requests fail
WORDS = 16  # of an answer; each is an event of its own

# --- what both sides know ---


def ways() -> dict[str, list[Row]]:
    """Return all ways to fail that one request can have, for who asks in each mode."""
    rows = [row for group in GROUPS.values() for row in group if row.want.error]
    rows = [row for row in rows if row.options.keys() <= {"timeout"}]
    rows = [row for row in rows if len(row.said_to(row.modes[0])) == 1]
    return {mode: [row for row in rows if mode in row.modes] for mode in ("whole", "stream")}


WAYS = ways()


def failure(number: int, mode: str, attempt: int) -> Row | None:
    """Return how this attempt at a call fails, if it does."""
    drawn = crc32(b"%d/%d" % (number, attempt))
    return WAYS[mode][drawn // ONE_IN % len(WAYS[mode])] if drawn % ONE_IN == 0 else None


def words(number: int) -> list[str]:
    """Return the answer to a call, in the pieces it comes in."""
    return [f"{number}:{word} " for word in range(WORDS)]


def answer(number: int) -> str:
    """Return the answer to a call."""
    return "".join(words(number))


@dataclass(frozen=True)
class Plan:
    """How a call must end, and after how many attempts.

    It may end otherwise on a machine that is too busy: a reset takes with it what nobody has read
    yet, and who waits for a silent server may give up one that is only slow.
    """

    text: str
    error: str | None
    attempts: int
    is_silent: bool = False
    is_reset: bool = False

    @classmethod
    def of(cls, number: int, mode: str) -> Plan:
        """Return how the call of this number must end."""
        rows: list[Row] = []
        while len(rows) <= RETRIES and (row := failure(number, mode, len(rows))) is not None:
            rows.append(row)
            if row.expected(mode, RETRIES) == 1:
                break
        silent = any(row.options for row in rows)
        reset = any(End.RESET in row.said_to(mode)[0] for row in rows)
        if row is None:
            return cls(answer(number), None, len(rows) + 1, silent, reset)
        text = row.want.text if mode == "stream" else ""
        return cls(text, row.want.error, len(rows), silent, reset)

    def allows(self, number: int, error: str | None, text: str) -> bool:
        """Tell whether a call may also end like this."""
        if not (self.is_silent or self.is_reset):
            return False
        if error is None:
            return text == answer(number)
        is_of_it = text == self.text or answer(number).startswith(text)
        return is_of_it and error in {self.error, "APITimeoutError", "APIConnectionError"}


# --- the server ---


class Gateway(Line):
    """Answers each number as planned, and counts how often it is asked."""

    def __init__(self, pace: float) -> None:
        super().__init__("", ())
        self._pace = pace
        self._asked: Counter[int] = Counter()
        self._played: Counter[str] = Counter()

    def take(self, request: Arrived) -> Play:
        """Return the play of a request; a GET is asked what has been."""
        if request.method == "GET":
            return whole_play({"asked": list(self._asked.items()), "played": dict(self._played)})
        body = request.json
        number, mode = body["seed"], "stream" if body.get("stream") else "whole"
        row = failure(number, mode, self._asked[number])
        self._asked[number] += 1
        if row is None:
            return self._answer(number, mode)
        self._played[f"{row.name}, {mode}"] += 1
        return row.said_to(mode)[0]

    def _answer(self, number: int, mode: str) -> Play:
        if mode == "whole":
            return (self._pace * WORDS, *whole_play(completion(answer(number))))
        events = [step for word in words(number) for step in (self._pace, chunk(word))]
        return stream_play(*events, chunk(finish="stop"))


class Gateways(Server):
    """A gateway under each name that is asked for: the first part of the path."""

    def __init__(self, pace: float) -> None:
        super().__init__()
        self._gateways: defaultdict[str, Gateway] = defaultdict(lambda: Gateway(pace))

    def find(self, target: str) -> Line:
        """Return the gateway of that name."""
        return self._gateways[target.split("/")[1]]


def serve(pace: float) -> None:
    """Print the port, and serve until standard input ends."""
    with Gateways(pace).running() as server:
        print(server.port, flush=True)
        sys.stdin.read()


@contextmanager
def serving(pace: float) -> Iterator[int]:
    """Run the server in a process of its own, and yield its port."""
    command = [sys.executable, "-m", "benchmarks.soak_server", str(pace)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603 -- ourselves
        yield int(process.stdout.readline())
        process.stdin.close()


def heard(port: int, name: str) -> tuple[dict[int, int], dict[str, int]]:
    """Ask a gateway how often each number was asked for, and what it has played."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", f"/{name}")
    said = json.load(connection.getresponse())
    connection.close()
    return dict(said["asked"]), said["played"]


def allow_descriptors() -> None:
    """Let this process have as many connections as there are callers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 8192), hard), hard))


if __name__ == "__main__":
    allow_descriptors()
    serve(float(sys.argv[1]))
