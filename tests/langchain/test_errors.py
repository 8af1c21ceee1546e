"""Error classes: conversion, attributes, status codes, retries and redaction."""

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
from tests.langchain.conftest import CallModel, LLMFactory, Mode

WRONG_KEY = "sk-wrong-0123456789"
CORE_CLASSES = [
    error_class
    for error_class in vars(core).values()
    if isinstance(error_class, type) and issubclass(error_class, core.OneRouterError)
]

# Class of langchain-core that each error is also an instance of.
LANGCHAIN_CLASSES: dict[str, str] = {
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


@pytest.mark.parametrize("error_class", CORE_CLASSES, ids=lambda error_class: error_class.__name__)
def test_every_core_error_is_converted(error_class: type[core.OneRouterError]) -> None:
    """The result has the same name and attributes, and is also langchain-core's error."""
    attributes = {"status": 418, "model": "m", "provider": "p", "retry_after": 2.0, "attempts": 3}
    error = error_class("No.", **attributes, partial="half", transient=True)
    converted = to_langchain(error)
    assert type(converted) is getattr(errors, error_class.__name__)
    assert isinstance(converted, error_class)
    assert isinstance(converted, OneRouterError)
    assert isinstance(converted, lc.ModelError)
    assert isinstance(converted, getattr(lc, LANGCHAIN_CLASSES[error_class.__name__]))
    assert {name: getattr(converted, name) for name in attributes} == attributes
    assert (converted.partial, converted.transient, converted.is_retryable) == ("half", True, True)
    assert str(converted) == str(error)
    assert to_langchain(converted) is converted


@pytest.mark.parametrize("error_class", CORE_CLASSES, ids=lambda error_class: error_class.__name__)
def test_errors_can_be_pickled_and_copied(error_class: type[core.OneRouterError]) -> None:
    """Worker processes return errors with all their attributes."""
    converted = to_langchain(
        error_class("No.", status=429, retry_after=2.0, request_id="r", transient=False)
    )
    unpickled = pickle.loads(pickle.dumps(converted))  # noqa: S301 -- pickled here
    for copied in (unpickled, copy.deepcopy(converted)):
        assert type(copied) is type(converted)
        assert str(copied) == str(converted)
        assert (copied.status, copied.retry_after, copied.is_retryable) == (429, 2.0, False)


def test_the_class_tree_equals_the_cores() -> None:
    """A class catches the same errors as in the core."""
    for error_class in CORE_CLASSES:
        for base in CORE_CLASSES:
            subclass = getattr(errors, error_class.__name__)
            superclass = getattr(errors, base.__name__)
            assert issubclass(subclass, superclass) == issubclass(error_class, base)
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


@pytest.mark.parametrize(("status", "text", "name", "transient"), STATUSES)
def test_the_error_class_of_a_status(  # noqa: PLR0913, PLR0917 -- fixtures
    make_llm: LLMFactory,
    sim: Simulator,
    call_model: CallModel,
    status: int,
    text: str,
    name: str,
    transient: bool,
) -> None:
    """The class is the same whole and streamed, sync and async; transient errors are retried."""
    scripts = [failure(status, f"{text} (request id: r-1)", code="c-1")] * 2
    sim.script(*scripts)
    with pytest.raises(OneRouterError) as caught:
        call_model(make_llm(max_retries=1), "Hi")
    error = caught.value
    assert type(error) is getattr(errors, name)
    assert isinstance(error, classify(status, text))
    assert (error.status, error.code, error.model) == (status, "c-1", "simulated/echo")
    assert error.request_id
    assert (error.transient, error.is_retryable) == (transient, transient)
    assert error.attempts == len(sim.requests) == 1 + transient
    assert text in str(error)


def test_a_wrong_api_key(make_llm: LLMFactory, call_model: CallModel) -> None:
    """AuthenticationError names the environment variable and does not contain the key."""
    assert call_model(make_llm(), "Hi").content
    with pytest.raises(lc.ModelAuthenticationError, match="ONEROUTER_API_KEY") as caught:
        call_model(make_llm(api_key=WRONG_KEY), "Hi")
    assert isinstance(caught.value, errors.AuthenticationError)
    assert WRONG_KEY not in "".join(traceback.format_exception(caught.value))


def test_a_missing_api_key_sends_no_request(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel
) -> None:
    """ConfigurationError names the environment variable."""
    with pytest.raises(errors.ConfigurationError, match="ONEROUTER_API_KEY"):
        call_model(make_llm(api_key=None), "Hi")
    assert sim.requests == []


def test_an_echoed_api_key_is_redacted(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel, caplog: pytest.LogCaptureFixture
) -> None:
    """A key that the server repeats is in no message, traceback or log."""
    caplog.set_level(logging.DEBUG)
    sim.script(*[failure(500, f"cannot use Bearer {WRONG_KEY}")] * 2)
    with pytest.raises(errors.UpstreamError) as caught:
        call_model(make_llm(api_key=WRONG_KEY, max_retries=1), "Hi")
    error = caught.value
    outputs = [str(error), repr(error), str(error.args), caplog.text]
    outputs += ["".join(traceback.format_exception(error)), str(vars(error))]
    assert not [text for text in outputs if WRONG_KEY in text]
    assert "cannot use Bearer ***" in error.message


@pytest.mark.parametrize(
    ("headers", "text", "seconds"),
    [
        ({"retry-after": "120"}, "slow", 120.0),
        ({"retry-after-ms": "90000"}, "slow", 90.0),
        ({}, "Please try again after 70 seconds", 70.0),
    ],
)
def test_a_long_retry_after_is_not_retried(  # noqa: PLR0913, PLR0917 -- fixtures
    llm: ChatOneRouter,
    sim: Simulator,
    call_model: CallModel,
    headers: dict[str, str],
    text: str,
    seconds: float,
) -> None:
    """The error carries the seconds, from the headers or the text."""
    sim.script(Script(429, headers=headers, json={"error": {"message": text}}))
    with pytest.raises(errors.RateLimitError) as caught:
        call_model(llm, "Hi")
    assert caught.value.retry_after == seconds
    assert len(sim.requests) == 1


def test_max_retries_limits_requests(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel
) -> None:
    """0 sends one request, n at most n + 1."""
    for count in (0, 3):
        sim.clear()
        sim.script(*[failure(500, "down")] * 9)
        with pytest.raises(errors.UpstreamError):
            call_model(make_llm(), "Hi", max_retries=count)
        assert len(sim.requests) == count + 1


# --- failed replies and streams ---

FIRST_CHUNKS = [chunk("Hel"), chunk("lo")]


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
def test_a_complete_reply_without_an_answer_raises(
    make_llm: LLMFactory, sim: Simulator, mode: Mode, script: Script, name: str
) -> None:
    """A typed error, never an empty message."""
    sim.script(script)
    with pytest.raises(getattr(errors, name)) as caught:
        mode.invoke(make_llm(max_retries=0), "Hi")
    assert type(caught.value) is getattr(errors, name)


@pytest.mark.parametrize(
    ("script", "name"),
    [
        (Script(events=FIRST_CHUNKS, done=False), "IncompleteStreamError"),
        (Script(events=FIRST_CHUNKS, end="cut"), "IncompleteStreamError"),
        (Script(events=FIRST_CHUNKS, end="reset"), "IncompleteStreamError"),
        (
            Script(events=[*FIRST_CHUNKS, {"error": {"message": "down", "code": 502}}]),
            "UpstreamError",
        ),
        (Script(events=[*FIRST_CHUNKS, chunk({}, finish_reason="error")]), "UpstreamError"),
        (Script(events=[*FIRST_CHUNKS, chunk("!", error={"message": "down"})]), "UpstreamError"),
        (Script(events=[*FIRST_CHUNKS, "not JSON"]), "MalformedReplyError"),
    ],
    ids=str,
)
def test_a_stream_that_fails_after_the_first_chunk(
    make_llm: LLMFactory, sim: Simulator, mode: Mode, script: Script, name: str
) -> None:
    """The error carries the text so far; the request is not repeated."""
    sim.script(script)
    contents: list[str] = []
    with pytest.raises(getattr(errors, name)) as caught:
        mode.stream(make_llm(max_retries=5) | record_content(contents), "Hi")
    assert type(caught.value) is getattr(errors, name)
    assert caught.value.partial.text.startswith("Hello")
    assert "".join(contents) == "Hello"
    assert len(sim.requests) == 1


def record_content(contents: list[str]) -> RunnableGenerator:
    """Return a runnable that records the content of each chunk."""

    def step(chunks: Any) -> Any:
        for item in chunks:
            contents.append(item.content)
            yield item

    async def astep(chunks: Any) -> Any:
        async for item in chunks:
            contents.append(item.content)
            yield item

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
def test_a_stream_that_fails_before_the_first_chunk_is_retried(
    make_llm: LLMFactory, sim: Simulator, mode: Mode, script: Script
) -> None:
    """Nothing was yielded yet."""
    sim.script(script)
    chunks = mode.stream(make_llm(max_retries=1), "Hi")
    assert "".join(item.content for item in chunks) == "You said: Hi"
    assert len(sim.requests) == 2


def test_an_empty_stream_raises(make_llm: LLMFactory, sim: Simulator, mode: Mode) -> None:
    """A stream of [DONE] alone has no answer."""
    sim.script(Script(events=[]))
    with pytest.raises(errors.MalformedReplyError):
        mode.stream(make_llm(), "Hi")


def test_partial_contains_incomplete_tool_calls(
    make_llm: LLMFactory, sim: Simulator, mode: Mode
) -> None:
    """Their arguments are not parsed."""
    incomplete_call = tool_call("f", '{"a": ', "c", 0)
    sim.script(Script(events=[chunk({"tool_calls": [incomplete_call]})], done=False))
    with pytest.raises(errors.IncompleteStreamError) as caught:
        mode.stream(make_llm(), "Hi")
    (call,) = caught.value.partial.tool_calls
    assert (call.name, call.parsed) == ("f", None)


def test_timeout_raises(make_llm: LLMFactory, sim: Simulator, call_model: CallModel) -> None:
    """It is in seconds, and limits the silence within a stream as well."""
    sim.script(Script(events=[chunk("a"), 30.0]), Script(delay=30.0))
    with pytest.raises(lc.ModelTimeoutError) as caught:
        call_model(make_llm(timeout=0.3, max_retries=0), "Hi")
    assert isinstance(caught.value, errors.APITimeoutError)


def test_deadline_bounds_retries(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel
) -> None:
    """It limits the whole call."""
    sim.script(*[Script(delay=0.2, status=500, json={"error": {"message": "down"}})] * 20)
    with pytest.raises((errors.DeadlineExceededError, errors.UpstreamError)):
        call_model(make_llm(deadline=0.5, max_retries=20), "Hi")
    assert len(sim.requests) <= 3


def test_an_error_keeps_its_cause(make_llm: LLMFactory, call_model: CallModel) -> None:
    """`__cause__` is the exception of the HTTP library."""
    with pytest.raises(errors.APIConnectionError) as caught:
        call_model(make_llm(base_url="http://127.0.0.1:9/v1", max_retries=0), "Hi")
    assert isinstance(caught.value.__cause__, Exception)
    assert not isinstance(caught.value.__cause__, core.OneRouterError)


def test_errors_before_a_request_are_converted(llm: ChatOneRouter) -> None:
    """From bind_tools, with_structured_output and preview."""
    for prepare in (
        lambda: llm.bind_tools([5]),
        lambda: llm.with_structured_output(5),
        lambda: llm.preview([HumanMessage([{"type": "hologram"}])]),
    ):
        with pytest.raises(lc.ModelInvalidRequestError) as caught:
            prepare()
        assert isinstance(caught.value, errors.ConfigurationError)
