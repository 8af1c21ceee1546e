"""Fixtures: the plain OpenAI SDK, sync and async, and plain HTTP clients of the simulator."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import httpx
import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI

from onerouter_simulator import Simulator

JSON: TypeAlias = dict[str, Any]
Complete: TypeAlias = Callable[..., Any]
Post: TypeAlias = Callable[..., httpx.Response]
Connect: TypeAlias = Callable[[], socket.socket]

INTEGER = {"type": "integer"}
STRING = {"type": "string"}
# A PNG image of one pixel, 70 bytes.
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJg"
    "gg=="
)
IMAGE_PART = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}


def function(name: str, *required: str, **properties: JSON) -> JSON:
    """Return a tool; all its properties are required unless some are named."""
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(required or properties),
    }
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


MULTIPLY = function("multiply", a=INTEGER, b=INTEGER)
WEATHER = function("get_weather", location=STRING)
CLOCK = function("tell_time", city=STRING)


def user_message(*parts: JSON | str) -> JSON:
    """Return a user message with these parts; a string is a text part."""
    content = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return {"role": "user", "content": content}


def tool_turn(name: str, result: str, question: str = "What now?") -> list[JSON]:
    """Return a user message, a call of the tool, and the result of the tool."""
    call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": "{}"}}
    return [
        {"role": "user", "content": question},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": result},
    ]


def authorization(sim: Simulator) -> dict[str, str]:
    """Return the header with the simulator's API key."""
    return {"authorization": f"Bearer {sim.api_key}"}


def create_arguments(prompt: str | list[JSON], body: JSON) -> JSON:
    """Return the arguments of the SDK's `create`; all other parameters go into `extra_body`."""
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    model = body.pop("model", "simulated/echo")
    return {"model": model, "messages": messages, "extra_body": body}


def client_arguments(sim: Simulator) -> JSON:
    """Return the arguments of both SDK clients."""
    return {"base_url": sim.base_url, "api_key": sim.api_key, "max_retries": 0}


def complete_sync(sim: Simulator, prompt: str | list[JSON], **body: Any) -> Any:
    """Return the reply, or the chunks if `stream` is true, with the sync SDK client."""
    stream = body.pop("stream", False)
    # Without verify=False the client loads certificates, which takes most of the time of a call.
    http_client = DefaultHttpxClient(verify=False)
    with OpenAI(**client_arguments(sim), http_client=http_client) as client:
        reply = client.chat.completions.create(stream=stream, **create_arguments(prompt, body))
        return [chunk.to_dict() for chunk in reply] if stream else reply.to_dict()


def complete_async(sim: Simulator, prompt: str | list[JSON], **body: Any) -> Any:
    """Return the reply, or the chunks if `stream` is true, with the async SDK client."""

    async def complete() -> Any:
        stream = body.pop("stream", False)
        http_client = DefaultAsyncHttpxClient(verify=False)
        async with AsyncOpenAI(**client_arguments(sim), http_client=http_client) as client:
            completions = client.chat.completions
            reply = await completions.create(stream=stream, **create_arguments(prompt, body))
            return [chunk.to_dict() async for chunk in reply] if stream else reply.to_dict()

    return asyncio.run(complete())


@pytest.fixture(params=[complete_sync, complete_async], ids=["sync", "async"])
def complete(request: pytest.FixtureRequest, sim: Simulator) -> Complete:
    """Return a function that requests a completion and returns the body of the reply."""
    return partial(request.param, sim)


@pytest.fixture
def get_message(complete: Complete) -> Complete:
    """Return a function that requests a completion and returns the message of the reply."""
    return lambda prompt, **body: complete(prompt, **body)["choices"][0]["message"]


@pytest.fixture
def http(sim: Simulator) -> Iterator[httpx.Client]:
    """Return an HTTP client that sends the API key."""
    headers = authorization(sim)
    with httpx.Client(base_url=sim.base_url, headers=headers, verify=False) as client:  # noqa: S501 - no TLS on loopback
        yield client


@pytest.fixture
def post(http: httpx.Client) -> Post:
    """Return a function that posts a valid chat completion with the given fields replaced."""

    def send(**body: Any) -> httpx.Response:
        messages = [{"role": "user", "content": "Hello"}]
        valid = {"model": "simulated/echo", "messages": messages}
        return http.post("/chat/completions", json=valid | body)

    return send


@pytest.fixture
def connect(sim: Simulator) -> Iterator[Connect]:
    """Return a function that posts a chat completion over a plain socket and returns the socket."""
    connections: list[socket.socket] = []
    host, port = sim.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\n{{}}"

    def send() -> socket.socket:
        connection = socket.create_connection((host, int(port)), timeout=5)
        connection.sendall(head.encode())
        connections.append(connection)
        return connection

    yield send
    for connection in connections:
        connection.close()
