"""Function calls per streamed chunk: a measure of cost that does not depend on the machine.

Only calls of functions in our packages count: those of the frameworks and the SDK differ from
version to version. A comprehension does not count: from Python 3.12 on it is not a call. A resumed
generator counts: Python enters its frame again.

The server sends one HTTP chunk per event, as ASGI servers and proxies do. The numbers below were
measured; a tenth more is allowed, so that a helper with a good name can be added.
"""

from __future__ import annotations

import asyncio
import collections
import json
import socket
import sys
import threading
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_core import ConnectionSettings, Gateway, Message, Request, Text

ROOT = Path(__file__).parents[1]
OURS = tuple(
    str(ROOT / package)
    for package in ("onerouter_core", "langchain_onerouter", "llama_index_onerouter")
)
COMPREHENSIONS = {"<listcomp>", "<dictcomp>", "<setcomp>"}

# Calls of our functions for one more chunk. Over aiohttp one read returns several HTTP chunks.
MEASURED_CALLS = {
    ("core", "text"): {"sync": 28, "async": 13},
    ("core", "reasoning"): {"sync": 29, "async": 14},
    ("core", "tool"): {"sync": 38, "async": 23},
    ("ChatOneRouter", "text"): {"sync": 35, "async": 20},
    ("ChatOneRouter", "reasoning"): {"sync": 36, "async": 21},
    ("ChatOneRouter", "tool"): {"sync": 46, "async": 31},
    ("OneRouterLLM", "text"): {"sync": 47, "async": 32},
    ("OneRouterLLM", "reasoning"): {"sync": 49, "async": 34},
    ("OneRouterLLM", "tool"): {"sync": 58, "async": 43},
}
SLACK = 1.1

DELTAS: dict[str, Any] = {
    "text": {"content": " word"},
    "reasoning": {"reasoning": " word"},
    "tool": {"tool_calls": [{"index": 0, "function": {"arguments": " "}}]},
}


def event(delta: Any, reason: str | None = None) -> bytes:
    """Return a server-sent event in the gateway's form."""
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return (
        b"data: " + json.dumps({"id": "c", "model": "a/b", "choices": [choice]}).encode() + b"\n\n"
    )


def body(kind: str, chunks: int) -> bytes:
    """Return a complete stream with this number of chunks of a kind, each in an HTTP chunk."""
    call = {"index": 0, "id": "call_1", "function": {"name": "look_up", "arguments": "{}"}}
    first = event({"content": "Well:", "tool_calls": [call]})
    events = [first, *[event(DELTAS[kind])] * chunks, event({}, "stop"), b"data: [DONE]\n\n", b""]
    return b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in events)


@contextmanager
def serving(answer: bytes) -> Iterator[str]:
    """Answer one request with this body, in as few packets as possible; yield the base URL."""
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            request = connection.recv(65536)
            while not request.endswith(b"}"):
                request += connection.recv(65536)
            connection.sendall(head + answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        server.join()


def count_calls(read: Callable[[], None]) -> int:
    """Return the number of calls of our functions while a stream is read."""
    calls = 0

    def profile(frame: FrameType, event: str, _: Any) -> None:
        nonlocal calls
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(OURS):
            calls += code.co_name not in COMPREHENSIONS

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        read()
    finally:
        sys.setprofile(before)
    return calls


# --- readers ---


def core(url: str) -> Iterable[Any]:
    """Stream deltas from a Gateway."""
    with Gateway(ConnectionSettings(api_key=lambda: "key", base_url=url)) as gateway:
        yield from gateway.stream(HELLO)


async def acore(url: str) -> AsyncIterable[Any]:
    """Stream deltas from a Gateway, async."""
    async with Gateway(ConnectionSettings(api_key=lambda: "key", base_url=url)) as gateway:
        async for delta in await gateway.astream(HELLO):
            yield delta


def langchain(url: str) -> Iterable[Any]:
    """Stream chunks from a ChatOneRouter."""
    with ChatOneRouter(model="a/b", api_key="key", base_url=url) as llm:
        yield from llm.stream("hi")


async def alangchain(url: str) -> AsyncIterable[Any]:
    """Stream chunks from a ChatOneRouter, async."""
    async with ChatOneRouter(model="a/b", api_key="key", base_url=url) as llm:
        async for chunk in llm.astream("hi"):
            yield chunk


def llama_index(url: str) -> Iterable[Any]:
    """Stream responses from a OneRouterLLM."""
    with OneRouterLLM(model="a/b", api_key="key", base_url=url) as llm:
        yield from llm.stream_chat([ChatMessage("hi")])


async def allama_index(url: str) -> AsyncIterable[Any]:
    """Stream responses from a OneRouterLLM, async."""
    async with OneRouterLLM(model="a/b", api_key="key", base_url=url) as llm:
        async for response in await llm.astream_chat([ChatMessage("hi")]):
            yield response


HELLO = Request("a/b", (Message("user", (Text("hi"),)),))
READERS = {
    "sync": {"core": core, "ChatOneRouter": langchain, "OneRouterLLM": llama_index},
    "async": {"core": acore, "ChatOneRouter": alangchain, "OneRouterLLM": allama_index},
}


def drain(stream: Any) -> None:
    """Read a sync or async stream to its end."""

    async def run() -> None:
        async for _ in stream:
            pass

    if isinstance(stream, AsyncIterable):
        asyncio.run(run())
    else:
        collections.deque(stream, maxlen=0)


@pytest.mark.parametrize("sync_or_async", READERS)
@pytest.mark.parametrize(("reader", "kind"), MEASURED_CALLS)
def test_calls_per_chunk(reader: str, kind: str, sync_or_async: str) -> None:
    """One more chunk takes no more calls than were measured, but for a tenth.

    The difference between 400 and 200 chunks leaves out the fixed cost of a stream.
    """
    counts = []
    for chunks in (200, 400):
        with serving(body(kind, chunks)) as url:
            stream = READERS[sync_or_async][reader](url)
            counts.append(count_calls(partial(drain, stream)))
    calls = (counts[1] - counts[0]) / 200
    assert calls <= MEASURED_CALLS[reader, kind][sync_or_async] * SLACK
