"""Whose code a work's time is spent in: `python -m benchmarks.profile_by_package`.

A profile tells where the time is, not how much it is: being looked at costs Python code more than
it costs C. What C code does is put down to the library that calls it, system calls apart.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.cases import FULL, Bench, adrain
from benchmarks.payloads import Ask
from benchmarks.server import serving

_OURS = "ours"
_LIBRARIES = {
    "onerouter_core": _OURS,
    "langchain_onerouter": _OURS,
    "llama_index_onerouter": _OURS,
    "openai": "the SDK",
    **dict.fromkeys(("httpx", "httpx2", "httpcore", "httpcore2", "h11"), "httpx"),
    **dict.fromkeys(("aiohttp", "yarl", "multidict", "httpx_aiohttp"), "aiohttp"),
    **dict.fromkeys(("langchain_core", "langsmith"), "LangChain"),
    **dict.fromkeys(("llama_index", "llama_index_instrumentation"), "LlamaIndex"),
    **dict.fromkeys(("pydantic", "pydantic_core"), "pydantic"),
    "tenacity": "tenacity",
}
_SHOWN = (*dict.fromkeys(_LIBRARIES.values()), "system calls", "Python's own and others")
_SYSTEM = re.compile(r"of '(_socket.socket|select.epoll|select.poll)' objects")
_CLASSES = ("ChatOneRouter", "OneRouterLLM")


def main() -> None:
    """Print a table: for each work and class, the share of each library in per cent."""
    print("|", " | ".join(("work", "class", *_SHOWN)), "|")
    print("|", " | ".join(["---", "---", *["---:"] * len(_SHOWN)]), "|")
    with serving() as root:
        bench = Bench(root, FULL)
        for name in _CLASSES:
            for work, run in _works(bench, name).items():
                shares = _shares(run)
                said = (f"{100 * shares[whose]:.0f}" for whose in _SHOWN)
                print("|", " | ".join((work, name, *said)), "|")
        bench.close()


def _works(bench: Bench, name: str) -> dict[str, Callable[[], Any]]:
    many, target = Ask("text-50", "together"), bench.targets[name]

    async def together() -> None:
        await asyncio.gather(*(adrain(target, many) for _ in range(500)))

    return {
        "short call": bench.call(name, Ask("whole-20")),
        "short call, async": bench.acall(name, Ask("whole-20")),
        "1,000 text chunks, async": bench.astream(name, Ask("text-1000")),
        "1,000 tool-call pieces": bench.stream(name, Ask("tool-1000", tools=1)),
        "500 at once": lambda: bench.wait(together()),
    }


def _shares(run: Callable[[], Any]) -> Counter[str]:
    """Return each library's part in the time of the second run."""
    run()
    profile = cProfile.Profile()
    profile.runcall(run)
    spent: Counter[str] = Counter()
    for whose, seconds in _seconds(pstats.Stats(profile)):  # type: ignore[arg-type]
        spent[whose] += seconds
    total = sum(spent.values())
    return Counter({whose: seconds / total for whose, seconds in spent.items()})


def _seconds(stats: Any) -> Iterator[tuple[str, float]]:
    for (file, _, name), (_, _, own, _, callers) in stats.stats.items():
        if file != "~":
            yield _whose(file), own
        elif _SYSTEM.search(name):
            yield "system calls", own
        else:
            yield from ((_whose(caller[0]), its[2]) for caller, its in callers.items())


def _whose(file: str) -> str:
    """Name a file's library: the last of the folders on the way that is one."""
    folders = reversed(re.split(r"[/\\]", file))
    return next((_LIBRARIES[one] for one in folders if one in _LIBRARIES), _SHOWN[-1])


if __name__ == "__main__":
    main()
