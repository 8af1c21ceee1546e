"""A LangGraph agent that waits for approval, as a program; its checkpoints are in an SQLite file.

python langgraph_agent.py ask|resume invoke|astream FILE BASE_URL KEY

`ask` runs until the agent waits and kills the process; `resume` approves and prints the answer.
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

CONFIG: Any = {"configurable": {"thread_id": "1"}}
INPUTS: dict[str, Any] = {
    "ask": {"messages": [("user", "What is the weather in 'Oslo'?")]},
    "resume": Command(resume={"decisions": [{"type": "approve"}]}),
}


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


def make_agent(saver: Any, method: str, base_url: str, key: str) -> Any:
    """Return the agent; its model streams if the method does."""
    model = ChatOneRouter(
        model="simulated/echo",
        base_url=base_url,
        api_key=key,
        streaming=method.endswith("stream") or None,
    )
    approval = HumanInTheLoopMiddleware(interrupt_on={"get_weather": True})
    return create_agent(model, [get_weather], middleware=[approval], checkpointer=saver)


def run_step(step: str, method: str, file: str, *connection: str) -> dict[str, Any]:
    """Run the agent until it waits or ends, and return its state."""
    if method.startswith("a"):
        return asyncio.run(arun_step(step, method, file, *connection))
    with SqliteSaver.from_conn_string(file) as saver:
        agent = make_agent(saver, method, *connection)
        state: dict[str, Any] = agent.invoke(INPUTS[step], CONFIG)
    return state


async def arun_step(step: str, method: str, file: str, *connection: str) -> dict[str, Any]:
    """Run the agent on an event loop until it waits or ends, and return its state."""
    async with AsyncSqliteSaver.from_conn_string(file) as saver:
        agent = make_agent(saver, method, *connection)
        state: dict[str, Any] = await agent.ainvoke(INPUTS[step], CONFIG)
    return state


if __name__ == "__main__":
    final_state = run_step(*sys.argv[1:])
    if sys.argv[1] == "ask":
        print("waiting:", bool(final_state["__interrupt__"]), flush=True)  # noqa: T201 -- a program
        os.kill(os.getpid(), signal.SIGKILL)
    print(final_state["messages"][-1].text)  # noqa: T201 -- a program
