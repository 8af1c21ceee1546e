"""Every quirk of the simulator x both classes x all modes, and x agents of both frameworks.

A quirk must not change what an answer means: each result is compared with that of a simulator
without quirks. Where a quirk is a failure, the result is a typed error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import TypeAlias

import pytest

from onerouter_core.errors import OneRouterError
from onerouter_simulator import Simulator
from onerouter_simulator.quirks import QUIRKS
from onerouter_simulator.quirks.carried_fields import EXTRA_CONTENT
from tests.quirk_agents import AGENTS, RunAgent
from tests.quirk_cases import (
    CELLS,
    Asker,
    Outcome,
    Result,
    ask_all,
    open_asker,
)

# LlamaIndex's agents use deprecated names of pydantic and of its own workflows package.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:is_running called:DeprecationWarning"),
]

Change: TypeAlias = Callable[[str, Outcome], Outcome]

FAILURES = {
    "error-under-200": "UpstreamError",
    "error-as-html": "UpstreamError",
    "error-of-another-status": "InsufficientCreditsError",
    "retry-after-in-prose": "RateLimitError",
    "finish-error": "UpstreamError",
    "finish-insufficient-system-resource": "UpstreamError",
    "finish-network-error": "UpstreamError",
    "finish-abort": "UpstreamError",
    "finish-malformed-function-call": "UpstreamError",
    "finish-safety": "ContentFilterError",
    "finish-recitation": "ContentFilterError",
    "finish-prohibited-content": "ContentFilterError",
    "finish-blocklist": "ContentFilterError",
    "finish-sensitive": "ContentFilterError",
}
FAILURES_OF_STREAMS = {"stream-ends-early": "IncompleteStreamError"}
CUT_BY_A_FAILURE = (
    "finish-error",
    "finish-insufficient-system-resource",
    "finish-network-error",
    "finish-abort",
)
EMPTY_AFTER_TOOL_RESULTS = (
    "null-after-tool-result",
    "empty-text-after-tool-result",
    "reasoning-alone-after-tool-result",
)


def count_half_as_cached(_: str, outcome: Outcome) -> Outcome:
    """Half of the prompt tokens are cached."""
    return replace(outcome, cached=outcome.tokens[0] // 2 if outcome.tokens else None)


def answer_nothing(reasoning: str) -> Change:
    """After a call, the answer is empty but for this reasoning."""
    return lambda question, outcome: (
        replace(outcome, text="", reasoning=reasoning) if question == "after a call" else outcome
    )


def break_calls_with_numbers(question: str, outcome: Outcome) -> Outcome:
    """Make the calls with numbers invalid; in the next turn, their errors are quoted."""
    if question == "after a call":
        return Outcome()
    broken = [call for call in outcome.calls if "12" in call]
    calls = tuple(call for call in outcome.calls if "12" not in call)
    return replace(outcome, calls=calls, invalid=outcome.invalid + len(broken))


# What differs from the result without the quirk, by question; all other quirks change nothing.
CHANGES: dict[str, Change] = {
    "reasoning-content-empty": lambda _, outcome: replace(outcome, reasoning=""),
    "reasoning-encrypted": lambda _, outcome: replace(outcome, reasoning=""),
    "nan-in-arguments": break_calls_with_numbers,
    "null-after-tool-result": answer_nothing(""),
    "empty-text-after-tool-result": answer_nothing(""),
    "reasoning-alone-after-tool-result": answer_nothing("All is done."),
    "usage-input-and-output-tokens": lambda _, outcome: replace(outcome, cached=None),
    "usage-prompt-cache-hit-tokens": count_half_as_cached,
    "usage-cached-tokens": count_half_as_cached,
    "usage-prompt-tokens-cache-read": count_half_as_cached,
    "usage-cache-read-input-tokens": count_half_as_cached,
    "no-usage": lambda _, outcome: replace(outcome, tokens=None, cached=None, cost=None),
}


@pytest.fixture(scope="module", params=[quirk.name for quirk in QUIRKS])
def odd(request: pytest.FixtureRequest) -> Iterator[tuple[str, Simulator]]:
    """Run a simulator with one quirk; return the quirk's name and the simulator."""
    with Simulator(quirks=[request.param]) as sim:
        yield request.param, sim


@pytest.fixture(scope="module")
def results_without_quirk() -> Iterator[Callable[[type[Asker], str], dict[str, Result]]]:
    """Return a function that returns a class's results of all questions to a plain simulator."""
    with Simulator() as sim:

        @cache
        def ask(asker: type[Asker], mode: str) -> dict[str, Result]:
            with open_asker(asker, mode, sim) as opened:
                return ask_all(opened)

        yield ask


def failure_of(quirk: str, mode: str) -> str | None:
    """Return the name of the error that a quirk is in a mode; None if it is no failure."""
    streamed = "stream" in mode
    return FAILURES.get(quirk) or (FAILURES_OF_STREAMS.get(quirk) if streamed else None)


@pytest.mark.parametrize(("asker", "mode"), CELLS, ids=[f"{c.__name__}-{m}" for c, m in CELLS])
def test_an_answer_keeps_its_meaning(
    odd: tuple[str, Simulator],
    asker: type[Asker],
    mode: str,
    results_without_quirk: Callable[[type[Asker], str], dict[str, Result]],
) -> None:
    """Texts, reasoning, calls, counts, cost and objects are those of a plain answer."""
    quirk, sim = odd
    expected = results_without_quirk(asker, mode)
    error = failure_of(quirk, mode)
    change = CHANGES.get(quirk, lambda _, outcome: outcome)
    if error:
        expected = dict.fromkeys(expected, error)
    else:
        expected = {
            question: change(question, result) if isinstance(result, Outcome) else result
            for question, result in expected.items()
        }
    with open_asker(asker, mode, sim) as opened:
        results = ask_all(opened)
    if quirk == "nan-in-arguments":  # the next turn is accepted, whatever its text
        assert isinstance(results["after a call"], Outcome)
        results["after a call"] = Outcome()
    assert results == expected


# --- agents ---

RAN = [
    'add {"a": 12, "b": 7}',
    "get_status {}",
    'multiply {"a": 12, "b": 7}',
    'multiply {"a": 12, "b": 7}',
    r'note {"text": "one\ttwo"}',
]
TEXTS = [
    ["According to multiply: 84"],
    ["According to add: 19", "According to multiply: 84"],
    ["According to get_status: fine", "According to note: noted"],
    ["You said: Thank you!"],
]


@pytest.mark.parametrize(("agent", "mode"), AGENTS, ids=[f"{a.__name__}-{m}" for a, m in AGENTS])
async def test_an_agent_runs_each_tool_once_and_goes_on(
    odd: tuple[str, Simulator], agent: RunAgent, mode: str
) -> None:
    """Each tool runs once per call, with its arguments; the strict simulator accepts each turn."""
    quirk, sim = odd
    if error := failure_of(quirk, mode):
        with pytest.raises(OneRouterError) as caught:
            await agent(mode, sim)
        assert type(caught.value).__name__ == error
        return
    conversation = await agent(mode, sim)
    if quirk == "nan-in-arguments":  # such a call does not run; the answers say so in any words
        assert conversation.ran == [call for call in RAN if "12" not in call]
        assert conversation.texts[2:] == TEXTS[2:]
        return
    is_empty = quirk in EMPTY_AFTER_TOOL_RESULTS
    assert conversation.ran == RAN
    assert conversation.texts == ([[""]] * 3 + TEXTS[3:] if is_empty else TEXTS)


# --- failures, and what goes back ---


@pytest.mark.parametrize(("asker", "mode"), CELLS, ids=[f"{c.__name__}-{m}" for c, m in CELLS])
@pytest.mark.parametrize("quirk", CUT_BY_A_FAILURE)
def test_a_failure_is_transient_and_has_the_partial_reply(
    quirk: str, asker: type[Asker], mode: str
) -> None:
    """The reply received before the failure is in `partial`."""
    with (
        Simulator(quirks=[quirk]) as sim,
        open_asker(asker, mode, sim) as model,
        pytest.raises(OneRouterError) as caught,
    ):
        model.ask([model.user("Hello")])
    assert caught.value.transient
    assert caught.value.partial.text == "You said: Hello"


@pytest.mark.parametrize(("asker", "mode"), CELLS, ids=[f"{c.__name__}-{m}" for c, m in CELLS])
def test_a_signature_of_a_message_goes_back(asker: type[Asker], mode: str) -> None:
    """It is under its key, as it came."""
    quirks = ["thought-signature-on-messages"]
    with Simulator(quirks=quirks) as sim, open_asker(asker, mode, sim) as model:
        answer = model.ask([model.user("Hello")])
        model.ask([model.user("Hello"), *model.results(answer), model.user("Go on.")])
        assert sim.last.body["messages"][1]["extra_content"] == EXTRA_CONTENT
