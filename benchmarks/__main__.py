"""Run the benchmark cases and save the results: `make bench`, or `python -m benchmarks`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from benchmarks import cases, held_chunks, isolated, report
from benchmarks.cases import FULL, QUICK, Config, Harness
from benchmarks.measurement import Metrics
from benchmarks.server import run_server

CASES: dict[str, Callable[[Harness], Metrics]] = {
    "text": cases.stream_text,
    "text-async": cases.astream_text,
    "burst": cases.stream_burst,
    "paced": cases.stream_paced_text,
    "reasoning": cases.stream_reasoning,
    "tool-call": cases.stream_tool_call,
    "held-chunks": held_chunks.tracked_objects,
    "first-token": cases.first_token,
    "short-call": cases.short_call,
    "history": cases.call_with_history,
    "tools": cases.call_with_tools,
    "import": isolated.imports,
    "instances": isolated.instances,
    "concurrency": isolated.concurrent_streams,
}


def measure(names: list[str], config: Config) -> Metrics:
    """Run the named cases, and print how many seconds each took."""
    metrics: Metrics = {}
    with run_server() as server_url:
        harness = Harness(server_url, config)
        for name in names:
            started = time.monotonic()
            metrics |= CASES[name](harness)
            print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
        harness.close()
    return metrics


def main() -> None:
    """Measure and print the results; save them after a full run of all cases."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes; nothing is saved")
    parser.add_argument("--only", nargs="+", choices=CASES, help="these cases; nothing is saved")
    parser.add_argument(
        "--report", action="store_true", help="write RESULTS.md from the saved runs; no measuring"
    )
    options = parser.parse_args()
    if options.report:
        report.write()
        return
    config = QUICK if options.quick else FULL
    run = report.Run.from_metrics(config, measure(options.only or list(CASES), config))
    if not (options.quick or options.only):
        run.save()
        report.write()
    print(report.to_text(run))


if __name__ == "__main__":
    main()
