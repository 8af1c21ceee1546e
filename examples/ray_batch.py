"""Thousands of prompts through a pool of Ray actors, with ChatOneRouter or with OneRouterLLM.

    pip install "onerouter-integrations[all]" "ray[data]"
    python examples/ray_batch.py out --llm langchain --count 2000 --rate 200

Each batch is written by the actor that asked it: the costs first, then the rows, each file whole
or not at all. A job that was killed is started again with the same words, and asks what has no row
yet. What failed has a row too, with the class of its error; `--again` asks it once more.
Without ONEROUTER_API_KEY this asks a simulator, which fails two requests of a hundred.
"""

from __future__ import annotations

import argparse
import asyncio
import atexit
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import ray
from langchain_core.rate_limiters import InMemoryRateLimiter

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_core import Ledger, OneRouterError
from onerouter_simulator import Simulator

MODEL = os.environ.get("ONEROUTER_MODEL", "deepseek/deepseek-v4-flash")
LLMS = {"langchain": ChatOneRouter, "llama-index": OneRouterLLM}


# --- what each actor does ---


class Asker:
    """An actor: a model with a ledger and connections of its own, and a share of the rate."""

    def __init__(self, llm: Any, folder: Path, rate: float, at_once: int) -> None:
        """Be ready; nothing is sent yet."""
        self.llm, self.folder, self.at_once = llm, folder, asyncio.Semaphore(at_once)
        self.call = llm.ainvoke if isinstance(llm, ChatOneRouter) else llm.acomplete
        # It looks every 0.1 s for what it may send: so much must fit into the bucket.
        self.limiter = InMemoryRateLimiter(requests_per_second=rate, max_bucket_size=rate / 10 + 1)
        self.loop = asyncio.new_event_loop()  # one for all batches: connections are kept
        atexit.register(self.close)  # an actor is a process

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Ask a batch and write it down."""
        booked = len(self.llm.ledger.entries)
        rows = self.loop.run_until_complete(self.ask_all(batch))
        name = f"{time.time_ns()}-{rows[0]['id']}.jsonl"
        entries = self.llm.ledger.entries[booked:]
        write(self.folder / "costs" / name, (entry.to_row() for entry in entries))
        write(self.folder / "rows" / name, rows)
        return {"written": [name]}

    def close(self) -> None:
        """Hang up."""
        self.loop.run_until_complete(self.llm.aclose())
        self.loop.close()

    async def ask_all(self, batch: dict[str, Any]) -> list[dict[str, Any]]:
        """Ask a batch, some at once; the rows are in order."""
        pairs = zip(batch["id"].tolist(), batch["prompt"].tolist(), strict=True)
        return await asyncio.gather(*(self.ask(number, prompt) for number, prompt in pairs))

    async def ask(self, number: int, prompt: str) -> dict[str, Any]:
        """Return the row of one prompt: an answer, or an error."""
        row = {"id": number, "prompt": prompt, "answer": None, "error": None, "transient": None}
        async with self.at_once:
            await self.limiter.aacquire()
            try:
                row["answer"] = str((await self.call(prompt)).text)
            except OneRouterError as error:
                row |= {"error": type(error).__name__, "transient": error.transient}
                row["message"] = str(error)
        return row


# --- what is on disk; on a cluster, a folder that all machines share ---


def write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write lines of JSON: all of them, or no file of that name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    unfinished.replace(path)


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of all files, the oldest file first."""
    for path in sorted(folder.glob("*.jsonl")):
        yield from map(json.loads, path.read_text("utf-8").splitlines())


def ledger_of(folder: Path) -> Ledger:
    """Return one ledger of what all actors spent, in this run and in those before."""
    return Ledger.from_rows(read(folder / "costs"))


# --- the job ---


def run(options: argparse.Namespace, where: dict[str, Any]) -> None:
    """Ask what has no row yet, with a pool of actors."""
    rows = read(options.folder / "rows")
    done = {row["id"] for row in rows if row["error"] is None or not options.again}
    todo = [number for number in range(options.count) if number not in done]
    print(f"{len(done)} of {options.count} prompts need not be asked again")
    if not todo:
        return
    # No retries within a call: they would pass the limiter by. `--again` is the retry.
    share = None if options.budget is None else options.budget / options.actors
    llm = LLMS[options.llm](model=MODEL, ledger=Ledger(share), max_retries=0, **where)
    prompts = [{"id": number, "prompt": f"What is {number} plus 1?"} for number in todo]
    batches = -(-len(todo) // options.batch)
    ray.init(include_dashboard=False)
    parts = ray.data.from_items(prompts, override_num_blocks=batches).map_batches(
        Asker,
        fn_constructor_args=[llm, options.folder, options.rate / options.actors, options.at_once],
        batch_size=options.batch,
        compute=ray.data.ActorPoolStrategy(size=options.actors),
        num_cpus=0.5,  # an actor mostly waits
    )
    for part in parts.iter_rows():
        print("written:", part["written"])


def main() -> None:
    """Run, then put everything together: rows in order, and one ledger."""
    parser = argparse.ArgumentParser(description="Ask many prompts with a pool of Ray actors.")
    parser.add_argument("folder", type=lambda path: Path(path).resolve())
    parser.add_argument("--llm", choices=LLMS, default="langchain")
    parser.add_argument("--count", type=int, default=2000, help="prompts")
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--rate", type=float, default=200, help="requests a second, all actors")
    parser.add_argument("--budget", type=float, help="USD a run, all actors")
    parser.add_argument("--at-once", type=int, default=32, help="open calls of an actor")
    parser.add_argument("--batch", type=int, default=100, help="rows of a file")
    parser.add_argument("--again", action="store_true", help="ask what failed once more")
    options = parser.parse_args()
    with nullcontext() if "ONEROUTER_API_KEY" in os.environ else Simulator(failing=0.02) as sim:
        run(options, {"base_url": sim.base_url, "api_key": sim.api_key} if sim else {})
    latest = {row["id"]: row for row in read(options.folder / "rows")}
    write(options.folder / "rows.jsonl", (latest[number] for number in sorted(latest)))
    ledger = ledger_of(options.folder)
    ledger.to_csv(options.folder / "costs.csv")
    print(f"{len(latest)} rows, {sum(row['error'] is not None for row in latest.values())} failed")
    print(ledger)


if __name__ == "__main__":
    main()
