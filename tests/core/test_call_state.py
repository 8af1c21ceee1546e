"""State of one call: key checks, time limits, size limit, the first delta, and errors."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest
from pydantic import SecretStr

from onerouter_core import ConnectionSettings, Gateway
from onerouter_core.call_state import CallState
from onerouter_core.errors import (
    APITimeoutError,
    ConfigurationError,
    DeadlineExceededError,
    MalformedReplyError,
)
from onerouter_simulator import Script, Simulator
from tests.core.conftest import Caller
from tests.core.payloads import HELLO, chunk, completion, final_reply

Make = Callable[..., Gateway]
Send = Callable[..., Any]
ANSWER = Script(json=completion())
STREAM = Script(events=[chunk("Hi", "stop")])


# --- API key ---


@pytest.mark.parametrize("key", [None, "", SecretStr(""), lambda: "", " "])
def test_without_a_key_nothing_is_sent(sim: Simulator, gateway: Make, send: Send, key: Any) -> None:
    """A missing or empty key is a configuration error, which is not retried."""
    with pytest.raises(
        ConfigurationError, match="pass api_key, or set ONEROUTER_API_KEY"
    ) as caught:
        send(gateway(api_key=key), HELLO)
    assert caught.value.attempts == 0
    assert sim.requests == []


def test_spaces_around_the_key_are_removed(sim: Simulator, gateway: Make, send: Send) -> None:
    """A key that was read from a file ends in a newline."""
    sim.script(STREAM)
    send(gateway(api_key=SecretStr(f" {sim.api_key}\r\n")), HELLO)
    assert sim.last.headers["authorization"] == f"Bearer {sim.api_key}"


# --- time limits ---


@pytest.mark.parametrize("script", [Script(delay=9), Script(body="", end="hang")])
def test_a_silent_server_is_a_timeout(
    sim: Simulator, gateway: Make, send: Send, script: Script
) -> None:
    """Before the response and after its headers; it is transient."""
    sim.script(script)
    started_at = monotonic()
    with pytest.raises(APITimeoutError, match=r"no data for 0\.15 s") as caught:
        send(gateway(timeout=0.15, max_retries=0), HELLO)
    assert type(caught.value) is APITimeoutError
    assert caught.value.transient
    assert 0.1 < monotonic() - started_at < 1


def test_silence_until_the_deadline_is_a_deadline_error(
    sim: Simulator, gateway: Make, send: Send
) -> None:
    """It is not retried."""
    sim.script(Script(delay=9), ANSWER)
    started_at = monotonic()
    with pytest.raises(DeadlineExceededError, match=r"within its deadline of 0\.15 s"):
        send(gateway(deadline=0.15), HELLO)
    assert 0.1 < monotonic() - started_at < 1
    assert len(sim.requests) == 1


def test_a_deadline_may_pass_before_the_request_is_sent(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """A microsecond."""
    sim.script(Script(delay=0.3, json=completion()))
    with pytest.raises(DeadlineExceededError):
        caller.complete(gateway(deadline=1e-6), HELLO)


def test_timeout_none_waits_without_limit(sim: Simulator, gateway: Make, send: Send) -> None:
    """Sync and async, complete and streamed."""
    sim.script(Script(events=[0.1, chunk("Hi", "stop")]))
    send(gateway(timeout=None), HELLO)
    assert len(sim.requests) == 1


def test_silence_in_a_stream_is_a_timeout_with_the_partial_reply(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """It is not retried after the first delta."""
    sim.script(Script(events=[chunk("Hel")], end="hang"))
    with pytest.raises(APITimeoutError) as caught:
        caller.stream(gateway(timeout=0.15), HELLO)
    assert caught.value.partial.text == "Hel"
    assert len(sim.requests) == 1


def test_keep_alive_comments_do_not_extend_the_timeout(
    sim: Simulator, gateway: Make, send: Send
) -> None:
    """They keep the connection open, but hold no answer."""
    sim.script(Script(events=[b": keep-alive\n\n", 0.05] * 100))
    started_at = monotonic()
    with pytest.raises(APITimeoutError, match=r"no data for 0\.2 s"):
        send(gateway(timeout=0.2, max_retries=0), HELLO)
    assert 0.15 < monotonic() - started_at < 1


def test_each_event_extends_the_timeout(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """A stream may take longer than `timeout` as a whole."""
    sim.script(Script(events=[*(chunk(letter) for letter in "Hello!")], chunk_delay=0.08))
    assert final_reply(caller.stream(gateway(timeout=0.3), HELLO)).text == "Hello!"


def test_a_stream_ends_at_the_deadline(sim: Simulator, gateway: Make, caller: Caller) -> None:
    """Although events keep coming; the error has the partial reply."""
    sim.script(Script(events=[chunk("a") for _ in range(100)], chunk_delay=0.05))
    started_at = monotonic()
    with pytest.raises(DeadlineExceededError) as caught:
        caller.stream(gateway(deadline=0.3), HELLO)
    assert monotonic() - started_at < 1
    assert caught.value.partial.text.startswith("aa")


def test_a_connection_left_open_after_done_does_not_delay_the_reply(
    sim: Simulator, gateway: Make, caller: Caller
) -> None:
    """The stream is over with [DONE]; after a moment the client disconnects."""
    sim.script(Script(events=[chunk("Hi", "stop"), "[DONE]"], end="hang"))
    started_at = monotonic()
    assert final_reply(caller.stream(gateway(timeout=30), HELLO)).text == "Hi"
    assert monotonic() - started_at < 2
    assert sim.last.wait_hung_up(2)


def test_missing_usage_and_done_delay_a_complete_answer_by_seconds_only(
    sim: Simulator, gateway: Make, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also without a timeout. The limit of five seconds is lowered here."""
    monkeypatch.setattr("onerouter_core.call_limits._USAGE_TIMEOUT", 0.2)
    sim.script(Script(events=[chunk("Hi", "stop")], done=False, end="hang"))
    started_at = monotonic()
    assert final_reply(caller.stream(gateway(timeout=None), HELLO)).text == "Hi"
    assert monotonic() - started_at < 3


# --- size limit ---


def test_a_body_beyond_the_size_limit_is_a_malformed_reply(
    sim: Simulator, gateway: Make, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not read to its end. The limit of 256 MiB is lowered here."""
    monkeypatch.setattr("onerouter_core.call_limits.MAX_BODY_BYTES", 1000)
    sim.script(Script(body=b"x" * 2000, split=600, chunk_delay=0.02))
    with pytest.raises(MalformedReplyError, match="larger than 1000 bytes"):
        caller.complete(gateway(max_retries=0), HELLO)


# --- state ---


def test_each_attempt_has_a_request_with_the_present_key() -> None:
    """The model list is a GET without a body, and needs no key."""
    settings = ConnectionSettings(base_url="https://a/v1", headers={"X-Title": "t"}, timeout=5)
    call = CallState(settings, HELLO, stream=True)
    request = call.next_request("sk-1")
    assert request.url == "https://a/v1/chat/completions"
    assert request.headers == {"authorization": "Bearer sk-1", "x-title": "t"}
    assert request.timeout == pytest.approx(5)
    assert (request.body or {})["stream"] is True
    assert call.next_request("sk-2").headers["authorization"] == "Bearer sk-2"
    assert call.accounting.attempts == 2
    listing = CallState(settings).next_request(None)
    assert (listing.url, listing.body) == ("https://a/v1/models", None)
    assert listing.headers == {"x-title": "t"}
