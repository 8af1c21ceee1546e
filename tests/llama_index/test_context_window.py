"""What bounds a call: money, time, a window, a rate; and the words for it when it is too much."""

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
from tests.llama_index.conftest import Colour, Make, say

ENDPOINTS = ["chat", "stream_chat", "complete", "stream_complete"]


def ask(colour: Colour, llm: OneRouterLLM, endpoint: str) -> Any:
    """Use an endpoint."""
    return getattr(colour, endpoint)(llm, "x" if "complete" in endpoint else say("x"))


# --- money ---


def test_a_budget_is_kept(colour: Colour, make: Make, sim: Simulator) -> None:
    """Every endpoint books in one ledger; once it is spent, nothing is sent."""
    ledger = Ledger(budget_usd="1")
    llm = make(ledger=ledger)
    events = [chunk("Hi"), chunk({}, finish_reason="stop"), chunk(cost=0.25)]
    sim.script(*[Script(json=completion("Hi", cost=0.25)), Script(events=events)] * 2)
    for endpoint in ENDPOINTS:
        ask(colour, llm, endpoint)
    assert ledger.spent == Decimal(1)
    assert ledger.totals(lambda entry: entry.model) == {"simulated/echo": Decimal(1)}
    for endpoint in ENDPOINTS:
        with pytest.raises(BudgetExceededError, match="1 USD"):
            ask(colour, llm, endpoint)
    assert len(sim.requests) == 4


def test_a_call_may_have_a_ledger_of_its_own(colour: Colour, make: Make) -> None:
    """What one user spends on a model that many share."""
    shared, own = Ledger(), Ledger()
    llm = make(ledger=shared)
    colour.chat(llm, say("x"), ledger=own)
    assert (len(shared.entries), len(own.entries)) == (0, 1)


# --- time ---


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_deadline(colour: Colour, make: Make, sim: Simulator, endpoint: str) -> None:
    """The whole call has so many seconds, retries and all."""
    events = [chunk("a"), *[0.05, chunk("b")] * 200]
    sim.script(failure(500, "again"), Script(events=events))
    with pytest.raises(DeadlineExceededError, match=r"1\.0 s"):
        ask(colour, make(deadline=1.0), endpoint)


@pytest.mark.parametrize("endpoint", ["stream_chat", "stream_complete"])
def test_a_silent_stream(colour: Colour, make: Make, sim: Simulator, endpoint: str) -> None:
    """Words that stop coming are an error that has those that came; keep-alives are no words."""
    sim.script(Script(events=[chunk("Hel"), *[0.05, b": still here\n\n"] * 200]))
    with pytest.raises(APITimeoutError) as caught:
        ask(colour, make(timeout=1.0, max_retries=0), endpoint)
    assert caught.value.partial.text == "Hel"


# --- the models there are ---


def test_the_models_there_are(colour: Colour, make: Make) -> None:
    """The instance lists them, and can be given what it found."""
    llm = make(model="simulated/senses")
    models = colour.call(llm, "models")
    assert models["simulated/senses"].context_window == 262144
    llm.catalog = models
    assert llm.metadata.context_window == 262144


# --- too much ---


@pytest.mark.parametrize(
    ("script", "kind", "words"),
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
        *("too long", "no key", "no money", "moderation", "too fast", "upstream", "error in 200"),
        *("no choices", "all thought", "withheld", "finish reason"),
    ],
)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_what_went_wrong_has_a_name(  # noqa: PLR0913, PLR0917 -- a case, and two colours
    colour: Colour,
    make: Make,
    sim: Simulator,
    endpoint: str,
    script: Script,
    kind: type[OneRouterError],
    words: str,
) -> None:
    """Each failure is an error of its own that says what to do, where it can."""
    sim.script(script)
    with pytest.raises(kind, match=words) as caught:
        ask(colour, make(max_retries=0), endpoint)
    assert caught.value.model == "simulated/echo"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_request_is_known_by_its_id(
    colour: Colour, make: Make, sim: Simulator, endpoint: str
) -> None:
    """What support asks for is on the error, and on the answer."""
    named = {"x-infron-request-id": "req-7"}
    error = {"error": {"message": "died", "code": 502}}
    sim.script(Script(status=502, json=error, headers=named))
    with pytest.raises(UpstreamError, match="req-7") as caught:
        ask(colour, make(max_retries=0), endpoint)
    assert caught.value.request_id == "req-7"


def test_a_stream_is_begun_again_until_a_word_is_out(
    colour: Colour, make: Make, sim: Simulator
) -> None:
    """A stream that fails before its first word is asked for anew, one that fails after is not."""
    broken = Script(events=[chunk(error={"message": "died", "code": 502})])
    sim.script(broken, failure(503, "busy"))
    assert colour.stream_chat(make(), say("x"))[-1].message.content == "You said: x"
    assert len(sim.requests) == 3
    sim.clear()
    sim.script(Script(events=[chunk("Hel"), chunk(error={"message": "died", "code": 502})]))
    with pytest.raises(UpstreamError):
        colour.stream_chat(make(), say("x"))
    assert len(sim.requests) == 1
