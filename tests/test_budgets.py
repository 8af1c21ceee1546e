"""Budgets and limits with both classes: every method, agents, batches and query engines."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.errors import OneRouterError as LangChainError
from llama_index_onerouter import OneRouterLLM
from onerouter_core import Ledger
from onerouter_core.errors import BudgetExceededError, ConfigurationError, OneRouterError
from onerouter_simulator import Simulator
from tests.both_classes import LANGCHAIN, METHODS, ask, call, model, script

# LlamaIndex's agents use deprecated names of pydantic.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")

ANSWER = {"content": "Hi"}
COST = Decimal("0.01")
USAGE = {"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10}


def answer(method: str, message: Any = None, finish: str = "stop") -> Any:
    """Return the script of an answer that costs 0.01 USD and 10 tokens."""
    return script(method, message or ANSWER, finish, cost=0.01, usage=USAGE)


@pytest.mark.parametrize("kind", ["usd", "tokens"])
@pytest.mark.parametrize("method", METHODS)
def test_a_spent_limit_is_the_error_of_the_framework(
    sim: Simulator, method: str, kind: str
) -> None:
    """The next block has its own."""
    ledger = Ledger()
    llm = model(sim, method, ledger=ledger)
    kind_of_error = LangChainError if method in LANGCHAIN else OneRouterError
    sim.script(*[answer(method)] * 2)
    for _ in range(2):
        with ledger.limit(**{kind: "0.01" if kind == "usd" else 10}) as limit:
            assert ask(llm, method)
            with pytest.raises(BudgetExceededError, match="The limit of") as caught:
                ask(llm, method)
        assert isinstance(caught.value, kind_of_error)
        assert (limit.spent_usd, limit.spent_tokens) == (COST, 10)
    assert len(sim.requests) == 2


@pytest.mark.parametrize("method", METHODS)
def test_a_model_without_the_ledger_is_refused(sim: Simulator, method: str) -> None:
    """Its calls would not be counted."""
    with Ledger().limit(usd=1), pytest.raises(ConfigurationError, match="same ledger="):
        ask(model(sim, method), method)
    assert not sim.requests


def test_a_batch_in_threads_belongs_to_the_limit(sim: Simulator) -> None:
    """LangChain's own thread pool."""
    ledger = Ledger()
    chat = model(sim, "invoke", ledger=ledger)
    sim.script(*[answer("invoke")] * 3)
    with ledger.limit(usd=1) as limit:
        chat.batch(["a", "b", "c"], {"max_concurrency": 3})
    assert limit.spent_usd == 3 * COST


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


LOOP = call('{"a": 1, "b": 2}', "add")  # an agent that gets only this never ends


@pytest.mark.parametrize("streaming", [False, True])
def test_a_run_of_a_langchain_agent_has_its_own_limit(sim: Simulator, *, streaming: bool) -> None:
    """It would call its tool for ever."""
    ledger = Ledger()
    chat = ChatOneRouter(
        model="vendor/model",
        base_url=sim.base_url,
        api_key=sim.api_key,
        ledger=ledger,
        streaming=streaming,
    )
    method = "stream" if streaming else "invoke"
    sim.script(*[answer(method, {"tool_calls": [LOOP]}, "tool_calls")] * 9)
    agent = create_agent(chat, [add])
    with ledger.limit(usd="0.03") as limit, pytest.raises(BudgetExceededError, match="limit"):
        agent.invoke({"messages": [HumanMessage("x")]})
    assert (limit.spent_usd, len(sim.requests)) == (3 * COST, 3)


def test_runs_of_llama_index_agents_at_the_same_time_have_their_own_limits(
    sim: Simulator,
) -> None:
    """Their steps are tasks that the workflow starts."""
    ledger = Ledger()
    llm = OneRouterLLM(
        model="vendor/model", base_url=sim.base_url, api_key=sim.api_key, ledger=ledger
    )
    sim.script(*[answer("stream_chat", {"tool_calls": [LOOP]}, "tool_calls")] * 20)

    async def run(tokens: int) -> int:
        agent = FunctionAgent(tools=[FunctionTool.from_defaults(add)], llm=llm)
        with ledger.limit(tokens=tokens) as limit:
            with pytest.raises(BudgetExceededError, match=f"limit of {tokens} tokens"):
                await agent.run("x")
            return limit.spent_tokens

    async def main() -> list[int]:
        return await asyncio.gather(run(20), run(30))

    assert asyncio.run(main()) == [20, 30]
    assert ledger.spent_tokens == 50
