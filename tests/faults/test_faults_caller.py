"""A call that failed, and whose error the caller has dropped, keeps nothing of the caller's alive.

Without the garbage collector: whatever refers to a frame that refers to it stays until that comes,
and with the frame the locals of all its callers.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from functools import partial
from inspect import isawaitable
from typing import Any
from weakref import ref

import pytest
from llama_index.core.tools import FunctionTool
from pydantic import SecretStr

from llama_index_onerouter import OneRouterLLM
from onerouter_core import Connection, Gateway
from onerouter_core.errors import OneRouterError
from onerouter_simulator.bodies import tool_call
from tests.core.bodies import HELLO, chunk, completion
from tests.faults.behaviours import Modes
from tests.faults.conftest import CLASSES, without_aiohttp
from tests.faults.entry_points import multiply
from tests.faults.faces import REACH, WAYS, Way
from tests.faults.plays import chunked, compact, head, http, stream
from tests.faults.server import End, Play, Server

GOOD = compact(completion("Hi"))
HALF: dict[End, Modes] = {
    end: Modes(
        (head(200, content_length=len(GOOD)), GOOD[:40], end),
        (*stream(chunk("Hi"), done=False, ended=False), end),
    )
    for end in End
}


def either(play: Play) -> Modes:
    """Return a play that fails in both modes."""
    return Modes(play, play)


FAILURES: dict[str, Modes | None] = {
    "no server": None,
    "no answer": either((End.CLOSE,)),
    "a reset": either((End.RESET,)),
    "silence": either((End.HANG,)),
    "silence later": HALF[End.HANG],
    "a body that breaks off": HALF[End.CLOSE],
    "no HTTP": either((b"x\r\n\r\n", End.CLOSE)),
    "status 500": either(http({"error": {"message": "down"}}, 500)),
    "status 401": either(http({"error": {"message": "no"}}, 401)),
    "half a refusal": either((head(502, None, content_length=9), b"x", End.CLOSE)),
    "no JSON": Modes(http(b"{"), chunked(b"data: x\n\n")),
    "no gzip": either(http(b"x", content_encoding="gzip")),
    "an error in the answer": Modes(
        http({"error": {"message": "down"}}), stream(chunk("Hi"), {"error": {"message": "down"}})
    ),
}
DEAD = "http://127.0.0.1:9/v1"
SECONDS = {"silence": 0.1, "silence later": 0.1}


class Core:
    """The core's gateway, asked as the two classes are."""

    def __init__(self, model: str, api_key: str, **reached: Any) -> None:
        self._gateway = Gateway(Connection(api_key=SecretStr(api_key), **reached))

    def ask(self, mode: str, got: list[Any]) -> None:
        """Ask, and take what comes."""
        if mode == "whole":
            got.append(self._gateway.complete(HELLO))
        else:
            got.extend(self._gateway.stream(HELLO))

    async def aask(self, mode: str, got: list[Any]) -> None:
        """Ask on an event loop, and take what comes."""
        if mode == "whole":
            got.append(await self._gateway.acomplete(HELLO))
        else:
            got.extend([piece async for piece in await self._gateway.astream(HELLO)])

    def close(self) -> None:
        """Close the connections."""
        self._gateway.close()


class Class:
    """One of the two classes, asked in the words of its framework."""

    def __init__(self, name: str, **fields: Any) -> None:
        kind, self._face = CLASSES[name]
        self._model = kind(**fields)

    def ask(self, mode: str, got: list[Any]) -> None:
        """Ask, and take what comes."""
        self._face.ask(self._model, mode, got)

    async def aask(self, mode: str, got: list[Any]) -> None:
        """Ask on an event loop, and take what comes."""
        await self._face.aask(self._model, mode, got)

    def close(self) -> None:
        """Close the connections."""
        self._model.close()


def asked(name: str, **reached: Any) -> Core | Class:
    """Return what is asked, by its name."""
    return Core(**REACH, **reached) if name == "Gateway" else Class(name, **REACH, **reached)


class Large:
    """What a caller holds."""


async def failed(call: Callable[[], Any]) -> ref[Large]:
    """Let a call fail while a local holds something, and return a weak reference to that."""
    large = Large()
    try:
        if isawaitable(answer := call()):
            await answer
    except OneRouterError:
        return ref(large)
    raise AssertionError("It did not fail.")


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Keep the garbage collector away."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("name", ["Gateway", *CLASSES])
@pytest.mark.usefixtures("unshared", "no_collector")
def test_a_failed_call_keeps_nothing_of_its_caller(  # noqa: PLR0913, PLR0917 -- parameters
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    way: Way,
    failure: str,
    retries: int,
) -> None:
    """Neither a frame of an HTTP library, of tenacity's nor of a framework's is in a cycle."""
    if way.backend == "default":
        without_aiohttp(monkeypatch)
    plays = FAILURES[failure]
    url = DEAD if plays is None else server.line(getattr(plays, way.mode)).base_url
    seconds = SECONDS.get(failure, 5)
    one = asked(name, base_url=url, timeout=seconds, max_retries=retries)
    held = asyncio.run(failed(partial(one.ask if way.backend is None else one.aask, way.mode, [])))
    assert held() is None
    one.close()


@pytest.mark.parametrize("method", ["predict_and_call", "apredict_and_call"])
@pytest.mark.usefixtures("no_collector")
def test_a_call_of_a_tool_that_is_not_there(server: Server, method: str) -> None:
    """It fails in the framework, behind the answer."""
    calls = completion({"content": None, "tool_calls": [tool_call("g", "{}", "c")]})
    llm = OneRouterLLM(**REACH, base_url=server.line(http(calls)).base_url)
    tools = [FunctionTool.from_defaults(multiply)]
    held = asyncio.run(failed(partial(getattr(llm, method), tools, "Hi")))
    assert held() is None
    llm.close()


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("name", ["Gateway", *CLASSES])
@pytest.mark.usefixtures("unshared")
def test_what_the_caller_was_handling_is_left_as_it_is(name: str, way: Way, retries: int) -> None:
    """It keeps its traceback: only what led to our error loses its own."""
    one = asked(name, base_url=DEAD, max_retries=retries)
    handled: list[ValueError] = []

    async def call() -> None:
        try:
            int("no number")
        except ValueError as error:
            await failed(partial(one.ask if way.backend is None else one.aask, way.mode, []))
            handled.append(error)

    asyncio.run(call())
    assert handled[0].__traceback__ is not None
    one.close()
