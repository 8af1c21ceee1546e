"""A chat that streams to a browser, with FastAPI (0.135 or later).

    uvicorn --app-dir examples fastapi_stream:app
    curl -N localhost:8000/chat --json '{"text": "Why is the sky blue?"}'

Words go out as server-sent events as they come; an error is the last event. When the browser goes
away the call goes with it: the gateway sees the hang-up, and nobody pays for words nobody reads.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from fastapi import FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

from langchain_onerouter import ChatOneRouter
from onerouter_core import OneRouterError, awarm_up

llm = ChatOneRouter(model=os.environ.get("ONEROUTER_MODEL", "deepseek/deepseek-v4-flash"))


class Question(BaseModel):
    """What the browser sends."""

    text: str


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Be ready before the first question, and close all connections after the last."""
    await awarm_up()
    async with llm:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/chat", response_class=EventSourceResponse)
async def chat(question: Question) -> AsyncIterator[ServerSentEvent]:
    """Answer, word by word."""
    try:
        async with aclosing(llm.astream(question.text)) as chunks:
            async for chunk in chunks:
                yield ServerSentEvent(data=chunk.text)
    except OneRouterError as error:
        yield ServerSentEvent(event="error", data=str(error))
