"""A waiting agent is killed and resumed in another process; its reasoning and call are intact."""

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
        "text": "The weather must be looked up.",
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


def tool_call_script(*, streamed: bool) -> Script:
    """Return a reply with reasoning and a tool call."""
    fields = {"reasoning_details": DETAILS, "tool_calls": [CALL]}
    if streamed:
        return Script(events=[chunk(fields), chunk({}, finish_reason="tool_calls")])
    return Script(json=completion(None, message=fields, finish_reason="tool_calls"))


def run(program: str, step: str, method: str, file: Path, sim: Simulator) -> Any:
    """Run one step of a program in a process of its own."""
    return subprocess.run(  # noqa: S603 -- our own program
        [
            *(sys.executable, str(Path(__file__).with_name(program))),
            *(step, method, str(file), sim.base_url, sim.api_key),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def check_resumed_agent(
    program: str, method: str, file: Path, sim: Simulator, tool_result: str
) -> None:
    """Run an agent until it is killed, resume it; check its answer and its second request."""
    sim.script(tool_call_script(streamed="stream" in method))
    killed = run(program, "ask", method, file, sim)
    assert (killed.returncode, len(sim.requests)) == (-9, 1), killed.stderr
    resumed = run(program, "resume", method, file, sim)
    assert resumed.returncode == 0, resumed.stderr
    assert tool_result in resumed.stdout
    assert len(sim.requests) == 2
    question, answer, result = sim.last.body["messages"]
    assert question["role"] == "user"
    assert answer["reasoning_details"] == DETAILS
    (call,) = answer["tool_calls"]
    assert (call["id"], call["function"]) == ("call-1", CALL["function"])
    assert (result["role"], result["tool_call_id"]) == ("tool", "call-1")
    assert tool_result in result["content"]


@pytest.mark.parametrize("method", ["invoke", "astream"])
def test_a_killed_langgraph_agent_is_resumed(sim: Simulator, tmp_path: Path, method: str) -> None:
    """Its checkpoints are in an SQLite file."""
    if importlib.util.find_spec("langgraph.checkpoint.sqlite") is None:
        pytest.skip("the SQLite checkpointer is not installed: make integration installs it")
    file = tmp_path / "checkpoints.db"
    check_resumed_agent("langgraph_agent.py", method, file, sim, "sunny in Oslo")


@pytest.mark.parametrize("method", ["complete", "streamed"])
def test_a_killed_llama_index_agent_is_resumed(sim: Simulator, tmp_path: Path, method: str) -> None:
    """Its context is in a JSON file."""
    file = tmp_path / "context.json"
    check_resumed_agent("workflow_agent.py", method, file, sim, "yes, sunny in Oslo")
