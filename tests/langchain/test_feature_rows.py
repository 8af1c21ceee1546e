"""Features of docs/langchain-features.md that no other suite tests."""

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
from tests.langchain.conftest import CallModel, LLMFactory, Mode


def test_no_attribution_headers_by_default(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel
) -> None:
    """Only `default_headers` name an application to the gateway."""
    call_model(make_llm(), "Hi")
    assert not sim.last.headers.keys() & {"http-referer", "x-title"}
    assert "langchain" not in str(sim.last.headers).lower()
    call_model(make_llm(default_headers={"HTTP-Referer": "https://mine", "X-Title": "Mine"}), "Hi")
    assert (sim.last.headers["http-referer"], sim.last.headers["x-title"]) == (
        "https://mine",
        "Mine",
    )


def test_the_default_timeout_is_600_seconds() -> None:
    """None means no timeout."""
    for fields, seconds in (({}, 600), ({"timeout": 5}, 5), ({"timeout": None}, None)):
        gateway = Gateway(resolve_call(ChatOneRouter(model="a/b", **fields)).connection)
        assert gateway.connection.timeout == seconds


def test_an_async_callable_api_key(make_llm: LLMFactory, sim: Simulator) -> None:
    """Async calls await it for each request."""
    calls: list[int] = []

    async def get_key() -> SecretStr:
        await asyncio.sleep(0)
        calls.append(1)
        return SecretStr(sim.api_key)

    llm = make_llm(api_key=get_key)
    for _ in range(2):
        assert asyncio.run(llm.ainvoke("Hi")).content == "You said: Hi"
    assert len(calls) == 2


def test_plugins_and_presets_are_sent_in_the_body(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel
) -> None:
    """Keys of other gateways are sent unchanged, from `extra_body` or per call."""
    body = {"route": "fallback", "transforms": ["middle-out"], "preset": "p"}
    plugins = [{"id": "web", "max_results": 1}]
    sim.script(Script(json=completion()))
    call_model(make_llm(extra_body=body), "Hi", plugins=plugins)
    assert {name: sim.last.body.get(name) for name in body} == body
    assert sim.last.body["plugins"] == plugins


@pytest.mark.filterwarnings("ignore:.*is in beta")
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_events_of_a_delta_with_text_and_a_call(
    llm: ChatOneRouter, sim: Simulator, *, is_async: bool
) -> None:
    """Version 3 events have one text block and one complete call."""
    first_delta = {"content": "Well.", "tool_calls": [tool_call("f", '{"a"', "c", 0)]}
    second_delta = {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}
    sim.script(
        Script(
            events=[chunk(first_delta), chunk(second_delta), chunk({}, finish_reason="tool_calls")]
        )
    )

    async def collect() -> list[Any]:
        return [event async for event in await llm.astream_events("Hi", version="v3")]

    events = asyncio.run(collect()) if is_async else list(llm.stream_events("Hi", version="v3"))
    finished = [e["content"] for e in events if e["event"] == "content-block-finish"]
    assert [block["type"] for block in finished] == ["text", "tool_call"]
    assert finished[0]["text"] == "Well."
    assert (finished[1]["name"], finished[1]["args"]) == ("f", {"a": 1})


# --- cost and latency ---

PRICED = completion(usage={"prompt_tokens": 1, "completion_tokens": 1}, cost=0.25)
PRICED_STREAM = [
    chunk("Hi"),
    chunk({}, finish_reason="stop", usage=PRICED["usage"], cost=0.25),
]


def test_a_spent_budget_sends_no_request(make_llm: LLMFactory, sim: Simulator, mode: Mode) -> None:
    """Complete and streamed calls are recorded in one ledger."""
    ledger = Ledger(budget_usd="0.5")
    llm = make_llm(ledger=ledger)
    sim.script(Script(json=PRICED), Script(events=PRICED_STREAM))
    mode.invoke(llm, "Hi")
    mode.stream(llm, "Hi")
    assert ledger.spent == Decimal("0.5")
    for call in (mode.invoke, mode.stream):
        with pytest.raises(BudgetExceededError):
            call(llm, "Hi")
    assert len(sim.requests) == 2


def test_cost_in_usage_adds_total_cost(
    make_llm: LLMFactory, sim: Simulator, call_model: CallModel
) -> None:
    """`usage_metadata` has the cost (USD) on request, `response_metadata` always."""
    for enabled in (False, True):
        sim.script(Script(json=PRICED))
        answer = call_model(make_llm(cost_in_usage=enabled), "Hi")
        assert answer.usage_metadata.get("total_cost") == (0.25 if enabled else None)
        assert answer.response_metadata["cost"] == 0.25


def test_instances_share_connections(make_llm: LLMFactory, sim: Simulator) -> None:
    """Two models use one connection; closing one does not close the other's."""

    async def call_both() -> None:
        for llm in (first, second, second):
            await llm.ainvoke("Hi")
            await first.aclose()

    first, second = make_llm(), make_llm(api_key="sk-other", model="simulated/other")
    sim.script(*[Script(json=completion())] * 3)
    first.invoke("Hi")
    second.invoke("Hi")
    first.close()
    second.invoke("Hi")
    assert len({request.port for request in sim.requests}) == 1
    sim.clear()
    sim.script(*[Script(json=completion())] * 3)
    asyncio.run(call_both())
    assert len({request.port for request in sim.requests[1:]}) == 1


def test_a_cached_answer_is_not_recorded(make_llm: LLMFactory, sim: Simulator, mode: Mode) -> None:
    """An answer from LangChain's cache adds no cost to the ledger."""
    ledger = Ledger()
    llm = make_llm(ledger=ledger, cache=InMemoryCache())
    sim.script(Script(json=PRICED))
    for _ in range(3):
        assert mode.invoke(llm, "Hi").content == PRICED["choices"][0]["message"]["content"]
    assert ledger.spent == Decimal("0.25")
    assert len(sim.requests) == 1


def test_the_ledger_records_latency(make_llm: LLMFactory, sim: Simulator, mode: Mode) -> None:
    """Seconds to the first token and to the end, and the number of requests."""
    ledger = Ledger()
    sim.script(Script(status=500, body="oops"), Script(events=[chunk("a"), 0.05, *PRICED_STREAM]))
    mode.stream(make_llm(ledger=ledger), "Hi")
    (entry,) = ledger.entries
    assert entry.first_token is not None
    assert 0 < entry.first_token < entry.seconds
    assert (entry.output_tokens, entry.attempts) == (1, 2)


# --- pickling ---


def test_pickling_an_http_client_or_a_lambda_raises(make_llm: LLMFactory) -> None:
    """Neither is dropped silently."""
    with pytest.raises(ConfigurationError, match="http_client cannot be pickled"):
        pickle.dumps(make_llm(http_client=object()))
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(make_llm(api_key=lambda: "key"))
