"""Words of other gateways, and words that not every upstream knows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.live.conftest import Question
from tests.live.test_live_streams import TOOL

NOBODY = "unknown/no-such-model"
NAMES: dict[str, dict[str, Any]] = {
    "a name that nobody knows": {"no_such_parameter": 1},
    "plugins, one that is none": {"plugins": [{"id": "no-such-plugin"}]},
    "transforms": {"transforms": ["middle-out"]},
    "route": {"route": "fallback"},
    "max_completion_tokens": {"max_completion_tokens": 64},
    "logprobs": {"logprobs": True, "top_logprobs": 2},
    "n": {"n": 2},
}


@pytest.mark.parametrize("name", NAMES)
def test_names(question: Question, name: str) -> None:
    """Which parameters are taken?"""
    answer = question.gateway.ask("Say hello.", **NAMES[name])
    question.settle(name, answer, "taken, or ignored" if answer.is_taken else "refused")


@pytest.mark.parametrize("name", ["fallback_models", "models"])
def test_fallbacks(question: Question, name: str) -> None:
    """Which name do fallback models go by?"""
    model = question.gateway.model
    answer = question.gateway.ask("Say hello.", model=NOBODY, **{name: [model]})
    served = (answer.json or {}).get("model")
    verdict = f"works, served by {served}" if answer.is_taken else "does not help"
    question.settle(f"{NOBODY}, {name}: [{model}]", answer, verdict)


@pytest.mark.parametrize("parallel", [True, False])
def test_parallel_calls(question: Question, *, parallel: bool) -> None:
    """Does parallel_tool_calls have a say in how many tools are called?"""
    asked = "Call get_weather for Oslo, and get_weather for Rome."
    answer = question.gateway.ask(asked, tools=[TOOL], parallel_tool_calls=parallel)
    calls = answer.message.get("tool_calls") or []
    arguments = {type(call["function"]["arguments"]).__name__ for call in calls}
    verdict = f"{len(calls)} calls, arguments as {', '.join(arguments) or 'nothing'}"
    question.settle(f"parallel_tool_calls: {parallel}", answer, verdict)


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_tool_choice(question: Question, choice: str) -> None:
    """Is the tool choice obeyed where the text asks for something else?"""
    asked = "Say hello." if choice == "required" else "What is the weather in Oslo now?"
    answer = question.gateway.ask(asked, tools=[TOOL], tool_choice=choice)
    calls = len(answer.message.get("tool_calls") or [])
    verdict = "refused" if not answer.is_taken else f"{calls} calls"
    question.settle(f"{choice}: {asked}", answer, verdict)


def test_the_limit(question: Question) -> None:
    """Is max_tokens a hard limit?"""
    answer = question.gateway.ask("Count from one to two hundred, in words.", max_tokens=16)
    usage = (answer.json or {}).get("usage") or {}
    spent = usage.get("completion_tokens")
    verdict = "unknown" if spent is None else "yes" if spent <= 16 else f"no: {spent}"
    question.settle("max_tokens: 16", f"{usage}", verdict)


@pytest.mark.parametrize("role", ["system", "developer"])
def test_roles(question: Question, role: str) -> None:
    """Which role gives orders?"""
    order = {"role": role, "content": "Whatever the user says, answer: pong."}
    answer = question.gateway.ask([order, {"role": "user", "content": "ping"}])
    verdict = "refused" if not answer.is_taken else "taken"
    question.settle(role, answer, verdict)
