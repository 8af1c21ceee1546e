"""Facts that programs read from every answer are there, also where the server says nothing."""

from __future__ import annotations

import pytest

from onerouter_simulator import Simulator
from tests.both_classes import LANGCHAIN, METHODS, ask, model, script


@pytest.mark.parametrize("method", METHODS)
def test_cost_and_provider_are_always_there(sim: Simulator, method: str) -> None:
    """They are None, as is the total of the tokens with OneRouterLLM."""
    sim.script(script(method, {"content": "Hi"}, usage=None, cost=None, provider=None))
    answer = ask(model(sim, method), method)
    if method in LANGCHAIN:
        facts, names = answer.response_metadata, ("cost", "provider")
    else:
        facts, names = answer.additional_kwargs, ("cost", "provider", "total_tokens")
    assert [facts[name] for name in names] == [None] * len(names)
