"""Targets below the frameworks: HTTP and JSON by hand, the openai SDK, and our own core.

A target streams and calls, each in two colours. What a stream yields is read to its end by who
measures; `text` is what one of its items adds.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from http.client import HTTPConnection
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import openai

from benchmarks.payloads import KEY, MODEL, Ask, functions, spelled
from onerouter_core import ConnectionSettings, Gateway, Message, ReplyDelta, Request, Text
from onerouter_core.wire.encode import decode_tool


class Target(Protocol):
    """What is measured."""

    def stream(self, ask: Ask) -> Iterator[Any]:
        """Return what yields what a user receives."""

    async def astream(self, ask: Ask) -> AsyncIterator[Any]:
        """Return what yields what a user receives."""

    def call(self, ask: Ask) -> Any:
        """Return the whole answer."""

    async def acall(self, ask: Ask) -> Any:
        """Return the whole answer."""

    def text(self, item: Any) -> str:
        """Return what an item of a stream adds."""


def targets(root: str) -> dict[str, Target]:
    """Return the targets by name."""
    every: dict[str, Target] = {
        "plain HTTP + JSON": Http(root),
        "plain SDK": Sdk(root),
        "plain SDK, aiohttp": Sdk(root, on_aiohttp=True),
        "onerouter_core": Core(root),
    }
    return every


class Http:
    """http.client, or aiohttp, and json: what nobody can do without."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._connection = HTTPConnection(urlsplit(root).netloc)
        self._session: aiohttp.ClientSession | None = None

    def _sent(self, ask: Ask, *, stream: bool) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        return {"headers": headers, "data": json.dumps(ask.body(stream=stream)).encode()}

    def _post(self, ask: Ask, *, stream: bool) -> Any:
        sent = self._sent(ask, stream=stream)
        url = f"{ask.path}/chat/completions"
        self._connection.request("POST", url, sent["data"], sent["headers"])
        return self._connection.getresponse()

    def stream(self, ask: Ask) -> Iterator[Any]:
        """Yield events."""
        with self._post(ask, stream=True) as response:
            for line in response:
                if line.startswith(b"data: {"):
                    yield json.loads(line[6:])

    async def astream(self, ask: Ask) -> AsyncIterator[Any]:
        """Return the events."""
        return self._events(ask)

    async def _events(self, ask: Ask) -> AsyncIterator[Any]:
        async with self._apost(ask, stream=True) as response:
            last = b""
            async for chunk in response.content.iter_any():
                *lines, last = (last + chunk).split(b"\n")
                for line in lines:
                    if line.startswith(b"data: {"):
                        yield json.loads(line[6:])

    def _apost(self, ask: Ask, *, stream: bool) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        url = f"{self._root}{ask.path}/chat/completions"
        return self._session.post(url, **self._sent(ask, stream=stream))

    def call(self, ask: Ask) -> Any:
        """Return the completion."""
        with self._post(ask, stream=False) as response:
            return json.loads(response.read())

    async def acall(self, ask: Ask) -> Any:
        """Return the completion."""
        async with self._apost(ask, stream=False) as response:
            return json.loads(await response.read())

    def text(self, item: Any) -> str:
        """Return the words of an event."""
        return item["choices"][0]["delta"].get("content") or ""

    async def aclose(self) -> None:
        """Close the session of this event loop."""
        if self._session is not None:
            await self._session.close()


class Sdk:
    """The openai SDK as its guide shows it."""

    def __init__(self, root: str, *, on_aiohttp: bool = False) -> None:
        self._root = root
        self._on_aiohttp = on_aiohttp
        self._known: dict[tuple[type, str], Any] = {}

    def _create(self, kind: type, ask: Ask) -> Any:
        if (kind, ask.path) not in self._known:
            on = {"http_client": openai.DefaultAioHttpClient()} if self._on_aiohttp else {}
            client = kind(api_key=KEY, base_url=self._root + ask.path, **on)
            self._known[kind, ask.path] = client
        return self._known[kind, ask.path].chat.completions.create

    def stream(self, ask: Ask) -> Iterator[Any]:
        """Return the typed chunks."""
        return self._create(openai.OpenAI, ask)(**ask.body(stream=True))

    async def astream(self, ask: Ask) -> AsyncIterator[Any]:
        """Return the typed chunks."""
        return await self._create(openai.AsyncOpenAI, ask)(**ask.body(stream=True))

    def call(self, ask: Ask) -> Any:
        """Return the typed completion."""
        return self._create(openai.OpenAI, ask)(**ask.body(stream=False))

    async def acall(self, ask: Ask) -> Any:
        """Return the typed completion."""
        return await self._create(openai.AsyncOpenAI, ask)(**ask.body(stream=False))

    def text(self, item: Any) -> str:
        """Return the words of a chunk."""
        return item.choices[0].delta.content or ""

    async def aclose(self) -> None:
        """Close the clients of this event loop."""
        for client in self._known.values():
            if isinstance(client, openai.AsyncOpenAI):
                await client.close()


class Core:
    """What both of our classes stand on."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._known: dict[Ask, tuple[Gateway, Request]] = {}

    def _ready(self, ask: Ask) -> tuple[Gateway, Request]:
        if ask not in self._known:
            said = ((m["role"], (Text(m["content"]),)) for m in ask.messages())
            messages = tuple(Message(role, words) for role, words in said)
            tools = tuple(decode_tool(spelled(tool)) for tool in functions(ask.tools))
            gateway = Gateway(
                ConnectionSettings(api_key=lambda: KEY, base_url=self._root + ask.path)
            )
            self._known[ask] = gateway, Request(MODEL, messages, tools)
        return self._known[ask]

    def stream(self, ask: Ask) -> Iterator[ReplyDelta]:
        """Return the pieces."""
        gateway, request = self._ready(ask)
        return gateway.stream(request)

    async def astream(self, ask: Ask) -> AsyncIterator[ReplyDelta]:
        """Return the pieces."""
        gateway, request = self._ready(ask)
        return await gateway.astream(request)

    def call(self, ask: Ask) -> Any:
        """Return the reply."""
        gateway, request = self._ready(ask)
        return gateway.complete(request)

    async def acall(self, ask: Ask) -> Any:
        """Return the reply."""
        gateway, request = self._ready(ask)
        return await gateway.acomplete(request)

    def text(self, item: ReplyDelta) -> str:
        """Return the words of a piece."""
        return item.text
