"""LangChain's SQLite cache: a cached answer makes no request and costs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langchain_community", reason="make integration installs langchain-community")

from langchain_community.cache import SQLiteCache
from langchain_core.caches import BaseCache
from langchain_core.messages import AIMessage

from langchain_onerouter import ChatOneRouter
from onerouter_core import Ledger
from onerouter_simulator import Simulator
from tests.langchain.conftest import Async, Mode, Sync

# Warnings of the cache when it deserializes a message; as errors they would make it fail.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The function `loads` is in beta"),
    pytest.mark.filterwarnings("ignore:The default value of `allowed_objects`"),
]


@pytest.fixture(params=[Sync(), Async()], ids=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Run a test sync and async."""
    return request.param


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[BaseCache]:
    """Provide a cache in a file."""
    cache = SQLiteCache(str(tmp_path / "answers.db"))
    yield cache
    cache.engine.dispose()


def make_llm(sim: Simulator, cache: BaseCache, **fields: Any) -> ChatOneRouter:
    """Return a model with a cache, connected to the simulator."""
    connection = {"base_url": sim.base_url, "api_key": sim.api_key}
    return ChatOneRouter(**{"model": "simulated/echo", "cache": cache, **connection, **fields})


def cached_parts(message: AIMessage) -> tuple[Any, ...]:
    """Return the parts of a message that a cached copy must have, too."""
    metadata = {
        name: value for name, value in message.response_metadata.items() if name != "headers"
    }
    return message.text, message.additional_kwargs, message.tool_calls, metadata


def test_a_cached_answer_makes_no_request(sim: Simulator, cache: BaseCache, mode: Mode) -> None:
    """Another instance finds it, with its reasoning; the ledger has one entry."""
    ledger = Ledger()
    fields = {"ledger": ledger, "reasoning": {"effort": "low"}}
    first = mode.invoke(make_llm(sim, cache, **fields), "Hello")
    second = mode.invoke(make_llm(sim, cache, **fields), "Hello")
    assert len(sim.requests) == len(ledger.entries) == 1
    assert cached_parts(second) == cached_parts(first)
    assert second.additional_kwargs["reasoning_content"]


def test_a_cached_answer_costs_nothing(sim: Simulator, cache: BaseCache, mode: Mode) -> None:
    """Its usage is the one of the first call; LangChain sets `total_cost` to 0."""
    first = mode.invoke(make_llm(sim, cache), "Hello")
    second = mode.invoke(make_llm(sim, cache), "Hello")
    assert first.response_metadata["cost"] > 0
    assert second.usage_metadata == {**first.usage_metadata, "total_cost": 0}


def test_a_cached_answer_is_returned_over_budget(
    sim: Simulator, cache: BaseCache, mode: Mode
) -> None:
    """The budget is spent, but a cached answer needs none."""
    ledger = Ledger(budget_usd=Decimal("1e-12"))
    llm = make_llm(sim, cache, ledger=ledger)
    first = mode.invoke(llm, "Hello")
    assert ledger.spent > ledger.budget_usd
    assert mode.invoke(llm, "Hello").text == first.text
    assert len(sim.requests) == 1


@pytest.mark.parametrize(
    "other", [{"model": "simulated/other"}, {"temperature": 0.5}, {"seed": 0}, {"stop": ["x"]}]
)
def test_other_parameters_are_not_answered_from_the_cache(
    sim: Simulator, cache: BaseCache, mode: Mode, other: dict[str, Any]
) -> None:
    """A parameter that changes the answer is part of the cache key: field or keyword of a call."""
    mode.invoke(make_llm(sim, cache), "Hello")
    mode.invoke(make_llm(sim, cache, **other), "Hello")
    assert len(sim.requests) == 2
    if "model" not in other:
        mode.invoke(make_llm(sim, cache), "Hello", **other)
        assert len(sim.requests) == 2


def test_a_tool_call_is_cached(sim: Simulator, cache: BaseCache, mode: Mode) -> None:
    """The cached call has its arguments and its id."""

    def get_weather(city: str) -> str:
        """Tell the weather of a city."""
        return f"sunny in {city}"

    llm = make_llm(sim, cache).bind_tools([get_weather])
    first = mode.invoke(llm, "get_weather in 'Oslo'")
    second = mode.invoke(llm, "get_weather in 'Oslo'")
    assert len(sim.requests) == 1
    assert second.tool_calls == first.tool_calls
    assert [call["args"] for call in second.tool_calls] == [{"city": "Oslo"}]
