"""CPU time of our two classes by package: `python -m benchmarks.profile_by_package`.

A profile shows shares, not costs: the profiler slows Python code down more than C code. The time of
a C function counts for the library that calls it; system calls have a column of their own.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import re
from collections import Counter
from collections.abc import Callable, Iterator
from time import process_time
from typing import Any

from benchmarks.cases import FULL, Harness, adrain
from benchmarks.payloads import CallSpec
from benchmarks.server import run_server

_THIS_PROJECT = "this project"
_PACKAGES = {
    "onerouter_core": _THIS_PROJECT,
    "langchain_onerouter": _THIS_PROJECT,
    "llama_index_onerouter": _THIS_PROJECT,
    "openai": "openai SDK",
    **dict.fromkeys(("httpx", "httpx2", "httpcore", "httpcore2", "h11"), "httpx"),
    **dict.fromkeys(("aiohttp", "yarl", "multidict", "httpx_aiohttp"), "aiohttp"),
    **dict.fromkeys(("langchain_core", "langsmith"), "LangChain"),
    **dict.fromkeys(("llama_index", "llama_index_instrumentation"), "LlamaIndex"),
    **dict.fromkeys(("pydantic", "pydantic_core"), "pydantic"),
    "tenacity": "tenacity",
}
_SYSTEM_CALLS, _OTHERS = "system calls", "Python and others"
_COLUMNS = (*dict.fromkeys(_PACKAGES.values()), _SYSTEM_CALLS, _OTHERS)
_SYSTEM_CALL = re.compile(r"of '(_socket.socket|select.epoll|select.poll)' objects")
_CLASSES = ("ChatOneRouter", "OneRouterLLM")


def main() -> None:
    """Print a table: for each case and class, the share of each library in per cent."""
    print("|", " | ".join(("case", "class", *_COLUMNS)), "|")
    print("|", " | ".join(["---", "---", *["---:"] * len(_COLUMNS)]), "|")
    with run_server() as server_url:
        harness = Harness(server_url, FULL)
        for name in _CLASSES:
            for case, run in _runs(harness, name).items():
                shares = _shares(run)
                cells = (f"{100 * shares[column]:.0f}" for column in _COLUMNS)
                print("|", " | ".join((case, name, *cells)), "|")
        harness.close()


def _runs(harness: Harness, name: str) -> dict[str, Callable[[], Any]]:
    concurrent, target = CallSpec("text-50", "concurrent"), harness.targets[name]

    async def read_streams() -> None:
        await asyncio.gather(*(adrain(target, concurrent) for _ in range(500)))

    return {
        "short call": harness.call_run(name, CallSpec("complete-20")),
        "short call, async": harness.acall_run(name, CallSpec("complete-20")),
        "call with 200 messages": harness.call_run(
            name, CallSpec("complete-20", message_count=200)
        ),
        "1,000 text chunks": harness.stream_run(name, CallSpec("text-1000")),
        "400 text chunks, paced": harness.stream_run(name, CallSpec("text-400", "paced")),
        "1,000 text chunks, async": harness.astream_run(name, CallSpec("text-1000")),
        "1,000 tool-call deltas": harness.stream_run(name, CallSpec("tool-1000", tool_count=1)),
        "500 concurrent streams": lambda: harness.run_until_complete(read_streams()),
    }


def _shares(run: Callable[[], Any]) -> Counter[str]:
    """Return the share of each library in the time of the second run."""
    run()
    profile = cProfile.Profile(process_time)  # waiting is no work
    profile.runcall(run)
    totals: Counter[str] = Counter()
    for package, seconds in _seconds_by_package(pstats.Stats(profile)):
        totals[package] += seconds  # type: ignore[assignment]
    total = sum(totals.values())
    return Counter({package: seconds / total for package, seconds in totals.items()})


def _seconds_by_package(stats: Any) -> Iterator[tuple[str, float]]:
    for (file, _, name), (_, _, own_seconds, _, callers) in stats.stats.items():
        if file != "~":
            yield _package(file), own_seconds
        elif _SYSTEM_CALL.search(name):
            yield _SYSTEM_CALLS, own_seconds
        else:
            yield from ((_package(caller[0]), times[2]) for caller, times in callers.items())


def _package(file: str) -> str:
    """Return the column of a file: by the innermost folder that is a known package."""
    folders = reversed(re.split(r"[/\\]", file))
    return next((_PACKAGES[folder] for folder in folders if folder in _PACKAGES), _OTHERS)


if __name__ == "__main__":
    main()
