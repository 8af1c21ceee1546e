"""Agents: tools run once per call, and never with incomplete arguments."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool

from onerouter_simulator import Script, tool_call
from tests.llama_index.conformance.harness import Harness
from tests.llama_index.conformance.scripted_replies import text_reply, tool_calls_reply

# LlamaIndex's agents use deprecated names of pydantic and of its own workflows package.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:is_running called:DeprecationWarning"),
]


class NoteTool:
    """A tool with optional arguments that records its calls."""

    def __init__(self, name: str = "note") -> None:
        self.calls: list[dict[str, Any]] = []
        self.function_tool = FunctionTool.from_defaults(self.note, name=name)

    def note(self, text: str = "", place: str = "") -> str:
        """Record a call."""
        self.calls.append({"text": text, "place": place})
        return f"noted {text}"


async def run_agent(
    harness: Harness, tool: NoteTool, *, streaming: bool = True, **fields: Any
) -> Any:
    """Run an agent that has the tool, and return its answer."""
    agent = FunctionAgent(
        tools=[tool.function_tool], llm=harness.llm, streaming=streaming, **fields
    )
    return await agent.run("Go.", memory=ChatMemoryBuffer.from_defaults(token_limit=9000))


def call_then_answer(
    streaming: bool, *calls: Any, finish_reason: str = "tool_calls"
) -> tuple[Script, ...]:
    """Return a reply with tool calls, and a final text."""
    endpoint = "stream_chat" if streaming else "chat"
    reply = tool_calls_reply(endpoint, *calls, finish_reason=finish_reason)
    return reply, text_reply(endpoint, "Done.")


@pytest.mark.parametrize("streaming", [True, False], ids=["streaming", "complete"])
async def test_an_agent_runs_a_tool_and_sends_its_result(
    sync_harness: Harness, streaming: bool
) -> None:
    """The tool runs once, and the last text is the answer."""
    tool = NoteTool()
    sync_harness.script(*call_then_answer(streaming, tool_call("note", {"text": "a"})))
    result = await run_agent(sync_harness, tool, streaming=streaming)
    assert tool.calls == [{"text": "a", "place": ""}]
    assert str(result) == "Done."
    assert sync_harness.last_body["messages"][-1]["content"] == "noted a"


async def test_an_agent_runs_parallel_calls_and_sends_both_results(sync_harness: Harness) -> None:
    """The calls are in one answer."""
    tool = NoteTool()
    pair = [tool_call("note", {"text": text}, text) for text in "ab"]
    sync_harness.script(*call_then_answer(True, *pair))
    await run_agent(sync_harness, tool)
    assert sorted(each["text"] for each in tool.calls) == ["a", "b"]
    results = [m for m in sync_harness.last_body["messages"] if m["role"] == "tool"]
    assert {m["tool_call_id"]: m["content"] for m in results} == {"a": "noted a", "b": "noted b"}


async def test_an_agent_runs_a_tool_whose_name_has_a_dot(sync_harness: Harness) -> None:
    """The API does not allow a dot: the model calls the tool by the name that was sent."""
    tool = NoteTool("notes.write")
    sync_harness.script(text_reply("stream_chat"))
    await run_agent(sync_harness, tool)
    name = sync_harness.last_body["tools"][0]["function"]["name"]
    sync_harness.script(*call_then_answer(True, tool_call(name, {"text": "a"})))
    await run_agent(sync_harness, tool)
    assert [each["text"] for each in tool.calls] == ["a"]


@pytest.mark.parametrize(
    ("arguments", "finish_reason"),
    [
        ('{"text": "rm -rf /tmp/b', "length"),
        ('{"text": "all of it", "place": "', "length"),
        ('{"text": "a",, "place": }', "tool_calls"),
    ],
    ids=["cut in a value", "cut before a value", "malformed"],
)
async def test_an_agent_does_not_run_a_call_with_invalid_arguments(
    sync_harness: Harness, arguments: str, finish_reason: str
) -> None:
    """The model gets an error as the tool's result, or the agent raises."""
    tool = NoteTool()
    call = tool_call("note", arguments)
    for streaming in (True, False):
        sync_harness.sim.clear()
        sync_harness.script(*call_then_answer(streaming, call, finish_reason=finish_reason))
        (outcome,) = await asyncio.gather(
            run_agent(sync_harness, tool, streaming=streaming), return_exceptions=True
        )
        has_result = sync_harness.last_body["messages"][-1]["role"] == "tool"
        assert has_result or sync_harness.adapter.is_expected_error(outcome)
        assert tool.calls == []


def test_predict_and_call_does_not_run_a_call_with_invalid_arguments(harness: Harness) -> None:
    """The length limit has cut the arguments."""
    tool = NoteTool()
    harness.script(
        tool_calls_reply("chat", tool_call("note", '{"text": "half'), finish_reason="length")
    )
    harness.outcome("predict_and_call", [tool.function_tool], "Go.")
    assert tool.calls == []


async def test_an_empty_stream_is_an_error_for_an_agent(sync_harness: Harness) -> None:
    """It is not the final answer."""
    sync_harness.script(Script(events=[]))
    (outcome,) = await asyncio.gather(run_agent(sync_harness, NoteTool()), return_exceptions=True)
    assert sync_harness.adapter.is_expected_error(outcome)
