"""Two colours of the plain OpenAI SDK, and plain HTTP, in front of the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import httpx
import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI

from onerouter_simulator import Simulator

JSON: TypeAlias = dict[str, Any]
Ask: TypeAlias = Callable[..., Any]


def request_of(asked: str | list[JSON], body: JSON) -> JSON:
    """Return the SDK's arguments: what it need not know goes as `extra_body`."""
    messages = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    known = {"model": body.pop("model", "simulated/echo"), "messages": messages}
    return known | {"extra_body": body}


def settings(sim: Simulator) -> JSON:
    """Return what both colours of the SDK are told."""
    return {"base_url": sim.base_url, "api_key": sim.api_key, "max_retries": 0}


def ask_sync(sim: Simulator, asked: str | list[JSON], **body: Any) -> Any:
    """Ask with the SDK as it is."""
    stream = body.pop("stream", False)
    # No certificates are loaded where none are used: that is most of the time of a call.
    with OpenAI(**settings(sim), http_client=DefaultHttpxClient(verify=False)) as client:
        reply = client.chat.completions.create(stream=stream, **request_of(asked, body))
        return [chunk.to_dict() for chunk in reply] if stream else reply.to_dict()


def ask_async(sim: Simulator, asked: str | list[JSON], **body: Any) -> Any:
    """Ask with the SDK awaited."""

    async def ask() -> Any:
        stream = body.pop("stream", False)
        transport = DefaultAsyncHttpxClient(verify=False)
        async with AsyncOpenAI(**settings(sim), http_client=transport) as client:
            reply = await client.chat.completions.create(stream=stream, **request_of(asked, body))
            return [chunk.to_dict() async for chunk in reply] if stream else reply.to_dict()

    return asyncio.run(ask())


@pytest.fixture(params=[ask_sync, ask_async], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest, sim: Simulator) -> Ask:
    """Ask for a completion; the whole reply comes back as it was on the wire."""
    return partial(request.param, sim)


@pytest.fixture
def message(ask: Ask) -> Ask:
    """Ask for a completion; only its message comes back."""
    return lambda *asked, **body: ask(*asked, **body)["choices"][0]["message"]


@pytest.fixture
def http(sim: Simulator) -> Iterator[httpx.Client]:
    """Speak HTTP with the right key."""
    headers = {"authorization": f"Bearer {sim.api_key}"}
    with httpx.Client(base_url=sim.base_url, headers=headers, verify=False) as client:  # noqa: S501 - plain HTTP on loopback
        yield client


@pytest.fixture
def post(http: httpx.Client) -> Callable[..., httpx.Response]:
    """Post a chat completion, right but for what is given."""

    def send(**body: Any) -> httpx.Response:
        messages = [{"role": "user", "content": "Hello"}]
        right = {"model": "simulated/echo", "messages": messages}
        return http.post("/chat/completions", json=right | body)

    return send


def function(name: str, *required: str, **properties: JSON) -> JSON:
    """Make a tool; all its properties are required unless some are named."""
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(required or properties),
    }
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


INTEGER = {"type": "integer"}
STRING = {"type": "string"}
