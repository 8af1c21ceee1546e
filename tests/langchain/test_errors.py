"""Errors: each is ours, the core's and langchain-core's, says what is known, and hides the key."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from typing import Any

import pytest
from langchain_core import exceptions as lc
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableGenerator

from langchain_onerouter import ChatOneRouter, errors
from langchain_onerouter.errors import OneRouterError, to_langchain
from onerouter_core import errors as core
from onerouter_core.errors import classify
from onerouter_simulator import Script, Simulator, chunk, completion, failure, tool_call
from tests.langchain.conftest import Ask, Colour, Make

KEY = "sk-wrong-0123456789"
CLASSES = [
    kind
    for kind in vars(core).values()
    if isinstance(kind, type) and issubclass(kind, core.OneRouterError)
]

# What langchain-core calls each of them.
KINDS: dict[str, str] = {
    "OneRouterError": "ModelError",
    "ConfigurationError": "ModelInvalidRequestError",
    "UnsupportedContentError": "ModelInvalidRequestError",
    "BudgetExceededError": "ModelError",
    "APIConnectionError": "ModelConnectionError",
    "APITimeoutError": "ModelTimeoutError",
    "DeadlineExceededError": "ModelTimeoutError",
    "AuthenticationError": "ModelAuthenticationError",
    "PermissionDeniedError": "ModelPermissionDeniedError",
    "InsufficientCreditsError": "ModelPermissionDeniedError",
    "InvalidRequestError": "ModelInvalidRequestError",
    "ContextOverflowError": "ContextOverflowError",
    "ModelNotFoundError": "ModelNotFoundError",
    "RateLimitError": "ModelRateLimitError",
    "UpstreamError": "ModelAPIError",
    "MalformedReplyError": "OutputParserException",
    "IncompleteStreamError": "ModelConnectionError",
    "RefusalError": "ModelRefusalError" if hasattr(lc, "ModelRefusalError") else "ModelError",
    "ContentFilterError": "ModelInvalidRequestError",
    "LengthLimitError": "ModelError",
}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_a_twin(kind: type[core.OneRouterError]) -> None:
    """Same name, same facts, caught as the core's, as ours and as langchain-core's."""
    facts = {"status": 418, "model": "m", "provider": "p", "retry_after": 2.0, "attempts": 3}
    error = kind("No.", **facts, partial="half", transient=True)
    twin = to_langchain(error)
    assert type(twin) is getattr(errors, kind.__name__)
    assert isinstance(twin, kind)
    assert isinstance(twin, OneRouterError)
    assert isinstance(twin, lc.ModelError)
    assert isinstance(twin, getattr(lc, KINDS[kind.__name__]))
    assert {name: getattr(twin, name) for name in facts} == facts
    assert (twin.partial, twin.transient, twin.is_retryable) == ("half", True, True)
    assert str(twin) == str(error)
    assert to_langchain(twin) is twin


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_errors_can_be_pickled_and_copied(kind: type[core.OneRouterError]) -> None:
    """Worker processes send them home, with all they know."""
    twin = to_langchain(kind("No.", status=429, retry_after=2.0, request_id="r", transient=False))
    for other in (pickle.loads(pickle.dumps(twin)), copy.deepcopy(twin)):  # noqa: S301 -- our own
        assert type(other) is type(twin)
        assert str(other) == str(twin)
        assert (other.status, other.retry_after, other.is_retryable) == (429, 2.0, False)


def test_the_tree_is_the_cores() -> None:
    """Who catches a class of ours catches what is below it in the core, too."""
    for kind in CLASSES:
        for base in CLASSES:
            ours, over = getattr(errors, kind.__name__), getattr(errors, base.__name__)
            assert issubclass(ours, over) == issubclass(kind, base)
    assert issubclass(errors.ConfigurationError, ValueError)


OVERFLOW = "This model's maximum context length is 10 tokens."
STATUSES: list[tuple[int, str, str, bool]] = [
    (400, "no", "InvalidRequestError", False),
    (400, OVERFLOW, "ContextOverflowError", False),
    (401, "No token provided", "AuthenticationError", False),
    (402, "pay", "InsufficientCreditsError", False),
    (403, "not you", "PermissionDeniedError", False),
    (403, "insufficient credits", "InsufficientCreditsError", False),
    (403, "flagged by moderation", "ContentFilterError", False),
    (404, "nowhere", "ModelNotFoundError", False),
    (408, "late", "APITimeoutError", True),
    (413, "too large", "InvalidRequestError", False),
    (422, "odd", "InvalidRequestError", False),
    (429, "slow down", "RateLimitError", True),
    (429, "your balance is empty", "InsufficientCreditsError", False),
    (500, "down", "UpstreamError", True),
    (502, "bad gateway", "UpstreamError", True),
    (503, "busy", "UpstreamError", True),
    (503, "No available providers for model x", "ModelNotFoundError", False),
    (504, "late", "UpstreamError", True),
    (529, "overloaded", "UpstreamError", True),
]


@pytest.mark.parametrize(("status", "says", "name", "transient"), STATUSES)
def test_what_a_status_is(  # noqa: PLR0913, PLR0917 -- a case, and its fixtures
    make: Make, sim: Simulator, ask: Ask, status: int, says: str, name: str, transient: bool
) -> None:
    """The same error, whole and streamed, in both colours; asked again only where it helps."""
    scripts = [failure(status, f"{says} (request id: r-1)", code="c-1")] * 2
    sim.script(*scripts)
    with pytest.raises(OneRouterError) as caught:
        ask(make(max_retries=1), "Hi")
    error = caught.value
    assert type(error) is getattr(errors, name)
    assert isinstance(error, classify(status, says))
    assert (error.status, error.code, error.model) == (status, "c-1", "simulated/echo")
    assert error.request_id
    assert (error.transient, error.is_retryable) == (transient, transient)
    assert error.attempts == len(sim.requests) == 1 + transient
    assert says in str(error)


def test_the_right_and_the_wrong_key(make: Make, ask: Ask) -> None:
    """The simulator knows one key; the wrong one is shown nowhere."""
    assert ask(make(), "Hi").content
    with pytest.raises(lc.ModelAuthenticationError, match="ONEROUTER_API_KEY") as caught:
        ask(make(api_key=KEY), "Hi")
    assert isinstance(caught.value, errors.AuthenticationError)
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_no_key(make: Make, sim: Simulator, ask: Ask) -> None:
    """It is missed when it is needed, and nothing is sent."""
    with pytest.raises(errors.ConfigurationError, match="ONEROUTER_API_KEY"):
        ask(make(api_key=None), "Hi")
    assert sim.requests == []


def test_an_echoed_key_is_cut_out(
    make: Make, sim: Simulator, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    """Some servers repeat what they were sent; no message, trace or log of ours does."""
    caplog.set_level(logging.DEBUG)
    sim.script(*[failure(500, f"cannot use Bearer {KEY}")] * 2)
    with pytest.raises(errors.UpstreamError) as caught:
        ask(make(api_key=KEY, max_retries=1), "Hi")
    error = caught.value
    shown = [str(error), repr(error), str(error.args), caplog.text]
    shown += ["".join(traceback.format_exception(error)), str(vars(error))]
    assert not [text for text in shown if KEY in text]
    assert "cannot use Bearer ***" in error.message


@pytest.mark.parametrize(
    ("headers", "says", "seconds"),
    [
        ({"retry-after": "120"}, "slow", 120.0),
        ({"retry-after-ms": "90000"}, "slow", 90.0),
        ({}, "Please try again after 70 seconds", 70.0),
    ],
)
def test_how_long_to_wait(  # noqa: PLR0913, PLR0917 -- a case, and its fixtures
    llm: ChatOneRouter,
    sim: Simulator,
    ask: Ask,
    headers: dict[str, str],
    says: str,
    seconds: float,
) -> None:
    """What the server asks for is on the error; a wait that long is left to the caller."""
    sim.script(Script(429, headers=headers, json={"error": {"message": says}}))
    with pytest.raises(errors.RateLimitError) as caught:
        ask(llm, "Hi")
    assert caught.value.retry_after == seconds
    assert len(sim.requests) == 1


def test_max_retries_is_a_count(make: Make, sim: Simulator, ask: Ask) -> None:
    """Zero is one request."""
    for count in (0, 3):
        sim.clear()
        sim.script(*[failure(500, "down")] * 9)
        with pytest.raises(errors.UpstreamError):
            ask(make(), "Hi", max_retries=count)
        assert len(sim.requests) == count + 1


# --- failures that look like answers ---

BEGUN = [chunk("Hel"), chunk("lo")]


@pytest.mark.parametrize(
    ("script", "name"),
    [
        (Script(json={"error": {"message": "down", "code": 502}}), "UpstreamError"),
        (Script(json=completion("Hel", finish_reason="error")), "UpstreamError"),
        (Script(json=completion(None)), "MalformedReplyError"),
        (Script(json={"choices": []}), "MalformedReplyError"),
        (Script(json={"choices": None}), "MalformedReplyError"),
        (Script(body="<html><title>Hello</title></html>"), "MalformedReplyError"),
        (Script(body=""), "MalformedReplyError"),
        (Script(json=completion(None, finish_reason="length")), "LengthLimitError"),
        (Script(json=completion(None, finish_reason="content_filter")), "ContentFilterError"),
        (Script(json=completion(), end="cut", split=20), "APIConnectionError"),
        (Script(status=None), "APIConnectionError"),
    ],
    ids=str,
)
def test_a_whole_reply_that_is_none(
    make: Make, sim: Simulator, colour: Colour, script: Script, name: str
) -> None:
    """It is an error, never an empty message."""
    sim.script(script)
    with pytest.raises(getattr(errors, name)) as caught:
        colour.invoke(make(max_retries=0), "Hi")
    assert type(caught.value) is getattr(errors, name)


@pytest.mark.parametrize(
    ("script", "name"),
    [
        (Script(events=BEGUN, done=False), "IncompleteStreamError"),
        (Script(events=BEGUN, end="cut"), "IncompleteStreamError"),
        (Script(events=BEGUN, end="reset"), "IncompleteStreamError"),
        (Script(events=[*BEGUN, {"error": {"message": "down", "code": 502}}]), "UpstreamError"),
        (Script(events=[*BEGUN, chunk({}, finish_reason="error")]), "UpstreamError"),
        (Script(events=[*BEGUN, chunk("!", error={"message": "down"})]), "UpstreamError"),
        (Script(events=[*BEGUN, "not JSON"]), "MalformedReplyError"),
    ],
    ids=str,
)
def test_a_stream_that_fails_after_it_began(
    make: Make, sim: Simulator, colour: Colour, script: Script, name: str
) -> None:
    """What came is handed out and on the error; nothing is asked again."""
    sim.script(script)
    taken: list[str] = []
    with pytest.raises(getattr(errors, name)) as caught:
        colour.stream(make(max_retries=5) | writing_down(taken), "Hi")
    assert type(caught.value) is getattr(errors, name)
    assert caught.value.partial.text.startswith("Hello")
    assert "".join(taken) == "Hello"
    assert len(sim.requests) == 1


def writing_down(taken: list[str]) -> RunnableGenerator:
    """Return a step that writes down each chunk's text as it passes."""

    def step(parts: Any) -> Any:
        for part in parts:
            taken.append(part.content)
            yield part

    async def astep(parts: Any) -> Any:
        async for part in parts:
            taken.append(part.content)
            yield part

    return RunnableGenerator(step, astep)


@pytest.mark.parametrize(
    "script",
    [
        Script(events=[], done=False),
        Script(events=[{"error": {"message": "down", "code": 502}}]),
        Script(503, json={"error": {"message": "busy"}}),
        Script(status=None),
    ],
    ids=str,
)
def test_a_stream_that_fails_before_it_began(
    make: Make, sim: Simulator, colour: Colour, script: Script
) -> None:
    """It is asked again: nothing was handed out yet."""
    sim.script(script)
    chunks = colour.stream(make(max_retries=1), "Hi")
    assert "".join(part.content for part in chunks) == "You said: Hi"
    assert len(sim.requests) == 2


def test_a_stream_of_nothing(make: Make, sim: Simulator, colour: Colour) -> None:
    """It is no answer."""
    sim.script(Script(events=[]))
    with pytest.raises(errors.MalformedReplyError):
        colour.stream(make(), "Hi")


def test_a_partial_reply_holds_cut_calls(make: Make, sim: Simulator, colour: Colour) -> None:
    """A call that broke off is known, and not valid."""
    begun = tool_call("f", '{"a": ', "c", 0)
    sim.script(Script(events=[chunk({"tool_calls": [begun]})], done=False))
    with pytest.raises(errors.IncompleteStreamError) as caught:
        colour.stream(make(), "Hi")
    (call,) = caught.value.partial.tool_calls
    assert (call.name, call.parsed) == ("f", None)


def test_a_timeout(make: Make, sim: Simulator, ask: Ask) -> None:
    """Seconds, as everywhere in Python, also while a stream keeps silent."""
    sim.script(Script(events=[chunk("a"), 30.0]), Script(delay=30.0))
    with pytest.raises(lc.ModelTimeoutError) as caught:
        ask(make(timeout=0.3, max_retries=0), "Hi")
    assert isinstance(caught.value, errors.APITimeoutError)


def test_a_deadline(make: Make, sim: Simulator, ask: Ask) -> None:
    """The whole call has an end, retries included."""
    sim.script(*[Script(delay=0.2, status=500, json={"error": {"message": "down"}})] * 20)
    with pytest.raises((errors.DeadlineExceededError, errors.UpstreamError)):
        ask(make(deadline=0.5, max_retries=20), "Hi")
    assert len(sim.requests) <= 3


def test_langchain_reports_an_error_with_its_cause(make: Make, ask: Ask) -> None:
    """What the HTTP library said is the cause, so that a traceback tells all."""
    with pytest.raises(errors.APIConnectionError) as caught:
        ask(make(base_url="http://127.0.0.1:9/v1", max_retries=0), "Hi")
    assert isinstance(caught.value.__cause__, Exception)
    assert not isinstance(caught.value.__cause__, core.OneRouterError)


def test_preparing_raises_langchains_errors_too(llm: ChatOneRouter) -> None:
    """Also where no request is made."""
    for refuse in (
        lambda: llm.bind_tools([5]),
        lambda: llm.with_structured_output(5),
        lambda: llm.preview([HumanMessage([{"type": "hologram"}])]),
    ):
        with pytest.raises(lc.ModelInvalidRequestError) as caught:
            refuse()
        assert isinstance(caught.value, errors.ConfigurationError)
