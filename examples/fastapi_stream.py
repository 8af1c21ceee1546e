"""A chat that streams to a browser, with FastAPI (0.135 or later).

    pip install "onerouter-integrations[langchain]" "fastapi>=0.135" uvicorn
    uvicorn --app-dir examples --port 8080 fastapi_stream:app
    curl -N localhost:8080/chat --json '{"text": "Why is the sky blue?"}'

Each chunk of the answer is sent as a server-sent event at once; an error is sent as the last event.
When the browser disconnects, the call is cancelled and the gateway's connection is closed, so that
no unread tokens are generated and billed.
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
    """Body of a chat request."""

    text: str


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Load the SDK before the first request, and close all connections at shutdown."""
    await awarm_up()
    async with llm:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/chat", response_class=EventSourceResponse)
async def chat(question: Question) -> AsyncIterator[ServerSentEvent]:
    """Stream the answer."""
    try:
        async with aclosing(llm.astream(question.text)) as chunks:
            async for chunk in chunks:
                yield ServerSentEvent(data=chunk.text)
    except OneRouterError as error:
        yield ServerSentEvent(event="error", data=str(error))
