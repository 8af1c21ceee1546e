"""Tool calls in streams that break the rules of OpenAI's API, through both classes and agents.

A tool with a default argument shows the worst fault: it runs without the argument that the model
gave.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any, TypeAlias

import pytest
from langchain.agents import create_agent
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole, ToolCallBlock
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Script, Simulator, chunk, completion

# LlamaIndex's agents use deprecated names of pydantic and of its own workflows package.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:is_running called:DeprecationWarning"),
]

Calls: TypeAlias = list[tuple[str, str, Any]]


def remove(pattern: str = "*") -> str:
    """Remove the files that match a pattern; all, if there is none."""
    return f"removed {pattern}"


def remove_later(pattern: str = "*") -> str:
    """Remove files tomorrow."""
    return f"will remove {pattern}"


FUNCTIONS = (remove, remove_later)


def head(index: int | None, call_id: str | None, name: str, arguments: Any = "") -> dict[str, Any]:
    """Return a delta that names a function."""
    place = {} if index is None else {"index": index}
    function = {"name": name, "arguments": arguments}
    return {**place, "id": call_id, "type": "function", "function": function}


def more(index: int | None, arguments: str, **fields: Any) -> dict[str, Any]:
    """Return a delta that continues a call."""
    place = {} if index is None else {"index": index}
    return {**place, **fields, "function": {"arguments": arguments}}


LOGS, TEMPS = '{"pattern": "*.log"}', '{"pattern": "*.tmp"}'
ONE_CALL = {
    "two deltas in one event": [[head(0, "a", "remove"), more(0, LOGS)]],
    "four deltas in two events": [
        [head(0, "a", "remove"), more(0, LOGS[:4])],
        [more(0, LOGS[4:9]), more(0, LOGS[9:])],
    ],
    "two deltas without index": [[head(None, "a", "remove"), more(None, LOGS)]],
    "index of the tool": [[head(1, "a", "remove")], [more(0, LOGS)]],
    "index of the tool, id repeated": [[head(1, "a", "remove")], [more(0, LOGS, id="a")]],
    "index -1": [[head(-1, "a", "remove")], [more(0, LOGS)]],
    "index missing": [[head(None, "a", "remove")], [more(0, LOGS)]],
    "another id": [[head(0, "a", "remove")], [more(0, LOGS, id="b")]],
    "name in two pieces": [[head(0, "a", "rem")], [head(0, None, "ove")], [more(0, LOGS)]],
    "name repeated": [
        [head(0, "a", "remove", LOGS[:5])],
        [head(0, "a", "remove", LOGS[5:])],
        [head(0, "a", "remove", "")],
    ],
}
TWO_CALLS = {
    "two deltas each in one event": [
        [
            *(head(0, "a", "remove"), more(0, LOGS[:6]), more(0, LOGS[6:])),
            *(head(1, "b", "remove"), more(1, TEMPS[:6]), more(1, TEMPS[6:])),
        ]
    ],
    "indices of the tools": [
        *([head(1, "a", "remove")], [more(0, LOGS)]),
        *([head(0, "b", "remove")], [more(1, TEMPS)]),
    ],
    "index 0": [[head(0, "a", "remove", LOGS)], [head(0, "b", "remove", TEMPS)]],
    "index 0 in one event": [[head(0, "a", "remove", LOGS), head(0, "b", "remove", TEMPS)]],
    "index 0, no ids": [[head(0, None, "remove", LOGS)], [head(0, None, "remove", TEMPS)]],
    "index 0, no ids, in one event": [
        [head(0, None, "remove"), more(0, LOGS), head(0, "", "remove"), more(0, TEMPS)]
    ],
    "one id": [[head(0, "a", "remove", LOGS)], [head(1, "a", "remove", TEMPS)]],
    "one id and index": [[head(0, "a", "remove", LOGS), head(0, "a", "remove", TEMPS)]],
}


def script(events: list[Any]) -> Script:
    """Return a stream with the tool-call deltas of each event."""
    chunks = [chunk({"tool_calls": deltas}) for deltas in events]
    return Script(events=[*chunks, chunk({}, finish_reason="tool_calls")])


# --- callers of both classes ---


def langchain_model(sim: Simulator) -> Any:
    """Return a model with the tools."""
    return ChatOneRouter(
        model="a/b", api_key=sim.api_key, base_url=sim.base_url, max_retries=0
    ).bind_tools(FUNCTIONS)


def llama_index_model(sim: Simulator) -> OneRouterLLM:
    """Return an LLM."""
    return OneRouterLLM(
        model="a/b",
        api_key=sim.api_key,
        base_url=sim.base_url,
        max_retries=0,
        context_window=100_000,
    )


def langchain_calls(message: Any) -> Calls:
    """Return name, id and arguments of each call; None for invalid arguments."""
    invalid = [(call["name"], call["id"], None) for call in message.invalid_tool_calls]
    return [(call["name"], call["id"], call["args"]) for call in message.tool_calls] + invalid


def llama_index_calls(response: ChatResponse) -> Calls:
    """Return name, id and arguments of each call."""
    blocks = [b for b in response.message.blocks if isinstance(b, ToolCallBlock)]
    selections = OneRouterLLM(model="a/b", api_key="k").get_tool_calls_from_response(
        response, error_on_no_tool_call=False
    )
    assert [block.tool_call_id for block in blocks] == [call.tool_id for call in selections]
    return [(call.tool_name, call.tool_id, call.tool_kwargs) for call in selections]


async def collect(stream: Any) -> list[Any]:
    """Return the items of an async stream."""
    return [item async for item in stream]


async def acollect(started: Any) -> list[Any]:
    """Return the items of an async stream that has to be awaited."""
    return await collect(await started)


def langchain_stream(sim: Simulator) -> Calls:
    """Return the calls of the sum of the chunks."""
    return langchain_calls(reduce(add, langchain_model(sim).stream("Hi")))


def langchain_astream(sim: Simulator) -> Calls:
    """Return the calls of the sum of the chunks, async."""
    chunks = asyncio.run(collect(langchain_model(sim).astream("Hi")))
    return langchain_calls(reduce(add, chunks))


def langchain_invoke(sim: Simulator) -> Calls:
    """Return the calls of the message."""
    return langchain_calls(langchain_model(sim).invoke("Hi"))


def langchain_ainvoke(sim: Simulator) -> Calls:
    """Return the calls of the message, async."""
    return langchain_calls(asyncio.run(langchain_model(sim).ainvoke("Hi")))


TOOLS = [FunctionTool.from_defaults(function) for function in FUNCTIONS]
QUESTION: dict[str, Any] = {"user_msg": "Hi", "allow_parallel_tool_calls": True}


def llama_index_stream(sim: Simulator) -> Calls:
    """Return the calls of the last response."""
    *_, last = llama_index_model(sim).stream_chat_with_tools(TOOLS, **QUESTION)
    return llama_index_calls(last)


def llama_index_astream(sim: Simulator) -> Calls:
    """Return the calls of the last response, async."""
    stream = llama_index_model(sim).astream_chat_with_tools(TOOLS, **QUESTION)
    return llama_index_calls(asyncio.run(acollect(stream))[-1])


def llama_index_chat(sim: Simulator) -> Calls:
    """Return the calls of the response."""
    return llama_index_calls(llama_index_model(sim).chat_with_tools(TOOLS, **QUESTION))


def llama_index_achat(sim: Simulator) -> Calls:
    """Return the calls of the response, async."""
    return llama_index_calls(
        asyncio.run(llama_index_model(sim).achat_with_tools(TOOLS, **QUESTION))
    )


CALLERS = [
    *(langchain_stream, langchain_astream, langchain_invoke, langchain_ainvoke),
    *(llama_index_stream, llama_index_astream, llama_index_chat, llama_index_achat),
]


@pytest.fixture(params=CALLERS, ids=lambda caller: caller.__name__)
def caller(request: pytest.FixtureRequest) -> Callable[[Simulator], Calls]:
    """Run the test with both classes in all modes; a server may also stream unasked."""
    return request.param


@pytest.mark.parametrize("events", ONE_CALL.values(), ids=ONE_CALL)
def test_one_call(sim: Simulator, caller: Callable[[Simulator], Calls], events: list[Any]) -> None:
    """It has its name, its first id and all of its arguments."""
    sim.script(script(events))
    assert caller(sim) == [("remove", "a", {"pattern": "*.log"})]


@pytest.mark.parametrize("events", TWO_CALLS.values(), ids=TWO_CALLS)
def test_two_calls(sim: Simulator, caller: Callable[[Simulator], Calls], events: list[Any]) -> None:
    """They are kept apart, and their ids differ."""
    sim.script(script(events))
    first, second = caller(sim)
    assert (first[0], first[2]) == ("remove", {"pattern": "*.log"})
    assert (second[0], second[2]) == ("remove", {"pattern": "*.tmp"})
    assert len({first[1], second[1]} - {None, ""}) == 2


def test_two_calls_with_one_id_in_a_complete_reply(
    sim: Simulator, caller: Callable[[Simulator], Calls]
) -> None:
    """The second gets the id that it has in a stream."""
    message = {"content": None, "tool_calls": [head(0, "a", "remove", a) for a in (LOGS, TEMPS)]}
    sim.script(Script(json=completion(message=message, finish_reason="tool_calls")))
    assert caller(sim) == [
        ("remove", "a", {"pattern": "*.log"}),
        ("remove", "a_1", {"pattern": "*.tmp"}),
    ]


def test_a_complete_message_after_the_deltas(
    sim: Simulator, caller: Callable[[Simulator], Calls]
) -> None:
    """The call is one, and its arguments are not doubled."""
    delta = head(0, "a", "remove", LOGS)
    last = chunk({}, finish_reason="tool_calls")
    del last["choices"][0]["delta"]
    last["choices"][0]["message"] = {"role": "assistant", "content": None, "tool_calls": [delta]}
    sim.script(Script(events=[chunk({"tool_calls": [delta]}), last]))
    assert caller(sim) == [("remove", "a", {"pattern": "*.log"})]


def test_text_and_reasoning_are_not_doubled_by_a_complete_message(sim: Simulator) -> None:
    """The rest that was not streamed is handed out once."""
    last = chunk({}, finish_reason="stop")
    last["choices"][0]["message"] = {"content": "Hello!", "reasoning": "Hm."}
    events = [chunk({"reasoning": "Hm."}), chunk({"content": "Hello"}), last]
    sim.script(*[Script(events=events)] * 2)
    chunks = list(langchain_model(sim).stream("Hi"))
    total = reduce(add, chunks)
    assert (total.content, total.additional_kwargs["reasoning_content"]) == ("Hello!", "Hm.")
    responses = list(llama_index_model(sim).stream_chat([ChatMessage("Hi")]))
    assert "".join(response.delta or "" for response in responses) == "Hello!"
    assert responses[-1].message.content == "Hello!"


# --- agents ---

ANSWER = Script(events=[chunk({"content": "Done."}), chunk({}, finish_reason="stop")])


def recording_tool(patterns: list[str]) -> Callable[..., str]:
    """Return the tool; it adds its argument to `patterns`."""

    def remove(pattern: str = "*") -> str:
        """Remove the files that match a pattern; all, if there is none."""
        patterns.append(pattern)
        return f"removed {pattern}"

    return remove


def run_langchain_agent(sim: Simulator, tool: Callable[..., str]) -> None:
    """Run an agent whose tokens are streamed."""
    llm = ChatOneRouter(model="a/b", api_key=sim.api_key, base_url=sim.base_url, max_retries=0)
    agent = create_agent(llm, [tool])
    list(agent.stream({"messages": [("user", "Hi")]}, stream_mode="messages"))


def run_llama_index_agent(sim: Simulator, tool: Callable[..., str]) -> None:
    """Run an agent with a memory of its own."""

    async def run() -> None:
        memory = ChatMemoryBuffer.from_defaults(
            chat_history=[ChatMessage("Hello", role=MessageRole.USER)], token_limit=9000
        )
        agent = FunctionAgent(tools=[tool], llm=llama_index_model(sim))
        await agent.run("Hi", memory=memory)

    asyncio.run(run())


@pytest.mark.parametrize("run_agent", [run_langchain_agent, run_llama_index_agent])
@pytest.mark.parametrize(
    ("events", "expected"),
    [
        *((ONE_CALL[name], ["*.log"]) for name in ONE_CALL),
        *((TWO_CALLS[name], ["*.log", "*.tmp"]) for name in TWO_CALLS),
    ],
    ids=[*ONE_CALL, *(f"two calls: {name}" for name in TWO_CALLS)],
)
def test_an_agent_runs_the_tool_with_the_arguments_of_the_model(
    sim: Simulator,
    run_agent: Callable[[Simulator, Callable[..., str]], None],
    events: list[Any],
    expected: list[str],
) -> None:
    """Each call runs once, and its result is matched by its id."""
    patterns: list[str] = []
    sim.script(script(events), ANSWER)
    run_agent(sim, recording_tool(patterns))
    assert sorted(patterns) == expected
    messages = sim.requests[-1].body["messages"]
    call_ids = [call["id"] for m in messages for call in m.get("tool_calls", ())]
    results = [m["tool_call_id"] for m in messages if m["role"] == "tool"]
    assert sorted(results) == sorted(call_ids)
    assert len({*call_ids}) == len(expected)


@pytest.mark.parametrize("run_agent", [run_langchain_agent, run_llama_index_agent])
def test_no_tool_runs_without_arguments_that_went_to_another_call(
    sim: Simulator, run_agent: Callable[[Simulator, Callable[..., str]], None]
) -> None:
    """Both calls are invalid: which arguments belong to which is a guess."""
    patterns: list[str] = []
    mixed = [[head(0, "a", "remove"), head(0, "b", "remove")], [more(0, LOGS)], [more(0, TEMPS)]]
    sim.script(script(mixed), ANSWER)
    run_agent(sim, recording_tool(patterns))
    assert patterns == []
