"""What one streamed chunk costs in CPU time: ours, the plain SDK's, and each framework's floor.

A server in a process of its own sends the same stream of text chunks to every target, over and
over, in turns (A B C, A B C ...). CPU time is this process's alone. The floor of a framework is a
model class that yields ready-made chunks and does nothing else. Run it with `make bench`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, LLMMetadata
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from openai import OpenAI

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_core import Connection, Gateway, Message, Request, Text


def stream_of(chunks: int) -> bytes:
    """Return a stream as the gateway sends it, with this many text chunks."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "a/b"}

    def event(delta: dict[str, str], reason: str | None = None, **root: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return b"data: " + json.dumps({**head, "choices": [choice], **root}).encode() + b"\n\n"

    usage = {"prompt_tokens": 5, "completion_tokens": chunks, "total_tokens": 5 + chunks}
    words = event({"content": " word"}) * chunks
    return words + event({}, "stop", usage=usage, cost=0.001) + b"data: [DONE]\n\n"


def serve(listener: socket.socket, body: bytes) -> None:
    """Answer every request on every connection with the same stream."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"
    while True:
        connection, _ = listener.accept()
        with connection:
            while request := connection.recv(65536):
                while b"}" not in request[-3:]:
                    request += connection.recv(65536)
                connection.sendall(head % len(body) + body)


class LangChainFloor(BaseChatModel):
    """Yields ready-made chunks."""

    chunks: int

    @property
    def _llm_type(self) -> str:
        return "floor"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError

    def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        for _ in range(self.chunks):
            yield ChatGenerationChunk(message=AIMessageChunk(content=" word"))


class LlamaIndexFloor(CustomLLM):
    """Yields ready-made responses."""

    chunks: int

    @property
    def metadata(self) -> LLMMetadata:
        """Say nothing in particular."""
        return LLMMetadata()

    @llm_completion_callback()
    def complete(self, *_: Any, **__: Any) -> Any:
        """Not measured."""
        raise NotImplementedError

    @llm_completion_callback()
    def stream_complete(self, *_: Any, **__: Any) -> Any:
        """Not measured."""
        raise NotImplementedError

    @llm_chat_callback()
    def stream_chat(self, messages: Any, **_: Any) -> Any:  # noqa: ARG002 -- the framework's name
        """Yield a growing message."""

        def grow() -> Iterator[ChatResponse]:
            text = ""
            for _ in range(self.chunks):
                text += " word"
                yield ChatResponse(
                    message=ChatMessage(role="assistant", content=text), delta=" word"
                )

        return grow()


def targets(url: str, chunks: int) -> dict[str, Callable[[], Any]]:
    """Return what is measured, by name."""
    ours: dict[str, Any] = {"model": "a/b", "api_key": "k", "base_url": url}
    sdk = OpenAI(api_key="k", base_url=url)
    gateway = Gateway(Connection(api_key=lambda: "key", base_url=url))
    request = Request("a/b", (Message("user", (Text("hi"),)),))
    chat, llm = ChatOneRouter(**ours), OneRouterLLM(**ours)
    lc_floor, li_floor = LangChainFloor(chunks=chunks), LlamaIndexFloor(chunks=chunks)
    message = [ChatMessage(role="user", content="hi")]
    asked = [{"role": "user", "content": "hi"}]
    create: Any = sdk.chat.completions.create
    return {
        "plain SDK": lambda: drain(create(model="a/b", messages=asked, stream=True)),
        "onerouter_core alone": lambda: drain(gateway.stream(request)),
        "LangChain's floor": lambda: drain(lc_floor.stream("hi")),
        "ChatOneRouter": lambda: drain(chat.stream("hi")),
        "LlamaIndex's floor": lambda: drain(li_floor.stream_chat(message)),
        "OneRouterLLM": lambda: drain(llm.stream_chat(message)),
    }


def drain(stream: Any) -> None:
    """Read a stream to its end."""
    for _ in stream:
        pass


def measure(todo: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of each target in each round, rounds interleaved."""
    seconds: dict[str, list[float]] = {name: [] for name in todo}
    for number in range(rounds + 1):
        for name, run in todo.items():
            begun = time.process_time()
            run()
            if number:  # the first round warms up
                seconds[name].append(time.process_time() - begun)
    return seconds


def report(seconds: dict[str, list[float]], chunks: int) -> None:
    """Print microseconds a chunk, and how much of it is above the framework's floor."""
    per_chunk = {name: statistics.median(all_) / chunks * 1e6 for name, all_ in seconds.items()}
    heads = ("CPU per streamed chunk", "median us", "min us", "x SDK", "above floor")
    print("{:<24}{:>10}{:>8}{:>8}{:>13}".format(*heads))
    floors = {"ChatOneRouter": "LangChain's floor", "OneRouterLLM": "LlamaIndex's floor"}
    for name, cost in per_chunk.items():
        least = min(seconds[name]) / chunks * 1e6
        above = f"{cost - per_chunk[floors[name]]:.1f} us" if name in floors else ""
        share = cost / per_chunk["plain SDK"]
        print(f"{name:<24}{cost:>10.1f}{least:>8.1f}{share:>8.2f}{above:>13}")


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--chunks", type=int, default=2000)
    options.add_argument("--rounds", type=int, default=7)
    asked = options.parse_args()
    listener = socket.create_server(("127.0.0.1", 0))
    server = multiprocessing.get_context("fork").Process(
        target=serve, args=(listener, stream_of(asked.chunks)), daemon=True
    )
    server.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    report(measure(targets(url, asked.chunks), asked.rounds), asked.chunks)
    server.terminate()


if __name__ == "__main__":
    main()
