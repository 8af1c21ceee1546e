"""A batch job on a local Ray cluster: killed, resumed, and run again with nothing left to do."""

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
from tests.integration.servers import tail, wait_until

pytestmark = pytest.mark.timeout(600)  # the cluster starts twice

PROGRAM = Path(__file__).parents[2] / "examples" / "ray_batch.py"
COUNT, RATE, BATCH = 200, 40, 10
FAILURE_RATE = 0.02  # every 50th request of a run fails


class Run(NamedTuple):
    """One run: the rows before it, the ids of its requests, its duration, the rows after it."""

    before: list[dict[str, Any]]
    requested: list[int]
    seconds: float
    rows: list[dict[str, Any]]

    @property
    def failed(self) -> set[int]:
        """The ids of the rows without an answer."""
        return failed_ids(self.rows)


class Job(NamedTuple):
    """The killed run, the run resumed with `--again`, a run with nothing to do, the costs."""

    killed: Run
    resumed: Run
    idle: Run
    costs: list[dict[str, str]]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Run the job three times in one folder, the second time with the other framework."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed: make integration installs it")
    home = tmp_path_factory.mktemp("ray")
    with Simulator(failing=FAILURE_RATE) as sim:
        runs = (
            run(home, sim, "--llm", "langchain", killed=True),
            run(home, sim, "--llm", "llama-index", "--again"),
            run(home, sim),
        )
    with (home / "out" / "costs.csv").open(encoding="utf-8", newline="") as file:
        return Job(*runs, list(csv.DictReader(file)))


def run(home: Path, sim: Simulator, *options: str, killed: bool = False) -> Run:
    """Run the example to its end; with `killed`, kill it once it has written a failed row."""
    sim.clear()
    before = rows_in(home / "out/rows")
    with start_example(home, sim, *options) as process:
        if killed:
            wait_until(lambda: process.poll() is not None or failed_ids(rows_in(home / "out/rows")))
            process.send_signal(signal.SIGKILL)
        assert process.wait() == (-signal.SIGKILL if killed else 0), tail(home / "log")
    prompts = [request.body["messages"][-1]["content"] for request in sim.requests]
    times = [request.received_at for request in sim.requests] or [0]
    requested = [int(prompt.split()[2]) for prompt in prompts]
    return Run(before, requested, times[-1] - times[0], rows_in(home / "out"))


@contextmanager
def start_example(home: Path, sim: Simulator, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the example in a session of its own; at the end kill all processes of the session."""
    settings = {"--count": COUNT, "--rate": RATE, "--batch": BATCH, "--actors": 2}
    arguments = [str(part) for setting in settings.items() for part in setting]
    env = {
        **os.environ,
        "ONEROUTER_BASE_URL": sim.base_url,
        "ONEROUTER_API_KEY": sim.api_key,
        "RAY_USAGE_STATS_ENABLED": "0",
        "HOME": str(home),  # the cluster writes its token there
    }
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 -- our own program
            [sys.executable, str(PROGRAM), str(home / "out"), *arguments, *options],
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
        while pids := list(living_processes(process.pid)):
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)


def living_processes(session: int) -> Iterator[int]:
    """Yield the ids of a session's processes; parts of the cluster outlive a killed driver."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, leader = stat.read_text("utf-8").rpartition(")")[2].split()[:4]
            if int(leader) == session and state != "Z":
                yield int(stat.parent.name)


def rows_in(folder: Path) -> list[dict[str, Any]]:
    """Return the objects in the JSON Lines files of a folder."""
    texts = (path.read_text("utf-8") for path in folder.glob("*.jsonl"))
    return [json.loads(line) for text in texts for line in text.splitlines()]


def failed_ids(rows: list[dict[str, Any]]) -> set[int]:
    """Return the ids of the rows that have an error."""
    return {row["id"] for row in rows if row["error"] is not None}


def test_all_rows_come_back_in_order(job: Job) -> None:
    """Each prompt has one row, in order, whichever run, actor and framework sent it."""
    for run in (job.resumed, job.idle):
        assert [row["id"] for row in run.rows] == list(range(COUNT))
        for row in run.rows:
            assert row["prompt"] == f"What is {row['id']} plus 1?"
            answer = None if row["id"] in run.failed else f"You said: {row['prompt']}"
            assert row["answer"] == answer


def test_a_failed_row_has_the_class_of_its_error(job: Job) -> None:
    """A row without an answer has the error's class, its message, and whether it is transient."""
    failed = [row for row in job.resumed.rows if row["error"] is not None]
    assert len(failed) >= len(job.resumed.requested) // 50 >= 1
    for row in failed:
        assert (row["error"], row["transient"]) == ("UpstreamError", True)
        assert "status 500" in row["message"]


def test_answered_rows_are_not_requested_again(job: Job) -> None:
    """The resumed run requests, once, the rows that the killed run did not write."""
    answered = {row["id"] for row in job.resumed.before} - failed_ids(job.resumed.before)
    assert job.killed.before == []
    assert len(answered) > BATCH
    assert sorted(job.resumed.requested) == sorted(set(range(COUNT)) - answered)


def test_failed_rows_are_requested_again_with_the_option(job: Job) -> None:
    """The second run has `--again` and requests them; the third has not and requests nothing."""
    failed = failed_ids(job.resumed.before)
    assert failed
    assert failed <= set(job.resumed.requested)
    assert job.idle.requested == []
    assert job.idle.rows == job.resumed.rows


def test_one_ledger_has_the_costs_of_all_actors(job: Job) -> None:
    """It has an entry for every answer, those of the killed run included."""
    answers = COUNT - len(job.idle.failed)
    not_written = len(job.killed.requested) - len(job.resumed.before)
    assert answers <= len(job.costs) <= answers + not_written
    assert all(Decimal(entry["cost"]) > 0 for entry in job.costs)
    assert len({entry["id"] for entry in job.costs}) == len(job.costs)


def test_the_rate_limit_holds_for_all_actors_together(job: Job) -> None:
    """The run takes at least 70 % of the time that its requests need at this rate."""
    assert job.resumed.seconds > 0.7 * len(job.resumed.requested) / RATE
