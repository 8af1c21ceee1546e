"""A LangGraph agent that waits for consent, as a program; its checkpoints are in an SQLite file.

python langgraph_agent.py ask|resume invoke|astream FILE BASE_URL KEY

`ask` ends by being killed while the agent waits; `resume` consents and prints the answer.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command

from langchain_onerouter import ChatOneRouter

THREAD: Any = {"configurable": {"thread_id": "1"}}
GIVEN: dict[str, Any] = {
    "ask": {"messages": [("user", "What is the weather in 'Oslo'?")]},
    "resume": Command(resume={"decisions": [{"type": "approve"}]}),
}


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


def agent(saver: Any, verb: str, base_url: str, key: str) -> Any:
    """Return the agent; its model streams if the verb does."""
    model = ChatOneRouter(
        model="simulated/echo",
        base_url=base_url,
        api_key=key,
        streaming=verb.endswith("stream") or None,
    )
    consent = HumanInTheLoopMiddleware(interrupt_on={"get_weather": True})
    return create_agent(model, [get_weather], middleware=[consent], checkpointer=saver)


def go_on(step: str, verb: str, file: str, *reach: str) -> dict[str, Any]:
    """Take the agent to where it waits, or to its end, and return its state there."""
    if verb.startswith("a"):
        return asyncio.run(ago_on(step, verb, file, *reach))
    with SqliteSaver.from_conn_string(file) as saver:
        state: dict[str, Any] = agent(saver, verb, *reach).invoke(GIVEN[step], THREAD)
    return state


async def ago_on(step: str, verb: str, file: str, *reach: str) -> dict[str, Any]:
    """Do the same on an event loop."""
    async with AsyncSqliteSaver.from_conn_string(file) as saver:
        state: dict[str, Any] = await agent(saver, verb, *reach).ainvoke(GIVEN[step], THREAD)
    return state


if __name__ == "__main__":
    reached = go_on(*sys.argv[1:])
    if sys.argv[1] == "ask":
        print("waiting:", bool(reached["__interrupt__"]), flush=True)  # noqa: T201 -- a program
        os.kill(os.getpid(), signal.SIGKILL)
    print(reached["messages"][-1].text)  # noqa: T201 -- a program
