"""Agents of both frameworks for the quirk matrix, and a conversation of four turns with each."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeAlias

from langchain.agents import create_agent
from langgraph.checkpoint.memory import InMemorySaver
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Simulator
from tests.quirk_cases import (
    FUNCTIONS,
    LANGCHAIN_TOOLS,
    ONE_CALL,
    OTHER_CALLS,
    RAN,
    THANKS,
    TWO_CALLS,
    clean,
    collect,
    fields_for,
)


@dataclass(frozen=True)
class Conversation:
    """Record of an agent over four turns: the tools that ran, and the lines of each answer."""

    ran: list[str]
    texts: list[list[str]]


QUESTIONS = (ONE_CALL, TWO_CALLS, OTHER_CALLS, THANKS)


def lines(text: str) -> list[str]:
    """Return the lines of a text, sorted: tools that run at once end in any order."""
    return sorted(clean(text).splitlines()) or [""]


def async_tool(function: Callable[..., Any]) -> FunctionTool:
    """Return a tool that runs on the event loop: in threads, two would end in any order."""

    @wraps(function)
    async def run(**arguments: Any) -> Any:
        return function(**arguments)

    return FunctionTool.from_defaults(async_fn=run)


ASYNC_TOOLS = [async_tool(function) for function in FUNCTIONS]


async def run_langchain_agent(mode: str, sim: Simulator) -> Conversation:
    """Hold the conversation with an agent of langchain that has a checkpointer."""
    RAN.clear()
    config: Any = {"configurable": {"thread_id": "1"}}
    options = {"stream_mode": "messages"} if "stream" in mode else {}
    texts = []
    # Before Python 3.11, LangGraph's async nodes do not tell a model that its tokens are streamed.
    streaming = True if options else None
    async with ChatOneRouter(**fields_for(sim), streaming=streaming) as llm:
        agent: Any = create_agent(llm, LANGCHAIN_TOOLS, checkpointer=InMemorySaver())
        for question in QUESTIONS:
            call = getattr(agent, mode)({"messages": [("user", question)]}, config, **options)
            match mode:
                case "ainvoke":
                    await call
                case "stream":
                    list(call)
                case "astream":
                    await collect(call)
            texts.append(lines(agent.get_state(config).values["messages"][-1].text))
    return Conversation(sorted(RAN), texts)


async def run_llama_index_agent(mode: str, sim: Simulator) -> Conversation:
    """Hold the conversation with a FunctionAgent that has a memory."""
    RAN.clear()
    memory = ChatMemoryBuffer.from_defaults(token_limit=100_000)
    async with OneRouterLLM(**fields_for(sim), context_window=100_000) as llm:
        agent = FunctionAgent(tools=ASYNC_TOOLS, llm=llm, streaming=mode == "stream")
        texts = [lines(str(await agent.run(q, memory=memory))) for q in QUESTIONS]
    return Conversation(sorted(RAN), texts)


RunAgent: TypeAlias = Callable[[str, Simulator], Coroutine[Any, Any, Conversation]]
AGENT_MODES: dict[RunAgent, tuple[str, ...]] = {
    run_langchain_agent: ("invoke", "ainvoke", "stream", "astream"),
    run_llama_index_agent: ("chat", "stream"),
}
AGENTS = [(agent, mode) for agent, modes in AGENT_MODES.items() for mode in modes]
