"""Faults: errors of servers, connections and replies, and their retries."""

from __future__ import annotations

import socket
from email.utils import formatdate
from time import time
from typing import Any

import pytest

from onerouter_simulator import Script, chunk, completion
from tests.llama_index.conformance.harness import Harness, user_messages
from tests.llama_index.conformance.readers import refusal_text, response_field
from tests.llama_index.conformance.scripted_replies import (
    CHAT_ENDPOINTS,
    error_reply,
    message_reply,
    text_reply,
)

DELTAS = [chunk("Hello "), chunk("wor")]
ERROR_BODY = {"error": {"message": "the upstream fell over", "code": 502, "type": "x"}}
HTML = "<!DOCTYPE html><html><head><title>Bad gateway</title></head><body>Sorry</body></html>"


# --- invalid replies ---


@pytest.mark.parametrize("end", ["close", "cut", "reset"])
def test_a_cut_stream_raises_after_its_text(harness: Harness, end: Any) -> None:
    """The items before the error have the text so far."""
    # The pause: some HTTP libraries drop data that arrives together with the end of a connection.
    harness.script(Script(events=[*DELTAS, 0.05], end=end, done=False))
    outcome = harness.outcome("stream_chat", user_messages())
    harness.assert_error(outcome)
    assert outcome.text == "Hello wor"


def test_a_cut_streamed_completion_raises(harness: Harness) -> None:
    """It has no end marker."""
    harness.script(Script(events=DELTAS, done=False))
    harness.assert_error(harness.outcome("stream_complete", "Hi"))


def test_an_error_event_in_a_stream_raises_after_its_text(harness: Harness) -> None:
    """The error has the server's message."""
    harness.script(Script(events=[*DELTAS, ERROR_BODY]))
    outcome = harness.outcome("stream_chat", user_messages())
    harness.assert_error(outcome, "the upstream fell over")
    assert outcome.text == "Hello wor"


@pytest.mark.parametrize("endpoint", CHAT_ENDPOINTS)
def test_an_error_body_with_status_200_raises(harness: Harness, endpoint: str) -> None:
    """The error has the server's message."""
    harness.script(Script(events=[ERROR_BODY]) if "stream" in endpoint else Script(json=ERROR_BODY))
    harness.assert_error(harness.outcome(endpoint, user_messages()), "the upstream fell over")


def test_finish_reason_error_raises(harness: Harness) -> None:
    """Streamed or not."""
    for endpoint in CHAT_ENDPOINTS:
        harness.script(text_reply(endpoint, "Hello wor", finish_reason="error"))
        harness.assert_error(harness.outcome(endpoint, user_messages()))


def test_an_error_in_a_choice_raises(harness: Harness) -> None:
    """The error has the server's message."""
    body = completion("Hello wor", finish_reason="error")
    body["choices"][0] |= ERROR_BODY
    harness.script(Script(json=body))
    harness.assert_error(harness.outcome("chat", user_messages()), "the upstream fell over")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(completion() | {"choices": []}, id="no choices"),
        pytest.param(completion() | {"choices": [{"index": 0, "message": None}]}, id="no message"),
        pytest.param(None, id="null"),
    ],
)
def test_a_reply_without_a_message_raises(harness: Harness, body: Any) -> None:
    """An error raised on purpose, not a programming error."""
    harness.script(Script(json=body))
    harness.assert_error(harness.outcome("chat", user_messages()))


def test_a_stream_without_events_raises(harness: Harness) -> None:
    """An agent would take it for an empty final answer."""
    harness.script(Script(events=[]))
    harness.assert_error(harness.outcome("stream_chat", user_messages()))


def test_an_html_body_with_status_200_raises(harness: Harness) -> None:
    """Proxies send such pages."""
    for endpoint in CHAT_ENDPOINTS:
        harness.script(Script(body=HTML, content_type="text/html"))
        harness.assert_error(harness.outcome(endpoint, user_messages()))


@pytest.mark.parametrize("endpoint", CHAT_ENDPOINTS)
def test_an_empty_answer_cut_at_the_length_limit_is_recognisable(
    harness: Harness, endpoint: str
) -> None:
    """By its finish reason, or by an error."""
    harness.script(message_reply(endpoint, finish_reason="length", content=""))
    outcome = harness.outcome(endpoint, user_messages())
    if outcome.error is None:
        assert response_field(outcome.items[-1], "finish_reason") == "length"
    else:
        harness.assert_error(outcome)


def test_a_refusal_is_in_the_response_or_the_error(harness: Harness) -> None:
    """With the model's text."""
    harness.script(message_reply("chat", content=None, refusal="I will not."))
    outcome = harness.outcome("chat", user_messages())
    refusal = str(outcome.error) if outcome.error else refusal_text(outcome.items[-1])
    assert "I will not." in (refusal or "")


# --- HTTP errors, connections and timeouts ---


@pytest.mark.parametrize("status", [400, 401, 402, 403, 429, 500])
def test_an_http_error_has_status_and_message(harness: Harness, status: int) -> None:
    """Streamed or not."""
    for endpoint in CHAT_ENDPOINTS:
        harness.script(error_reply(status, "not today"))
        harness.assert_error(harness.outcome(endpoint, user_messages()), str(status), "not today")


def test_an_http_error_with_an_html_body_has_its_status(harness: Harness) -> None:
    """Proxies send such pages."""
    harness.script(
        Script(502, body=HTML, content_type="text/html", headers={"retry-after-ms": "1"})
    )
    harness.assert_error(harness.outcome("chat", user_messages()), "502")


def test_a_refused_connection_raises(harness: Harness) -> None:
    """No server listens on the port."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    harness.make_llm(**{harness.adapter.url: url})
    harness.assert_error(harness.outcome("chat", user_messages()))


@pytest.mark.parametrize("events", [[], DELTAS], ids=["before the first event", "after two events"])
def test_timeout_ends_a_silent_stream(harness: Harness, events: list[Any]) -> None:
    """Before the first event, and between events."""
    harness.make_llm(timeout=0.3)
    harness.script(Script(events=events, end="hang"))
    harness.assert_error(harness.outcome("stream_chat", user_messages()))


def test_a_failure_does_not_affect_the_next_call(harness: Harness) -> None:
    """Streamed or not."""
    for endpoint in CHAT_ENDPOINTS:
        harness.script(Script(events=DELTAS, end="cut"), text_reply(endpoint, "Back."))
        harness.outcome(endpoint, user_messages())
        assert harness.final(endpoint, user_messages()).message.content == "Back."


# --- retries ---


@pytest.mark.parametrize("endpoint", CHAT_ENDPOINTS)
@pytest.mark.parametrize("retries", [0, 1, 2])
def test_max_retries_limits_the_requests(harness: Harness, retries: int, endpoint: str) -> None:
    """`max_retries=2` sends three requests."""
    harness.make_llm(max_retries=retries)
    harness.script(*[error_reply(500, "busy")] * 12)
    harness.assert_error(harness.outcome(endpoint, user_messages()), "busy")
    assert harness.request_count == retries + 1


def test_permanent_errors_are_not_retried(harness: Harness) -> None:
    """One request."""
    harness.make_llm(max_retries=2)
    for status in (400, 401, 402, 403, 404, 422):
        harness.sim.clear()
        harness.script(*[error_reply(status, "no")] * 12)
        harness.assert_error(harness.outcome("chat", user_messages()), "no")
        assert harness.request_count == 1


@pytest.mark.parametrize(
    "fault",
    [error_reply(429, "slow down"), error_reply(502, "busy"), Script(status=None)],
    ids=["429", "502", "disconnect"],
)
def test_transient_errors_are_retried(harness: Harness, fault: Script) -> None:
    """Streams too, before the first delta."""
    harness.make_llm(max_retries=2)
    for endpoint in CHAT_ENDPOINTS:
        harness.sim.clear()
        harness.script(fault, text_reply(endpoint, "At last."))
        assert harness.final(endpoint, user_messages()).message.content == "At last."
        assert harness.request_count == 2


def test_a_stream_is_not_retried_after_its_first_delta(harness: Harness) -> None:
    """The user would see the beginning twice."""
    harness.make_llm(max_retries=2)
    harness.script(Script(events=DELTAS, end="cut"))
    outcome = harness.outcome("stream_chat", user_messages())
    assert harness.request_count == 1
    assert outcome.text == "Hello wor"


@pytest.mark.parametrize("form", ["seconds", "milliseconds", "date"])
def test_retry_after_is_obeyed(sync_harness: Harness, form: str) -> None:
    """The second request is not sent earlier."""
    headers, least = {
        "seconds": ({"retry_after": "1"}, 1.0),
        "milliseconds": ({"retry_after_ms": "300"}, 0.3),
        "date": ({"retry_after": formatdate(time() + 3, usegmt=True)}, 1.0),
    }[form]
    sync_harness.make_llm(max_retries=1)
    sync_harness.script(error_reply(429, "slow down", **headers), text_reply("chat"))
    sync_harness.final("chat", user_messages())
    first, second = sync_harness.sim.requests
    assert second.received_at - first.received_at >= least
