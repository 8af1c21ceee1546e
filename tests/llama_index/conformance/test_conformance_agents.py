"""Agents: tools run when they were called, and never on half of their arguments."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool

from onerouter_simulator import Script, tool_call
from tests.llama_index.conformance.answers import answer, calls
from tests.llama_index.conformance.bench import Bench

# LlamaIndex's agents use names that pydantic and its own workflows have deprecated.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:is_running called:DeprecationWarning"),
]


class Notes:
    """A tool that any arguments will do for, and what was noted with it."""

    def __init__(self, name: str = "note") -> None:
        self.noted: list[dict[str, Any]] = []
        self.tool = FunctionTool.from_defaults(self.note, name=name)

    def note(self, text: str = "", place: str = "") -> str:
        """Note a text."""
        self.noted.append({"text": text, "place": place})
        return f"noted {text}"


async def ran(bench: Bench, notes: Notes, *, streaming: bool = True, **fields: Any) -> Any:
    """Run an agent that has the tool, and return its answer."""
    agent = FunctionAgent(tools=[notes.tool], llm=bench.llm, streaming=streaming, **fields)
    return await agent.run("Go.", memory=ChatMemoryBuffer.from_defaults(token_limit=9000))


def scripted(streaming: bool, *made: Any, finish_reason: str = "tool_calls") -> tuple[Script, ...]:
    """Return an answer that calls, and one that is the last word."""
    endpoint = "stream_chat" if streaming else "chat"
    return calls(endpoint, *made, finish_reason=finish_reason), answer(endpoint, "Done.")


@pytest.mark.parametrize("streaming", [True, False], ids=["streaming", "whole"])
async def test_an_agent_runs_a_tool(plain_bench: Bench, streaming: bool) -> None:
    """The tool runs once, its result goes back, the last word is the answer."""
    notes = Notes()
    plain_bench.script(*scripted(streaming, tool_call("note", {"text": "a"})))
    result = await ran(plain_bench, notes, streaming=streaming)
    assert notes.noted == [{"text": "a", "place": ""}]
    assert str(result) == "Done."
    assert plain_bench.body["messages"][-1]["content"] == "noted a"


async def test_an_agent_runs_tools_in_parallel(plain_bench: Bench) -> None:
    """Both run, and both results go back."""
    notes = Notes()
    pair = [tool_call("note", {"text": text}, text) for text in "ab"]
    plain_bench.script(*scripted(True, *pair))
    await ran(plain_bench, notes)
    assert sorted(one["text"] for one in notes.noted) == ["a", "b"]
    told = [one for one in plain_bench.body["messages"] if one["role"] == "tool"]
    assert {one["tool_call_id"]: one["content"] for one in told} == {"a": "noted a", "b": "noted b"}


async def test_an_agent_finds_a_tool_with_a_dot_in_its_name(plain_bench: Bench) -> None:
    """It is called by the word that the API was given for it."""
    notes = Notes("notes.write")
    plain_bench.script(answer("stream_chat"))
    await ran(plain_bench, notes)
    name = plain_bench.body["tools"][0]["function"]["name"]
    plain_bench.script(*scripted(True, tool_call(name, {"text": "a"})))
    await ran(plain_bench, notes)
    assert [one["text"] for one in notes.noted] == ["a"]


@pytest.mark.parametrize(
    ("arguments", "finish_reason"),
    [
        ('{"text": "rm -rf /tmp/b', "length"),
        ('{"text": "all of it", "place": "', "length"),
        ('{"text": "a",, "place": }', "tool_calls"),
    ],
    ids=["cut in a value", "cut before a value", "malformed"],
)
async def test_an_agent_never_runs_half_a_call(
    plain_bench: Bench, arguments: str, finish_reason: str
) -> None:
    """What was cut or broken does not run; the model is told, or the user is."""
    notes = Notes()
    call = tool_call("note", arguments)
    for streaming in (True, False):
        plain_bench.sim.clear()
        plain_bench.script(*scripted(streaming, call, finish_reason=finish_reason))
        (outcome,) = await asyncio.gather(
            ran(plain_bench, notes, streaming=streaming), return_exceptions=True
        )
        told = plain_bench.body["messages"][-1]["role"] == "tool"
        assert told or plain_bench.subject.typed(outcome)
        assert notes.noted == []


def test_predict_and_call_never_runs_half_a_call(bench: Bench) -> None:
    """The other way to run a tool is no different."""
    notes = Notes()
    bench.script(calls("chat", tool_call("note", '{"text": "half'), finish_reason="length"))
    bench.attempt("predict_and_call", [notes.tool], "Go.")
    assert notes.noted == []


async def test_a_silent_model_is_no_final_answer(plain_bench: Bench) -> None:
    """A stream with nothing in it is not what an agent ends with."""
    plain_bench.script(Script(events=[]))
    (outcome,) = await asyncio.gather(ran(plain_bench, Notes()), return_exceptions=True)
    assert plain_bench.subject.typed(outcome)
