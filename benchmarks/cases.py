"""Benchmark cases that measure all targets in one process, in turns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import baselines, on_langchain, on_llama_index
from benchmarks.baselines import Target
from benchmarks.measurement import (
    Measurement,
    Metric,
    Metrics,
    cpu_seconds,
    linearity,
    marginal_cost,
)
from benchmarks.payloads import CallSpec

SLOWEST = "ChatOpenRouter"
"""Takes as long as all other targets together: only some cases include it."""

Run = Callable[[], Any]
RunFactory = Callable[[str, CallSpec], Run]


@dataclass(frozen=True)
class Config:
    """Sizes and repetitions of the cases.

    Attributes:
        rounds: Rounds in which each target has one turn.
        text_chunks: Chunks of a text or reasoning stream.
        tool_call_deltas: Deltas of a streamed tool call.
        paced_chunks: Chunks of a stream whose events come one by one.
        calls_per_turn: Calls that are not streamed in one turn.
        message_counts: Messages in a request.
        tool_counts: Tools in a request.
        first_token_rounds: Rounds of the first-token case.
        concurrent_streams: Open streams at low, medium and high concurrency.
        instance_counts: Instances made in one process.
        processes: Processes of each target, for the cases of benchmarks.isolated.
        all_targets: Measure the slow targets, too.
    """

    rounds: int = 5
    text_chunks: Sequence[int] = (200, 1000, 5000)
    tool_call_deltas: Sequence[int] = (1000, 2000, 4000)
    paced_chunks: int = 400
    calls_per_turn: int = 10
    message_counts: Sequence[int] = (50, 200, 800)
    tool_counts: Sequence[int] = (5, 20, 80)
    first_token_rounds: int = 25
    concurrent_streams: Sequence[int] = (100, 500, 2000)
    instance_counts: Sequence[int] = (100, 400, 1600)
    processes: int = 3
    all_targets: bool = True


FULL = Config()
QUICK = Config(
    rounds=2,
    text_chunks=(50, 150, 450),
    tool_call_deltas=(200, 400, 800),
    paced_chunks=100,
    calls_per_turn=3,
    message_counts=(50, 200, 400),
    first_token_rounds=3,
    concurrent_streams=(25, 50, 100),
    instance_counts=(20, 40, 80),
    processes=1,
    all_targets=False,
)


class Harness:
    """All targets, the event loop for their async calls, and the configuration."""

    def __init__(self, server_url: str, config: Config) -> None:
        self.server_url, self.config = server_url, config
        self.targets: dict[str, Target] = {}
        for module in (baselines, on_langchain, on_llama_index):
            self.targets |= module.create_targets(server_url)
        self._loop = asyncio.new_event_loop()
        self.run_until_complete = self._loop.run_until_complete

    def target_names(self, *variants: str, include_slowest: bool = False) -> list[str]:
        """Return the names of the targets, and of their variants those that are named here.

        A variant is the part of a name after the comma, such as "httpx" in "ChatOneRouter, httpx".
        """
        names = [n for n in self.targets if "," not in n or n.partition(", ")[2] in variants]
        return [name for name in names if include_slowest or name != SLOWEST]

    def stream_run(self, name: str, spec: CallSpec) -> Run:
        """Return a function that makes a streamed call and reads the stream to its end."""
        target = self.targets[name]
        return lambda: drain(target.stream(spec))

    def astream_run(self, name: str, spec: CallSpec) -> Run:
        """Return a function that does the same on the event loop."""
        target = self.targets[name]
        return lambda: self.run_until_complete(adrain(target, spec))

    def call_run(self, name: str, spec: CallSpec) -> Run:
        """Return a function that makes `calls_per_turn` calls."""
        target = self.targets[name]
        return lambda: [target.call(spec) for _ in range(self.config.calls_per_turn)]

    def acall_run(self, name: str, spec: CallSpec) -> Run:
        """Return a function that does the same on the event loop."""
        target = self.targets[name]

        async def make_calls() -> None:
            for _ in range(self.config.calls_per_turn):
                await target.acall(spec)

        return lambda: self.run_until_complete(make_calls())

    def close(self) -> None:
        """Close the async clients, the generators of the event loop, and the loop."""
        for target in self.targets.values():
            if hasattr(target, "aclose"):
                self.run_until_complete(target.aclose())
        self.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


def drain(stream: Iterable[Any]) -> None:
    """Read a stream to its end."""
    for _ in stream:
        pass


async def adrain(target: Target, spec: CallSpec) -> None:
    """Make a streamed call on the event loop, and read the stream to its end."""
    async for _ in await target.astream(spec):
        pass


# --- streams ---


_READY_MADE = "ready-made chunks"


def stream_text(harness: Harness) -> Metrics:
    """Stream text."""
    specs = {size: CallSpec(f"text-{size}") for size in harness.config.text_chunks}
    names = harness.target_names(_READY_MADE, include_slowest=harness.config.all_targets)
    return _measure_streams(harness, "text chunk", harness.stream_run, names, specs)


def stream_burst(harness: Harness) -> Metrics:
    """Stream text whose events come many in one HTTP chunk."""
    specs = {size: CallSpec(f"text-{size}", "burst") for size in harness.config.text_chunks}
    names = harness.target_names()
    return _measure_streams(harness, "text chunk, burst", harness.stream_run, names, specs)


def astream_text(harness: Harness) -> Metrics:
    """Stream text on the event loop, over both HTTP libraries."""
    specs = {size: CallSpec(f"text-{size}") for size in harness.config.text_chunks}
    names = harness.target_names("aiohttp", "httpx", _READY_MADE)
    return _measure_streams(harness, "text chunk, async", harness.astream_run, names, specs)


def stream_reasoning(harness: Harness) -> Metrics:
    """Stream reasoning text."""
    specs = {size: CallSpec(f"reasoning-{size}") for size in harness.config.text_chunks}
    names = harness.target_names()
    return _measure_streams(harness, "reasoning chunk", harness.stream_run, names, specs)


def stream_tool_call(harness: Harness) -> Metrics:
    """Stream the arguments of a tool call.

    Not every target's cost is linear here, so the metric is the average over the longest call.
    """
    sizes, names = harness.config.tool_call_deltas, harness.target_names("tool calls parsed")
    specs = {size: CallSpec(f"tool-{size}", tool_count=1) for size in sizes}
    runs = {(n, size): harness.stream_run(n, spec) for size, spec in specs.items() for n in names}
    seconds = cpu_seconds(runs, harness.config.rounds)
    longest = sizes[-1]
    average = {n: Measurement.from_rounds(seconds[n, longest], 1e6 / longest) for n in names}
    title = "tool-call delta"
    metrics = _marginal_metrics(title, seconds) | {title: Metric("µs", average)}
    return dict(sorted(metrics.items()))


def _measure_streams(
    harness: Harness,
    title: str,
    make_run: RunFactory,
    names: Sequence[str],
    specs: dict[int, CallSpec],
) -> Metrics:
    """Return the cost of one more chunk, without the fixed cost of a call."""
    runs = {(name, size): make_run(name, spec) for size, spec in specs.items() for name in names}
    return _marginal_metrics(title, cpu_seconds(runs, harness.config.rounds))


def _marginal_metrics(
    title: str, seconds: dict[tuple[str, int], list[float]], calls: int = 1
) -> Metrics:
    """Return the cost of one more item, and its linearity; `seconds` is by target and size."""
    costs, linearities = {}, {}
    for name in dict.fromkeys(name for name, _ in seconds):
        by_size = {
            size: Measurement.from_rounds(rounds, 1e6 / calls)
            for (target_name, size), rounds in seconds.items()
            if target_name == name
        }
        costs[name] = marginal_cost(by_size)
        ratio = linearity(list(by_size), [cost.minimum for cost in by_size.values()])
        linearities[name] = Measurement(ratio, ratio)
    return {title: Metric("µs", costs), f"{title}: linearity": Metric("x", linearities)}


def stream_paced_text(harness: Harness) -> Metrics:
    """Stream text with an event each millisecond, as from a model: system calls are included."""
    size = harness.config.paced_chunks
    spec = CallSpec(f"text-{size}", "paced")
    sync_names = _networked_names(harness)
    async_names = _networked_names(harness, "aiohttp", "httpx")
    runs = {(n, "text chunk, paced"): harness.stream_run(n, spec) for n in sync_names}
    runs |= {(n, "text chunk, paced, async"): harness.astream_run(n, spec) for n in async_names}
    return _metrics_by_title(runs, harness.config.rounds, 1e6 / size, "µs")


def first_token(harness: Harness) -> Metrics:
    """Measure wall time from the server's first byte to the first text that the user receives.

    Other load on the machine can only add to it: a round is the minimum of several calls.
    """
    names = _networked_names(harness)
    minimums: dict[str, list[float]] = {name: [] for name in names}
    for round_number in range(harness.config.first_token_rounds + 1):
        times = {name: [] for name in names}
        for _ in range(_CALLS_PER_ROUND):
            for name in names:
                times[name].append(_first_token_ns(harness.targets[name]))
        for name in names if round_number else ():
            minimums[name].append(min(times[name]))
    by_target = {name: Measurement.from_rounds(ns, 1e-3) for name, ns in minimums.items()}
    return {"first token": Metric("µs", by_target)}


_CALLS_PER_ROUND = 10


def _first_token_ns(target: Target) -> int:
    """Return the nanoseconds from the server's first byte to the first text."""
    stream = target.stream(CallSpec("timestamp-5", "timestamped"))
    sent_at = next(text for item in stream if (text := target.text(item)))
    now = time.monotonic_ns()
    drain(stream)
    return now - int(sent_at)


def _networked_names(harness: Harness, *variants: str) -> list[str]:
    """Return the names of the targets that send requests: all but the no-op models."""
    return [name for name in harness.target_names(*variants) if "no-op" not in name]


# --- calls ---


def short_call(harness: Harness) -> Metrics:
    """Make calls with one short message, sync and async."""
    spec = CallSpec("complete-20")
    sync_names = harness.target_names(include_slowest=harness.config.all_targets)
    async_names = harness.target_names("aiohttp", "httpx")
    runs = {(n, "short call"): harness.call_run(n, spec) for n in sync_names}
    runs |= {(n, "short call, async"): harness.acall_run(n, spec) for n in async_names}
    scale = 1e3 / harness.config.calls_per_turn
    return _metrics_by_title(runs, 2 * harness.config.rounds, scale, "ms")


def call_with_history(harness: Harness) -> Metrics:
    """Make calls with a long conversation."""
    counts = harness.config.message_counts
    specs = {count: CallSpec("complete-20", message_count=count) for count in counts}
    return _measure_calls(harness, "history message", "call with 200 messages", specs)


def call_with_tools(harness: Harness) -> Metrics:
    """Make calls with bound tools."""
    counts = harness.config.tool_counts
    specs = {count: CallSpec("complete-20", tool_count=count) for count in counts}
    return _measure_calls(harness, "bound tool", "call with 20 tools", specs)


def _measure_calls(
    harness: Harness, item_title: str, call_title: str, specs: dict[int, CallSpec]
) -> Metrics:
    """Return the cost of a call of the middle size, and the cost of one more item."""
    names = harness.target_names(include_slowest=harness.config.all_targets)
    calls = harness.config.calls_per_turn
    runs = {(n, size): harness.call_run(n, spec) for size, spec in specs.items() for n in names}
    seconds = cpu_seconds(runs, harness.config.rounds)
    middle = list(specs)[1]
    by_target = {n: Measurement.from_rounds(seconds[n, middle], 1e3 / calls) for n in names}
    return {call_title: Metric("ms", by_target), **_marginal_metrics(item_title, seconds, calls)}


def _metrics_by_title(
    runs: dict[tuple[str, str], Run], rounds: int, scale: float, unit: str
) -> Metrics:
    """Return the metrics of runs; the key of a run is its target and the metric's title."""
    metrics: Metrics = {}
    for (name, title), seconds in cpu_seconds(runs, rounds).items():
        metric = metrics.setdefault(title, Metric(unit, {}))
        metric.by_target[name] = Measurement.from_rounds(seconds, scale)
    return metrics
