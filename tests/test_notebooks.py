"""The notebooks run and show what they hold; in a kernel a stream can be interrupted."""

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
REAL = "05_offline_with_a_real_model"  # runs where its model is installed
SECONDS = 30


@pytest.mark.timeout(180)  # a kernel and two frameworks start first
@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_a_notebook_runs_and_shows_what_is_kept(path: Path) -> None:
    """Each cell runs, and what a simulator answers is what is committed."""
    if path.stem == REAL:
        pytest.importorskip("xllamacpp")
    command = [sys.executable, str(NOTEBOOKS / "run.py"), "--check", path.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- our own
    assert done.returncode == 0, done.stderr


def test_there_is_something_to_run() -> None:
    """Both frameworks, money, faults and a real model have their notebook."""
    stems = {path.stem for path in PATHS}
    assert stems >= {
        *("01_langchain", "02_llama_index"),
        *("03_routing_costs_budgets", "04_when_things_break", REAL),
    }


@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_a_notebook_says_whether_its_answers_are_simulated(path: Path) -> None:
    """It says so in its first words, and each code cell comes after words."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    assert "simulated" in "".join(cells[0]["source"])
    kinds = [cell["cell_type"] for cell in cells]
    alone = [n for n in range(2, len(kinds) - 1) if kinds[n - 1 : n + 1] == ["code", "code"]]
    assert alone == []


# --- manners in a kernel ---

SETUP = """
from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM

where = {{"model": "a/b", "base_url": {base_url!r}, "api_key": {api_key!r}}}
chat, llm = ChatOneRouter(**where), OneRouterLLM(**where)
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
ASK_AGAIN = """
print(chat.invoke("Chat?").text, llm.complete("LLM?").text)
print((await chat.ainvoke("Chat?")).text, (await llm.acomplete("LLM?")).text)
"""


class Notebook:
    """A kernel, and what it says of a cell."""

    def __init__(self) -> None:
        self.manager, self.client = start_new_kernel()

    def run(self, cell: str, *, interrupt: bool = False) -> tuple[str, str]:
        """Return what a cell prints and the name of its error; interrupt it at its first word."""
        asked = self.client.execute(cell)
        printed = error = ""
        while True:
            said = self.client.get_iopub_msg(timeout=SECONDS)
            if said["parent_header"].get("msg_id") != asked:
                continue
            content = said["content"]
            if said["msg_type"] == "stream" and content["name"] == "stdout":
                printed += content["text"]
                if interrupt:
                    self.manager.interrupt_kernel()
                    interrupt = False
            elif said["msg_type"] == "error":
                error = content["ename"]
            elif content.get("execution_state") == "idle":
                return printed, error

    def close(self) -> None:
        """End the kernel."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def notebook(simulator: Simulator) -> Iterator[Notebook]:
    """Start one kernel for all, with both classes in it."""
    running = Notebook()
    setup = SETUP.format(base_url=simulator.base_url, api_key=simulator.api_key)
    assert running.run(setup) == ("", "")
    yield running
    running.close()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS.keys())
def test_ctrl_c_in_mid_stream_leaves_nothing_broken(
    notebook: Notebook, sim: Simulator, stream: str
) -> None:
    """The server sees the hang-up, and the same instances answer the next cell."""
    sim.script(Script(events=[chunk("One, "), float(SECONDS)]))
    printed, error = notebook.run(stream, interrupt=True)
    assert printed == "One, \n"
    assert error in {"KeyboardInterrupt", "CancelledError"}
    assert sim.last.wait_hung_up(5)
    answers = "You said: Chat? You said: LLM?\n"
    assert notebook.run(ASK_AGAIN) == (answers * 2, "")
