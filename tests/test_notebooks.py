"""Notebooks: they run and print their stored outputs; a stream can be interrupted in a kernel."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

from onerouter_simulator import Script, Simulator, chunk

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
REAL_MODEL = "05_offline_with_a_real_model"  # skipped if its model is not installed
TIMEOUT = 30  # seconds for a message of the kernel


@pytest.mark.timeout(180)  # a kernel has to start and to import two frameworks
@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_a_notebook_runs_and_prints_its_stored_outputs(path: Path) -> None:
    """Every cell runs; outputs with simulated answers are equal to the committed ones."""
    if path.stem == REAL_MODEL:
        pytest.importorskip("xllamacpp")
    command = [sys.executable, str(NOTEBOOKS / "run.py"), "--check", path.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- our own command
    assert done.returncode == 0, done.stderr


def test_all_notebooks_are_found() -> None:
    """There is a notebook for both frameworks, for costs, for faults and for a real model."""
    stems = {path.stem for path in PATHS}
    assert stems >= {
        *("01_langchain", "02_llama_index"),
        *("03_routing_costs_budgets", "04_when_things_break", REAL_MODEL),
    }


@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_a_notebook_says_whether_its_answers_are_simulated(path: Path) -> None:
    """The first cell says so, and there is a text cell before each code cell."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    assert "simulated" in "".join(cells[0]["source"])
    kinds = [cell["cell_type"] for cell in cells]
    without_text = [n for n in range(2, len(kinds) - 1) if kinds[n - 1 : n + 1] == ["code", "code"]]
    assert without_text == []


# --- interrupts in a kernel ---

SETUP = """
from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM

fields = {{"model": "a/b", "base_url": {base_url!r}, "api_key": {api_key!r}}}
chat, llm = ChatOneRouter(**fields), OneRouterLLM(**fields)
"""
STREAMS = {
    "ChatOneRouter.stream": "for part in chat.stream('Count.'): print(part.text, flush=True)",
    "ChatOneRouter.astream": (
        "async for part in chat.astream('Count.'): print(part.text, flush=True)"
    ),
    "OneRouterLLM.stream_complete": (
        "for part in llm.stream_complete('Count.'): print(part.delta, flush=True)"
    ),
    "OneRouterLLM.astream_complete": (
        "async for part in await llm.astream_complete('Count.'): print(part.delta, flush=True)"
    ),
}
CALL_AGAIN = """
print(chat.invoke("Chat?").text, llm.complete("LLM?").text)
print((await chat.ainvoke("Chat?")).text, (await llm.acomplete("LLM?")).text)
"""


class Kernel:
    """A Jupyter kernel that runs cells."""

    def __init__(self) -> None:
        self.manager, self.client = start_new_kernel()

    def run(self, cell: str, *, interrupt: bool = False) -> tuple[str, str]:
        """Return the output of a cell and the name of its error.

        With `interrupt=True` the cell is interrupted at its first output.
        """
        request_id = self.client.execute(cell)
        printed = error = ""
        while True:
            message = self.client.get_iopub_msg(timeout=TIMEOUT)
            if message["parent_header"].get("msg_id") != request_id:
                continue
            content = message["content"]
            if message["msg_type"] == "stream" and content["name"] == "stdout":
                printed += content["text"]
                if interrupt:
                    self.manager.interrupt_kernel()
                    interrupt = False
            elif message["msg_type"] == "error":
                error = content["ename"]
            elif content.get("execution_state") == "idle":
                return printed, error

    def close(self) -> None:
        """Shut the kernel down."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel(simulator: Simulator) -> Iterator[Kernel]:
    """Run one kernel for all tests, with an instance of both classes."""
    running = Kernel()
    setup = SETUP.format(base_url=simulator.base_url, api_key=simulator.api_key)
    assert running.run(setup) == ("", "")
    yield running
    running.close()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS.keys())
def test_instances_work_after_an_interrupted_stream(
    kernel: Kernel, sim: Simulator, stream: str
) -> None:
    """Ctrl-C closes the connection, and the same instances can be called in the next cell."""
    sim.script(Script(events=[chunk("One, "), float(TIMEOUT)]))
    printed, error = kernel.run(stream, interrupt=True)
    assert printed == "One, \n"
    assert error in {"KeyboardInterrupt", "CancelledError"}
    assert sim.last.wait_hung_up(5)
    answers = "You said: Chat? You said: LLM?\n"
    assert kernel.run(CALL_AGAIN) == (answers * 2, "")
