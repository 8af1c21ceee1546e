"""Facts of docs/langchain-features.md that no other test is about."""

from __future__ import annotations

import asyncio
import pickle
from decimal import Decimal
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from pydantic import SecretStr

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.errors import BudgetExceededError
from onerouter_core import Gateway, Ledger, resolve_call
from onerouter_core.errors import ConfigurationError
from onerouter_simulator import Script, Simulator, chunk, completion, tool_call
from tests.langchain.conftest import Ask, Colour, Make


def test_nobody_is_credited_unasked(make: Make, sim: Simulator, ask: Ask) -> None:
    """No application is named to the gateway but the one that `default_headers` names."""
    ask(make(), "Hi")
    assert not sim.last.headers.keys() & {"http-referer", "x-title"}
    assert "langchain" not in str(sim.last.headers).lower()
    ask(make(default_headers={"HTTP-Referer": "https://mine", "X-Title": "Mine"}), "Hi")
    assert (sim.last.headers["http-referer"], sim.last.headers["x-title"]) == (
        "https://mine",
        "Mine",
    )


def test_a_timeout_that_nobody_set() -> None:
    """A model of which nothing is set gives up after ten minutes; None waits for ever."""
    for fields, seconds in (({}, 600), ({"timeout": 5}, 5), ({"timeout": None}, None)):
        gateway = Gateway(resolve_call(ChatOneRouter(model="a/b", **fields)).connection)
        assert gateway.connection.timeout == seconds


def test_an_awaited_key(make: Make, sim: Simulator) -> None:
    """The key may be a coroutine function, which async calls await for each request."""
    asked: list[int] = []

    async def key() -> SecretStr:
        await asyncio.sleep(0)
        asked.append(1)
        return SecretStr(sim.api_key)

    llm = make(api_key=key)
    for _ in range(2):
        assert asyncio.run(llm.ainvoke("Hi")).content == "You said: Hi"
    assert len(asked) == 2


def test_plugins_and_presets_go_into_the_body(make: Make, sim: Simulator, ask: Ask) -> None:
    """What other gateways understand is sent as it is, given once or per call."""
    body = {"route": "fallback", "transforms": ["middle-out"], "preset": "p"}
    plugins = [{"id": "web", "max_results": 1}]
    sim.script(Script(json=completion()))
    ask(make(extra_body=body), "Hi", plugins=plugins)
    assert {name: sim.last.body.get(name) for name in body} == body
    assert sim.last.body["plugins"] == plugins


@pytest.mark.filterwarnings("ignore:.*is in beta")
@pytest.mark.parametrize("waited", [False, True], ids=["sync", "async"])
def test_events_of_a_delta_with_words_and_a_call(
    llm: ChatOneRouter, sim: Simulator, *, waited: bool
) -> None:
    """Version 3 events tell one text block and one whole call apart."""
    both = {"content": "Well.", "tool_calls": [tool_call("f", '{"a"', "c", 0)]}
    rest = {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}
    sim.script(Script(events=[chunk(both), chunk(rest), chunk({}, finish_reason="tool_calls")]))

    async def collect() -> list[Any]:
        return [event async for event in await llm.astream_events("Hi", version="v3")]

    happened = asyncio.run(collect()) if waited else list(llm.stream_events("Hi", version="v3"))
    ended = [e["content"] for e in happened if e["event"] == "content-block-finish"]
    assert [block["type"] for block in ended] == ["text", "tool_call"]
    assert ended[0]["text"] == "Well."
    assert (ended[1]["name"], ended[1]["args"]) == ("f", {"a": 1})


# --- money and time ---

PRICED = completion(usage={"prompt_tokens": 1, "completion_tokens": 1}, cost=0.25)
PRICED_STREAM = [
    chunk("Hi"),
    chunk({}, finish_reason="stop", usage=PRICED["usage"], cost=0.25),
]


def test_a_budget_is_kept(make: Make, sim: Simulator, colour: Colour) -> None:
    """Whole and streamed calls are booked in one ledger; once it is spent, none is sent."""
    ledger = Ledger(budget_usd="0.5")
    llm = make(ledger=ledger)
    sim.script(Script(json=PRICED), Script(events=PRICED_STREAM))
    colour.invoke(llm, "Hi")
    colour.stream(llm, "Hi")
    assert ledger.spent == Decimal("0.5")
    for spend in (colour.invoke, colour.stream):
        with pytest.raises(BudgetExceededError):
            spend(llm, "Hi")
    assert len(sim.requests) == 2


def test_the_cost_where_langsmith_looks_for_it(make: Make, sim: Simulator, ask: Ask) -> None:
    """Asked for, the cost (USD) stands among the counts; unasked, LangChain can add these up."""
    for wanted in (False, True):
        sim.script(Script(json=PRICED))
        answer = ask(make(cost_in_usage=wanted), "Hi")
        assert answer.usage_metadata.get("total_cost") == (0.25 if wanted else None)
        assert answer.response_metadata["cost"] == 0.25


def test_instances_share_connections(make: Make, sim: Simulator) -> None:
    """Two models, each made and called anew, use one connection; closing one leaves the other."""

    async def both() -> None:
        for llm in (first, second, second):
            await llm.ainvoke("Hi")
            await first.aclose()

    first, second = make(), make(api_key="sk-other", model="simulated/other")
    sim.script(*[Script(json=completion())] * 3)
    first.invoke("Hi")
    second.invoke("Hi")
    first.close()
    second.invoke("Hi")
    assert len({request.port for request in sim.requests}) == 1
    sim.clear()
    sim.script(*[Script(json=completion())] * 3)
    asyncio.run(both())
    assert len({request.port for request in sim.requests[1:]}) == 1


def test_a_cached_answer_costs_nothing(make: Make, sim: Simulator, colour: Colour) -> None:
    """What LangChain's cache answers is not booked."""
    ledger = Ledger()
    llm = make(ledger=ledger, cache=InMemoryCache())
    sim.script(Script(json=PRICED))
    for _ in range(3):
        assert colour.invoke(llm, "Hi").content == PRICED["choices"][0]["message"]["content"]
    assert ledger.spent == Decimal("0.25")
    assert len(sim.requests) == 1


def test_how_long_a_call_took(make: Make, sim: Simulator, colour: Colour) -> None:
    """The ledger knows the seconds to the first token and to the end, and the requests sent."""
    ledger = Ledger()
    sim.script(Script(status=500, body="oops"), Script(events=[chunk("a"), 0.05, *PRICED_STREAM]))
    colour.stream(make(ledger=ledger), "Hi")
    (entry,) = ledger.entries
    assert entry.first_token is not None
    assert 0 < entry.first_token < entry.seconds
    assert (entry.output_tokens, entry.attempts) == (1, 2)


# --- what an instance is ---


def test_what_cannot_be_pickled_is_named(make: Make) -> None:
    """A model that holds an HTTP client of the user's, or a lambda, does not lose it in silence."""
    with pytest.raises(ConfigurationError, match="http_client cannot be pickled"):
        pickle.dumps(make(http_client=object()))
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(make(api_key=lambda: "key"))
