"""When the gateway is asked again, and how long that takes; counted at the server."""

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
    APIConnectionError,
    AuthenticationError,
    ConfigurationError,
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

HI = Script(json=completion())
DOWN = Script(status=502, json={"error": {"message": "Model is down"}})


def throttle(message: str = "Too fast.", **headers: str) -> Script:
    """Return a 429 with these headers."""
    spelled = {name.replace("_", "-"): value for name, value in headers.items()}
    return Script(status=429, headers=spelled, json={"error": {"message": message}})


@pytest.mark.parametrize("max_retries", [0, 1, 2, 4])
def test_max_retries(sim: Simulator, gateway: Make, send: Send, max_retries: int) -> None:
    """`max_retries=n` means n+1 requests, and the error says how many there were."""
    sim.script(*[DOWN] * 6)
    with pytest.raises(UpstreamError, match="Model is down") as caught:
        send(gateway(max_retries=max_retries), HELLO)
    assert len(sim.requests) == max_retries + 1
    assert caught.value.attempts == max_retries + 1


def test_success_after_failures(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """The first answer ends the asking; the reply says how many requests it took."""
    sim.script(DOWN, throttle(), HI)
    assert caller.complete(gateway(), HELLO).attempts == 3
    assert len(sim.requests) == 3
    sim.script(DOWN, Script(events=[chunk("Hi", "stop")]))
    assert final_reply(caller.stream(gateway(), HELLO)).attempts == 2
    sim.script(HI)
    assert caller.complete(gateway(), HELLO).attempts == 1


FAILURES = {
    "no response": Script(status=None),
    "reset before the response": Script(status=None, end="reset"),
    "408": Script(status=408, body="slow"),
    "429": throttle(),
    "500": Script(status=500, body="oops"),
    "503": Script(status=503, body="<title>down</title>"),
    "error under 200": Script(json={"error": {"message": "Model is down", "code": 502}}),
    "finish that is an error": Script(json=completion("Hel", "error")),
    "cut": Script(body=b'{"choices":', end="cut"),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_what_is_asked_again(
    sim: Simulator, gateway: Make, caller: Caller, failure: Script
) -> None:
    """What time may mend is asked again."""
    sim.script(failure, HI)
    assert caller.complete(gateway(max_retries=1), HELLO).text == "Hi"
    assert len(sim.requests) == 2


PERMANENT = {
    "bad key": (401, "No token provided", AuthenticationError),
    "credits": (403, "Your current credits have been used up", InsufficientCreditsError),
    "balance": (429, "Free model requires Team balance greater than $5", InsufficientCreditsError),
    "no such model": (503, "No available providers for model x/y", ModelNotFoundError),
    "bad request": (400, "Invalid text request", OneRouterError),
}


@pytest.mark.parametrize(("status", "text", "kind"), PERMANENT.values(), ids=PERMANENT)
def test_what_is_not_asked_again(  # noqa: PLR0913, PLR0917 -- a table and its fixtures
    sim: Simulator, gateway: Make, send: Send, status: int, text: str, kind: Any
) -> None:
    """A refusal that time will not mend is not repeated."""
    sim.script(Script(status=status, json={"error": {"message": text}}), HI)
    with pytest.raises(kind, match=text.replace("$", r"\$")):
        send(gateway(), HELLO)
    assert len(sim.requests) == 1


def test_an_argument_is_not_asked_again(sim: Simulator, gateway: Make, send: Send) -> None:
    """What is wrong before anything is sent is said once, and nothing is sent."""
    with pytest.raises(ConfigurationError, match="no API key") as caught:
        send(gateway(api_key=None), HELLO)
    assert sim.requests == []
    assert caught.value.attempts == 0


def test_nobody_listens(gateway: Make, send: Send) -> None:
    """A refused connection is a connection error, asked again, and not called slow."""
    with pytest.raises(APIConnectionError, match="connection to the gateway failed") as caught:
        send(gateway(base_url="http://127.0.0.1:9/v1", max_retries=1), HELLO)
    assert type(caught.value) is APIConnectionError
    assert caught.value.attempts == 2


@pytest.mark.parametrize(
    "answer",
    [
        throttle(retry_after_ms="80"),
        throttle(retry_after="0.08"),
        throttle("Please try again after 80 ms."),
        throttle("Rate limit exceeded. Please try again after 0.08 seconds."),
    ],
    ids=["ms", "seconds", "prose in ms", "prose in seconds"],
)
def test_the_servers_wait_is_obeyed(
    sim: Simulator, gateway: Make, send: Send, answer: Script
) -> None:
    """The next request comes when the server said: no sooner, and nothing else is waited for."""
    sim.script(answer, Script(events=[chunk("Hi", "stop")]))
    waits: list[float] = []
    with waiting(None):
        send(gateway(), HELLO, on_retry=lambda state: waits.append(state.next_action.sleep))
    first, second = (request.received_at for request in sim.requests)
    assert waits == [pytest.approx(0.08)]
    assert second - first >= waits[0]


def test_without_a_word_it_backs_off(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """Where the server names no time the first wait is at most half a second."""
    sim.script(DOWN, HI)
    waits: list[float] = []
    with waiting(None):
        caller.complete(
            gateway(), HELLO, on_retry=lambda state: waits.append(state.next_action.sleep)
        )
    assert len(waits) == 1
    assert 0 <= waits[0] <= 0.5


@pytest.mark.parametrize(
    "answer", [throttle(retry_after="61"), throttle("Try again after 3600 seconds")]
)
def test_a_wait_that_is_too_long(sim: Simulator, gateway: Make, send: Send, answer: Script) -> None:
    """A server that asks for more than a minute is not asked again within the call."""
    sim.script(answer, HI)
    with pytest.raises(RateLimitError) as caught:
        send(gateway(), HELLO)
    assert len(sim.requests) == 1
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > 60


def test_a_deadline_stops_the_asking(sim: Simulator, gateway: Make, send: Send) -> None:
    """Where the wait would pass the deadline, the last error is raised at once."""
    sim.script(throttle(retry_after="5"), HI)
    begun = monotonic()
    with pytest.raises(RateLimitError), waiting(None):
        send(gateway(deadline=1), HELLO)
    assert monotonic() - begun < 0.9
    assert len(sim.requests) == 1


def test_no_attempt_begins_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait that is held against the deadline is the one that would be waited."""
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


def test_who_is_told_to_come_back_at_once(
    sim: Simulator, gateway: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wait of nothing, as of a date gone by, is none: many retries would be gone in a moment."""
    slept: list[float] = []
    monkeypatch.setattr("random.uniform", lambda *_: 0.3)
    monkeypatch.setattr("time.sleep", slept.append)
    sim.script(throttle(retry_after="0"), throttle(retry_after=formatdate(1, usegmt=True)), HI)
    with waiting(None):
        gateway().complete(HELLO)
    assert slept == [0.3, 0.3]


def test_on_retry(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """`on_retry` is called before each wait, with the failure, and not after the last."""
    sim.script(DOWN, throttle(), DOWN, HI)
    seen: list[tuple[int, str]] = []

    def note(state: Any) -> None:
        seen.append((state.attempt_number, type(state.outcome.exception()).__name__))

    with pytest.raises(UpstreamError):
        caller.complete(gateway(max_retries=2), HELLO, on_retry=note)
    assert seen == [(1, "UpstreamError"), (2, "RateLimitError")]


def test_a_limiter_that_waits_beyond_the_deadline(
    sim: Simulator, gateway: Make, send: Send
) -> None:
    """Who is asked before each wait may take long: nothing is sent when the time is over."""
    sim.script(DOWN, HI)
    with pytest.raises(DeadlineExceededError) as caught:
        send(gateway(deadline=0.3), HELLO, on_retry=lambda _: sleep(0.4))
    assert (len(sim.requests), caught.value.attempts) == (1, 1)


def test_on_retry_may_be_a_coroutine_function(sim: Simulator, gateway: Make) -> None:
    """In async `on_retry` is awaited if it has to be, for streams as well."""
    events = Script(events=[chunk("Hi", "stop")])
    sim.script(DOWN, HI, DOWN, events)
    seen: list[int] = []

    async def note(state: Any) -> None:
        await asyncio.sleep(0)
        seen.append(state.attempt_number)

    async def run() -> None:
        one = gateway()
        await one.acomplete(HELLO, on_retry=note)
        pieces = await one.astream(HELLO, on_retry=note)
        assert [piece.text async for piece in pieces] == ["Hi", ""]

    asyncio.run(run())
    assert seen == [1, 1]


def test_the_first_event_is_within_the_attempt(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """A stream that fails before its first piece is asked for again, whatever came as comments."""
    keep_alive = b": keep-alive\n\n"
    failure = {"error": {"message": "Model is down", "code": 502}}
    sim.script(
        Script(events=[keep_alive], end="cut"),
        Script(events=[keep_alive], done=False),
        Script(events=[keep_alive, failure]),
        Script(json=failure),
        Script(events=[chunk("Hi", "stop")]),
    )
    pieces = caller.stream(gateway(max_retries=4), HELLO)
    assert (len(sim.requests), final_reply(pieces).attempts) == (5, 5)


@pytest.mark.parametrize(
    "failing",
    [
        Script(events=[chunk("Hel")], end="cut"),
        Script(events=[chunk("Hel")], end="reset"),
        Script(events=[chunk("Hel")], done=False),
        Script(events=[chunk("Hel"), {"error": {"message": "down", "code": 502}}]),
    ],
    ids=["cut", "reset", "no end", "error"],
)
def test_nothing_is_asked_again_after_a_piece(
    sim: Simulator, gateway: Make, caller: Caller, failing: Script
) -> None:
    """Once a piece is out nothing is repeated: the error is raised, with what came."""
    sim.script(failing, Script(events=[chunk("Hi", "stop")]))
    with pytest.raises(OneRouterError) as caught:
        caller.stream(gateway(), HELLO)
    assert len(sim.requests) == 1
    assert caught.value.partial.text == "Hel"
    assert caught.value.attempts == 1


def test_a_retry_is_logged_without_content(
    sim: Simulator, gateway: Make, send: Send, caplog: pytest.LogCaptureFixture
) -> None:
    """Each retry is one line: attempt, wait, status, request id; no word of what was said."""
    limits = {"retry_after_ms": "20", "x_infron_request_id": "req-1"}
    down = Script(status=502, json={"error": {"message": "secret words"}})
    sim.script(throttle("secret words", **limits), down, down)
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


def test_a_server_writes_no_line_of_its_own(
    sim: Simulator, gateway: Make, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    """A request id comes from outside: what it says stays within its quotes."""
    body = {"error": {"message": "no"}, "request_id": "1\nretry attempt=9"}
    sim.script(Script(status=502, json=body, headers={"x-infron-request-id": ""}), HI)
    with caplog.at_level(logging.INFO, "onerouter_core"):
        caller.complete(gateway(), HELLO)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "onerouter_core"]
    assert "\n" not in line
    assert line.count("attempt=") == 2


def test_nothing_is_logged_unasked() -> None:
    """A program that has set up no logging reads nothing of ours."""
    code = (
        "import onerouter_core as o, onerouter_simulator as s\n"
        "from onerouter_core.retry import waiting\n"
        "with s.Simulator() as sim, waiting(0):\n"
        "    sim.script(s.Script(status=502, body='down'), s.Script(json=s.completion('Hi')))\n"
        "    there = o.ConnectionSettings(api_key=lambda: sim.api_key, base_url=sim.base_url)\n"
        "    hello = o.Request('vendor/model', (o.Message('user', (o.Text('Hi'),)),))\n"
        "    print(o.Gateway(there).complete(hello).attempts)\n"
    )
    done = subprocess.run(  # noqa: S603 -- our own interpreter, our own words
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert (done.stdout.strip(), done.stderr) == ("2", "")


def test_errors_of_others_are_not_mended() -> None:
    """What is no error of ours is raised at once."""
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


def test_one_call_does_not_hear_of_another(sim: Simulator, gateway: Make) -> None:
    """Concurrent calls that are retried each get their own outcome."""
    sim.script(*[DOWN] * 10, *[Script(json=completion(str(n))) for n in range(10)])

    async def run() -> list[Any]:
        one = gateway(max_retries=20)
        return await asyncio.gather(*(one.acomplete(HELLO) for _ in range(10)))

    replies = asyncio.run(run())
    assert sorted(reply.text for reply in replies) == [str(n) for n in range(10)]
    assert sum(reply.attempts for reply in replies) == 20


def test_a_deadline_shorter_than_any_answer(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """A deadline that is over before the request is out is a deadline all the same."""
    sim.script(Script(delay=0.3, json=completion()))
    with pytest.raises(DeadlineExceededError):
        caller.complete(gateway(deadline=1e-6), HELLO)
