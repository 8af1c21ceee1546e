"""A LlamaIndex agent that waits for approval, as a program; its context is in a JSON file.

python workflow_agent.py ask|resume complete|streamed FILE BASE_URL KEY

`ask` runs until the agent waits and kills the process; `resume` approves and prints the answer.
"""

import asyncio
import json
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.workflow import Context, HumanResponseEvent, InputRequiredEvent

from llama_index_onerouter import OneRouterLLM

# LlamaIndex does not resolve the annotations of a tool: no `from __future__ import annotations`.

# A serialized context has no memory, and LlamaIndex warns of it; the file has both.
warnings.filterwarnings("ignore", message="Skipping serialization of known unserializable key")


async def get_weather(ctx: Context, city: str) -> str:
    """Tell the weather of a city."""
    request = InputRequiredEvent(prefix=f"May I ask about {city}?")
    approval = await ctx.wait_for_event(HumanResponseEvent, waiter_event=request, waiter_id=city)
    return f"{approval.response}, sunny in {city}"


def make_agent(kind: str, base_url: str, key: str) -> FunctionAgent:
    """Return the agent."""
    llm = OneRouterLLM(model="simulated/echo", base_url=base_url, api_key=key)
    return FunctionAgent(tools=[get_weather], llm=llm, streaming=kind == "streamed")


async def ask(kind: str, *connection: str) -> dict[str, Any]:
    """Run the agent until it waits, and return its context and its memory."""
    memory = ChatMemoryBuffer.from_defaults(token_limit=9000)
    run = make_agent(kind, *connection).run("What is the weather in 'Oslo'?", memory=memory)
    async for event in run.stream_events():
        if isinstance(event, InputRequiredEvent):
            break
    else:
        await run  # the agent ended without waiting: raise its error
    messages = [message.model_dump(mode="json") for message in memory.get_all()]
    return {"context": run.ctx.to_dict(), "memory": messages}


async def resume(state: dict[str, Any], kind: str, *connection: str) -> str:
    """Approve, run the agent to its end, and return its answer."""
    agent = make_agent(kind, *connection)
    run = agent.run(ctx=Context.from_dict(agent, state["context"]))
    messages = [ChatMessage.model_validate(message) for message in state["memory"]]
    memory = ChatMemoryBuffer.from_defaults(chat_history=messages, token_limit=9000)
    await run.ctx.store.set("memory", memory)
    run.ctx.send_event(HumanResponseEvent(response="yes"))
    return str(await run)


if __name__ == "__main__":
    step, kind, file, *connection = sys.argv[1:]
    if step == "ask":
        Path(file).write_text(json.dumps(asyncio.run(ask(kind, *connection))), "utf-8")
        os.kill(os.getpid(), signal.SIGKILL)
    state = json.loads(Path(file).read_text("utf-8"))
    print(asyncio.run(resume(state, kind, *connection)))  # noqa: T201 -- a program
