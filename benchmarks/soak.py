"""A long run against a bad server: every call ends as it must, nothing twice, nothing left over.

One instance of a class is asked by many streams on an event loop and by many threads, all at the
same time. The server, in a process of its own, fails one request in twenty, in all ways of the
fault suite. Which request fails how follows from its number, so both sides know how each call must
end. Exits with 1 if one does not, if requests at the server and attempts made are not the same, or
if a descriptor is left. What memory does is printed, and judged by the reader.

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

from benchmarks.soak_server import RETRIES, WORDS, Plan, allow_descriptors, heard, serving
from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_core.retry import waiting
from tests.faults.adapters import REACH, Face, LangChain, LlamaIndex, aask, ask
from tests.faults.cases import Outcome

CLASSES: dict[str, tuple[type, Face]] = {
    "ChatOneRouter": (ChatOneRouter, LangChain()),
    "OneRouterLLM": (OneRouterLLM, LlamaIndex()),
}
PATIENCE = 120.0  # seconds; a call that takes longer has been forgotten by somebody
MOST_CALLS = 1_000_000
MOST_SHOWN = 10

# --- the callers ---


class Retries(logging.Handler):
    """Counts the lines that say that a call is tried again."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count it; the logging module lets one thread in at a time."""
        self.count += record.getMessage().startswith("retry ")


@contextmanager
def counted_retries() -> Iterator[Retries]:
    """Listen to the log of retries."""
    log, retries = logging.getLogger("onerouter_core"), Retries()
    before = log.level
    log.addHandler(retries)
    log.setLevel(logging.INFO)
    yield retries
    log.removeHandler(retries)
    log.setLevel(before)


@dataclass
class Tally:
    """What came of all calls; it does not grow with them."""

    ends: float
    stall: float
    numbers: Iterator[int] = field(default_factory=count)
    made: bytearray = field(default_factory=lambda: bytearray(MOST_CALLS))  # attempts, by number
    ended: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    unplanned: set[int] = field(default_factory=set)  # ended as they may, but need not

    def calls(self) -> Iterator[int]:
        """Yield the numbers of the calls to make, as long as there is time."""
        while time.monotonic() < self.ends:
            yield next(self.numbers)

    def options(self, number: int, mode: str) -> tuple[Plan, dict[str, Any]]:
        """Return how a call must end, and what to give to it."""
        plan = Plan.of(number, mode)
        return plan, {"seed": number, "timeout": self.stall if plan.is_silent else PATIENCE}

    def judge(self, number: int, plan: Plan, got: Outcome) -> None:
        """Note how a call ended."""
        kind = type(got.error).__name__ if got.error else None
        self.ended[kind or "answer"] += 1
        self.made[number] = attempts = getattr(got.error, "attempts", plan.attempts)
        if (kind, got.text, attempts) == (plan.error, plan.text, plan.attempts):
            return
        if plan.allows(number, kind, got.text):
            self.unplanned.add(number)
        elif len(self.wrong) < MOST_SHOWN:
            self.wrong.append(f"call {number}: {got}, {attempts} attempts, not {plan}")


def ask_on(face: Face, model: Any, tally: Tally) -> None:
    """Ask again and again in this thread, for whole answers and for streams."""
    for number in tally.calls():
        mode = "stream" if number % 2 else "whole"
        plan, options = tally.options(number, mode)
        tally.judge(number, plan, ask(face, model, mode, **options))


async def stream_on(face: Face, model: Any, tally: Tally, delay: float) -> None:
    """Stream again and again on this event loop, beginning a little later than others."""
    await asyncio.sleep(delay)
    for number in tally.calls():
        plan, options = tally.options(number, "stream")
        tally.judge(number, plan, await aask(face, model, "stream", **options))


async def watched(memory: list[tuple[float, float]]) -> None:
    """Note the memory twice a second, until cancelled."""
    while True:
        memory.append((time.monotonic(), resident()))
        await asyncio.sleep(0.5)


def resident() -> float:
    """Return the memory of this process in MB; where there is no /proc, 0."""
    if not _MEMORY.exists():
        return 0.0
    return int(_MEMORY.read_text("ascii").split()[1]) * resource.getpagesize() / 1e6


_MEMORY = Path("/proc/self/statm")


def descriptors() -> int:
    """Return how many descriptors are open."""
    gc.collect()
    return sum(1 for _ in Path("/dev/fd").iterdir())


# --- the run ---


@dataclass
class Result:
    """What a run found, of one class."""

    tally: Tally
    memory: list[tuple[float, float]]
    retries: int
    open_before: int
    open_after: int
    asked: Mapping[int, int]
    played: Mapping[str, int]

    @property
    def calls(self) -> int:
        """How many calls there were."""
        return sum(self.tally.ended.values())

    @property
    def lost(self) -> int:
        """How many attempts did not arrive: given up before they were sent."""
        return self.calls + self.retries - sum(self.asked.values())

    @property
    def slope(self) -> float:
        """MB per minute, once a third of the time is over."""
        steady = self.memory[len(self.memory) // 3 :]
        return linear_regression(*zip(*steady, strict=True)).slope * 60 if len(steady) > 1 else 0.0

    def problems(self) -> list[str]:
        """Return what must not be."""
        tally, found = self.tally, list(self.tally.wrong)
        unequal = (n for n, times in self.asked.items() if times != tally.made[n])
        twice = [n for n in unequal if n not in tally.unplanned]
        found += [f"call {n}: {self.asked[n]} requests" for n in twice[:MOST_SHOWN]]
        if not 0 <= self.lost <= len(tally.unplanned):
            found.append(f"{self.lost} attempts did not arrive")
        if self.open_after > self.open_before:
            found.append(f"{self.open_after - self.open_before} descriptors are left")
        return found

    def lines(self) -> list[tuple[str, str]]:
        """Return the lines of the table."""
        ended = self.tally.ended
        errors = self.calls - ended["answer"]
        settled = self.memory[len(self.memory) // 3][1]
        return [
            ("calls", f"{self.calls:,}"),
            ("answers", f"{ended['answer']:,}"),
            ("errors", f"{errors:,} of {len(ended.keys() - {'answer'})} kinds"),
            ("wrong ends", f"{len(self.tally.wrong):,}"),
            ("other ends", f"{len(self.tally.unplanned):,}"),
            ("attempts", f"{self.calls + self.retries:,}"),
            ("requests", f"{sum(self.asked.values()):,}"),
            ("not sent", f"{self.lost:,}"),
            ("failed requests", f"{sum(self.played.values()):,} in {len(self.played)} ways"),
            ("memory, MB", f"{settled:.1f} to {self.memory[-1][1]:.1f}"),
            ("slope, MB/min", f"{self.slope:+.2f}"),
            ("descriptors", f"{self.open_before} to {self.open_after}"),
        ]


def soak(name: str, port: int, how: argparse.Namespace) -> Result:
    """Ask one instance of a class for as long as was said."""
    kind, face = CLASSES[name]
    memory: list[tuple[float, float]] = []
    before = descriptors()
    model = kind(**REACH, base_url=f"http://127.0.0.1:{port}/{name}/v1", max_retries=RETRIES)
    tally = Tally(time.monotonic() + how.seconds, how.stall)
    with counted_retries() as retries, waiting(0.05):
        asyncio.run(all_at_once(face, model, tally, how, memory))
    return Result(tally, memory, retries.count, before, descriptors(), *heard(port, name))


async def all_at_once(
    face: Face,
    model: Any,
    tally: Tally,
    how: argparse.Namespace,
    memory: list[tuple[float, float]],
) -> None:
    """Run the streams and the threads to their end, and close the model."""
    loop, watching = asyncio.get_running_loop(), asyncio.ensure_future(watched(memory))
    delays = [how.pace * WORDS * turn / how.streams for turn in range(how.streams)]
    with ThreadPoolExecutor(how.threads) as pool:
        threads = [
            loop.run_in_executor(pool, ask_on, face, model, tally) for _ in range(how.threads)
        ]
        await asyncio.gather(*(stream_on(face, model, tally, delay) for delay in delays), *threads)
    watching.cancel()
    await model.aclose()


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Ask one instance of each class for long.")
    parser.add_argument("--quick", action="store_true", help="a short run with fewer callers")
    parser.add_argument("--seconds", type=float, help="for each class (180)")
    parser.add_argument("--streams", type=int, help="at once, on one event loop (1000)")
    parser.add_argument("--threads", type=int, help="of sync calls (64)")
    parser.add_argument("--pace", type=float, help="seconds between two events (1)")
    parser.add_argument("--stall", type=float, help="seconds to wait for a silent server (20)")
    given = parser.parse_args(arguments)
    usual = QUICK if given.quick else LONG
    return argparse.Namespace(**usual | {n: v for n, v in vars(given).items() if v is not None})


LONG = {"seconds": 180.0, "streams": 1000, "threads": 64, "pace": 1.0, "stall": 20.0}
QUICK = {"seconds": 7.5, "streams": 200, "threads": 16, "pace": 0.1, "stall": 2.0}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the table, and say whether all was well."""
    how = options(arguments)
    allow_descriptors()
    asyncio.run(asyncio.sleep(0))  # what an event loop opens once and keeps
    print(f"{how.streams} streams and {how.threads} threads, {how.seconds:g} s each\n")
    with serving(how.pace) as port:
        results = {name: soak(name, port, how) for name in CLASSES}
    print(f"{'':17}", *(f"{name:>22}" for name in results))
    for cells in zip(*(result.lines() for result in results.values()), strict=True):
        print(f"{cells[0][0]:17}", *(f"{cell:>22}" for _, cell in cells))
    problems = [f"{n}: {p}" for n, result in results.items() for p in result.problems()]
    print("", *problems or ["Every call ended as it must."], sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
