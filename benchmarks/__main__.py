"""Measure all works, and write down what was measured: `make bench`, or `python -m benchmarks`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from benchmarks import cases, isolated, report
from benchmarks.cases import FULL, QUICK, Bench, Scale
from benchmarks.measurement import Works
from benchmarks.server import serving

WORKS: dict[str, Callable[[Bench], Works]] = {
    "text": cases.text,
    "text-async": cases.text_async,
    "paced": cases.one_at_a_time,
    "reasoning": cases.reasoning,
    "tool": cases.tool,
    "first-token": cases.first_token,
    "short-call": cases.short_call,
    "history": cases.history,
    "tools": cases.tools,
    "import": isolated.imports,
    "instances": isolated.instances,
    "together": isolated.together,
}


def measure(names: list[str], scale: Scale) -> Works:
    """Do these works, and say how long each took."""
    measured: Works = {}
    with serving() as root:
        bench = Bench(root, scale)
        for name in names:
            begun = time.monotonic()
            measured |= WORKS[name](bench)
            print(f"{name}: {time.monotonic() - begun:.0f} s", flush=True)
        bench.close()
    return measured


def main() -> None:
    """Measure, print, and unless it was quick or in part, keep."""
    options = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    options.add_argument("--quick", action="store_true", help="small, and nothing is kept")
    options.add_argument("--only", nargs="+", choices=WORKS, help="some works; nothing is kept")
    options.add_argument("--report", action="store_true", help="write the report anew")
    asked = options.parse_args()
    if asked.report:
        report.write()
        return
    scale = QUICK if asked.quick else FULL
    run = report.Run.now(scale, measure(asked.only or list(WORKS), scale))
    if not (asked.quick or asked.only):
        run.keep()
        report.write()
    print(report.printed(run))


if __name__ == "__main__":
    main()
