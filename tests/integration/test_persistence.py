"""An agent that waits is killed; another process goes on. What it thought and asked is whole."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from onerouter_simulator import Script, Simulator, chunk, completion, tool_call

pytestmark = pytest.mark.timeout(180)  # each step is a process that imports a framework

CALL = tool_call("get_weather", '{"city": "Oslo"}', "call-1", 0)
DETAILS = [
    {
        "type": "reasoning.text",
        "text": "Somebody must look out of a window.",
        "signature": "c2lnbmVk",
        "format": "anthropic-claude-v1",
        "index": 0,
    },
    {
        "type": "reasoning.encrypted",
        "data": "c2VjcmV0",
        "id": "call-1",
        "format": "google-gemini-v1",
        "index": 1,
    },
]


def thinking(*, streamed: bool) -> Script:
    """Return a reply that thinks, and calls a tool."""
    said = {"reasoning_details": DETAILS, "tool_calls": [CALL]}
    if streamed:
        return Script(events=[chunk(said), chunk({}, finish_reason="tool_calls")])
    return Script(json=completion(None, message=said, finish_reason="tool_calls"))


def run(program: str, step: str, how: str, file: Path, sim: Simulator) -> Any:
    """Run one step in a process of its own."""
    return subprocess.run(  # noqa: S603 -- our own program
        [
            *(sys.executable, str(Path(__file__).with_name(program))),
            *(step, how, str(file), sim.base_url, sim.api_key),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def check(program: str, how: str, file: Path, sim: Simulator, said: str) -> None:
    """Ask, be killed, resume; look at the answer and at what went over the wire for it."""
    sim.script(thinking(streamed="stream" in how))
    killed = run(program, "ask", how, file, sim)
    assert (killed.returncode, len(sim.requests)) == (-9, 1), killed.stderr
    resumed = run(program, "resume", how, file, sim)
    assert resumed.returncode == 0, resumed.stderr
    assert said in resumed.stdout
    assert len(sim.requests) == 2
    asked, spoken, result = sim.last.body["messages"]
    assert asked["role"] == "user"
    assert spoken["reasoning_details"] == DETAILS
    (call,) = spoken["tool_calls"]
    assert (call["id"], call["function"]) == ("call-1", CALL["function"])
    assert (result["role"], result["tool_call_id"]) == ("tool", "call-1")
    assert said in result["content"]


@pytest.mark.parametrize("how", ["invoke", "astream"])
def test_a_langgraph_agent(sim: Simulator, tmp_path: Path, how: str) -> None:
    """Its checkpoints are in an SQLite file."""
    if importlib.util.find_spec("langgraph.checkpoint.sqlite") is None:
        pytest.skip("no SQLite checkpointer here: make integration installs it")
    check("langgraph_agent.py", how, tmp_path / "checkpoints.db", sim, "sunny in Oslo")


@pytest.mark.parametrize("how", ["whole", "streamed"])
def test_a_llama_index_agent(sim: Simulator, tmp_path: Path, how: str) -> None:
    """Its context is in a JSON file."""
    check("workflow_agent.py", how, tmp_path / "context.json", sim, "yes, sunny in Oslo")
