"""Agents: tools that run, hand-overs, memories that are cut or written down."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.agent.workflow import (
    AgentStream,
    AgentWorkflow,
    FunctionAgent,
    ReActAgent,
    ToolCallResult,
)
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.program.function_program import FunctionCallingProgram
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from llama_index_onerouter import OneRouterLLM
from onerouter_core.errors import OneRouterError
from onerouter_simulator import Script, Simulator, chunk, completion, tool_call
from tests.llama_index.conftest import Make, say

# LlamaIndex's agents use names that pydantic and its own workflows have deprecated.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:is_running called:DeprecationWarning"),
]


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool.from_defaults(add, name="math.add")


class Sum(BaseModel):
    """A sum."""

    total: int


def memory(*messages: ChatMessage) -> ChatMemoryBuffer:
    """Return a memory that has room."""
    return ChatMemoryBuffer.from_defaults(chat_history=list(messages), token_limit=9000)


def said(*words: str) -> Script:
    """Return an answer in words, streamed."""
    return Script(events=[*map(chunk, words), chunk({}, finish_reason="stop")])


def calls(*deltas: Any, finish_reason: str = "tool_calls") -> Script:
    """Return an answer that calls, streamed."""
    return Script(
        events=[chunk({"tool_calls": list(deltas)}), chunk({}, finish_reason=finish_reason)]
    )


# --- tools ---


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_agent_runs_its_tools(make: Make, sim: Simulator, streaming: bool) -> None:
    """A FunctionAgent calls a tool with a dot in its name and answers with its result."""
    async with make() as llm:
        agent = FunctionAgent(tools=[ADD], llm=llm, streaming=streaming)
        handler = agent.run("What is 20 + 22?", memory=memory())
        events = [event async for event in handler.stream_events()]
        answer = await handler
    (result,) = [event for event in events if isinstance(event, ToolCallResult)]
    assert (result.tool_name, result.tool_kwargs) == ("math.add", {"a": 20, "b": 22})
    assert "42" in str(answer)
    _, call, tool = sim.last.body["messages"]
    assert call["tool_calls"][0]["function"]["name"] == "math_add"
    assert tool == {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": "42"}
    assert answer.raw["usage"]


async def test_an_agent_never_runs_a_cut_call(make: Make, sim: Simulator) -> None:
    """A call that a length limit cut is told to the model, which tries again."""
    ran: list[int] = []
    tool = FunctionTool.from_defaults(lambda a, **_: ran.append(a), name="note", fn_schema=Sum)
    cut = tool_call("note", '{"a": 1, "b": "half a', index=0)
    sim.script(
        Script(events=[chunk({"tool_calls": [cut]}), chunk({}, finish_reason="length")]),
        Script(events=[chunk("Sorry."), chunk({}, finish_reason="stop")]),
    )
    async with make() as llm:
        answer = await FunctionAgent(tools=[tool], llm=llm).run("x", memory=memory())
    assert ran == []
    assert str(answer) == "Sorry."
    _, call, told = sim.last.body["messages"]
    assert call["tool_calls"][0]["function"]["name"] == "note"
    assert told["content"].startswith("Tool note (not run: The arguments were cut off.")


async def test_an_agent_sends_reasoning_back(make: Make, sim: Simulator) -> None:
    """In a loop with tools the upstream gets its reasoning back unchanged; users see it stream."""
    details = [{"type": "reasoning.encrypted", "data": "abc==", "id": "r1"}]
    call = tool_call("math_add", {"a": 1, "b": 2}, index=0)
    sim.script(
        Script(
            events=[
                chunk({"reasoning": "Hm.", "reasoning_details": details}),
                chunk({"tool_calls": [call]}),
                chunk({}, finish_reason="tool_calls"),
            ]
        )
    )
    async with make() as llm:
        handler = FunctionAgent(tools=[ADD], llm=llm).run("x", memory=memory())
        events = [event async for event in handler.stream_events()]
        await handler
    thoughts = [e.thinking_delta for e in events if isinstance(e, AgentStream) and e.thinking_delta]
    assert thoughts == ["Hm."]
    assert sim.last.body["messages"][1]["reasoning_details"] == details


async def test_an_agent_calls_in_parallel(make: Make, sim: Simulator) -> None:
    """Two calls in one answer both run, and both results go back."""
    calls = [tool_call("math_add", {"a": n, "b": n}, f"c{n}", index=n) for n in (0, 1)]
    sim.script(Script(events=[chunk({"tool_calls": calls}), chunk({}, finish_reason="tool_calls")]))
    async with make() as llm:
        await FunctionAgent(tools=[ADD], llm=llm).run("x", memory=memory())
    assert [m["content"] for m in sim.last.body["messages"][2:]] == ["0", "2"]


async def test_an_agent_ends_with_an_object(make: Make, sim: Simulator) -> None:
    """`output_cls` makes an object of the conversation."""
    async with make() as llm:
        agent = FunctionAgent(tools=[ADD], llm=llm, output_cls=Sum)
        answer = await agent.run("What is 20 + 22?", memory=memory())
    assert answer.get_pydantic_model(Sum) is not None
    assert sim.last.body["response_format"]["json_schema"]["name"] == "Sum"


async def test_a_react_agent_runs(make: Make, sim: Simulator) -> None:
    """An agent that reads words gets words."""
    events = [chunk("Thought: easy.\n"), chunk("Answer: 42"), chunk({}, finish_reason="stop")]
    sim.script(Script(events=events))
    async with make() as llm:
        answer = await ReActAgent(tools=[ADD], llm=llm).run("x", memory=memory())
    assert str(answer) == "42"


def test_llama_index_streaming_program(llm: OneRouterLLM, sim: Simulator) -> None:
    """LlamaIndex's own program over tools finds the growing arguments where it looks for them."""
    deltas = [
        tool_call("Sum", '{"tot', index=0),
        {"index": 0, "function": {"arguments": 'al": 5}'}},
    ]
    events = [chunk({"tool_calls": [delta]}) for delta in deltas]
    sim.script(Script(events=[*events, chunk({}, finish_reason="tool_calls")]))
    program = FunctionCallingProgram.from_defaults(Sum, "5", llm=llm)
    *_, last = program.stream_call()
    assert last == Sum(total=5)


# --- several agents ---


@pytest.mark.parametrize("streaming", [True, False])
async def test_agents_hand_over(make: Make, sim: Simulator, streaming: bool) -> None:
    """One agent hands the conversation to another, which calls a tool and answers."""
    hand_over = {"to_agent": "adder", "reason": "It adds."}
    turns = [
        tool_call("handoff", hand_over, "c1", index=0),
        tool_call("math_add", {"a": 20, "b": 22}, "c2", index=0),
    ]
    if streaming:
        sim.script(*map(calls, turns), said("It is 42."))
    else:
        bodies = [completion(None, message={"tool_calls": [call]}) for call in turns]
        sim.script(*(Script(json=body) for body in (*bodies, completion("It is 42."))))
    async with make() as llm:
        names = {"greeter": [], "adder": [ADD]}
        agents = [
            FunctionAgent(name=name, description=name, tools=tools, llm=llm, streaming=streaming)
            for name, tools in names.items()
        ]
        workflow = AgentWorkflow(agents=agents, root_agent="greeter")
        answer = await workflow.run("What is 20 + 22?", memory=memory())
    assert str(answer) == "It is 42."
    assert answer.current_agent_name == "adder"
    handed, added = [m for m in sim.last.body["messages"] if m["role"] == "tool"]
    assert (handed["tool_call_id"], added["tool_call_id"]) == ("c1", "c2")
    assert "adder" in handed["content"]
    assert added["content"] == "42"


async def test_a_workflow_offers_tools_to_who_calls(make: Make, sim: Simulator) -> None:
    """`AgentWorkflow.from_tools_or_functions` asks the metadata which kind of agent to make."""
    async with make() as llm:
        workflow = AgentWorkflow.from_tools_or_functions([ADD], llm=llm)
        await workflow.run("What is 20 + 22?", memory=memory())
    assert "tools" in sim.requests[0].body
    sim.clear()
    sim.script(said("Thought: easy.\n", "Answer: 42"))
    async with make(is_function_calling_model=False) as llm:
        workflow = AgentWorkflow.from_tools_or_functions([ADD], llm=llm)
        assert str(await workflow.run("x", memory=memory())) == "42"
    assert "tools" not in sim.last.body


# --- memories ---


async def test_a_memory_survives_json(make: Make, sim: Simulator) -> None:
    """A conversation with calls and reasoning goes on after it was written down and read."""
    details = [{"type": "reasoning.encrypted", "data": "abc==", "id": "r1"}]
    call = tool_call("math_add", {"a": 1, "b": 2}, "c1", index=0)
    first = chunk({"reasoning": "Hm.", "reasoning_details": details, "tool_calls": [call]})
    sim.script(Script(events=[first, chunk({}, finish_reason="tool_calls")]), said("3."))
    kept = memory()
    async with make() as llm:
        await FunctionAgent(tools=[ADD], llm=llm).run("1 + 2?", memory=kept)
        before = [*sim.last.body["messages"], {"role": "assistant", "content": "3."}]
        written = [message.model_dump_json() for message in kept.get_all()]
        restored = memory(*map(ChatMessage.model_validate_json, written))
        await FunctionAgent(tools=[ADD], llm=llm).run("And 3?", memory=restored)
    assert sim.last.body["messages"] == [*before, {"role": "user", "content": "And 3?"}]


async def test_a_run_that_was_stopped_goes_on(make: Make, sim: Simulator) -> None:
    """A call whose result never came does not make the history one to refuse."""
    block = ToolCallBlock(tool_call_id="c1", tool_name="math.add", tool_kwargs={"a": 1})
    stopped = ChatMessage(role="assistant", blocks=[block])
    async with make() as llm:
        agent = FunctionAgent(tools=[ADD], llm=llm)
        await agent.run("Go on.", memory=memory(*say("x"), stopped))
    assert [m["role"] for m in sim.requests[0].body["messages"]][1:3] == ["assistant", "tool"]
    assert sim.requests[0].body["messages"][2]["content"] == "There is no result of this call."


async def test_a_result_without_its_call_is_read(make: Make, sim: Simulator) -> None:
    """Where a memory cut a call off, the model reads the result in a message that may stand."""
    result = ChatMessage("42", role="tool", additional_kwargs={"tool_call_id": "c1"})
    async with make() as llm:
        await FunctionAgent(tools=[ADD], llm=llm).run("x", memory=memory(result))
    told, asked = sim.requests[0].body["messages"]
    assert [part["text"] for part in told["content"]] == ["Content of tool result c1:", "42"]
    assert (told["role"], asked["content"]) == ("user", "x")


async def test_an_empty_answer_is_no_end(make: Make, sim: Simulator) -> None:
    """An agent does not take a stream with nothing in it for its final answer."""
    sim.script(Script(events=[chunk({}, finish_reason="stop")]))
    async with make(max_retries=0) as llm:
        with pytest.raises(OneRouterError, match="no content"):
            await FunctionAgent(tools=[ADD], llm=llm).run("x", memory=memory())
