"""A failed call keeps none of its caller's objects alive, once the caller has dropped the error.

The garbage collector is disabled: an object in a reference cycle with a frame would be alive.
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
from onerouter_core import ConnectionSettings, Gateway
from onerouter_core.errors import OneRouterError
from onerouter_simulator import tool_call
from tests.core.payloads import HELLO, chunk, completion
from tests.faults.adapters import MODEL_FIELDS, VARIANTS, CallVariant
from tests.faults.cases import ScriptByMode
from tests.faults.conftest import CLASSES, hide_aiohttp
from tests.faults.entry_points import multiply
from tests.faults.http_scripts import chunked, compact, head, response, stream
from tests.faults.server import End, HTTPScript, Server

BODY = compact(completion("Hi"))
PARTIAL: dict[End, ScriptByMode] = {
    end: ScriptByMode(
        (head(200, content_length=len(BODY)), BODY[:40], end),
        (*stream(chunk("Hi"), done=False, ended=False), end),
    )
    for end in End
}
ERROR_BODY = {"error": {"message": "down"}}


def in_both_modes(script: HTTPScript) -> ScriptByMode:
    """Return a script that fails complete and streamed calls alike."""
    return ScriptByMode(script, script)


FAILURES: dict[str, ScriptByMode | None] = {
    "no server": None,
    "closed": in_both_modes((End.CLOSE,)),
    "reset": in_both_modes((End.RESET,)),
    "silence": in_both_modes((End.HANG,)),
    "silence in the body": PARTIAL[End.HANG],
    "incomplete body": PARTIAL[End.CLOSE],
    "not HTTP": in_both_modes((b"x\r\n\r\n", End.CLOSE)),
    "status 500": in_both_modes(response(ERROR_BODY, 500)),
    "status 401": in_both_modes(response({"error": {"message": "no"}}, 401)),
    "incomplete error body": in_both_modes((head(502, None, content_length=9), b"x", End.CLOSE)),
    "not JSON": ScriptByMode(response(b"{"), chunked(b"data: x\n\n")),
    "not gzip": in_both_modes(response(b"x", content_encoding="gzip")),
    "error in the reply": ScriptByMode(response(ERROR_BODY), stream(chunk("Hi"), ERROR_BODY)),
}
CLOSED_PORT = "http://127.0.0.1:9/v1"
TIMEOUTS = {"silence": 0.1, "silence in the body": 0.1}  # seconds


class GatewayCaller:
    """Calls the core's gateway as the adapters call the two classes."""

    def __init__(self, model: str, api_key: str, **connection: Any) -> None:
        self._gateway = Gateway(ConnectionSettings(api_key=SecretStr(api_key), **connection))

    def call(self, mode: str, results: list[Any]) -> None:
        """Call the gateway and append the results."""
        if mode == "complete":
            results.append(self._gateway.complete(HELLO))
        else:
            results.extend(self._gateway.stream(HELLO))

    async def acall(self, mode: str, results: list[Any]) -> None:
        """Call the gateway on an event loop and append the results."""
        if mode == "complete":
            results.append(await self._gateway.acomplete(HELLO))
        else:
            results.extend([delta async for delta in await self._gateway.astream(HELLO)])

    def close(self) -> None:
        """Close the connections."""
        self._gateway.close()


class ModelCaller:
    """Calls one of the two classes through its adapter."""

    def __init__(self, name: str, **fields: Any) -> None:
        model_class, self._adapter = CLASSES[name]
        self._model = model_class(**fields)

    def call(self, mode: str, results: list[Any]) -> None:
        """Call the model and append the results."""
        self._adapter.call(self._model, mode, results)

    async def acall(self, mode: str, results: list[Any]) -> None:
        """Call the model on an event loop and append the results."""
        await self._adapter.acall(self._model, mode, results)

    def close(self) -> None:
        """Close the connections."""
        self._model.close()


def make_model_caller(name: str, **connection: Any) -> GatewayCaller | ModelCaller:
    """Return a caller of the gateway, or of the class of this name."""
    if name == "Gateway":
        return GatewayCaller(**MODEL_FIELDS, **connection)
    return ModelCaller(name, **MODEL_FIELDS, **connection)


def bound_call(caller: GatewayCaller | ModelCaller, variant: CallVariant) -> Callable[[], Any]:
    """Return the call of a variant, without arguments."""
    method = caller.call if variant.backend is None else caller.acall
    return partial(method, variant.mode, [])


class Held:
    """An object in a local variable of the caller."""


async def fail(call: Callable[[], Any]) -> ref[Held]:
    """Make a call that fails while a local refers to an object; return a weak reference to it."""
    held = Held()
    try:
        if isawaitable(result := call()):
            await result
    except OneRouterError:
        return ref(held)
    raise AssertionError("The call did not fail.")


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    """Disable the garbage collector during a test."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("name", ["Gateway", *CLASSES])
@pytest.mark.usefixtures("new_clients", "no_garbage_collection")
def test_a_failed_call_keeps_nothing_of_its_caller(  # noqa: PLR0913, PLR0917 -- parameters
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    variant: CallVariant,
    failure: str,
    retries: int,
) -> None:
    """No frame of an HTTP library, of tenacity or of a framework is in a reference cycle."""
    if variant.backend == "default":
        hide_aiohttp(monkeypatch)
    scripts = FAILURES[failure]
    url = (
        CLOSED_PORT if scripts is None else server.endpoint(getattr(scripts, variant.mode)).base_url
    )
    timeout = TIMEOUTS.get(failure, 5)
    caller = make_model_caller(name, base_url=url, timeout=timeout, max_retries=retries)
    held = asyncio.run(fail(bound_call(caller, variant)))
    assert held() is None
    caller.close()


@pytest.mark.parametrize("method", ["predict_and_call", "apredict_and_call"])
@pytest.mark.usefixtures("no_garbage_collection")
def test_a_call_of_an_unknown_tool_keeps_nothing_of_its_caller(server: Server, method: str) -> None:
    """It fails in the framework, after the reply."""
    calls = completion({"content": None, "tool_calls": [tool_call("g", "{}", "c")]})
    llm = OneRouterLLM(**MODEL_FIELDS, base_url=server.endpoint(response(calls)).base_url)
    tools = [FunctionTool.from_defaults(multiply)]
    held = asyncio.run(fail(partial(getattr(llm, method), tools, "Hi")))
    assert held() is None
    llm.close()


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("name", ["Gateway", *CLASSES])
@pytest.mark.usefixtures("new_clients")
def test_the_error_that_the_caller_handles_keeps_its_traceback(
    name: str, variant: CallVariant, retries: int
) -> None:
    """Only our error, its causes and its contexts lose their tracebacks."""
    caller = make_model_caller(name, base_url=CLOSED_PORT, max_retries=retries)
    handled: list[ValueError] = []

    async def call() -> None:
        try:
            int("no number")
        except ValueError as error:
            await fail(bound_call(caller, variant))
            handled.append(error)

    asyncio.run(call())
    assert handled[0].__traceback__ is not None
    caller.close()
