"""Faulty server of the soak test, in a process of its own, and the expected outcome of each call.

A request carries the number of its call, and the answer must carry it, too. One request in twenty
fails, with one of the fault cases of tests/faults. The case follows from the number, so the client
and the server know it without talking to each other. Run as a program the module prints its port,
and serves until its standard input is closed. It knows neither of the two classes.
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
from tests.faults.cases import FaultCase
from tests.faults.fault_cases import GROUPS
from tests.faults.http_scripts import response, stream
from tests.faults.server import End, Endpoint, HTTPScript, ReceivedRequest, Server

MAX_RETRIES = 2
REQUESTS_PER_FAULT = 20
WORDS = 16  # of an answer; each is an event of its own

# --- faults and answers: the same in both processes ---


def select_fault_cases() -> dict[str, list[FaultCase]]:
    """Return the fault cases by mode: those that end in an error and need only one request."""
    cases = [case for group in GROUPS.values() for case in group if case.expected.error]
    cases = [case for case in cases if case.options.keys() <= {"timeout"}]
    cases = [case for case in cases if len(case.scripts_for(case.modes[0])) == 1]
    return {mode: [case for case in cases if mode in case.modes] for mode in ("complete", "stream")}


FAULT_CASES = select_fault_cases()


def scheduled_fault(number: int, mode: str, attempt: int) -> FaultCase | None:
    """Return the fault case of one attempt at a call; None if the attempt succeeds."""
    drawn = crc32(b"%d/%d" % (number, attempt))
    if drawn % REQUESTS_PER_FAULT:
        return None
    cases = FAULT_CASES[mode]
    return cases[drawn // REQUESTS_PER_FAULT % len(cases)]


def answer_words(number: int) -> list[str]:
    """Return the answer to a call, as the texts of its events."""
    return [f"{number}:{index} " for index in range(WORDS)]


def answer_text(number: int) -> str:
    """Return the answer to a call."""
    return "".join(answer_words(number))


@dataclass(frozen=True)
class ExpectedOutcome:
    """Expected text, error class and number of attempts of a call.

    If the server is silent or resets the connection, other outcomes are possible on a busy machine:
    a reset discards the bytes that the client has not read yet, and the short timeout for a silent
    server can also end an attempt whose server is only slow.
    """

    text: str
    error: str | None
    attempts: int
    is_silent: bool = False
    is_reset: bool = False

    @classmethod
    def for_call(cls, number: int, mode: str) -> ExpectedOutcome:
        """Return the expected outcome of the call with this number."""
        cases: list[FaultCase] = []
        while (case := scheduled_fault(number, mode, len(cases))) is not None:
            cases.append(case)
            if len(cases) > MAX_RETRIES or case.expected_requests(mode, MAX_RETRIES) == 1:
                break
        is_silent = any(case.options for case in cases)
        is_reset = any(End.RESET in case.scripts_for(mode)[0] for case in cases)
        if case is None:
            return cls(answer_text(number), None, len(cases) + 1, is_silent, is_reset)
        text = case.expected.text if mode == "stream" else ""
        return cls(text, case.expected.error, len(cases), is_silent, is_reset)

    def permits(self, number: int, error: str | None, text: str) -> bool:
        """Return whether a call may also end with this error class and text."""
        if not (self.is_silent or self.is_reset):
            return False
        if error is None:
            return text == answer_text(number)
        is_own_text = text == self.text or answer_text(number).startswith(text)
        return is_own_text and error in {self.error, "APITimeoutError", "APIConnectionError"}


# --- the server ---


class FaultyEndpoint(Endpoint):
    """Endpoint that sends the scheduled fault or the answer, and counts requests and faults."""

    def __init__(self, pace: float) -> None:
        super().__init__("", ())
        self._pace = pace
        self._requests_by_call: Counter[int] = Counter()
        self._faults: Counter[str] = Counter()

    def script_for(self, request: ReceivedRequest) -> HTTPScript:
        """Return the script for a request; a GET request returns the counts as JSON."""
        if request.method == "GET":
            requests = list(self._requests_by_call.items())
            return response({"requests": requests, "faults": dict(self._faults)})
        body = request.json
        number, mode = body["seed"], "stream" if body.get("stream") else "complete"
        case = scheduled_fault(number, mode, self._requests_by_call[number])
        self._requests_by_call[number] += 1
        if case is None:
            return self._answer_script(number, mode)
        self._faults[f"{case.name}, {mode}"] += 1
        return case.scripts_for(mode)[0]

    def _answer_script(self, number: int, mode: str) -> HTTPScript:
        if mode == "complete":
            return (self._pace * WORDS, *response(completion(answer_text(number))))
        events = [step for word in answer_words(number) for step in (self._pace, chunk(word))]
        return stream(*events, chunk(finish="stop"))


class FaultyServer(Server):
    """Server with one endpoint for each first part of a path; endpoints are made on demand."""

    def __init__(self, pace: float) -> None:
        super().__init__()
        self._by_name: defaultdict[str, FaultyEndpoint] = defaultdict(lambda: FaultyEndpoint(pace))

    def endpoint_for(self, target: str) -> Endpoint:
        """Return the endpoint of a request target."""
        return self._by_name[target.split("/")[1]]


def serve(pace: float) -> None:
    """Print the port, and serve until standard input is closed; `pace` is seconds per event."""
    with FaultyServer(pace).running() as server:
        print(server.port, flush=True)
        sys.stdin.read()


@contextmanager
def run_server(pace: float) -> Iterator[int]:
    """Run the server in a subprocess, and yield its port."""
    command = [sys.executable, "-m", "benchmarks.soak_server", str(pace)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603 -- a module of this package
        yield int(process.stdout.readline())
        process.stdin.close()


def fetch_counts(port: int, name: str) -> tuple[dict[int, int], dict[str, int]]:
    """Fetch the counts of an endpoint: requests by call number, and faults by case and mode."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", f"/{name}")
    counts = json.load(connection.getresponse())
    connection.close()
    return dict(counts["requests"]), counts["faults"]


def raise_descriptor_limit() -> None:
    """Allow this process one connection for each caller: 8192 descriptors, if the system does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 8192), hard), hard))


if __name__ == "__main__":
    raise_descriptor_limit()
    serve(float(sys.argv[1]))
