"""A LlamaIndex agent that waits for consent, as a program; its context is in a JSON file.

python workflow_agent.py ask|resume whole|streamed FILE BASE_URL KEY

`ask` ends by being killed while the agent waits; `resume` consents and prints the answer.
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

# LlamaIndex reads the annotations of a tool as they are: no `from __future__ import annotations`.

# A context leaves its memory out and says so; it is written beside it.
warnings.filterwarnings("ignore", message="Skipping serialization of known unserializable key")


async def get_weather(ctx: Context, city: str) -> str:
    """Tell the weather of a city."""
    asked = InputRequiredEvent(prefix=f"May I ask about {city}?")
    said = await ctx.wait_for_event(HumanResponseEvent, waiter_event=asked, waiter_id=city)
    return f"{said.response}, sunny in {city}"


def agent(kind: str, base_url: str, key: str) -> FunctionAgent:
    """Return the agent."""
    llm = OneRouterLLM(model="simulated/echo", base_url=base_url, api_key=key)
    return FunctionAgent(tools=[get_weather], llm=llm, streaming=kind == "streamed")


async def ask(kind: str, *reach: str) -> dict[str, Any]:
    """Ask, and return where the agent stands when it waits."""
    memory = ChatMemoryBuffer.from_defaults(token_limit=9000)
    asking = agent(kind, *reach)
    run = asking.run("What is the weather in 'Oslo'?", memory=memory)
    async for event in run.stream_events():
        if isinstance(event, InputRequiredEvent):
            break
    else:
        await run  # it did not come to that: say why
    messages = [message.model_dump(mode="json") for message in memory.get_all()]
    return {"context": run.ctx.to_dict(), "memory": messages}


async def resume(kept: dict[str, Any], kind: str, *reach: str) -> str:
    """Go on from there, with consent."""
    going_on = agent(kind, *reach)
    run = going_on.run(ctx=Context.from_dict(going_on, kept["context"]))
    messages = [ChatMessage.model_validate(message) for message in kept["memory"]]
    memory = ChatMemoryBuffer.from_defaults(chat_history=messages, token_limit=9000)
    await run.ctx.store.set("memory", memory)
    run.ctx.send_event(HumanResponseEvent(response="yes"))
    return str(await run)


if __name__ == "__main__":
    step, kind, file, *reach = sys.argv[1:]
    if step == "ask":
        Path(file).write_text(json.dumps(asyncio.run(ask(kind, *reach))), "utf-8")
        os.kill(os.getpid(), signal.SIGKILL)
    print(asyncio.run(resume(json.loads(Path(file).read_text("utf-8")), kind, *reach)))  # noqa: T201 -- a program
