"""What is measured in a process of its own: imports, instances, and many answers at once.

Run as a program it measures what its arguments say, and prints the figures as JSON. It imports
nothing that is measured before the clock runs.
"""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
import sys
import time
import tracemalloc
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.measurement import growth
from benchmarks.payloads import Ask

_STATUS = Path("/proc/self/status")  # where there is none, memory is not measured


def imported(framework: str, package: str) -> dict[str, float]:
    """Return what a package takes to import after its framework, and whether the SDK came along."""
    begun = time.process_time()
    import_module(framework)
    gc.collect()
    gc.freeze()  # what the framework left is not to be looked through again in the other's time
    then = time.process_time()
    import_module(package)
    now = time.process_time()
    return {
        "framework, ms": (then - begun) * 1e3,
        "package, ms": (now - then) * 1e3,
        "SDK": int("openai" in sys.modules),
    }


def instances(root: str, module: str, name: str, *counts: str) -> dict[str, float]:
    """Return what one more instance takes: unused, then used once."""
    sizes = [int(count) for count in counts]
    target, ask = import_module(module).targets(root)[name], Ask("whole-20")
    target.call(ask)  # the first instance and the first call pay for the SDK
    open_before, contexts_before = _open_files(), _contexts()
    costs = [_made(target, ask, size) for size in sizes]
    figures = {
        "ms": costs[0] / sizes[0] * 1e3,
        "growth": growth(sizes, costs),
        "kB": _weight(target, ask, sizes[0]) / sizes[0] / 1e3,
        "sockets": _open_files() - open_before,
        "contexts": _contexts() - contexts_before,
    }
    return figures | _used(target, ask)


def _made(target: Any, ask: Ask, count: int) -> float:
    """Return the CPU seconds that instances take; the least of three times."""
    times = []
    for _ in range(3):
        gc.collect()
        begun = time.process_time()
        kept = [target.make(ask) for _ in range(count)]
        times.append(time.process_time() - begun)
        del kept
    return min(times)


def _weight(target: Any, ask: Ask, count: int) -> int:
    """Return the bytes that instances hold."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    kept = [target.make(ask) for _ in range(count)]
    gc.collect()
    now, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return now - before


def _used(target: Any, ask: Ask, count: int = 10) -> dict[str, float]:
    """Return what instances add by their first calls: CPU above another call, and sockets."""
    gc.collect()
    before = _open_files()
    kept = [target.make(ask) for _ in range(count)]
    first, again = (_called(target, kept) for _ in range(2))
    return {
        "first call, ms": (first - again) / count * 1e3,
        "sockets, used": (_open_files() - before) / count,
    }


def _called(target: Any, models: list[Any]) -> float:
    begun = time.process_time()
    for model in models:
        target.ask_once(model)
    return time.process_time() - begun


def _open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def _contexts() -> int:
    """Count by type: `isinstance` would wake proxies that make one when they are looked at."""
    return sum(issubclass(type(thing), ssl.SSLContext) for thing in gc.get_objects())


def together(root: str, module: str, name: str, *counts: str) -> dict[str, float]:
    """Return the CPU of an answer among many at once, and how far memory's peak grew."""
    name, spared, _ = name.partition(SPARED)
    target, ask = import_module(module).targets(root)[name], Ask("text-50", "together")
    sizes = [int(count) for count in counts]
    return asyncio.run(_together(target, ask, sizes, spared=bool(spared)))


SPARED = ", collector spared"
"""What is added to a target's name where the garbage collector is told to look less often."""


async def _together(target: Any, ask: Ask, sizes: list[int], *, spared: bool) -> dict[str, float]:
    await _read(target, ask)
    gc.collect()
    if spared:  # as docs/performance.md says
        gc.freeze()
        gc.set_threshold(50_000)
    before, figures = _peak(anew=True), {}
    for size in sizes:
        begun = time.process_time()
        await asyncio.gather(*(_read(target, ask) for _ in range(size)))
        figures[f"ms at {size}"] = (time.process_time() - begun) / size * 1e3
        if before:
            figures[f"MB at {size}"] = _peak() - before
    if hasattr(target, "aclose"):
        await target.aclose()
    return figures


async def _read(target: Any, ask: Ask) -> None:
    async for _ in await target.astream(ask):
        pass


def _peak(*, anew: bool = False) -> float:
    """Return the most memory that was in use, in MB; anew: from now on."""
    if not _STATUS.exists():
        return 0
    if anew:
        _STATUS.with_name("clear_refs").write_text("5", "ascii")
    line = next(one for one in _STATUS.read_text("ascii").splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) / 1e3


_WORKS: dict[str, Any] = {"imported": imported, "instances": instances, "together": together}

if __name__ == "__main__":
    _, work, *arguments = sys.argv
    print(json.dumps(_WORKS[work](*arguments)))
