"""Soak test: many concurrent calls to a faulty server, each with a known expected outcome.

One instance of each class is called by many streams on an event loop and by many threads, all at
the same time. The server, in a process of its own, fails one request in twenty, with the fault
cases of tests/faults. The fault follows from the call's number, so both processes know the expected
outcome of each call. The exit status is 1 if an outcome is another one, if the server received more
or fewer requests than the client made attempts, or if a descriptor stays open. Memory is printed
for the reader to judge.

    python -m benchmarks.soak [--seconds 180] [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import linear_regression
from typing import Any

from benchmarks.soak_server import (
    MAX_RETRIES,
    WORDS,
    ExpectedOutcome,
    fetch_counts,
    raise_descriptor_limit,
    run_server,
)
from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_core.retry import waiting
from tests.faults.adapters import (
    MODEL_FIELDS,
    Adapter,
    LangChainAdapter,
    LlamaIndexAdapter,
    acall_model,
    call_model,
)
from tests.faults.cases import Outcome

CLASSES: dict[str, tuple[type, Adapter]] = {
    "ChatOneRouter": (ChatOneRouter, LangChainAdapter()),
    "OneRouterLLM": (OneRouterLLM, LlamaIndexAdapter()),
}
TIMEOUT = 120.0  # seconds; a call that takes longer hangs
MAX_CALLS = 1_000_000
MAX_PRINTED = 10  # problems of one kind

# --- the callers ---


class RetryCounter(logging.Handler):
    """Log handler that counts the retries."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count a retry; `logging` holds a lock here, so no two threads do this at once."""
        self.count += record.getMessage().startswith("retry ")


@contextmanager
def count_retries() -> Iterator[RetryCounter]:
    """Count the retries in the log of onerouter_core."""
    log, counter = logging.getLogger("onerouter_core"), RetryCounter()
    level = log.level
    log.addHandler(counter)
    log.setLevel(logging.INFO)
    yield counter
    log.removeHandler(counter)
    log.setLevel(level)


@dataclass
class Tally:
    """Outcomes of all calls, counted; its size does not depend on the number of calls."""

    ends_at: float
    stall_timeout: float
    numbers: Iterator[int] = field(default_factory=count)
    attempts: bytearray = field(default_factory=lambda: bytearray(MAX_CALLS))  # by call number
    by_error: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    permitted: set[int] = field(default_factory=set)  # permitted, but not expected

    def calls(self) -> Iterator[int]:
        """Yield call numbers until the time is over."""
        while time.monotonic() < self.ends_at:
            yield next(self.numbers)

    def prepare(self, number: int, mode: str) -> tuple[ExpectedOutcome, dict[str, Any]]:
        """Return the expected outcome of a call, and its options."""
        expected = ExpectedOutcome.for_call(number, mode)
        timeout = self.stall_timeout if expected.is_silent else TIMEOUT
        return expected, {"seed": number, "timeout": timeout}

    def record(self, number: int, expected: ExpectedOutcome, outcome: Outcome) -> None:
        """Compare the outcome of a call with the expected one, and count it."""
        error = type(outcome.error).__name__ if outcome.error else None
        self.by_error[error or "answer"] += 1
        attempts = getattr(outcome.error, "attempts", expected.attempts)
        self.attempts[number] = attempts
        if (error, outcome.text, attempts) == (expected.error, expected.text, expected.attempts):
            return
        if expected.permits(number, error, outcome.text):
            self.permitted.add(number)
        elif len(self.wrong) < MAX_PRINTED:
            self.wrong.append(f"call {number}: {outcome}, {attempts} attempts, not {expected}")


def call_repeatedly(adapter: Adapter, model: Any, tally: Tally) -> None:
    """Make complete and streamed calls in turn in this thread, until the time is over."""
    for number in tally.calls():
        mode = "stream" if number % 2 else "complete"
        expected, options = tally.prepare(number, mode)
        tally.record(number, expected, call_model(adapter, model, mode, **options))


async def stream_repeatedly(adapter: Adapter, model: Any, tally: Tally, delay: float) -> None:
    """Make streamed calls on this event loop until the time is over, after `delay` seconds."""
    await asyncio.sleep(delay)
    for number in tally.calls():
        expected, options = tally.prepare(number, "stream")
        tally.record(number, expected, await acall_model(adapter, model, "stream", **options))


async def sample_memory(samples: list[tuple[float, float]]) -> None:
    """Append time and resident memory twice a second, until cancelled."""
    while True:
        samples.append((time.monotonic(), resident_memory()))
        await asyncio.sleep(0.5)


def resident_memory() -> float:
    """Return the resident memory of this process in MB; 0 without /proc."""
    if not _STATM.exists():
        return 0.0
    return int(_STATM.read_text("ascii").split()[1]) * resource.getpagesize() / 1e6


_STATM = Path("/proc/self/statm")


def count_descriptors() -> int:
    """Return the number of open descriptors."""
    gc.collect()
    return sum(1 for _ in Path("/dev/fd").iterdir())


# --- the run ---


@dataclass
class SoakResult:
    """Result of a run of one class."""

    tally: Tally
    memory: list[tuple[float, float]]
    retries: int
    descriptors_before: int
    descriptors_after: int
    requests_by_call: Mapping[int, int]
    faults: Mapping[str, int]

    @property
    def calls(self) -> int:
        """Number of calls."""
        return sum(self.tally.by_error.values())

    @property
    def unsent(self) -> int:
        """Number of attempts that did not reach the server: cancelled before they were sent."""
        return self.calls + self.retries - sum(self.requests_by_call.values())

    @property
    def slope(self) -> float:
        """Growth of memory in MB per minute, after the first third of the time."""
        steady = self.memory[len(self.memory) // 3 :]
        return linear_regression(*zip(*steady, strict=True)).slope * 60 if len(steady) > 1 else 0.0

    def problems(self) -> list[str]:
        """Return the problems that fail the run."""
        tally, problems = self.tally, list(self.tally.wrong)
        unequal = (n for n, times in self.requests_by_call.items() if times != tally.attempts[n])
        unexplained = [number for number in unequal if number not in tally.permitted]
        problems += [
            f"call {number}: {self.requests_by_call[number]} requests, "
            f"{tally.attempts[number]} attempts"
            for number in unexplained[:MAX_PRINTED]
        ]
        if not 0 <= self.unsent <= len(tally.permitted):
            problems.append(f"{self.unsent} attempts did not reach the server")
        if self.descriptors_after > self.descriptors_before:
            left = self.descriptors_after - self.descriptors_before
            problems.append(f"{left} descriptors are still open")
        return problems

    def rows(self) -> list[tuple[str, str]]:
        """Return the rows of the table."""
        by_error = self.tally.by_error
        answers = by_error["answer"]
        settled = self.memory[len(self.memory) // 3][1]
        return [
            ("calls", f"{self.calls:,}"),
            ("answers", f"{answers:,}"),
            ("errors", f"{self.calls - answers:,} in {len(by_error.keys() - {'answer'})} classes"),
            ("wrong", f"{len(self.tally.wrong):,}"),
            ("permitted", f"{len(self.tally.permitted):,}"),
            ("attempts", f"{self.calls + self.retries:,}"),
            ("requests", f"{sum(self.requests_by_call.values()):,}"),
            ("not sent", f"{self.unsent:,}"),
            ("faults", f"{sum(self.faults.values()):,} in {len(self.faults)} cases"),
            ("memory, MB", f"{settled:.1f} to {self.memory[-1][1]:.1f}"),
            ("slope, MB/min", f"{self.slope:+.2f}"),
            ("descriptors", f"{self.descriptors_before} to {self.descriptors_after}"),
        ]


def soak(name: str, port: int, options: argparse.Namespace) -> SoakResult:
    """Call one instance of a class for `options.seconds`."""
    model_class, adapter = CLASSES[name]
    memory: list[tuple[float, float]] = []
    before = count_descriptors()
    base_url = f"http://127.0.0.1:{port}/{name}/v1"
    model = model_class(**MODEL_FIELDS, base_url=base_url, max_retries=MAX_RETRIES)
    tally = Tally(time.monotonic() + options.seconds, options.stall)
    with count_retries() as retries, waiting(0.05):
        asyncio.run(run_callers(adapter, model, tally, options, memory))
    after = count_descriptors()
    return SoakResult(tally, memory, retries.count, before, after, *fetch_counts(port, name))


async def run_callers(
    adapter: Adapter,
    model: Any,
    tally: Tally,
    options: argparse.Namespace,
    memory: list[tuple[float, float]],
) -> None:
    """Run the streams and the threads until the time is over, and close the model."""
    loop, sampler = asyncio.get_running_loop(), asyncio.ensure_future(sample_memory(memory))
    seconds = options.pace * WORDS / options.streams
    with ThreadPoolExecutor(options.threads) as pool:
        threads = [
            loop.run_in_executor(pool, call_repeatedly, adapter, model, tally)
            for _ in range(options.threads)
        ]
        streams = [
            stream_repeatedly(adapter, model, tally, seconds * index)
            for index in range(options.streams)
        ]
        await asyncio.gather(*streams, *threads)
    sampler.cancel()
    await model.aclose()


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Soak test of both classes.")
    parser.add_argument("--quick", action="store_true", help="a short run with fewer callers")
    parser.add_argument("--seconds", type=float, help="seconds for each class (180)")
    parser.add_argument("--streams", type=int, help="concurrent streams on one loop (1000)")
    parser.add_argument("--threads", type=int, help="threads that make sync calls (64)")
    parser.add_argument("--pace", type=float, help="seconds between two events (1)")
    parser.add_argument("--stall", type=float, help="timeout for a silent server, seconds (20)")
    given = parser.parse_args(arguments)
    defaults = QUICK if given.quick else FULL
    return argparse.Namespace(**defaults | {n: v for n, v in vars(given).items() if v is not None})


FULL = {"seconds": 180.0, "streams": 1000, "threads": 64, "pace": 1.0, "stall": 20.0}
QUICK = {"seconds": 7.5, "streams": 200, "threads": 16, "pace": 0.1, "stall": 2.0}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the table and the problems, and return the exit status."""
    options = parse_options(arguments)
    raise_descriptor_limit()
    asyncio.run(asyncio.sleep(0))  # an event loop opens some descriptors once and keeps them
    print(f"{options.streams} streams and {options.threads} threads, {options.seconds:g} s each\n")
    with run_server(options.pace) as port:
        results = {name: soak(name, port, options) for name in CLASSES}
    print(f"{'':17}", *(f"{name:>22}" for name in results))
    for cells in zip(*(result.rows() for result in results.values()), strict=True):
        print(f"{cells[0][0]:17}", *(f"{cell:>22}" for _, cell in cells))
    problems = [f"{n}: {p}" for n, result in results.items() for p in result.problems()]
    print("", *problems or ["Every call had its expected outcome."], sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
