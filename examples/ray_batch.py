"""Batch job: thousands of prompts in a pool of Ray actors, with ChatOneRouter or OneRouterLLM.

    pip install "onerouter-integrations[all]" "ray[data]"
    python examples/ray_batch.py out --llm langchain --count 2000 --rate 200

Each actor writes the results of its batches: first the ledger entries, then the rows. A file is
either complete or absent. A job that was killed can be started again with the same arguments: it
sends only the prompts that have no row yet. A failed prompt has a row, too, with its error class;
`--again` sends the failed prompts again. Without ONEROUTER_API_KEY the job calls a simulator, which
fails two requests of a hundred.
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
from decimal import Decimal
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


# --- the actors ---


class PromptActor:
    """Ray actor: a model with its own ledger and connections, and a share of the request rate.

    Args:
        llm: The model; Ray sends a pickled copy to each actor.
        folder: Output folder.
        rate: Requests per second of this actor.
        at_once: Maximum number of open calls.
    """

    def __init__(self, llm: Any, folder: Path, rate: float, at_once: int) -> None:
        self.llm, self.folder, self.open_calls = llm, folder, asyncio.Semaphore(at_once)
        self.call = llm.ainvoke if isinstance(llm, ChatOneRouter) else llm.acomplete
        # The limiter polls every 0.1 s: the bucket must hold the requests of that time.
        self.limiter = InMemoryRateLimiter(requests_per_second=rate, max_bucket_size=rate / 10 + 1)
        self.loop = asyncio.new_event_loop()  # one for all batches: connections stay open
        atexit.register(self.close)  # an actor is a process of its own

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Send the prompts of a batch, and write its ledger entries and rows."""
        before = len(self.llm.ledger.entries)
        rows = self.loop.run_until_complete(self.answer_all(batch))
        name = f"{time.time_ns()}-{rows[0]['id']}.jsonl"
        entries = self.llm.ledger.entries[before:]
        write(self.folder / "costs" / name, (entry.to_row() for entry in entries))
        write(self.folder / "rows" / name, rows)
        return {"written": [name]}

    def close(self) -> None:
        """Close the connections and the event loop."""
        self.loop.run_until_complete(self.llm.aclose())
        self.loop.close()

    async def answer_all(self, batch: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the rows of a batch in order; several calls run at once."""
        pairs = zip(batch["id"].tolist(), batch["prompt"].tolist(), strict=True)
        return await asyncio.gather(*(self.answer(number, prompt) for number, prompt in pairs))

    async def answer(self, number: int, prompt: str) -> dict[str, Any]:
        """Return the row of one prompt, with an answer or an error."""
        row = {"id": number, "prompt": prompt, "answer": None, "error": None, "transient": None}
        async with self.open_calls:
            await self.limiter.aacquire()
            try:
                row["answer"] = str((await self.call(prompt)).text)
            except Exception as error:  # noqa: BLE001 -- one prompt must not end the job
                transient = error.transient if isinstance(error, OneRouterError) else False
                row |= {"error": type(error).__name__, "transient": transient}
                row["message"] = str(error)
        return row


# --- files; on a cluster, in a folder that all machines share ---


def write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as JSON lines; the file appears only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    unfinished.replace(path)


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of all files, the oldest file first."""
    for path in sorted(folder.glob("*.jsonl")):
        yield from read_file(path)


def read_file(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file."""
    yield from map(json.loads, path.read_text("utf-8").splitlines())


def load_ledger(folder: Path) -> Ledger:
    """Return one ledger of the costs of all actors, in this run and in earlier runs."""
    return Ledger.from_rows(read(folder / "costs"))


# --- the job ---


def run(options: argparse.Namespace, connection: dict[str, Any]) -> None:
    """Send the prompts that have no row yet, with a pool of actors."""
    rows = read(options.folder / "rows")
    done = {row["id"] for row in rows if row["error"] is None or not options.again}
    pending = [number for number in range(options.count) if number not in done]
    print(f"{len(done)} of {options.count} prompts are already done")
    if not pending:
        return
    # No retries within a call: they would bypass the rate limiter. `--again` is the retry.
    budget = None if options.budget is None else options.budget / options.actors
    llm = LLMS[options.llm](model=MODEL, ledger=Ledger(budget), max_retries=0, **connection)
    prompts = [{"id": number, "prompt": f"What is {number} plus 1?"} for number in pending]
    batches = -(-len(pending) // options.batch)
    ray.init(include_dashboard=False)
    results = ray.data.from_items(prompts, override_num_blocks=batches).map_batches(
        PromptActor,
        fn_constructor_args=[llm, options.folder, options.rate / options.actors, options.at_once],
        batch_size=options.batch,
        compute=ray.data.ActorPoolStrategy(size=options.actors),
        num_cpus=0.5,  # an actor waits most of the time
    )
    report_progress(results.iter_rows(), options, len(pending))


def report_progress(results: Iterable[Any], options: argparse.Namespace, total: int) -> None:
    """Print prompts done, prompts per second and USD after each batch."""
    started, sent, spent = time.monotonic(), 0, Decimal(0)
    for result in results:
        sent += sum(1 for _ in read_file(options.folder / "rows" / result["written"]))
        spent += Ledger.from_rows(read_file(options.folder / "costs" / result["written"])).spent
        rate = sent / (time.monotonic() - started)
        print(f"{sent} of {total} prompts, {rate:.0f} per second, {spent:f} USD", flush=True)


def main() -> None:
    """Run the job, then merge the files: all rows in order, and one ledger."""
    parser = argparse.ArgumentParser(description="Send many prompts with a pool of Ray actors.")
    parser.add_argument("folder", type=lambda path: Path(path).resolve(), help="output folder")
    parser.add_argument("--llm", choices=LLMS, default="langchain")
    parser.add_argument("--count", type=int, default=2000, help="number of prompts")
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--rate", type=float, default=200, help="requests per second, in total")
    parser.add_argument("--budget", type=float, help="USD per run, in total")
    parser.add_argument("--at-once", type=int, default=32, help="maximum open calls per actor")
    parser.add_argument("--batch", type=int, default=100, help="prompts per batch, rows per file")
    parser.add_argument("--again", action="store_true", help="send failed prompts again")
    options = parser.parse_args()
    with nullcontext() if "ONEROUTER_API_KEY" in os.environ else Simulator(failing=0.02) as sim:
        run(options, {"base_url": sim.base_url, "api_key": sim.api_key} if sim else {})
    latest = {row["id"]: row for row in read(options.folder / "rows")}
    write(options.folder / "rows.jsonl", (latest[number] for number in sorted(latest)))
    ledger = load_ledger(options.folder)
    ledger.to_csv(options.folder / "costs.csv")
    print(f"{len(latest)} rows, {sum(row['error'] is not None for row in latest.values())} failed")
    print(ledger)


if __name__ == "__main__":
    main()
