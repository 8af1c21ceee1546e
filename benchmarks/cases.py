"""The works that targets do beside each other in one process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import baselines, on_langchain, on_llama_index
from benchmarks.baselines import Target
from benchmarks.measurement import Figure, Work, Works, growth, sloped, spent
from benchmarks.payloads import Ask

SLOWEST = "ChatOpenRouter"
"""It takes as long as all others together, and so is in three works only, if not in a hurry."""

Make = Callable[[str, Ask], Callable[[], Any]]


@dataclass(frozen=True)
class Scale:
    """How much of each work is done."""

    rounds: int = 5
    chunks: Sequence[int] = (200, 1000, 5000)
    pieces: Sequence[int] = (1000, 2000, 4000)
    paced: int = 400
    calls: int = 10
    history: Sequence[int] = (50, 200, 800)
    tools: Sequence[int] = (5, 20, 80)
    first: int = 25
    together: Sequence[int] = (100, 500, 2000)
    instances: Sequence[int] = (100, 400, 1600)
    processes: int = 3
    thorough: bool = True


FULL = Scale()
QUICK = Scale(
    rounds=2,
    chunks=(50, 150, 450),
    pieces=(200, 400, 800),
    paced=100,
    calls=3,
    history=(50, 200, 400),
    first=3,
    together=(25, 50, 100),
    instances=(20, 40, 80),
    processes=1,
    thorough=False,
)


class Bench:
    """All targets, each ready to be run in either colour."""

    def __init__(self, root: str, scale: Scale) -> None:
        self.root, self.scale = root, scale
        self.targets: dict[str, Target] = {}
        for module in (baselines, on_langchain, on_llama_index):
            self.targets |= module.targets(root)
        self._loop = asyncio.new_event_loop()
        self.wait = self._loop.run_until_complete

    def names(self, *variants: str, slowest: bool = False) -> list[str]:
        """Return the targets, and of their variants those asked for."""
        names = [n for n in self.targets if "," not in n or n.partition(", ")[2] in variants]
        return [name for name in names if slowest or name != SLOWEST]

    def stream(self, name: str, ask: Ask) -> Callable[[], Any]:
        """Return what reads a stream to its end."""
        target = self.targets[name]
        return lambda: drain(target.stream(ask))

    def astream(self, name: str, ask: Ask) -> Callable[[], Any]:
        """Return what does the same on the event loop."""
        target = self.targets[name]
        return lambda: self.wait(adrain(target, ask))

    def call(self, name: str, ask: Ask) -> Callable[[], Any]:
        """Return what calls, several times."""
        target = self.targets[name]
        return lambda: [target.call(ask) for _ in range(self.scale.calls)]

    def acall(self, name: str, ask: Ask) -> Callable[[], Any]:
        """Return what does the same on the event loop."""
        target = self.targets[name]

        async def several() -> None:
            for _ in range(self.scale.calls):
                await target.acall(ask)

        return lambda: self.wait(several())

    def close(self) -> None:
        """Close what was opened on the event loop, and the loop's generators."""
        for target in self.targets.values():
            if hasattr(target, "aclose"):
                self.wait(target.aclose())
        self.wait(self._loop.shutdown_asyncgens())
        self._loop.close()


def drain(stream: Iterable[Any]) -> None:
    """Read a stream to its end."""
    for _ in stream:
        pass


async def adrain(target: Target, ask: Ask) -> None:
    """Read a stream to its end."""
    async for _ in await target.astream(ask):
        pass


# --- streams ---


def text(bench: Bench) -> Works:
    """Stream words."""
    asks = {size: Ask(f"text-{size}") for size in bench.scale.chunks}
    return _streamed(
        bench, "text chunk", bench.stream, bench.names(slowest=bench.scale.thorough), asks
    )


def text_async(bench: Bench) -> Works:
    """Stream words on the event loop, over either HTTP library."""
    asks = {size: Ask(f"text-{size}") for size in bench.scale.chunks}
    names = bench.names("aiohttp", "httpx")
    return _streamed(bench, "text chunk, async", bench.astream, names, asks)


def reasoning(bench: Bench) -> Works:
    """Stream thoughts."""
    asks = {size: Ask(f"reasoning-{size}") for size in bench.scale.chunks}
    return _streamed(bench, "reasoning chunk", bench.stream, bench.names(), asks)


def tool(bench: Bench) -> Works:
    """Stream the arguments of a call; the whole of the longest, for not all cost is linear."""
    sizes, names = bench.scale.pieces, bench.names("read by an agent")
    asks = {size: Ask(f"tool-{size}", tools=1) for size in sizes}
    runs = {(n, size): bench.stream(n, ask) for size, ask in asks.items() for n in names}
    seconds = spent(runs, bench.scale.rounds)
    longest = {n: Figure.of(seconds[n, sizes[-1]], 1e6 / sizes[-1]) for n in names}
    linear = _lines("tool-call piece", seconds) | {"tool-call piece": Work("µs", longest)}
    return dict(sorted(linear.items()))


def _streamed(
    bench: Bench, title: str, make: Make, names: Sequence[str], asks: dict[int, Ask]
) -> Works:
    """Return what one more chunk costs, whatever the rest of the call does."""
    runs = {(name, size): make(name, ask) for size, ask in asks.items() for name in names}
    return _lines(title, spent(runs, bench.scale.rounds))


def _lines(title: str, seconds: dict[tuple[str, int], list[float]], calls: int = 1) -> Works:
    """Return what one more costs, and how linear that is."""
    slopes, linear = {}, {}
    for name in dict.fromkeys(name for name, _ in seconds):
        by_size = {
            size: Figure.of(rounds, 1e6 / calls)
            for (whose, size), rounds in seconds.items()
            if whose == name
        }
        slopes[name] = sloped(by_size)
        grows = growth(list(by_size), [figure.least for figure in by_size.values()])
        linear[name] = Figure(grows, grows)
    return {title: Work("µs", slopes), f"{title}: linear": Work("x", linear)}


def one_at_a_time(bench: Bench) -> Works:
    """Stream words that come one by one, as from a model; what the system does is counted, too."""
    size = bench.scale.paced
    ask = Ask(f"text-{size}", "paced")
    sync = {(n, "text chunk, paced"): bench.stream(n, ask) for n in _served(bench)}
    names = _served(bench, "aiohttp", "httpx")
    other = {(n, "text chunk, paced, async"): bench.astream(n, ask) for n in names}
    return _each({**sync, **other}, bench.scale.rounds, 1e6 / size, "µs")


def first_token(bench: Bench) -> Works:
    """Time from the server's first byte to the user's first words: by the clock on the wall.

    Whoever else uses the machine only makes it longer: a round is the least of several times.
    """
    names = _served(bench)
    waited: dict[str, list[float]] = {name: [] for name in names}
    for number in range(bench.scale.first + 1):
        times = {name: [] for name in names}
        for _ in range(_TIMES):
            for name in names:
                times[name].append(_first(bench.targets[name]))
        for name in names if number else ():
            waited[name].append(min(times[name]))
    return {"first token": Work("µs", {n: Figure.of(t, 1e-3) for n, t in waited.items()})}


_TIMES = 10


def _first(target: Target) -> int:
    """Return nanoseconds."""
    stream = target.stream(Ask("stamp-5", "stamped"))
    stamp = next(said for item in stream if (said := target.text(item)))
    now = time.monotonic_ns()
    drain(stream)
    return now - int(stamp)


def _served(bench: Bench, *variants: str) -> list[str]:
    """Return the targets that a server answers."""
    return [name for name in bench.names(*variants) if "floor" not in name]


# --- calls ---


def short_call(bench: Bench) -> Works:
    """Ask a short question."""
    ask = Ask("whole-20")
    everyone = bench.names(slowest=bench.scale.thorough)
    sync = {(name, "short call"): bench.call(name, ask) for name in everyone}
    names = bench.names("aiohttp", "httpx")
    other = {(name, "short call, async"): bench.acall(name, ask) for name in names}
    return _each({**sync, **other}, 2 * bench.scale.rounds, 1e3 / bench.scale.calls, "ms")


def history(bench: Bench) -> Works:
    """Ask after a conversation."""
    sizes = bench.scale.history
    asks = {size: Ask("whole-20", history=size) for size in sizes}
    return _calls(bench, "message in a history", "call with 200 messages", asks)


def tools(bench: Bench) -> Works:
    """Ask with tools at hand."""
    asks = {size: Ask("whole-20", tools=size) for size in bench.scale.tools}
    return _calls(bench, "tool at hand", "call with 20 tools", asks)


def _calls(bench: Bench, one_more: str, whole: str, asks: dict[int, Ask]) -> Works:
    """Return what the middle size costs, and what one more costs."""
    names, calls = bench.names(slowest=bench.scale.thorough), bench.scale.calls
    runs = {(name, size): bench.call(name, ask) for size, ask in asks.items() for name in names}
    seconds = spent(runs, bench.scale.rounds)
    middle = list(asks)[1]
    figures = {name: Figure.of(seconds[name, middle], 1e3 / calls) for name in names}
    return {whole: Work("ms", figures), **_lines(one_more, seconds, calls)}


def _each(runs: Any, rounds: int, scale: float, unit: str) -> Works:
    """Return the figures of runs that are keyed by target and work."""
    works: Works = {}
    for (name, title), seconds in spent(runs, rounds).items():
        works.setdefault(title, Work(unit, {})).figures[name] = Figure.of(seconds, scale)
    return works
