"""What goes wrong between a user and a model: told, told in full, and retried as often as said."""

from __future__ import annotations

import socket
from email.utils import formatdate
from time import time
from typing import Any

import pytest

from onerouter_simulator import Script, chunk, completion
from tests.llama_index.conformance.answers import CHATS, answer, message, refuse
from tests.llama_index.conformance.bench import Attempt, Bench, say
from tests.llama_index.conformance.readers import fact, refusal

PIECES = [chunk("Hello "), chunk("wor")]
FAILED = {"error": {"message": "the upstream fell over", "code": 502, "type": "x"}}
PAGE = "<!DOCTYPE html><html><head><title>Bad gateway</title></head><body>Sorry</body></html>"


def told(bench: Bench, attempt: Attempt, *words: str) -> None:
    """Check that the user was told, in these words."""
    assert attempt.error is not None, f"was given {attempt.items!r}"
    assert bench.subject.typed(attempt.error), f"{attempt.error!r} is an accident"
    for word in words:
        assert word in f"{attempt.error} {vars(attempt.error)}"


# --- answers that are none ---


@pytest.mark.parametrize("end", ["close", "cut", "reset"])
def test_a_stream_that_stops_half_way(bench: Bench, end: Any) -> None:
    """What came was seen, and half an answer is never passed off as a whole one."""
    # The pause: what arrives together with the end of its connection, some libraries do not give.
    bench.script(Script(events=[*PIECES, 0.05], end=end, done=False))
    attempt = bench.attempt("stream_chat", say())
    told(bench, attempt)
    assert attempt.text == "Hello wor"


def test_a_streamed_completion_that_stops_half_way(bench: Bench) -> None:
    """The other streaming endpoint is no different."""
    bench.script(Script(events=PIECES, done=False))
    told(bench, bench.attempt("stream_complete", "Hi"))


def test_an_error_in_the_middle_of_a_stream(bench: Bench) -> None:
    """What came was seen, and the server's words are in the error."""
    bench.script(Script(events=[*PIECES, FAILED]))
    attempt = bench.attempt("stream_chat", say())
    told(bench, attempt, "the upstream fell over")
    assert attempt.text == "Hello wor"


@pytest.mark.parametrize("endpoint", CHATS)
def test_an_error_under_a_good_status(bench: Bench, endpoint: str) -> None:
    """The server's words are in the error, not Python's."""
    bench.script(Script(events=[FAILED]) if "stream" in endpoint else Script(json=FAILED))
    told(bench, bench.attempt(endpoint, say()), "the upstream fell over")


def test_an_end_by_error(bench: Bench) -> None:
    """`finish_reason: "error"` is no way to end an answer."""
    for endpoint in CHATS:
        bench.script(answer(endpoint, "Hello wor", finish_reason="error"))
        told(bench, bench.attempt(endpoint, say()))


def test_an_error_beside_an_answer(bench: Bench) -> None:
    """An error in a choice is an error."""
    body = completion("Hello wor", finish_reason="error")
    body["choices"][0] |= FAILED
    bench.script(Script(json=body))
    told(bench, bench.attempt("chat", say()), "the upstream fell over")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(completion() | {"choices": []}, id="no choices"),
        pytest.param(completion() | {"choices": [{"index": 0, "message": None}]}, id="no message"),
        pytest.param(None, id="null"),
    ],
)
def test_a_reply_with_no_answer_in_it(bench: Bench, body: Any) -> None:
    """It is an error that says so, not an accident of reading it."""
    bench.script(Script(json=body))
    told(bench, bench.attempt("chat", say()))


def test_a_stream_with_nothing_in_it(bench: Bench) -> None:
    """An agent would take no items for an empty final answer."""
    bench.script(Script(events=[]))
    told(bench, bench.attempt("stream_chat", say()))


def test_a_page_instead_of_an_answer(bench: Bench) -> None:
    """Proxies answer in HTML, with a good status."""
    for endpoint in CHATS:
        bench.script(Script(body=PAGE, content_type="text/html"))
        told(bench, bench.attempt(endpoint, say()))


@pytest.mark.parametrize("endpoint", CHATS)
def test_a_cut_answer_says_so(bench: Bench, endpoint: str) -> None:
    """Nothing but the length limit: the user can tell that from an answer of no words."""
    bench.script(message(endpoint, finish_reason="length", content=""))
    attempt = bench.attempt(endpoint, say())
    if attempt.error is None:
        assert fact(attempt.items[-1], "finish_reason") == "length"
    else:
        told(bench, attempt)


def test_a_refusal_is_not_lost(bench: Bench) -> None:
    """Why the model declined is in the answer, or is the error."""
    bench.script(message("chat", content=None, refusal="I will not."))
    attempt = bench.attempt("chat", say())
    said = str(attempt.error) if attempt.error else refusal(attempt.items[-1])
    assert "I will not." in (said or "")


# --- failures ---


@pytest.mark.parametrize("status", [400, 401, 402, 403, 429, 500])
def test_a_failure_says_what_and_why(bench: Bench, status: int) -> None:
    """Status and the server's words are in the error."""
    for endpoint in CHATS:
        bench.script(refuse(status, "the moon is full"))
        told(bench, bench.attempt(endpoint, say()), str(status), "the moon is full")


def test_a_failure_in_html(bench: Bench) -> None:
    """A status is told with no JSON around."""
    bench.script(Script(502, body=PAGE, content_type="text/html", headers={"retry-after-ms": "1"}))
    told(bench, bench.attempt("chat", say()), "502")


def test_nobody_answers(bench: Bench) -> None:
    """A port where nobody listens."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
    bench.make(**{bench.subject.url: url})
    told(bench, bench.attempt("chat", say()))


@pytest.mark.parametrize("events", [[], PIECES], ids=["at once", "half way"])
def test_a_server_that_falls_silent(bench: Bench, events: list[Any]) -> None:
    """`timeout` ends the wait for the first word, and for the next."""
    bench.make(timeout=0.3)
    bench.script(Script(events=events, end="hang"))
    told(bench, bench.attempt("stream_chat", say()))


def test_the_next_call_is_a_new_one(bench: Bench) -> None:
    """A failure leaves nothing behind."""
    for endpoint in CHATS:
        bench.script(Script(events=PIECES, end="cut"), answer(endpoint, "Back."))
        bench.attempt(endpoint, say())
        assert bench.last(endpoint, say()).message.content == "Back."


# --- retries ---


@pytest.mark.parametrize("endpoint", CHATS)
@pytest.mark.parametrize("retries", [0, 1, 2])
def test_retries_are_as_many_as_said(bench: Bench, retries: int, endpoint: str) -> None:
    """`max_retries=2` is three requests."""
    bench.make(max_retries=retries)
    bench.script(*[refuse(500, "busy")] * 12)
    told(bench, bench.attempt(endpoint, say()), "busy")
    assert bench.count == retries + 1


def test_what_time_will_not_mend_is_not_retried(bench: Bench) -> None:
    """One request."""
    bench.make(max_retries=2)
    for status in (400, 401, 402, 403, 404, 422):
        bench.sim.clear()
        bench.script(*[refuse(status, "no")] * 12)
        told(bench, bench.attempt("chat", say()), "no")
        assert bench.count == 1


@pytest.mark.parametrize(
    "fault",
    [refuse(429, "slow down"), refuse(502, "busy"), Script(status=None)],
    ids=["429", "502", "hung up"],
)
def test_what_time_mends_is_retried(bench: Bench, fault: Script) -> None:
    """Streams too, as long as nothing came."""
    bench.make(max_retries=2)
    for endpoint in CHATS:
        bench.sim.clear()
        bench.script(fault, answer(endpoint, "At last."))
        assert bench.last(endpoint, say()).message.content == "At last."
        assert bench.count == 2


def test_nothing_is_retried_after_the_first_word(bench: Bench) -> None:
    """Nobody hears the beginning twice."""
    bench.make(max_retries=2)
    bench.script(Script(events=PIECES, end="cut"))
    attempt = bench.attempt("stream_chat", say())
    assert bench.count == 1
    assert attempt.text == "Hello wor"


@pytest.mark.parametrize("form", ["seconds", "milliseconds", "a date"])
def test_a_server_says_when_to_come_back(plain_bench: Bench, form: str) -> None:
    """Not before that time."""
    headers, least = {
        "seconds": ({"retry_after": "1"}, 1.0),
        "milliseconds": ({"retry_after_ms": "300"}, 0.3),
        "a date": ({"retry_after": formatdate(time() + 3, usegmt=True)}, 1.0),
    }[form]
    plain_bench.make(max_retries=1)
    plain_bench.script(refuse(429, "slow down", **headers), answer("chat"))
    plain_bench.last("chat", say())
    first, second = plain_bench.sim.requests
    assert second.received_at - first.received_at >= least
