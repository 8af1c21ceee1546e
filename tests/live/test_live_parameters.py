"""Parameters of other gateways, and parameters that not every upstream supports."""

from __future__ import annotations

from typing import Any

import pytest

from tests.live.conftest import Question
from tests.live.gateway import check_decoded
from tests.live.test_live_streams import TOOL

UNKNOWN_MODEL = "unknown/no-such-model"
PARAMETERS: dict[str, dict[str, Any]] = {
    "an unknown parameter": {"no_such_parameter": 1},
    "plugins, an unknown one": {"plugins": [{"id": "no-such-plugin"}]},
    "transforms": {"transforms": ["middle-out"]},
    "route": {"route": "fallback"},
    "max_completion_tokens": {"max_completion_tokens": 64},
    "logprobs": {"logprobs": True, "top_logprobs": 2},
    "n": {"n": 2},
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(question: Question, name: str) -> None:
    """Which parameters are accepted?"""
    answer = question.gateway.ask("Say hello.", **PARAMETERS[name])
    verdict = "accepted, or ignored" if answer.is_accepted else "rejected"
    question.settle(name, answer, verdict)
    check_decoded(answer)


@pytest.mark.parametrize("name", ["fallback_models", "models"])
def test_fallback_models(question: Question, name: str) -> None:
    """Which parameter names the fallback models?"""
    model = question.gateway.model
    answer = question.gateway.ask("Say hello.", model=UNKNOWN_MODEL, **{name: [model]})
    served = (answer.json or {}).get("model")
    verdict = f"works, served by {served}" if answer.is_accepted else "does not work"
    question.settle(f"{UNKNOWN_MODEL}, {name}: [{model}]", answer, verdict)
    check_decoded(answer)


@pytest.mark.parametrize("parallel", [True, False])
def test_parallel_tool_calls(question: Question, *, parallel: bool) -> None:
    """Does parallel_tool_calls decide how many tools are called?"""
    prompt = "Call get_weather for Oslo, and get_weather for Rome."
    answer = question.gateway.ask(prompt, tools=[TOOL], parallel_tool_calls=parallel)
    calls = answer.message.get("tool_calls") or []
    types = {type(call["function"]["arguments"]).__name__ for call in calls}
    verdict = f"{len(calls)} calls, arguments as {', '.join(types) or 'nothing'}"
    question.settle(f"parallel_tool_calls: {parallel}", answer, verdict)
    check_decoded(answer)


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_tool_choice(question: Question, choice: str) -> None:
    """Is tool_choice obeyed when the prompt asks for something else?"""
    prompt = "Say hello." if choice == "required" else "What is the weather in Oslo now?"
    answer = question.gateway.ask(prompt, tools=[TOOL], tool_choice=choice)
    calls = len(answer.message.get("tool_calls") or [])
    verdict = f"{calls} calls" if answer.is_accepted else "rejected"
    question.settle(f"{choice}: {prompt}", answer, verdict)
    check_decoded(answer)


def test_max_tokens(question: Question) -> None:
    """Is max_tokens a hard limit?"""
    answer = question.gateway.ask("Count from one to two hundred, in words.", max_tokens=16)
    usage = (answer.json or {}).get("usage") or {}
    tokens = usage.get("completion_tokens")
    verdict = "unknown" if tokens is None else "yes" if tokens <= 16 else f"no: {tokens}"
    question.settle("max_tokens: 16", f"{usage}", verdict)
    check_decoded(answer)


@pytest.mark.parametrize("role", ["system", "developer"])
def test_instruction_roles(question: Question, role: str) -> None:
    """Which role gives instructions?"""
    instruction = {"role": role, "content": "Whatever the user says, answer: pong."}
    answer = question.gateway.ask([instruction, {"role": "user", "content": "ping"}])
    question.settle(role, answer, "accepted" if answer.is_accepted else "rejected")
    check_decoded(answer)
