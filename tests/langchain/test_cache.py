"""LangChain's cache: the key contains all that changes an answer, and no secret."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache

from langchain_onerouter import ChatOneRouter
from onerouter_simulator import Simulator
from tests.langchain.conftest import LLMFactory, Mode


@pytest.fixture
def cached_llm(make_llm: LLMFactory) -> Iterator[ChatOneRouter]:
    """Return a model with its own cache."""
    return make_llm(cache=InMemoryCache())


def test_a_cached_answer_sends_no_request(
    cached_llm: ChatOneRouter, sim: Simulator, mode: Mode
) -> None:
    """The second identical call is answered by the cache."""
    first, second = mode.invoke(cached_llm, "Hi"), mode.invoke(cached_llm, "Hi")
    assert first.content == second.content
    assert len(sim.requests) == 1


CHANGES: list[dict[str, Any]] = [
    {"model": "simulated/senses"},
    {"temperature": 0.0},
    {"provider": {"order": ["a/b"]}},
    {"fallback_models": ["a/b"]},
    {"extra_body": {"top_k": 1}},
    {"reasoning_effort": "low"},
    {"stop": ["z"]},
    {"n": 2},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_the_cache_key_contains_all_parameters(
    make_llm: LLMFactory, sim: Simulator, mode: Mode, change: dict[str, Any]
) -> None:
    """Fields, copies, assignments and per-call arguments change the key."""
    cache = InMemoryCache()
    (name,), llm = change, make_llm(cache=cache)
    mode.invoke(llm, "Hi")
    changed = make_llm(**change)
    mode.invoke(llm, "Hi", **change)
    assert len(sim.requests) == 2, "a keyword"
    mode.invoke(make_llm(cache=cache, seed=1), "Hi")
    mode.invoke(make_llm(cache=cache, seed=1, **change), "Hi")
    assert len(sim.requests) == 4, "a field"
    copy = llm.model_copy(update={name: getattr(changed, name), "seed": 2})
    mode.invoke(copy, "Hi")
    setattr(copy, name, None if name != "model" else "simulated/echo")
    mode.invoke(copy, "Hi")
    assert len(sim.requests) == 6, "a copy and an assignment"


@pytest.mark.parametrize("change", [{"output_version": "v1"}, {"replay_reasoning": "never"}])
def test_the_cache_key_contains_output_version_and_replay_policy(
    make_llm: LLMFactory, sim: Simulator, mode: Mode, change: dict[str, Any]
) -> None:
    """One changes the form of the message, the other the history that is sent."""
    cache = InMemoryCache()
    mode.invoke(make_llm(cache=cache), "Hi")
    mode.invoke(make_llm(cache=cache, **change), "Hi")
    assert len(sim.requests) == 2


def test_the_cache_key_contains_no_secret(make_llm: LLMFactory, sim: Simulator) -> None:
    """Cache keys are written to databases."""
    keys: list[str] = []

    class RecordingCache(InMemoryCache):
        def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
            keys.append(prompt + llm_string)
            super().update(prompt, llm_string, return_val)

    make_llm(cache=RecordingCache()).invoke("Hi")
    make_llm(cache=RecordingCache(), api_key=None).invoke("Hi", api_key=sim.api_key)
    assert len(keys) == 2
    assert not [key for key in keys if sim.api_key in key]
