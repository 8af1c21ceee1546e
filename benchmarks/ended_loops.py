"""Event loops that nobody closes well: what is left of each, counted.

`python -m benchmarks.ended_loops` prints a table for docs/reliability.md. Each loop runs one
streamed call of a model and is then closed without `shutdown_asyncgens`, as in many web and task
servers. The server is in this process: its sockets count, too.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from weakref import ref

import openai

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from tests.faults.adapters import (
    MODEL_FIELDS,
    Adapter,
    LangChainAdapter,
    LlamaIndexAdapter,
    acall_model,
)
from tests.faults.leak_check import OpenDescriptors, answer_scripts, check_text
from tests.faults.server import Server

CLASSES: dict[str, tuple[type, Adapter]] = {
    "ChatOneRouter": (ChatOneRouter, LangChainAdapter()),
    "OneRouterLLM": (OneRouterLLM, LlamaIndexAdapter()),
}
WARM_UP = 5
FIRST_LOOPS = 50  # not counted: while the first ones run, the process still grows
PAGE_BYTES = 4_096


@dataclass(frozen=True)
class Left:
    """What is left of a number of event loops."""

    loops: int
    sockets: int
    megabytes: float


class Missing:
    """Stands in for the SDK's aiohttp client where aiohttp is not installed."""

    def __init__(self, **_: Any) -> None:
        raise RuntimeError("not installed")


def resident_megabytes() -> float:
    """Return the memory of this process; 0 on systems without /proc."""
    file = Path("/proc/self/statm")
    return int(file.read_text().split()[1]) * PAGE_BYTES / 2**20 if file.exists() else 0.0


def count_left(name: str, server: Server, number: int, *, is_fresh: bool) -> Left:
    """Run loops with one model, or with one for each loop, and count what is left."""
    model_class, adapter = CLASSES[name]
    endpoint = server.endpoint(answer_scripts("Hi").stream)
    fields = {**MODEL_FIELDS, "base_url": endpoint.base_url}
    model = model_class(**fields)

    def run_loop() -> ref[asyncio.AbstractEventLoop]:
        loop = asyncio.new_event_loop()
        used = model_class(**fields) if is_fresh else model
        check_text(loop.run_until_complete(acall_model(adapter, used, "stream")), "Hi")
        loop.close()
        return ref(loop)

    for _ in range(WARM_UP):
        run_loop()
    descriptors, memory = OpenDescriptors(), resident_megabytes()
    loops = [run_loop() for _ in range(number)]
    sockets = descriptors.count_new()
    loops_left = sum(loop() is not None for loop in loops)
    return Left(loops_left, sockets, resident_megabytes() - memory)


def rows(server: Server, number: int) -> Iterator[str]:
    """Yield the rows of the table."""
    for name in CLASSES:
        for library in ("aiohttp", "httpx"):
            for is_fresh in (False, True):
                with (
                    patch.object(openai, "DefaultAioHttpClient", Missing)
                    if (library == "httpx")
                    else patch.object(openai, "DefaultAioHttpClient", openai.DefaultAioHttpClient)
                ):
                    left = count_left(name, server, number, is_fresh=is_fresh)
                models = "one for each loop" if is_fresh else "one"
                yield (
                    f"| {name} | {library} | {models} | {number} | {left.sockets} | {left.loops} "
                    f"| {left.megabytes:.1f} |"
                )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loops", type=int, default=300)
    number = parser.parse_args().loops
    print(f"Python {platform.python_version()}, openai {openai.__version__}\n")
    print("| class | HTTP library | instances | loops closed | sockets left | loops left | MB |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: |")
    with Server().running() as server:
        for name in CLASSES:
            count_left(name, server, FIRST_LOOPS, is_fresh=False)
        for row in rows(server, number):
            print(row, flush=True)


if __name__ == "__main__":
    main()
