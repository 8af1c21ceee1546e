"""LangChain's SQLite cache: what was answered once is not asked, paid or booked again."""

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
from tests.langchain.conftest import Async, Colour, Sync

# The cache's own way of reading; raised as errors, these would spoil what it reads.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The function `loads` is in beta"),
    pytest.mark.filterwarnings("ignore:The default value of `allowed_objects`"),
]


@pytest.fixture(params=[Sync(), Async()], ids=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Colour:
    """Run a test twice, once in each colour."""
    return request.param


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[BaseCache]:
    """Keep answers in a file."""
    cache = SQLiteCache(str(tmp_path / "answers.db"))
    yield cache
    cache.engine.dispose()


def made(sim: Simulator, cache: BaseCache, **fields: Any) -> ChatOneRouter:
    """Make a model that keeps its answers."""
    reach = {"base_url": sim.base_url, "api_key": sim.api_key}
    return ChatOneRouter(**{"model": "simulated/echo", "cache": cache, **reach, **fields})


def what(answer: AIMessage) -> tuple[Any, ...]:
    """Return what of an answer is kept."""
    facts = {name: fact for name, fact in answer.response_metadata.items() if name != "headers"}
    return answer.text, answer.additional_kwargs, answer.tool_calls, facts


def test_an_answer_that_is_kept(sim: Simulator, cache: BaseCache, colour: Colour) -> None:
    """Another instance finds it, with what was thought; no request is made, nothing is booked."""
    ledger = Ledger()
    fields = {"ledger": ledger, "reasoning": {"effort": "low"}}
    first = colour.invoke(made(sim, cache, **fields), "Hello")
    again = colour.invoke(made(sim, cache, **fields), "Hello")
    assert len(sim.requests) == len(ledger.entries) == 1
    assert what(again) == what(first)
    assert again.additional_kwargs["reasoning_content"]


def test_what_a_kept_answer_costs(sim: Simulator, cache: BaseCache, colour: Colour) -> None:
    """Its tokens are counted as they were, and LangChain says that they cost nothing."""
    first = colour.invoke(made(sim, cache), "Hello")
    again = colour.invoke(made(sim, cache), "Hello")
    assert first.response_metadata["cost"] > 0
    assert again.usage_metadata == {**first.usage_metadata, "total_cost": 0}


def test_a_budget_that_is_spent(sim: Simulator, cache: BaseCache, colour: Colour) -> None:
    """What is kept is still to be had."""
    ledger = Ledger(budget_usd=Decimal("1e-12"))
    llm = made(sim, cache, ledger=ledger)
    first = colour.invoke(llm, "Hello")
    assert ledger.spent > ledger.budget_usd
    assert colour.invoke(llm, "Hello").text == first.text
    assert len(sim.requests) == 1


@pytest.mark.parametrize(
    "other", [{"model": "simulated/other"}, {"temperature": 0.5}, {"seed": 0}, {"stop": ["x"]}]
)
def test_another_question(
    sim: Simulator, cache: BaseCache, colour: Colour, other: dict[str, Any]
) -> None:
    """What changes the answer is asked anew, given to the constructor or to the call."""
    colour.invoke(made(sim, cache), "Hello")
    colour.invoke(made(sim, cache, **other), "Hello")
    assert len(sim.requests) == 2
    if "model" not in other:
        colour.invoke(made(sim, cache), "Hello", **other)
        assert len(sim.requests) == 2


def test_a_kept_tool_call(sim: Simulator, cache: BaseCache, colour: Colour) -> None:
    """A call is kept with its arguments and its id."""

    def get_weather(city: str) -> str:
        """Tell the weather of a city."""
        return f"sunny in {city}"

    llm = made(sim, cache).bind_tools([get_weather])
    first = colour.invoke(llm, "get_weather in 'Oslo'")
    again = colour.invoke(llm, "get_weather in 'Oslo'")
    assert len(sim.requests) == 1
    assert again.tool_calls == first.tool_calls
    assert [call["args"] for call in again.tool_calls] == [{"city": "Oslo"}]
