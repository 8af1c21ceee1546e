"""Targets without a framework: HTTP and JSON by hand, the openai SDK, and onerouter_core.

A target makes streamed and complete calls, sync and async. The benchmark reads each stream to its
end; `text` returns the text in one item of a stream.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from http.client import HTTPConnection
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import openai

from benchmarks.payloads import API_KEY, MODEL, CallSpec, encode_tool, tool_functions
from onerouter_core import ConnectionSettings, Gateway, Message, ReplyDelta, Request, Text
from onerouter_core.wire.tools import decode_tool


class Target(Protocol):
    """One client library or class under measurement."""

    def stream(self, spec: CallSpec) -> Iterator[Any]:
        """Make a streamed call, and return its items."""

    async def astream(self, spec: CallSpec) -> AsyncIterator[Any]:
        """Make a streamed call on the event loop, and return its items."""

    def call(self, spec: CallSpec) -> Any:
        """Make a call, and return the complete response."""

    async def acall(self, spec: CallSpec) -> Any:
        """Make a call on the event loop, and return the complete response."""

    def text(self, item: Any) -> str:
        """Return the text in one item of a stream."""


def create_targets(server_url: str) -> dict[str, Target]:
    """Return the targets by name."""
    targets: dict[str, Target] = {
        "HTTP + JSON": HttpTarget(server_url),
        "httpx + JSON": HttpxTarget(server_url),
        "SDK transport + JSON": SdkTransportTarget(server_url),
        "openai SDK": SdkTarget(server_url),
        "openai SDK, aiohttp": SdkTarget(server_url, over_aiohttp=True),
        "onerouter_core": CoreTarget(server_url),
    }
    return targets


class HttpTarget:
    """http.client or aiohttp, and json: the minimum that every client needs."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._connection = HTTPConnection(urlsplit(server_url).netloc)
        self._session: aiohttp.ClientSession | None = None

    def _encode(self, spec: CallSpec, *, stream: bool) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {API_KEY}", "content-type": "application/json"}
        return {"headers": headers, "data": json.dumps(spec.body(stream=stream)).encode()}

    def _post(self, spec: CallSpec, *, stream: bool) -> Any:
        request = self._encode(spec, stream=stream)
        url = f"{spec.path}/chat/completions"
        self._connection.request("POST", url, request["data"], request["headers"])
        return self._connection.getresponse()

    def stream(self, spec: CallSpec) -> Iterator[Any]:
        """Yield the decoded events."""
        with self._post(spec, stream=True) as response:
            for line in response:
                if line.startswith(b"data: {"):
                    yield json.loads(line[6:])

    async def astream(self, spec: CallSpec) -> AsyncIterator[Any]:
        """Return the decoded events."""
        return self._events(spec)

    async def _events(self, spec: CallSpec) -> AsyncIterator[Any]:
        async with self._apost(spec, stream=True) as response:
            last = b""
            async for chunk in response.content.iter_any():
                *lines, last = (last + chunk).split(b"\n")
                for line in lines:
                    if line.startswith(b"data: {"):
                        yield json.loads(line[6:])

    def _apost(self, spec: CallSpec, *, stream: bool) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        url = f"{self._server_url}{spec.path}/chat/completions"
        return self._session.post(url, **self._encode(spec, stream=stream))

    def call(self, spec: CallSpec) -> Any:
        """Return the decoded completion."""
        with self._post(spec, stream=False) as response:
            return json.loads(response.read())

    async def acall(self, spec: CallSpec) -> Any:
        """Return the decoded completion."""
        async with self._apost(spec, stream=False) as response:
            return json.loads(await response.read())

    def text(self, item: Any) -> str:
        """Return the text of an event."""
        return item["choices"][0]["delta"].get("content") or ""

    async def aclose(self) -> None:
        """Close the session of this event loop."""
        if self._session is not None:
            await self._session.close()


class HttpxTarget(HttpTarget):
    """The HTTP client that the SDK uses, and json; the async calls are those of aiohttp."""

    def __init__(self, server_url: str) -> None:
        super().__init__(server_url)
        self._client = openai.DefaultHttpxClient(base_url=server_url)  # httpx2 with openai 3

    def stream(self, spec: CallSpec) -> Iterator[Any]:
        """Yield the decoded events."""
        request = self._encode(spec, stream=True)
        url = f"{spec.path}/chat/completions"
        headers, content = request["headers"], request["data"]
        with self._client.stream("POST", url, headers=headers, content=content) as response:
            last = b""
            for chunk in response.iter_bytes():
                *lines, last = (last + chunk).split(b"\n")
                for line in lines:
                    if line.startswith(b"data: {"):
                        yield json.loads(line[6:])

    def call(self, spec: CallSpec) -> Any:
        """Return the decoded completion."""
        request = self._encode(spec, stream=False)
        url = f"{spec.path}/chat/completions"
        response = self._client.post(url, headers=request["headers"], content=request["data"])
        return json.loads(response.content)


class SdkTarget:
    """The openai SDK, used as its documentation shows."""

    def __init__(self, server_url: str, *, over_aiohttp: bool = False) -> None:
        self._server_url = server_url
        self._over_aiohttp = over_aiohttp
        self._clients: dict[tuple[type, str], Any] = {}

    def _create(self, client_class: type, spec: CallSpec) -> Any:
        """Return `chat.completions.create` of the client for this path."""
        key = client_class, spec.path
        if key not in self._clients:
            http = {"http_client": openai.DefaultAioHttpClient()} if self._over_aiohttp else {}
            base_url = self._server_url + spec.path
            self._clients[key] = client_class(api_key=API_KEY, base_url=base_url, **http)
        return self._clients[key].chat.completions.create

    def stream(self, spec: CallSpec) -> Iterator[Any]:
        """Return the typed chunks."""
        return self._create(openai.OpenAI, spec)(**spec.body(stream=True))

    async def astream(self, spec: CallSpec) -> AsyncIterator[Any]:
        """Return the typed chunks."""
        return await self._create(openai.AsyncOpenAI, spec)(**spec.body(stream=True))

    def call(self, spec: CallSpec) -> Any:
        """Return the typed completion."""
        return self._create(openai.OpenAI, spec)(**spec.body(stream=False))

    async def acall(self, spec: CallSpec) -> Any:
        """Return the typed completion."""
        return await self._create(openai.AsyncOpenAI, spec)(**spec.body(stream=False))

    def text(self, item: Any) -> str:
        """Return the text of a chunk."""
        return item.choices[0].delta.content or ""

    async def aclose(self) -> None:
        """Close the clients of this event loop."""
        for client in self._clients.values():
            if isinstance(client, openai.AsyncOpenAI):
                await client.close()


def _response_class() -> Any:
    """Return the response class of the SDK's HTTP client: httpx, or httpx2 with openai 3."""
    return import_module(openai.DefaultHttpxClient.__mro__[-2].__module__.split(".")[0]).Response


class SdkTransportTarget(SdkTarget):
    """The SDK as transport only, over the HTTP libraries that our classes use, and json."""

    def _post(self, client_class: type, spec: CallSpec, *, stream: bool) -> Any:
        key = client_class, spec.path
        if key not in self._clients:
            is_async = client_class is openai.AsyncOpenAI
            http = {"http_client": openai.DefaultAioHttpClient()} if is_async else {}
            base_url = self._server_url + spec.path
            self._clients[key] = client_class(
                api_key=API_KEY, base_url=base_url, max_retries=0, **http
            )
        client = self._clients[key]
        arguments = {"cast_to": _response_class(), "stream": stream}
        return client.post("/chat/completions", body=spec.body(stream=stream), **arguments)

    def stream(self, spec: CallSpec) -> Iterator[Any]:
        """Yield the decoded events."""
        last = b""
        for chunk in self._post(openai.OpenAI, spec, stream=True).iter_raw():
            *lines, last = (last + chunk).split(b"\n")
            for line in lines:
                if line.startswith(b"data: {"):
                    yield json.loads(line[6:])

    async def astream(self, spec: CallSpec) -> AsyncIterator[Any]:
        """Return the decoded events."""
        return self._events(await self._post(openai.AsyncOpenAI, spec, stream=True))

    async def _events(self, response: Any) -> AsyncIterator[Any]:
        last = b""
        async for chunk in response.aiter_raw():
            *lines, last = (last + chunk).split(b"\n")
            for line in lines:
                if line.startswith(b"data: {"):
                    yield json.loads(line[6:])

    def call(self, spec: CallSpec) -> Any:
        """Return the decoded completion."""
        return json.loads(self._post(openai.OpenAI, spec, stream=False).content)

    async def acall(self, spec: CallSpec) -> Any:
        """Return the decoded completion."""
        return json.loads((await self._post(openai.AsyncOpenAI, spec, stream=False)).content)

    def text(self, item: Any) -> str:
        """Return the text of an event."""
        return item["choices"][0]["delta"].get("content") or ""


class CoreTarget:
    """onerouter_core alone, the base of both of our classes."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._prepared: dict[CallSpec, tuple[Gateway, Request]] = {}

    def _prepare(self, spec: CallSpec) -> tuple[Gateway, Request]:
        """Return the gateway and the request of a call, made once."""
        if spec not in self._prepared:
            messages = tuple(
                Message(message["role"], (Text(message["content"]),)) for message in spec.messages()
            )
            functions = tool_functions(spec.tool_count)
            tools = tuple(decode_tool(encode_tool(function)) for function in functions)
            gateway = Gateway(
                ConnectionSettings(api_key=lambda: API_KEY, base_url=self._server_url + spec.path)
            )
            self._prepared[spec] = gateway, Request(MODEL, messages, tools)
        return self._prepared[spec]

    def stream(self, spec: CallSpec) -> Iterator[ReplyDelta]:
        """Return the reply deltas."""
        gateway, request = self._prepare(spec)
        return gateway.stream(request)

    async def astream(self, spec: CallSpec) -> AsyncIterator[ReplyDelta]:
        """Return the reply deltas."""
        gateway, request = self._prepare(spec)
        return await gateway.astream(request)

    def call(self, spec: CallSpec) -> Any:
        """Return the reply."""
        gateway, request = self._prepare(spec)
        return gateway.complete(request)

    async def acall(self, spec: CallSpec) -> Any:
        """Return the reply."""
        gateway, request = self._prepare(spec)
        return await gateway.acomplete(request)

    def text(self, item: ReplyDelta) -> str:
        """Return the text of a reply delta."""
        return item.text
