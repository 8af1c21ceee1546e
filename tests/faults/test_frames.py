"""No failed call gives a secret to an error tracker, which shows frames, locals and causes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from types import FrameType
from typing import Any

import pytest
from rich.console import Console
from rich.traceback import Traceback

from onerouter_core import Ledger, OneRouterError
from onerouter_core.retry import waiting
from tests.core.payloads import chunk, completion
from tests.faults.adapters import KEY as MODEL_KEY
from tests.faults.adapters import VARIANTS, Caller, CallVariant, acall_model, call_model
from tests.faults.cases import ScriptByMode
from tests.faults.conftest import CLASSES, MakeModel, hide_aiohttp
from tests.faults.frame_walk import find_secrets, iter_errors, iter_frames
from tests.faults.http_scripts import response, stream
from tests.faults.secret_recorder import find_leaks
from tests.faults.server import Server
from tests.faults.test_caller_references import CLOSED_PORT, FAILURES, TIMEOUTS, in_both_modes

KEY, HEADER = "sk-canary-key-of-the-model", "canary-header-of-the-model"
FIELDS = {"api_key": KEY, "default_headers": {"x-tenant": HEADER, "cookie": f"id={HEADER}"}}
HTTP_LIBRARIES = ("openai", "httpx", "httpx2", "httpcore", "httpcore2", "aiohttp", "h11", "anyio")
# The core raises a failure, in ways that differ by variant: one class meets each kind in all
# variants, the other in two, which are its own ways: sync and async, complete and streamed.
CALLS = [
    *(("ChatOneRouter", variant) for variant in VARIANTS),
    ("OneRouterLLM", CallVariant("complete")),
    ("OneRouterLLM", CallVariant("stream", "aiohttp")),
]
each_call = pytest.mark.parametrize(("name", "variant"), CALLS, ids=str)
each_async_call = pytest.mark.parametrize(
    ("name", "variant"), [call for call in CALLS if call[1].backend], ids=str
)
each_class = pytest.mark.parametrize("name", CLASSES)


def base_url(server: Server, failure: str, mode: str) -> str:
    """Return the URL of an endpoint that fails in this way."""
    scripts = FAILURES[failure]
    return CLOSED_PORT if scripts is None else server.endpoint(getattr(scripts, mode)).base_url


def call(name: str, model: Any, variant: CallVariant, **options: Any) -> BaseException:
    """Call a model and return the error."""
    adapter = CLASSES[name][1]

    async def acall() -> Any:
        outcome = await acall_model(adapter, model, variant.mode, **options)
        await model.aclose()
        return outcome

    is_sync = variant.backend is None
    outcome = (
        call_model(adapter, model, variant.mode, **options) if is_sync else asyncio.run(acall())
    )
    assert outcome.error is not None
    return outcome.error  # type: ignore[no-any-return]


def is_any(frame: FrameType) -> bool:
    """Walk all frames."""
    return True


def foreign_parts(error: BaseException) -> Iterator[str]:
    """Yield the errors and the frames of HTTP libraries that an error refers to."""
    for linked in iter_errors(error):
        if type(linked).__module__.startswith(HTTP_LIBRARIES):
            yield type(linked).__name__
        for frame in iter_frames(linked):
            if frame.f_globals["__name__"].partition(".")[0] in HTTP_LIBRARIES:
                yield f"{type(linked).__name__}: {frame.f_code.co_name}"


def check(error: BaseException) -> None:
    """Check that an error holds nothing of a request and of an HTTP library."""
    assert list(foreign_parts(error)) == []
    assert find_secrets(error, is_any) == []


@each_call
@pytest.mark.parametrize("failure", FAILURES)
def test_an_error_holds_no_key(server: Server, caller: Caller, failure: str) -> None:
    """In no frame, at no depth, and in no cause; there is no part of an HTTP library."""
    options = {"base_url": base_url(server, failure, caller.mode)}
    options |= {"timeout": TIMEOUTS.get(failure, 5)}
    with waiting(0):  # errors that are not retried take the way without retries
        outcome = caller.call(server.endpoint(), **options, max_retries=1)
    assert isinstance(outcome.error, OneRouterError)
    check(outcome.error)


@each_async_call
@pytest.mark.parametrize("failure", ["silence", "silence in the body"])
def test_a_cancellation_holds_no_secret(  # noqa: PLR0913, PLR0917 -- parameters
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    make_model: MakeModel,
    name: str,
    variant: CallVariant,
    failure: str,
) -> None:
    """Neither does the TimeoutError that asyncio makes of it: its cause is the cancellation."""
    if variant.backend == "default":
        hide_aiohttp(monkeypatch)
    url = base_url(server, failure, variant.mode)
    model = make_model(name, server.endpoint(), **FIELDS, base_url=url)
    errors: list[BaseException] = []

    async def cancelled() -> None:
        try:
            await acall_model(CLASSES[name][1], model, variant.mode)
        except asyncio.CancelledError as error:
            errors.append(error)
            raise

    async def limited() -> None:
        try:
            await asyncio.wait_for(cancelled(), 0.1)
        except asyncio.TimeoutError as error:
            errors.append(error)
        await model.aclose()

    asyncio.run(limited())
    assert len(errors) == 2
    for error in errors:
        check(error)


@each_class
@pytest.mark.parametrize("variant", [VARIANTS[1], VARIANTS[3]], ids=str)
def test_rich_shows_no_secret(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    make_model: MakeModel,
    name: str,
    variant: CallVariant,
) -> None:
    """Its tracebacks show the locals of all frames."""
    if variant.backend == "default":
        hide_aiohttp(monkeypatch)
    url = base_url(server, "closed", variant.mode)
    error = call(name, make_model(name, server.endpoint(), **FIELDS, base_url=url), variant)
    shown = Traceback.from_exception(
        type(error), error, error.__traceback__, show_locals=True, locals_max_length=None
    )
    console = Console(file=StringIO(), width=200)
    with suppress(UnicodeError):
        console.print(shown)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "locals" in text
    assert find_leaks([text]) == []


# --- secrets per call, in our own frames: a framework shows its arguments, a SecretStr masked ---

CALL_KEY, CALL_HEADER = "sk-canary-key-of-a-call", "canary-header-of-a-call"
OPTIONS = {"api_key": CALL_KEY, "extra_headers": {"x-call": CALL_HEADER}}
SPENT = Ledger(budget_usd=0)
WRONG_OPTIONS: dict[str, dict[str, Any]] = {
    "budget": {"ledger": SPENT},
    "range": {"temperature": 99},
    "type": {"default_headers": 5},
    "line break in the key": {"api_key": f"{CALL_KEY}\nx"},
    "line break in a header": {"extra_headers": {"x-call": f"{CALL_HEADER}\n"}},
    "no JSON": {"extra_body": {"x": object()}},
    "field of the model": {"replay_reasoning": True},
    "tools": {"tools": [5]},
    "closed": {},
    "status 401": {},
    "incomplete body": {},
}


def is_ours(frame: FrameType) -> bool:
    """Walk the frames of the packages."""
    packages = ("onerouter_core", "langchain_onerouter", "llama_index_onerouter")
    return bool(frame.f_globals["__name__"].startswith(packages))


@each_call
@pytest.mark.parametrize("wrong", WRONG_OPTIONS)
def test_our_frames_hold_no_secret_of_a_call(server: Server, caller: Caller, wrong: str) -> None:
    """A call with a wrong argument, without budget, or that fails."""
    url = base_url(server, wrong if wrong in FAILURES else "closed", caller.mode)
    options = {"base_url": url, "max_retries": 0, **OPTIONS, **WRONG_OPTIONS[wrong]}
    error = caller.call(server.endpoint(), **options).error
    assert isinstance(error, OneRouterError)
    assert list(foreign_parts(error)) == []
    assert find_secrets(error, is_ours) == []


# --- a key that the server echoes ---

ECHO = f"You are {MODEL_KEY}"
ECHOED: dict[str, Any] = {
    "content": ECHO,
    "reasoning": ECHO,
    "reasoning_details": [{"type": "reasoning.text", "text": ECHO, "index": 0}],
    "annotations": [{"type": "url_citation", "url_citation": {"url": ECHO, "title": ECHO}}],
    "images": [{"type": "image_url", "image_url": {"url": ECHO}}],
    "audio": {"id": ECHO, "transcript": ECHO},
    "unknown": {ECHO: [ECHO, {"deep": (ECHO,)}]},
    "tool_calls": [{"index": 0, "id": ECHO, "function": {"name": "f", "arguments": f'"{ECHO}'}}],
}
ECHO_SCRIPTS = ScriptByMode(
    response({**completion(ECHOED, "error"), "id": ECHO, "provider": ECHO, "model": ECHO}),
    stream({**chunk(ECHOED), "id": ECHO, "provider": ECHO, "model": ECHO}, {"error": ECHO}),
)

ERROR_SCRIPTS = {
    "status": in_both_modes(response({"error": {"message": ECHO, "code": ECHO}}, 401)),
    "error": ScriptByMode(response({"error": ECHO}), stream(chunk("Hel"), {"error": ECHO})),
    "not JSON": ScriptByMode(
        response(ECHO.encode()), stream(chunk("Hel"), f"data: {ECHO}\n\n".encode())
    ),
}


@each_class
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_key_that_the_server_echoes_is_redacted_in_partial(
    server: Server, caller: Caller
) -> None:
    """In every text of it, and in the ledger's entry."""
    ledger = Ledger()
    endpoint = server.endpoint(getattr(ECHO_SCRIPTS, caller.mode))
    error: Any = caller.call(endpoint, ledger=ledger, max_retries=0).error
    assert "You are ***" in error.partial.text
    assert find_secrets(error, lambda _: False) == []
    assert find_leaks([ledger.to_rows(), error.partial]) == []


@each_call
@pytest.mark.parametrize("script", ERROR_SCRIPTS.values(), ids=ERROR_SCRIPTS)
def test_a_key_in_an_error_is_in_no_frame(
    server: Server, caller: Caller, script: ScriptByMode
) -> None:
    """Of an error status, an error in the reply, and a reply that is none."""
    endpoint = server.endpoint(getattr(script, caller.mode))
    error = caller.call(endpoint, max_retries=0).error
    assert isinstance(error, OneRouterError)
    assert find_secrets(error, is_ours) == []
