"""Reasoning is sent back to the model that wrote it, unchanged."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    messages_from_dict,
    messages_to_dict,
)

from langchain_onerouter import ChatOneRouter
from onerouter_simulator import Script, Simulator, chunk, completion
from tests.langchain.conftest import LLMFactory, Mode

DETAILS = [
    {"type": "reasoning.text", "text": "Let me", "format": "x-v1", "index": 0, "signature": "s=="},
    {"type": "reasoning.encrypted", "data": "AAEC", "format": "y-v1", "id": "r1", "index": 0},
    {"type": "reasoning.summary", "summary": "Thought.", "format": "x-v1", "index": 1},
]
MODEL = "vendor/thinker"


def complete_reply(model: str = MODEL) -> Script:
    """Return a complete reply with every type of reasoning detail."""
    message = {"role": "assistant", "content": "Hi", "reasoning_details": DETAILS}
    return Script(json=completion(message=message, model=model))


def streamed_reply(model: str = MODEL) -> Script:
    """Return the same reply as a stream; the first detail comes in two deltas."""
    unsigned = {key: value for key, value in DETAILS[0].items() if key != "signature"}
    deltas = [unsigned | {"text": "Let"}, DETAILS[0] | {"text": " me"}, *DETAILS[1:]]
    events = [chunk({"reasoning_details": [delta]}, model=model) for delta in deltas]
    events += [chunk("Hi", model=model), chunk({}, finish_reason="stop", model=model)]
    return Script(events=events)


def unchanged(message: AIMessage) -> AIMessage:
    """Return a message as it is."""
    return message


def through_json(message: AIMessage) -> AIMessage:
    """Return a message after serialisation to JSON and back, as a checkpoint does it."""
    (restored,) = messages_from_dict(json.loads(json.dumps(messages_to_dict([message]))))
    assert isinstance(restored, AIMessage)
    return restored


def call_for_reasoning(
    llm: ChatOneRouter, sim: Simulator, mode: Mode, *, is_streamed: bool
) -> AIMessage:
    """Return an answer with reasoning details."""
    sim.script(streamed_reply() if is_streamed else complete_reply())
    if is_streamed:
        return reduce(add, mode.stream(llm, "Hello"))
    return mode.invoke(llm, "Hello")


def details_sent_back(
    llm: ChatOneRouter, sim: Simulator, message: AIMessage, **options: Any
) -> Any:
    """Return the reasoning details in the next request, None if there are none."""
    llm.invoke([HumanMessage("Hello"), message, HumanMessage("And?")], **options)
    return sim.last.body["messages"][1].get("reasoning_details")


@pytest.mark.parametrize("restore", [unchanged, through_json])
@pytest.mark.parametrize("output_version", [None, "v1"])
@pytest.mark.parametrize("is_streamed", [False, True])
def test_reasoning_details_are_sent_back_unchanged(  # noqa: PLR0913, PLR0917 -- fixtures
    make_llm: LLMFactory,
    sim: Simulator,
    mode: Mode,
    is_streamed: bool,
    output_version: str | None,
    restore: Callable[[AIMessage], AIMessage],
) -> None:
    """Signatures and encrypted items survive a stream and a JSON checkpoint."""
    llm = make_llm(model=MODEL, output_version=output_version)
    message = restore(call_for_reasoning(llm, sim, mode, is_streamed=is_streamed))
    assert details_sent_back(llm, sim, message) == DETAILS


@pytest.mark.parametrize(
    ("policy", "called_model", "should_replay"),
    [
        ("same_model", MODEL, True),
        ("same_model", "vendor/other", False),
        ("always", "vendor/other", True),
        ("never", MODEL, False),
    ],
)
def test_replay_policy(  # noqa: PLR0913, PLR0917 -- fixtures
    make_llm: LLMFactory,
    sim: Simulator,
    mode: Mode,
    policy: str,
    called_model: str,
    should_replay: bool,
) -> None:
    """Another model may reject a history with signatures that it did not make."""
    llm = make_llm(model=MODEL, replay_reasoning=policy)
    message = call_for_reasoning(llm, sim, mode, is_streamed=False)
    assert details_sent_back(llm, sim, message, model=called_model) == (
        DETAILS if should_replay else None
    )


def test_reasoning_of_a_fallback_model_is_not_sent_back(
    make_llm: LLMFactory, sim: Simulator
) -> None:
    """The model that is called next did not write it."""
    llm = make_llm(model=MODEL, fallback_models=["vendor/fallback"])
    sim.script(complete_reply(model="vendor/fallback"))
    assert details_sent_back(llm, sim, llm.invoke("Hello")) is None
