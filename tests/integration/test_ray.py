"""A job on a local Ray cluster: killed, started again, and once more for nothing."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from onerouter_simulator import Simulator
from tests.integration.servers import set_read_deadline, tail

pytestmark = pytest.mark.timeout(600)  # twice a cluster comes up

PROGRAM = Path(__file__).parents[2] / "examples" / "ray_batch.py"
COUNT, RATE, BATCH = 200, 40, 10
FAILING = 0.02  # every 50th request of a run


class Run(NamedTuple):
    """One run: the rows before it, what it asked, for how long, and the rows at its end."""

    before: list[dict[str, Any]]
    asked: list[int]
    seconds: float
    rows: list[dict[str, Any]]

    @property
    def failed(self) -> set[int]:
        """The prompts without an answer."""
        return failures(self.rows)


class Job(NamedTuple):
    """The run that was killed, the one that went on with `--again`, and one too many."""

    killed: Run
    resumed: Run
    idle: Run
    costs: list[dict[str, str]]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Run it three times in one folder, the second time with the other framework."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("no ray here: make integration installs it")
    home = tmp_path_factory.mktemp("ray")
    with Simulator(failing=FAILING) as sim:
        runs = (
            run(home, sim, "--llm", "langchain", killed=True),
            run(home, sim, "--llm", "llama-index", "--again"),
            run(home, sim),
        )
    with (home / "out" / "costs.csv").open(encoding="utf-8", newline="") as file:
        return Job(*runs, list(csv.DictReader(file)))


def run(home: Path, sim: Simulator, *options: str, killed: bool = False) -> Run:
    """Run the example to its end, or until it has written a failure and is killed."""
    sim.clear()
    before = rows_in(home / "out/rows")
    with started(home, sim, *options) as process:
        if killed:
            set_read_deadline(
                lambda: process.poll() is not None or failures(rows_in(home / "out/rows"))
            )
            process.send_signal(signal.SIGKILL)
        assert process.wait() == (-signal.SIGKILL if killed else 0), tail(home / "log")
    prompts = [request.body["messages"][-1]["content"] for request in sim.requests]
    times = [request.received_at for request in sim.requests] or [0]
    asked = [int(prompt.split()[2]) for prompt in prompts]
    return Run(before, asked, times[-1] - times[0], rows_in(home / "out"))


@contextmanager
def started(home: Path, sim: Simulator, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the example in a session of its own, and end all that is left of that at the end."""
    numbers = {"--count": COUNT, "--rate": RATE, "--batch": BATCH, "--actors": 2}
    words = [str(word) for pair in numbers.items() for word in pair]
    env = {
        **os.environ,
        "ONEROUTER_BASE_URL": sim.base_url,
        "ONEROUTER_API_KEY": sim.api_key,
        "RAY_USAGE_STATS_ENABLED": "0",
        "HOME": str(home),  # where the cluster keeps its token
    }
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 -- our own program
            [sys.executable, str(PROGRAM), str(home / "out"), *words, *options],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        while left := list(members(process.pid)):
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)


def members(session: int) -> Iterator[int]:
    """Yield the living processes of a session: a killed driver leaves some of its cluster."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, leader = stat.read_text("utf-8").rpartition(")")[2].split()[:4]
            if int(leader) == session and state != "Z":
                yield int(stat.parent.name)


def rows_in(folder: Path) -> list[dict[str, Any]]:
    """Return the objects in a folder's files of JSON lines."""
    texts = (path.read_text("utf-8") for path in folder.glob("*.jsonl"))
    return [json.loads(line) for text in texts for line in text.splitlines()]


def failures(rows: list[dict[str, Any]]) -> set[int]:
    """Return the prompts whose rows have no answer."""
    return {row["id"] for row in rows if row["error"] is not None}


def test_all_rows_come_back_in_order(job: Job) -> None:
    """Each prompt has one row at its place, whichever run, actor and framework asked it."""
    for run in (job.resumed, job.idle):
        assert [row["id"] for row in run.rows] == list(range(COUNT))
        for row in run.rows:
            assert row["prompt"] == f"What is {row['id']} plus 1?"
            answer = None if row["id"] in run.failed else f"You said: {row['prompt']}"
            assert row["answer"] == answer


def test_what_failed_is_typed(job: Job) -> None:
    """A row without an answer has the class of its error, and whether asking again may help."""
    failed = [row for row in job.resumed.rows if row["error"] is not None]
    assert len(failed) >= len(job.resumed.asked) // 50 >= 1
    for row in failed:
        assert (row["error"], row["transient"]) == ("UpstreamError", True)
        assert "status 500" in row["message"]


def test_what_was_answered_is_not_asked_again(job: Job) -> None:
    """The second run asks, once, what the first one, which was killed, did not write down."""
    answered = {row["id"] for row in job.resumed.before} - failures(job.resumed.before)
    assert job.killed.before == []
    assert len(answered) > BATCH
    assert sorted(job.resumed.asked) == sorted(set(range(COUNT)) - answered)


def test_what_failed_is_asked_again_on_request(job: Job) -> None:
    """The second run was told to, and asked it; the third was not, and asked nothing."""
    failed = failures(job.resumed.before)
    assert failed
    assert failed <= set(job.resumed.asked)
    assert job.idle.asked == []
    assert job.idle.rows == job.resumed.rows


def test_one_ledger_holds_what_all_actors_spent(job: Job) -> None:
    """It has an entry for every answer, also for those of the run that was killed."""
    answers = COUNT - len(job.idle.failed)
    assert answers <= len(job.costs) <= answers + len(job.killed.asked) - len(job.resumed.before)
    assert all(Decimal(entry["cost"]) > 0 for entry in job.costs)
    assert len({entry["id"] for entry in job.costs}) == len(job.costs)


def test_the_rate_is_kept(job: Job) -> None:
    """All actors together send no more requests a second than they may."""
    assert job.resumed.seconds > 0.7 * len(job.resumed.asked) / RATE
