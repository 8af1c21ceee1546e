"""Measurements that need a process of their own: imports, instances and concurrent streams.

Run as a program it measures the case that its arguments name, and prints the values as JSON. It
imports no measured package before the clock starts.
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

from benchmarks.measurement import linearity
from benchmarks.payloads import CallSpec

_STATUS = Path("/proc/self/status")  # without /proc, memory is not measured


def measure_import(framework: str, package: str) -> dict[str, float]:
    """Return the import times of a framework and of a package after it; 1 if the SDK was loaded."""
    started = time.process_time()
    import_module(framework)
    gc.collect()
    gc.freeze()  # the framework's objects are not scanned again in the package's time
    framework_done = time.process_time()
    import_module(package)
    package_done = time.process_time()
    return {
        "framework, ms": (framework_done - started) * 1e3,
        "package, ms": (package_done - framework_done) * 1e3,
        "SDK loaded": int("openai" in sys.modules),
    }


def measure_instances(server_url: str, module: str, name: str, *counts: str) -> dict[str, float]:
    """Return the cost of one more instance: unused, then with its first call."""
    sizes = [int(count) for count in counts]
    target = import_module(module).create_targets(server_url)[name]
    spec = CallSpec("complete-20")
    target.call(spec)  # the first instance and the first call load the SDK
    files_before, contexts_before = _open_files(), _ssl_contexts()
    costs = [_creation_seconds(target, spec, size) for size in sizes]
    unused = {
        "ms": costs[0] / sizes[0] * 1e3,
        "linearity": linearity(sizes, costs),
        "kB": _instance_bytes(target, spec, sizes[0]) / sizes[0] / 1e3,
        "sockets": _open_files() - files_before,
        "SSL contexts": _ssl_contexts() - contexts_before,
    }
    return unused | _measure_first_calls(target, spec)


def _creation_seconds(target: Any, spec: CallSpec, count: int) -> float:
    """Return the CPU seconds in which instances are made; the minimum of three times."""
    times = []
    for _ in range(3):
        gc.collect()
        started = time.process_time()
        models = [target.make_model(spec) for _ in range(count)]
        times.append(time.process_time() - started)
        del models
    return min(times)


def _instance_bytes(target: Any, spec: CallSpec, count: int) -> int:
    """Return the bytes that instances hold."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    models = [target.make_model(spec) for _ in range(count)]
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del models
    return after - before


def _measure_first_calls(target: Any, spec: CallSpec, count: int = 10) -> dict[str, float]:
    """Return the CPU time of a first call minus that of a second, and the sockets left open."""
    gc.collect()
    before = _open_files()
    models = [target.make_model(spec) for _ in range(count)]
    first, second = (_call_seconds(target, models) for _ in range(2))
    return {
        "first call, ms": (first - second) / count * 1e3,
        "sockets after first call": (_open_files() - before) / count,
    }


def _call_seconds(target: Any, models: list[Any]) -> float:
    started = time.process_time()
    for model in models:
        target.call_model(model)
    return time.process_time() - started


def _open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def _ssl_contexts() -> int:
    """Count by type: `isinstance` would make lazy proxies create a context."""
    return sum(issubclass(type(obj), ssl.SSLContext) for obj in gc.get_objects())


GC_TUNED = ", GC tuned"
"""Suffix of a target's name: the garbage collector is set as docs/performance.md advises."""


def measure_concurrent_streams(
    server_url: str, module: str, name: str, *counts: str
) -> dict[str, float]:
    """Return the CPU time of one stream among many, and the growth of peak memory."""
    name, gc_tuned, _ = name.partition(GC_TUNED)
    target = import_module(module).create_targets(server_url)[name]
    spec = CallSpec("text-50", "concurrent")
    sizes = [int(count) for count in counts]
    return asyncio.run(_read_concurrently(target, spec, sizes, gc_tuned=bool(gc_tuned)))


async def _read_concurrently(
    target: Any, spec: CallSpec, sizes: list[int], *, gc_tuned: bool
) -> dict[str, float]:
    await _read_stream(target, spec)
    gc.collect()
    if gc_tuned:  # as in docs/performance.md
        gc.freeze()
        gc.set_threshold(50_000)
    before, values = _peak_memory(reset=True), {}
    for size in sizes:
        started = time.process_time()
        await asyncio.gather(*(_read_stream(target, spec) for _ in range(size)))
        values[f"ms at {size}"] = (time.process_time() - started) / size * 1e3
        if before:
            values[f"MB at {size}"] = _peak_memory() - before
    if hasattr(target, "aclose"):
        await target.aclose()
    return values


async def _read_stream(target: Any, spec: CallSpec) -> None:
    async for _ in await target.astream(spec):
        pass


def _peak_memory(*, reset: bool = False) -> float:
    """Return the peak memory of this process in MB; with `reset`, reset the peak first."""
    if not _STATUS.exists():
        return 0
    if reset:
        _STATUS.with_name("clear_refs").write_text("5", "ascii")
    lines = _STATUS.read_text("ascii").splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1e3


_CASES: dict[str, Any] = {
    "import": measure_import,
    "instances": measure_instances,
    "concurrent_streams": measure_concurrent_streams,
}

if __name__ == "__main__":
    _, case, *arguments = sys.argv
    print(json.dumps(_CASES[case](*arguments)))
