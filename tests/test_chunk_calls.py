"""What a streamed chunk costs, counted in calls: no clock, so that a noisy machine may run it.

Only calls of functions of ours count, by the file they are in: what a framework or the SDK does in
theirs differs from version to version. A comprehension is no call here, since from Python 3.12 on
it is none anywhere. A generator that goes on is one: Python enters its frame anew.

The numbers below are the most there may be. Where one has become smaller, write the smaller one.
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

# How many calls of ours one more chunk takes, in either colour.
MOST = {
    ("core", "text"): 13,
    ("core", "reasoning"): 14,
    ("core", "tool"): 24,
    ("ChatOneRouter", "text"): 17,
    ("ChatOneRouter", "reasoning"): 18,
    ("ChatOneRouter", "tool"): 30,
    ("OneRouterLLM", "text"): 26,
    ("OneRouterLLM", "reasoning"): 27,
    ("OneRouterLLM", "tool"): 38,
}
ROOM = 0.5  # the bytes may come in a few more or fewer reads; one call more per chunk is 1

DELTAS: dict[str, Any] = {
    "text": {"content": " word"},
    "reasoning": {"reasoning": " word"},
    "tool": {"tool_calls": [{"index": 0, "function": {"arguments": " "}}]},
}


def event(delta: Any, reason: str | None = None) -> bytes:
    """Return an event as the gateway sends it."""
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return (
        b"data: " + json.dumps({"id": "c", "model": "a/b", "choices": [choice]}).encode() + b"\n\n"
    )


def body(kind: str, chunks: int) -> bytes:
    """Return a stream with so many chunks of a kind, that ends as it should."""
    call = {"index": 0, "id": "call_1", "function": {"name": "look_up", "arguments": "{}"}}
    first = event({"content": "Well:", "tool_calls": [call]})
    return first + event(DELTAS[kind]) * chunks + event({}, "stop") + b"data: [DONE]\n\n"


@contextmanager
def serving(answer: bytes) -> Iterator[str]:
    """Serve one answer, to one request, in as few packets as may be."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            request = connection.recv(65536)
            while not request.endswith(b"}"):
                request += connection.recv(65536)
            connection.sendall(head % len(answer) + answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        server.join()


def count(read: Callable[[], None]) -> int:
    """Return how many functions of ours are called while a stream is read."""
    calls = 0

    def see(frame: FrameType, what: str, _: Any) -> None:
        nonlocal calls
        code = frame.f_code
        if what == "call" and code.co_filename.startswith(OURS):
            calls += code.co_name not in COMPREHENSIONS

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        read()
    finally:
        sys.setprofile(before)
    return calls


# --- who reads ---


def core(url: str) -> Iterable[Any]:
    """Read pieces."""
    with Gateway(ConnectionSettings(api_key=lambda: "key", base_url=url)) as gateway:
        yield from gateway.stream(HELLO)


async def acore(url: str) -> AsyncIterable[Any]:
    """Read pieces."""
    async with Gateway(ConnectionSettings(api_key=lambda: "key", base_url=url)) as gateway:
        async for piece in await gateway.astream(HELLO):
            yield piece


def langchain(url: str) -> Iterable[Any]:
    """Read chunks."""
    with ChatOneRouter(model="a/b", api_key="key", base_url=url) as llm:
        yield from llm.stream("hi")


async def alangchain(url: str) -> AsyncIterable[Any]:
    """Read chunks."""
    async with ChatOneRouter(model="a/b", api_key="key", base_url=url) as llm:
        async for chunk in llm.astream("hi"):
            yield chunk


def llama_index(url: str) -> Iterable[Any]:
    """Read responses."""
    with OneRouterLLM(model="a/b", api_key="key", base_url=url) as llm:
        yield from llm.stream_chat([ChatMessage("hi")])


async def allama_index(url: str) -> AsyncIterable[Any]:
    """Read responses."""
    async with OneRouterLLM(model="a/b", api_key="key", base_url=url) as llm:
        async for response in await llm.astream_chat([ChatMessage("hi")]):
            yield response


HELLO = Request("a/b", (Message("user", (Text("hi"),)),))
READERS = {
    "sync": {"core": core, "ChatOneRouter": langchain, "OneRouterLLM": llama_index},
    "async": {"core": acore, "ChatOneRouter": alangchain, "OneRouterLLM": allama_index},
}


def drain(stream: Any) -> None:
    """Read a stream of either colour to its end."""

    async def run() -> None:
        async for _ in stream:
            pass

    if isinstance(stream, AsyncIterable):
        asyncio.run(run())
    else:
        collections.deque(stream, maxlen=0)


@pytest.mark.parametrize("colour", READERS)
@pytest.mark.parametrize(("reader", "kind"), MOST)
def test_calls_per_chunk(reader: str, kind: str, colour: str) -> None:
    """One more chunk takes no more calls than it did: what a stream takes besides drops out."""
    counted = []
    for chunks in (200, 400):
        with serving(body(kind, chunks)) as url:
            counted.append(count(lambda url=url: drain(READERS[colour][reader](url))))
    calls = (counted[1] - counted[0]) / 200
    assert calls <= MOST[reader, kind] + ROOM
