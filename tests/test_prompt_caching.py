"""`cache_prompt` with both classes: marks that arrive, cached tokens, and what is saved."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from langchain_core.messages import AIMessage, SystemMessage
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from pydantic import ValidationError

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.errors import ConfigurationError as LangChainConfigurationError
from llama_index_onerouter import OneRouterLLM
from onerouter_core import Catalog, ConnectionSettings, Ledger
from onerouter_core.errors import ConfigurationError
from onerouter_simulator import Simulator
from tests.both_classes import (
    LANGCHAIN,
    LLAMA_INDEX,
    METHODS,
    ask,
    call,
    message_of,
    model,
    question,
    script,
    tool_result,
)

CACHING = "simulated/cache"  # of the simulator: 3 USD for a million prompt tokens
RULES = "Answer in one short sentence. " * 140  # 1,050 tokens
PRICE = Decimal(3) / 1_000_000


def system(method: str, text: str = RULES) -> Any:
    """Return a system message."""
    return (
        SystemMessage(text) if method in LANGCHAIN else ChatMessage(text, role=MessageRole.SYSTEM)
    )


def cached_tokens(answer: Any) -> tuple[int, int]:
    """Return the tokens that were read and written, where the framework has them."""
    if isinstance(answer, AIMessage):
        details: Any = answer.usage_metadata["input_token_details"]  # type: ignore[index]
        return details["cache_read"], details["cache_creation"]
    facts = answer.additional_kwargs
    return facts["cached_tokens"], facts["cache_write_tokens"]


def marks(sim: Simulator) -> list[tuple[int, Any]]:
    """Return the index of each marked message of the last request, and its time to live."""
    return [
        (index, part["cache_control"].get("ttl"))
        for index, message in enumerate(sim.last.body["messages"])
        for part in message["content"] or ()
        if "cache_control" in part
    ]


@pytest.mark.parametrize("method", METHODS)
def test_each_turn_of_a_chat_reads_what_the_last_one_wrote(sim: Simulator, method: str) -> None:
    """All of it, and writes what was added."""
    ledger = Ledger()
    llm = model(sim, method, model=CACHING, cache_prompt=True, ledger=ledger)
    history = [system(method), question(method)]
    so_far = 0
    for turn in range(4):
        answer = ask(llm, method, history)
        read, written = cached_tokens(answer)
        assert (read, written > 0) == (so_far, True), turn
        so_far += written
        history += [message_of(answer), question(method)]
        entry = ledger.entries[-1]
        assert (entry.cached_tokens, entry.cache_write_tokens) == (read, written)
        saved = PRICE * (read * Decimal("0.9") - written * Decimal("0.25"))
        assert entry.cache_savings == pytest.approx(saved)
        assert entry.cache_savings_estimated is False
    assert marks(sim) == [(0, None), (5, None), (7, None)]
    assert ledger.cache_savings == sum(entry.cache_savings or 0 for entry in ledger.entries) > 0


@pytest.mark.parametrize("method", METHODS)
def test_each_step_of_an_agent_reads_what_the_last_one_wrote(sim: Simulator, method: str) -> None:
    """Results of tools are marked; the calls are a part of the prefix."""
    llm = model(sim, method, model=CACHING, cache_prompt="1h")
    history = [system(method), question(method)]
    read_by_step = []
    for step in range(3):
        sim.script(script(method, {"tool_calls": [call("{}", call_id=f"c{step}")]}, "tool_calls"))
        asked = message_of(ask(llm, method, history))
        history += [asked, tool_result(method, f"c{step}")]
        read_by_step.append(cached_tokens(ask(llm, method, history)))
    (read, first), (second_read, second), (third_read, _) = read_by_step
    assert (read, second_read, third_read) == (0, first, first + second)
    assert marks(sim) == [(0, "1h"), (5, "1h"), (7, "1h")]


@pytest.mark.parametrize("method", METHODS)
def test_what_was_cached_expires(sim: Simulator, method: str) -> None:
    """After 5 minutes, or an hour, without use."""
    for cache_prompt, seconds in (("5m", 301), ("1h", 3601)):
        sim.clear()
        llm = model(sim, method, model=CACHING, cache_prompt=cache_prompt)
        history = [system(method), question(method)]
        _, written = cached_tokens(ask(llm, method, history))
        sim.advance(seconds - 60)
        assert cached_tokens(ask(llm, method, history)) == (written, 0)
        sim.advance(seconds)
        assert cached_tokens(ask(llm, method, history)) == (0, written)


@pytest.mark.parametrize("method", METHODS)
def test_without_parts_of_the_cost_savings_are_estimated(sim: Simulator, method: str) -> None:
    """From the catalogue's price, and the time to live that the request asked for."""
    details = {"cached_tokens": 1000, "cache_write_tokens": 100}
    usage = {"prompt_tokens": 1200, "completion_tokens": 1, "prompt_tokens_details": details}
    prices = Catalog.fetch(ConnectionSettings(base_url=sim.base_url))
    for cache_prompt, factor in ((True, "0.25"), ("1h", "1")):
        ledger = Ledger()
        llm = model(sim, method, cache_prompt=cache_prompt, ledger=ledger, catalog=prices)
        sim.script(script(method, {"content": "Hi"}, cost=0.5, usage=usage, model=CACHING))
        ask(llm, method)
        (entry,) = ledger.entries
        assert entry.cache_savings == PRICE * (900 - 100 * Decimal(factor))
        assert (entry.cache_savings_estimated, entry.estimated) == (True, False)


# --- constructor and call ---


@pytest.mark.parametrize("method", METHODS)
def test_a_call_overrides_the_field(sim: Simulator, method: str) -> None:
    """False switches it off, a time to live replaces it; it is no key of the body."""
    llm = model(sim, method, cache_prompt=True)
    for options, expected in (
        ({}, [(0, None)]),
        ({"cache_prompt": "1h"}, [(0, "1h")]),
        ({"cache_prompt": None}, [(0, None)]),
        ({"cache_prompt": False}, []),
    ):
        ask(bound(llm, method, options), method)
        assert marks(sim) == expected
        assert "cache_prompt" not in sim.last.body
        assert llm.preview([question(method)], **options)["messages"] == sim.last.body["messages"]


def bound(llm: Any, method: str, options: dict[str, Any]) -> Any:
    """Return a model whose calls have these options."""
    if method in LANGCHAIN:
        return llm.bind(**options)
    return llm.model_copy(update={"additional_kwargs": options})


@pytest.mark.parametrize("method", LLAMA_INDEX)
def test_additional_kwargs_are_defaults_of_each_call(sim: Simulator, method: str) -> None:
    """A call overrides them."""
    llm = model(sim, method, additional_kwargs={"cache_prompt": "5m"})
    ask(llm, method)
    assert marks(sim) == [(0, "5m")]
    assert "cache_control" not in str(llm.preview([question(method)], cache_prompt=False))


@pytest.mark.parametrize("value", ["2h", 5, 0, 1, "", "true"], ids=repr)
@pytest.mark.parametrize("method", ["invoke", "chat"])
def test_an_unknown_time_to_live_is_an_error(sim: Simulator, method: str, value: Any) -> None:
    """It says what is allowed, and nothing is sent."""
    words = 'cache_prompt must be True, False, "5m" or "1h"'
    error = LangChainConfigurationError if method == "invoke" else ConfigurationError
    with pytest.raises(ValidationError, match=words):
        model(sim, method, cache_prompt=value)
    with pytest.raises(error, match=words):
        ask(bound(model(sim, method), method, {"cache_prompt": value}), method)
    assert not sim.requests


@pytest.mark.parametrize("method", METHODS)
def test_messages_of_the_caller_stay_as_they_are(sim: Simulator, method: str) -> None:
    """They can be used again."""
    history = [system(method), question(method)]
    before = [item.model_dump() for item in history]
    ask(model(sim, method, cache_prompt=True), method, history)
    assert [item.model_dump() for item in history] == before


def test_it_is_a_field_of_both_classes() -> None:
    """With the same description."""
    fields = [kind.model_fields["cache_prompt"] for kind in (ChatOneRouter, OneRouterLLM)]
    assert fields[0].description == fields[1].description
