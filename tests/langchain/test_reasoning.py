"""Reasoning comes back to the model that wrote it, byte for byte, on whatever way it was kept."""

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
from tests.langchain.conftest import Colour, Make

DETAILS = [
    {"type": "reasoning.text", "text": "Let me", "format": "x-v1", "index": 0, "signature": "s=="},
    {"type": "reasoning.encrypted", "data": "AAEC", "format": "y-v1", "id": "r1", "index": 0},
    {"type": "reasoning.summary", "summary": "Thought.", "format": "x-v1", "index": 1},
]
MODEL = "vendor/thinker"


def whole(model: str = MODEL) -> Script:
    """Return an answer with all kinds of details."""
    message = {"role": "assistant", "content": "Hi", "reasoning_details": DETAILS}
    return Script(json=completion(message=message, model=model))


def streamed(model: str = MODEL) -> Script:
    """Return the same answer in pieces, the first detail in two."""
    first = {key: value for key, value in DETAILS[0].items() if key != "signature"}
    pieces = [first | {"text": "Let"}, DETAILS[0] | {"text": " me"}, *DETAILS[1:]]
    events = [chunk({"reasoning_details": [piece]}, model=model) for piece in pieces]
    events += [chunk("Hi", model=model), chunk({}, finish_reason="stop", model=model)]
    return Script(events=events)


def kept(message: AIMessage) -> AIMessage:
    """Return a message as it is."""
    return message


def checkpointed(message: AIMessage) -> AIMessage:
    """Return a message that went through JSON."""
    (restored,) = messages_from_dict(json.loads(json.dumps(messages_to_dict([message]))))
    assert isinstance(restored, AIMessage)
    return restored


def answer(llm: ChatOneRouter, sim: Simulator, colour: Colour, *, in_pieces: bool) -> AIMessage:
    """Return an answer with details, streamed or not."""
    sim.script(streamed() if in_pieces else whole())
    if in_pieces:
        return reduce(add, colour.stream(llm, "Hello"))
    return colour.invoke(llm, "Hello")


def sent_back(llm: ChatOneRouter, sim: Simulator, message: AIMessage, **options: Any) -> Any:
    """Return the details that arrive in the next turn, None if there are none."""
    llm.invoke([HumanMessage("Hello"), message, HumanMessage("And?")], **options)
    return sim.last.body["messages"][1].get("reasoning_details")


@pytest.mark.parametrize("way", [kept, checkpointed])
@pytest.mark.parametrize("output_version", [None, "v1"])
@pytest.mark.parametrize("in_pieces", [False, True])
def test_details_come_back_byte_for_byte(  # noqa: PLR0913, PLR0917 -- a case, and its fixtures
    make: Make,
    sim: Simulator,
    colour: Colour,
    in_pieces: bool,
    output_version: str | None,
    way: Callable[[AIMessage], AIMessage],
) -> None:
    """Signatures and encrypted items are whole after a stream and a JSON checkpoint."""
    llm = make(model=MODEL, output_version=output_version)
    message = way(answer(llm, sim, colour, in_pieces=in_pieces))
    assert sent_back(llm, sim, message) == DETAILS


@pytest.mark.parametrize(
    ("policy", "asked", "should_replay"),
    [
        ("same_model", MODEL, True),
        ("same_model", "vendor/other", False),
        ("always", "vendor/other", True),
        ("never", MODEL, False),
    ],
)
def test_whose_reasoning_goes_back(  # noqa: PLR0913, PLR0917 -- a case, and its fixtures
    make: Make, sim: Simulator, colour: Colour, policy: str, asked: str, should_replay: bool
) -> None:
    """Another model could not read it, and might refuse the whole history for its signature."""
    llm = make(model=MODEL, replay_reasoning=policy)
    message = answer(llm, sim, colour, in_pieces=False)
    assert sent_back(llm, sim, message, model=asked) == (DETAILS if should_replay else None)


def test_a_fallbacks_reasoning_stays_behind(make: Make, sim: Simulator) -> None:
    """What another model than the one that was asked has thought is not sent to that one."""
    llm = make(model=MODEL)
    sim.script(whole(model="vendor/fallback"))
    assert sent_back(llm, sim, llm.invoke("Hello")) is None
