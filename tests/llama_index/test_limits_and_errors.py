"""Limits and errors: budgets, deadlines, timeouts, and the error class of each failure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from llama_index_onerouter import OneRouterLLM
from onerouter_core import Ledger
from onerouter_core.errors import (
    APITimeoutError,
    AuthenticationError,
    BudgetExceededError,
    ContentFilterError,
    ContextOverflowError,
    DeadlineExceededError,
    InsufficientCreditsError,
    LengthLimitError,
    MalformedReplyError,
    OneRouterError,
    RateLimitError,
    UpstreamError,
)
from onerouter_simulator import Script, Simulator, chunk, completion, failure
from tests.llama_index.conftest import LLMFactory, Mode, user_messages

ENDPOINTS = ["chat", "stream_chat", "complete", "stream_complete"]


def call_endpoint(mode: Mode, llm: OneRouterLLM, endpoint: str) -> Any:
    """Call an endpoint with a prompt or with messages."""
    return getattr(mode, endpoint)(llm, "x" if "complete" in endpoint else user_messages("x"))


# --- budgets ---


def test_a_spent_budget_raises_before_sending(
    mode: Mode, make_llm: LLMFactory, sim: Simulator
) -> None:
    """All endpoints record their cost in one ledger."""
    ledger = Ledger(budget_usd="1")
    llm = make_llm(ledger=ledger)
    events = [chunk("Hi"), chunk({}, finish_reason="stop"), chunk(cost=0.25)]
    sim.script(*[Script(json=completion("Hi", cost=0.25)), Script(events=events)] * 2)
    for endpoint in ENDPOINTS:
        call_endpoint(mode, llm, endpoint)
    assert ledger.spent == Decimal(1)
    assert ledger.totals(lambda entry: entry.model) == {"simulated/echo": Decimal(1)}
    for endpoint in ENDPOINTS:
        with pytest.raises(BudgetExceededError, match="1 USD"):
            call_endpoint(mode, llm, endpoint)
    assert len(sim.requests) == 4


def test_a_ledger_given_per_call_replaces_the_fields(mode: Mode, make_llm: LLMFactory) -> None:
    """Users that share a model can have a ledger each."""
    shared, separate = Ledger(), Ledger()
    llm = make_llm(ledger=shared)
    mode.chat(llm, user_messages("x"), ledger=separate)
    assert (len(shared.entries), len(separate.entries)) == (0, 1)


# --- time limits ---


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_call_past_its_deadline_raises(
    mode: Mode, make_llm: LLMFactory, sim: Simulator, endpoint: str
) -> None:
    """The deadline includes retries and the reading of a stream."""
    events = [chunk("a"), *[0.05, chunk("b")] * 200]
    sim.script(failure(500, "again"), Script(events=events))
    with pytest.raises(DeadlineExceededError, match=r"1\.0 s"):
        call_endpoint(mode, make_llm(deadline=1.0), endpoint)


@pytest.mark.parametrize("endpoint", ["stream_chat", "stream_complete"])
def test_a_stream_without_data_for_the_timeout_raises(
    mode: Mode, make_llm: LLMFactory, sim: Simulator, endpoint: str
) -> None:
    """Comments are not data. The error has the text so far."""
    sim.script(Script(events=[chunk("Hel"), *[0.05, b": still here\n\n"] * 200]))
    with pytest.raises(APITimeoutError) as caught:
        call_endpoint(mode, make_llm(timeout=1.0, max_retries=0), endpoint)
    assert caught.value.partial.text == "Hel"


# --- model list ---


def test_models_returns_a_catalog(mode: Mode, make_llm: LLMFactory) -> None:
    """It can be assigned to `catalog`."""
    llm = make_llm(model="simulated/senses")
    models = mode.call(llm, "models")
    assert models["simulated/senses"].context_window == 262144
    llm.catalog = models
    assert llm.metadata.context_window == 262144


# --- error classes ---


@pytest.mark.parametrize(
    ("script", "error_class", "message"),
    [
        (failure(400, "maximum context length is 9 tokens"), ContextOverflowError, "Shorten"),
        (failure(401, "no"), AuthenticationError, "ONEROUTER_API_KEY"),
        (failure(402, "no credits left"), InsufficientCreditsError, "Top up"),
        (failure(403, "flagged by moderation"), ContentFilterError, "moderation"),
        (failure(429, "slow down"), RateLimitError, "slow"),
        (failure(502, "vendor died"), UpstreamError, "vendor died"),
        (Script(json={"error": {"message": "vendor died", "code": 502}}), UpstreamError, "died"),
        (Script(json={"choices": []}), MalformedReplyError, "model simulated"),
        (Script(json=completion(None, finish_reason="length")), LengthLimitError, "max_tokens"),
        (
            Script(json=completion(None, finish_reason="content_filter")),
            ContentFilterError,
            "withheld",
        ),
        (Script(json=completion("Hal", finish_reason="error")), UpstreamError, "failed"),
    ],
    ids=[
        *("400 length", "401", "402", "403 moderation", "429", "502", "error under 200"),
        *("no choices", "length", "content filter", "finish reason error"),
    ],
)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_each_failure_raises_its_own_class(  # noqa: PLR0913, PLR0917 -- case and fixtures
    mode: Mode,
    make_llm: LLMFactory,
    sim: Simulator,
    endpoint: str,
    script: Script,
    error_class: type[OneRouterError],
    message: str,
) -> None:
    """The message says what to do, where there is something to do."""
    sim.script(script)
    with pytest.raises(error_class, match=message) as caught:
        call_endpoint(mode, make_llm(max_retries=0), endpoint)
    assert caught.value.model == "simulated/echo"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_error_has_the_request_id(
    mode: Mode, make_llm: LLMFactory, sim: Simulator, endpoint: str
) -> None:
    """In the message and in `request_id`."""
    headers = {"x-infron-request-id": "req-7"}
    error = {"error": {"message": "died", "code": 502}}
    sim.script(Script(status=502, json=error, headers=headers))
    with pytest.raises(UpstreamError, match="req-7") as caught:
        call_endpoint(mode, make_llm(max_retries=0), endpoint)
    assert caught.value.request_id == "req-7"


def test_a_stream_is_retried_only_before_its_first_delta(
    mode: Mode, make_llm: LLMFactory, sim: Simulator
) -> None:
    """After the first delta, the error is raised."""
    broken = Script(events=[chunk(error={"message": "died", "code": 502})])
    sim.script(broken, failure(503, "busy"))
    assert mode.stream_chat(make_llm(), user_messages("x"))[-1].message.content == "You said: x"
    assert len(sim.requests) == 3
    sim.clear()
    sim.script(Script(events=[chunk("Hel"), chunk(error={"message": "died", "code": 502})]))
    with pytest.raises(UpstreamError):
        mode.stream_chat(make_llm(), user_messages("x"))
    assert len(sim.requests) == 1
