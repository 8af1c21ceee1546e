"""Retries: which failures are retried, how long the waits are, and what is logged."""

from __future__ import annotations

import asyncio
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from email.utils import formatdate
from time import monotonic, sleep
from typing import Any

import pytest

from onerouter_core import Gateway
from onerouter_core.errors import (
    AuthenticationError,
    DeadlineExceededError,
    InsufficientCreditsError,
    ModelNotFoundError,
    OneRouterError,
    RateLimitError,
    UpstreamError,
)
from onerouter_core.retry import apolicy, policy, waiting
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO, chunk, completion, final_reply

Make = Callable[..., Gateway]
Send = Callable[..., Any]

ANSWER = Script(json=completion())
DOWN = Script(status=502, json={"error": {"message": "Model is down"}})


def rate_limit(message: str = "Too fast.", **headers: str) -> Script:
    """Return a 429 response with these headers; underscores in their names are hyphens."""
    http_headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return Script(status=429, headers=http_headers, json={"error": {"message": message}})


# --- which failures are retried ---


@pytest.mark.parametrize("max_retries", [0, 1, 2, 4])
def test_max_retries_is_the_number_of_requests_after_the_first(
    sim: Simulator, gateway: Make, send: Send, max_retries: int
) -> None:
    """The error has the number of all requests."""
    sim.script(*[DOWN] * 6)
    with pytest.raises(UpstreamError, match="Model is down") as caught:
        send(gateway(max_retries=max_retries), HELLO)
    assert len(sim.requests) == max_retries + 1
    assert caught.value.attempts == max_retries + 1


def test_the_first_success_ends_the_retries(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """The reply has the number of requests."""
    sim.script(DOWN, rate_limit(), ANSWER)
    assert caller.complete(gateway(), HELLO).attempts == 3
    assert len(sim.requests) == 3
    sim.script(DOWN, Script(events=[chunk("Hi", "stop")]))
    assert final_reply(caller.stream(gateway(), HELLO)).attempts == 2
    sim.script(ANSWER)
    assert caller.complete(gateway(), HELLO).attempts == 1


TRANSIENT = {
    "no response": Script(status=None),
    "reset before the response": Script(status=None, end="reset"),
    "408": Script(status=408, body="slow"),
    "429": rate_limit(),
    "500": Script(status=500, body="oops"),
    "503": Script(status=503, body="<title>down</title>"),
    "error under 200": Script(json={"error": {"message": "Model is down", "code": 502}}),
    "finish reason error": Script(json=completion("Hel", "error")),
    "interrupted body": Script(body=b'{"choices":', end="cut"),
}


@pytest.mark.parametrize("failure", TRANSIENT.values(), ids=TRANSIENT)
def test_a_transient_failure_is_retried(
    sim: Simulator, gateway: Make, caller: Caller, failure: Script
) -> None:
    """The next request succeeds."""
    sim.script(failure, ANSWER)
    assert caller.complete(gateway(max_retries=1), HELLO).text == "Hi"
    assert len(sim.requests) == 2


PERMANENT = {
    "bad key": (401, "No token provided", AuthenticationError),
    "credits": (403, "Your current credits have been used up", InsufficientCreditsError),
    "balance": (429, "Free model requires Team balance greater than $5", InsufficientCreditsError),
    "no such model": (503, "No available providers for model x/y", ModelNotFoundError),
    "bad request": (400, "Invalid text request", OneRouterError),
}


@pytest.mark.parametrize(("status", "message", "error_class"), PERMANENT.values(), ids=PERMANENT)
def test_a_permanent_failure_is_not_retried(  # noqa: PLR0913, PLR0917 -- fixtures
    sim: Simulator, gateway: Make, send: Send, status: int, message: str, error_class: Any
) -> None:
    """The same request would fail again."""
    sim.script(Script(status=status, json={"error": {"message": message}}), ANSWER)
    with pytest.raises(error_class, match=message.replace("$", r"\$")):
        send(gateway(), HELLO)
    assert len(sim.requests) == 1


@pytest.mark.parametrize(
    "failure",
    [
        rate_limit(retry_after_ms="80"),
        rate_limit(retry_after="0.08"),
        rate_limit("Please try again after 80 ms."),
        rate_limit("Rate limit exceeded. Please try again after 0.08 seconds."),
    ],
    ids=["header in ms", "header in seconds", "message in ms", "message in seconds"],
)
def test_a_429_is_retried_after_retry_after(
    sim: Simulator, gateway: Make, send: Send, failure: Script
) -> None:
    """Not sooner, and there is no other wait."""
    sim.script(failure, Script(events=[chunk("Hi", "stop")]))
    waits: list[float] = []
    with waiting(None):
        send(gateway(), HELLO, on_retry=lambda state: waits.append(state.next_action.sleep))
    first, second = (request.received_at for request in sim.requests)
    assert waits == [pytest.approx(0.08)]
    assert second - first >= waits[0]


def test_without_retry_after_the_wait_is_random(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """The first one is at most half a second."""
    sim.script(DOWN, ANSWER)
    waits: list[float] = []
    with waiting(None):
        caller.complete(
            gateway(), HELLO, on_retry=lambda state: waits.append(state.next_action.sleep)
        )
    assert len(waits) == 1
    assert 0 <= waits[0] <= 0.5


@pytest.mark.parametrize(
    "failure", [rate_limit(retry_after="61"), rate_limit("Try again after 3600 seconds")]
)
def test_a_retry_after_above_a_minute_is_not_retried(
    sim: Simulator, gateway: Make, send: Send, failure: Script
) -> None:
    """The error carries it."""
    sim.script(failure, ANSWER)
    with pytest.raises(RateLimitError) as caught:
        send(gateway(), HELLO)
    assert len(sim.requests) == 1
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > 60


def test_a_wait_beyond_the_deadline_is_not_started(
    sim: Simulator, gateway: Make, send: Send
) -> None:
    """The last error is raised at once."""
    sim.script(rate_limit(retry_after="5"), ANSWER)
    started_at = monotonic()
    with pytest.raises(RateLimitError), waiting(None):
        send(gateway(deadline=1), HELLO)
    assert monotonic() - started_at < 0.9
    assert len(sim.requests) == 1


def test_no_attempt_starts_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The random wait is drawn once: the one that is compared is the one that is slept."""
    draws = iter([30.0, 0.0, 0.0, 0.0])
    monkeypatch.setattr("random.uniform", lambda *_: next(draws))
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    tries: list[int] = []

    def fail() -> None:
        tries.append(1)
        raise UpstreamError("down")

    with pytest.raises(UpstreamError), waiting(None):
        policy(3, monotonic() + 1)(fail)
    assert (tries, slept) == ([1], [])


def test_retry_after_zero_or_a_past_date_is_treated_as_absent(
    sim: Simulator, gateway: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else all retries would be sent within a moment."""
    slept: list[float] = []
    monkeypatch.setattr("random.uniform", lambda *_: 0.3)
    monkeypatch.setattr("time.sleep", slept.append)
    sim.script(
        rate_limit(retry_after="0"), rate_limit(retry_after=formatdate(1, usegmt=True)), ANSWER
    )
    with waiting(None):
        gateway().complete(HELLO)
    assert slept == [0.3, 0.3]


# --- on_retry ---


def test_on_retry_is_called_before_each_wait(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """With the failure; not after the last attempt."""
    sim.script(DOWN, rate_limit(), DOWN, ANSWER)
    seen: list[tuple[int, str]] = []

    def note(state: Any) -> None:
        seen.append((state.attempt_number, type(state.outcome.exception()).__name__))

    with pytest.raises(UpstreamError):
        caller.complete(gateway(max_retries=2), HELLO, on_retry=note)
    assert seen == [(1, "UpstreamError"), (2, "RateLimitError")]


def test_the_state_of_a_retry_is_that_of_tenacity(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """With the waits so far; callbacks of LangChain read it, and it outlives the call."""
    sim.script(DOWN, DOWN, ANSWER)
    states: list[Any] = []
    with waiting(0.01):
        caller.complete(gateway(), HELLO, on_retry=states.append)
    assert [state.idle_for for state in states] == [pytest.approx(0.01), pytest.approx(0.02)]
    assert [state.next_action.sleep for state in states] == [0.01, 0.01]
    assert [state.outcome.attempt_number for state in states] == [1, 2]
    assert all(state.outcome.failed and state.seconds_since_start >= 0 for state in states)
    assert "UpstreamError" in repr(states[0])


def test_on_retry_may_take_longer_than_the_deadline(
    sim: Simulator, gateway: Make, send: Send
) -> None:
    """Nothing is sent afterwards."""
    sim.script(DOWN, ANSWER)
    with pytest.raises(DeadlineExceededError) as caught:
        send(gateway(deadline=0.3), HELLO, on_retry=lambda _: sleep(0.4))
    assert (len(sim.requests), caught.value.attempts) == (1, 1)


def test_on_retry_may_be_async(sim: Simulator, gateway: Make) -> None:
    """In async methods, complete and streamed."""
    events = Script(events=[chunk("Hi", "stop")])
    sim.script(DOWN, ANSWER, DOWN, events)
    seen: list[int] = []

    async def note(state: Any) -> None:
        await asyncio.sleep(0)
        seen.append(state.attempt_number)

    async def run() -> None:
        one = gateway()
        await one.acomplete(HELLO, on_retry=note)
        stream = await one.astream(HELLO, on_retry=note)
        assert [delta.text async for delta in stream] == ["Hi", ""]

    asyncio.run(run())
    assert seen == [1, 1]


# --- streams ---


def test_a_stream_that_fails_before_its_first_delta_is_retried(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """Keep-alive comments are no deltas."""
    keep_alive = b": keep-alive\n\n"
    failure = {"error": {"message": "Model is down", "code": 502}}
    sim.script(
        Script(events=[keep_alive], end="cut"),
        Script(events=[keep_alive], done=False),
        Script(events=[keep_alive, failure]),
        Script(json=failure),
        Script(events=[chunk("Hi", "stop")]),
    )
    deltas = caller.stream(gateway(max_retries=4), HELLO)
    assert (len(sim.requests), final_reply(deltas).attempts) == (5, 5)


@pytest.mark.parametrize(
    "failure",
    [
        Script(events=[chunk("Hel")], end="cut"),
        Script(events=[chunk("Hel")], end="reset"),
        Script(events=[chunk("Hel")], done=False),
        Script(events=[chunk("Hel"), {"error": {"message": "down", "code": 502}}]),
    ],
    ids=["cut", "reset", "no [DONE]", "error event"],
)
def test_a_stream_that_fails_after_a_delta_is_not_retried(
    sim: Simulator, gateway: Make, caller: Caller, failure: Script
) -> None:
    """The error has the partial reply."""
    sim.script(failure, Script(events=[chunk("Hi", "stop")]))
    with pytest.raises(OneRouterError) as caught:
        caller.stream(gateway(), HELLO)
    assert len(sim.requests) == 1
    assert caught.value.partial.text == "Hel"
    assert caught.value.attempts == 1


# --- logging ---


def test_a_retry_is_logged_without_content(
    sim: Simulator, gateway: Make, send: Send, caplog: pytest.LogCaptureFixture
) -> None:
    """One line: attempt, wait, status and request id, and no part of the message."""
    limits = {"retry_after_ms": "20", "x_infron_request_id": "req-1"}
    down = Script(status=502, json={"error": {"message": "secret words"}})
    sim.script(rate_limit("secret words", **limits), down, down)
    caplog.set_level(logging.INFO, "onerouter_core")
    with waiting(None), pytest.raises(UpstreamError):
        send(gateway(), HELLO)
    first, second = [record for record in caplog.records if record.name == "onerouter_core"]
    assert first.getMessage() == (
        "retry attempt=1 wait=0.02 status=429 error=RateLimitError request_id='req-1'"
    )
    assert re.fullmatch(
        r"retry attempt=2 wait=\d\.\d\d status=502 error=UpstreamError request_id='\w+'",
        second.getMessage(),
    )
    assert {first.levelno, second.levelno} == {logging.INFO}
    assert "secret" not in repr([vars(record) for record in (first, second)])


def test_a_request_id_cannot_add_a_line_to_the_log(
    sim: Simulator, gateway: Make, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    """It comes from the server: a line break in it is escaped."""
    body = {"error": {"message": "no"}, "request_id": "1\nretry attempt=9"}
    sim.script(Script(status=502, json=body, headers={"x-infron-request-id": ""}), ANSWER)
    with caplog.at_level(logging.INFO, "onerouter_core"):
        caller.complete(gateway(), HELLO)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "onerouter_core"]
    assert "\n" not in line
    assert line.count("attempt=") == 2


def test_without_logging_set_up_nothing_is_printed() -> None:
    """The level of the messages is INFO."""
    code = (
        "import onerouter_core as o, onerouter_simulator as s\n"
        "from onerouter_core.retry import waiting\n"
        "with s.Simulator() as sim, waiting(0):\n"
        "    sim.script(s.Script(status=502, body='down'), s.Script(json=s.completion('Hi')))\n"
        "    settings = o.ConnectionSettings(api_key=lambda: sim.api_key, base_url=sim.base_url)\n"
        "    hello = o.Request('vendor/model', (o.Message('user', (o.Text('Hi'),)),))\n"
        "    print(o.Gateway(settings).complete(hello).attempts)\n"
    )
    done = subprocess.run(  # noqa: S603 -- our own interpreter, our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert (done.stdout.strip(), done.stderr) == ("2", "")


# --- policy ---


def test_an_exception_of_another_class_is_not_retried() -> None:
    """Sync and async."""
    tries: list[int] = []

    def fail() -> None:
        tries.append(1)
        raise KeyError("bug")

    with pytest.raises(KeyError):
        policy(3)(fail)

    async def afail() -> None:
        fail()

    with pytest.raises(KeyError):
        asyncio.run(apolicy(3)(afail))
    assert len(tries) == 2


def test_concurrent_retries_do_not_mix(sim: Simulator, gateway: Make) -> None:
    """Each call gets its own reply and number of attempts."""
    sim.script(*[DOWN] * 10, *[Script(json=completion(str(n))) for n in range(10)])

    async def run() -> list[Any]:
        one = gateway(max_retries=20)
        return await asyncio.gather(*(one.acomplete(HELLO) for _ in range(10)))

    replies = asyncio.run(run())
    assert sorted(reply.text for reply in replies) == [str(n) for n in range(10)]
    assert sum(reply.attempts for reply in replies) == 20
