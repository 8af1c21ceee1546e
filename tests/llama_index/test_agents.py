"""Agents of LlamaIndex: tools, reasoning, handoffs between agents, and memories."""

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
from tests.llama_index.conftest import LLMFactory, user_messages
from tests.llama_index.samples import text_stream

# LlamaIndex's agents use deprecated names of pydantic and of its own workflows package.
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
    """Return a memory large enough for the test."""
    return ChatMemoryBuffer.from_defaults(chat_history=list(messages), token_limit=9000)


def tool_call_stream(*deltas: Any, finish_reason: str = "tool_calls") -> Script:
    """Return a stream with tool calls."""
    return Script(
        events=[chunk({"tool_calls": list(deltas)}), chunk({}, finish_reason=finish_reason)]
    )


# --- tools ---


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_function_agent_runs_a_tool_whose_name_has_a_dot(
    make_llm: LLMFactory, sim: Simulator, streaming: bool
) -> None:
    """The tool's result is sent back, and the final answer has its usage."""
    async with make_llm() as llm:
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


async def test_an_agent_does_not_run_a_call_cut_at_the_length_limit(
    make_llm: LLMFactory, sim: Simulator
) -> None:
    """The model gets an error as the tool's result, and answers."""
    ran: list[int] = []
    tool = FunctionTool.from_defaults(lambda a, **_: ran.append(a), name="note", fn_schema=Sum)
    cut = tool_call("note", '{"a": 1, "b": "half a', index=0)
    sim.script(
        Script(events=[chunk({"tool_calls": [cut]}), chunk({}, finish_reason="length")]),
        Script(events=[chunk("Sorry."), chunk({}, finish_reason="stop")]),
    )
    async with make_llm() as llm:
        answer = await FunctionAgent(tools=[tool], llm=llm).run("x", memory=memory())
    assert ran == []
    assert str(answer) == "Sorry."
    _, call, result = sim.last.body["messages"]
    assert call["tool_calls"][0]["function"]["name"] == "note"
    assert result["content"].startswith("Tool note (not run: The arguments were cut off.")


async def test_an_agent_streams_reasoning_and_sends_it_back(
    make_llm: LLMFactory, sim: Simulator
) -> None:
    """The details are unchanged."""
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
    async with make_llm() as llm:
        handler = FunctionAgent(tools=[ADD], llm=llm).run("x", memory=memory())
        events = [event async for event in handler.stream_events()]
        await handler
    deltas = [e.thinking_delta for e in events if isinstance(e, AgentStream) and e.thinking_delta]
    assert deltas == ["Hm."]
    assert sim.last.body["messages"][1]["reasoning_details"] == details


async def test_an_agent_runs_parallel_calls_and_sends_both_results(
    make_llm: LLMFactory, sim: Simulator
) -> None:
    """The two calls are in one answer. Threads run the tools, so either result can be the first."""
    calls = [tool_call("math_add", {"a": n, "b": n}, f"c{n}", index=n) for n in (0, 1)]
    sim.script(Script(events=[chunk({"tool_calls": calls}), chunk({}, finish_reason="tool_calls")]))
    async with make_llm() as llm:
        await FunctionAgent(tools=[ADD], llm=llm).run("x", memory=memory())
    results = {m["tool_call_id"]: m["content"] for m in sim.last.body["messages"][2:]}
    assert results == {"c0": "0", "c1": "2"}


async def test_an_agent_with_output_cls_returns_an_object(
    make_llm: LLMFactory, sim: Simulator
) -> None:
    """The last request has a JSON schema."""
    async with make_llm() as llm:
        agent = FunctionAgent(tools=[ADD], llm=llm, output_cls=Sum)
        answer = await agent.run("What is 20 + 22?", memory=memory())
    assert answer.get_pydantic_model(Sum) is not None
    assert sim.last.body["response_format"]["json_schema"]["name"] == "Sum"


async def test_a_react_agent_parses_the_streamed_text(make_llm: LLMFactory, sim: Simulator) -> None:
    """A ReActAgent uses no tool calls of the API."""
    events = [chunk("Thought: easy.\n"), chunk("Answer: 42"), chunk({}, finish_reason="stop")]
    sim.script(Script(events=events))
    async with make_llm() as llm:
        answer = await ReActAgent(tools=[ADD], llm=llm).run("x", memory=memory())
    assert str(answer) == "42"


def test_function_calling_program_streams_an_object(llm: OneRouterLLM, sim: Simulator) -> None:
    """LlamaIndex's own program reads the incomplete arguments."""
    deltas = [
        tool_call("Sum", '{"tot', index=0),
        {"index": 0, "function": {"arguments": 'al": 5}'}},
    ]
    events = [chunk({"tool_calls": [delta]}) for delta in deltas]
    sim.script(Script(events=[*events, chunk({}, finish_reason="tool_calls")]))
    program = FunctionCallingProgram.from_defaults(Sum, "5", llm=llm)
    *_, last = program.stream_call()
    assert last == Sum(total=5)


# --- agent workflows ---


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_agent_hands_over_to_another_agent(
    make_llm: LLMFactory, sim: Simulator, streaming: bool
) -> None:
    """The other agent calls a tool and answers."""
    handoff = {"to_agent": "adder", "reason": "It adds."}
    turns = [
        tool_call("handoff", handoff, "c1", index=0),
        tool_call("math_add", {"a": 20, "b": 22}, "c2", index=0),
    ]
    if streaming:
        sim.script(*map(tool_call_stream, turns), text_stream("It is 42."))
    else:
        bodies = [completion(None, message={"tool_calls": [call]}) for call in turns]
        sim.script(*(Script(json=body) for body in (*bodies, completion("It is 42."))))
    async with make_llm() as llm:
        names = {"greeter": [], "adder": [ADD]}
        agents = [
            FunctionAgent(name=name, description=name, tools=tools, llm=llm, streaming=streaming)
            for name, tools in names.items()
        ]
        workflow = AgentWorkflow(agents=agents, root_agent="greeter")
        answer = await workflow.run("What is 20 + 22?", memory=memory())
    assert str(answer) == "It is 42."
    assert answer.current_agent_name == "adder"
    handoff_result, sum_result = [m for m in sim.last.body["messages"] if m["role"] == "tool"]
    assert (handoff_result["tool_call_id"], sum_result["tool_call_id"]) == ("c1", "c2")
    assert "adder" in handoff_result["content"]
    assert sum_result["content"] == "42"


async def test_agent_workflow_reads_is_function_calling_model(
    make_llm: LLMFactory, sim: Simulator
) -> None:
    """True gives a FunctionAgent with tools, False a ReActAgent without."""
    async with make_llm() as llm:
        workflow = AgentWorkflow.from_tools_or_functions([ADD], llm=llm)
        await workflow.run("What is 20 + 22?", memory=memory())
    assert "tools" in sim.requests[0].body
    sim.clear()
    sim.script(text_stream("Thought: easy.\n", "Answer: 42"))
    async with make_llm(is_function_calling_model=False) as llm:
        workflow = AgentWorkflow.from_tools_or_functions([ADD], llm=llm)
        assert str(await workflow.run("x", memory=memory())) == "42"
    assert "tools" not in sim.last.body


# --- memories ---


async def test_a_memory_restored_from_json_sends_the_same_messages(
    make_llm: LLMFactory, sim: Simulator
) -> None:
    """Tool calls and reasoning included."""
    details = [{"type": "reasoning.encrypted", "data": "abc==", "id": "r1"}]
    call = tool_call("math_add", {"a": 1, "b": 2}, "c1", index=0)
    first = chunk({"reasoning": "Hm.", "reasoning_details": details, "tool_calls": [call]})
    sim.script(Script(events=[first, chunk({}, finish_reason="tool_calls")]), text_stream("3."))
    first_memory = memory()
    async with make_llm() as llm:
        await FunctionAgent(tools=[ADD], llm=llm).run("1 + 2?", memory=first_memory)
        before = [*sim.last.body["messages"], {"role": "assistant", "content": "3."}]
        dumps = [message.model_dump_json() for message in first_memory.get_all()]
        restored = memory(*map(ChatMessage.model_validate_json, dumps))
        await FunctionAgent(tools=[ADD], llm=llm).run("And 3?", memory=restored)
    assert sim.last.body["messages"] == [*before, {"role": "user", "content": "And 3?"}]


async def test_a_call_without_a_result_is_sent_with_a_placeholder_result(
    make_llm: LLMFactory, sim: Simulator
) -> None:
    """Upstreams reject a call without a result."""
    block = ToolCallBlock(tool_call_id="c1", tool_name="math.add", tool_kwargs={"a": 1})
    call_message = ChatMessage(role="assistant", blocks=[block])
    async with make_llm() as llm:
        agent = FunctionAgent(tools=[ADD], llm=llm)
        await agent.run("Go on.", memory=memory(*user_messages("x"), call_message))
    assert [m["role"] for m in sim.requests[0].body["messages"]][1:3] == ["assistant", "tool"]
    assert sim.requests[0].body["messages"][2]["content"] == "There is no result of this call."


async def test_a_result_without_its_call_is_sent_as_a_user_message(
    make_llm: LLMFactory, sim: Simulator
) -> None:
    """A memory limit can cut off the call."""
    result = ChatMessage("42", role="tool", additional_kwargs={"tool_call_id": "c1"})
    async with make_llm() as llm:
        await FunctionAgent(tools=[ADD], llm=llm).run("x", memory=memory(result))
    result_message, question = sim.requests[0].body["messages"]
    assert [part["text"] for part in result_message["content"]] == [
        "Content of tool result c1:",
        "42",
    ]
    assert (result_message["role"], question["content"]) == ("user", "x")


async def test_an_empty_stream_is_an_error_for_an_agent(
    make_llm: LLMFactory, sim: Simulator
) -> None:
    """It is not the final answer."""
    sim.script(Script(events=[chunk({}, finish_reason="stop")]))
    async with make_llm(max_retries=0) as llm:
        with pytest.raises(OneRouterError, match="no content"):
            await FunctionAgent(tools=[ADD], llm=llm).run("x", memory=memory())
