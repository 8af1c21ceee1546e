"""Errors of one call: one new error with all that is known of the call, and without secrets."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from time import monotonic
from typing import Any

import openai
import pytest

from onerouter_core import ConnectionSettings, Gateway, Ledger, Reply
from onerouter_core.call_state import CallState
from onerouter_core.errors import (
    APIConnectionError,
    APITimeoutError,
    DeadlineExceededError,
    IncompleteStreamError,
    OneRouterError,
    UpstreamError,
)
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO, chunk, completion

Make = Callable[..., Gateway]
KEY = "sk-secret-key"


class Decoder:
    """A decoder with a partial reply that echoes the key."""

    def __init__(self, events: int) -> None:
        """Begin with this number of events."""
        self.events = events
        self.is_forgotten = False

    def partial(self) -> Reply:
        """Return the reply so far."""
        return Reply(text=f"Your key is {KEY}", id="gen-1", provider="up", request_id="r-1")

    def forget(self) -> None:
        """Note that it was told to forget."""
        self.is_forgotten = True


def fail(error: BaseException, decoder: Decoder | None = None, **settings: Any) -> Any:
    """Raise an error in an attempt; return the one that leaves it."""
    call = CallState(ConnectionSettings(**settings), HELLO)
    call.errors.decoder = decoder
    call.next_request(KEY)
    with pytest.raises(type(error)) as caught, call.errors:
        raise error
    return caught.value


def test_an_error_becomes_a_new_one_with_what_is_known_of_the_call() -> None:
    """Attempts and model; the cause stays, and neither context nor a frame of the old error."""
    old = UpstreamError(f"{KEY} is down", status=502, code=KEY)
    old.__cause__ = ValueError("cause")
    new = fail(old)
    assert new is not old
    assert (str(new.message), new.status, new.code) == ("*** is down", 502, "***")
    assert (new.attempts, new.model) == (1, HELLO.model)
    assert (str(new.__cause__), new.__suppress_context__) == ("cause", True)
    assert (old.__traceback__, old.__context__) == (None, None)
    assert new.args == (new.message,)


@pytest.mark.parametrize(
    ("error", "settings", "events", "expected", "message"),
    [
        (APITimeoutError("x"), {"deadline": 90}, 0, DeadlineExceededError, "deadline of 90 s"),
        (APITimeoutError("x"), {"timeout": 1e-6}, 0, APITimeoutError, "no data for 1e-06 s"),
        (APITimeoutError("x"), {"http_client": object()}, 0, APITimeoutError, "own HTTP client"),
        (APITimeoutError("x", status=408), {"timeout": 1e-6}, 0, APITimeoutError, "x"),
        (APIConnectionError("x"), {"base_url": "https://a/v1"}, 0, APIConnectionError, "x .https"),
        (APIConnectionError("x"), {}, 1, IncompleteStreamError, "interrupted. x"),
    ],
)
def test_an_error_of_the_transport_is_explained(
    error: OneRouterError, settings: Any, events: int, expected: type, message: str
) -> None:
    """By the limit that has passed, by the user's own client, or by the events so far."""
    call = CallState(ConnectionSettings(**{"timeout": None, **settings}), HELLO)
    call.next_request(KEY)
    if expected is DeadlineExceededError:
        call.limits.deadline_at = monotonic()
    call.errors.decoder = Decoder(events)
    with pytest.raises(expected, match=message) as caught, call.errors:
        raise error
    assert type(caught.value) is expected


def test_a_partial_reply_is_recorded_without_the_key() -> None:
    """It gives the error its ids; the decoder, which has the text, forgets it."""
    ledger, decoder = Ledger(), Decoder(1)
    error = fail(UpstreamError("down"), decoder, ledger=ledger)
    assert error.partial.text == "Your key is ***"
    assert (error.generation_id, error.provider, error.request_id) == ("gen-1", "up", "r-1")
    assert [entry.partial for entry in ledger.entries] == [True]
    assert decoder.is_forgotten


@pytest.mark.parametrize("failure", [GeneratorExit(), asyncio.CancelledError(), KeyError("mine")])
def test_another_exception_is_raised_as_it_is(failure: BaseException) -> None:
    """The stream was closed, the task was cancelled, or the user's code failed: it is recorded."""
    ledger = Ledger()
    assert fail(failure, Decoder(1), ledger=ledger) is failure
    assert fail(failure, Decoder(0), ledger=ledger) is failure
    assert len(ledger.entries) == 1


def test_the_attempts_of_a_stream_do_not_share_a_partial_reply(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """The second one fails before an event has come."""
    failing = {"error": {"message": "Model is down", "code": 502}}
    sim.script(Script(events=[failing]), Script(status=500, body="oops"))
    with pytest.raises(UpstreamError) as caught:
        caller.stream(gateway(max_retries=1), HELLO)
    assert (caught.value.partial, caught.value.attempts) == (None, 2)
    sim.script(Script(events=[chunk("Hel"), failing]))
    with pytest.raises(UpstreamError) as caught:
        caller.stream(gateway(max_retries=0), HELLO)
    assert caught.value.partial.text == "Hel"


# --- an interrupted call whose reply had come ---

HTTP: Any = importlib.import_module(openai.DefaultHttpxClient.__mro__[1].__module__.split(".")[0])
"""The HTTP library of the SDK: httpx or httpx2."""

WHOLE = json.dumps(completion("Hi")).encode()


class Interrupted(HTTP.SyncByteStream, HTTP.AsyncByteStream):  # type: ignore[misc]
    """Body whose reader is interrupted, or cancelled, before the response has ended."""

    def __init__(self, body: bytes) -> None:
        """Begin with the bytes that come."""
        self.body = body

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes."""
        yield self.body
        raise KeyboardInterrupt

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the bytes."""
        yield self.body
        raise asyncio.CancelledError


@pytest.mark.parametrize(("body", "entries"), [(WHOLE, 1), (WHOLE[:-1], 0), (b"", 0)])
def test_a_whole_reply_of_an_interrupted_call_is_recorded(body: bytes, entries: int) -> None:
    """It is paid for."""
    transport = HTTP.MockTransport(lambda _: HTTP.Response(200, stream=Interrupted(body)))
    ledger = Ledger()
    settings = ConnectionSettings(api_key=KEY, ledger=ledger, max_retries=0)
    with HTTP.Client(transport=transport) as client, pytest.raises(KeyboardInterrupt):
        Gateway(replace(settings, http_client=client)).complete(HELLO)
    assert len(ledger.entries) == entries

    async def cancel() -> None:
        async with HTTP.AsyncClient(transport=transport) as client:
            with pytest.raises(asyncio.CancelledError):
                await Gateway(replace(settings, http_async_client=client)).acomplete(HELLO)

    asyncio.run(cancel())
    assert len(ledger.entries) == 2 * entries
