"""Reasoning: seen in every endpoint, and sent back to whom it belongs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ThinkingBlock
from llama_index.core.memory import ChatMemoryBuffer
from pydantic import ValidationError

from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Script, Simulator, chunk, completion
from tests.llama_index.conftest import Colour, Make, say

DETAILS = [
    {"type": "reasoning.encrypted", "data": "abc==", "id": "r1"},
    {"type": "reasoning.text", "text": "Hm.", "signature": "s"},
]


def reasoned(model: str = "simulated/echo") -> Script:
    """Return an answer with reasoning, whole or streamed."""
    first = chunk({"reasoning": "Hm.", "reasoning_details": DETAILS}, model=model)
    end = chunk({}, finish_reason="stop", model=model)
    return Script(events=[first, chunk("Yes", model=model), end])


def by_memory(message: ChatMessage) -> ChatMessage:
    """Return a message out of a memory that was written down as JSON."""
    memory = ChatMemoryBuffer.from_defaults(chat_history=[message], token_limit=9000)
    written = [kept.model_dump_json() for kept in memory.get_all()]
    return ChatMessage.model_validate_json(written[0])


@pytest.mark.parametrize(
    "restore",
    [lambda m: m, lambda m: ChatMessage(**m.model_dump()), by_memory],
    ids=["as it is", "dumped", "memory"],
)
def test_reasoning_goes_back_unchanged(
    colour: Colour,
    llm: OneRouterLLM,
    sim: Simulator,
    restore: Callable[[ChatMessage], ChatMessage],
) -> None:
    """What the upstream said of its reasoning is sent back as it came, also after a restart."""
    sim.script(reasoned())
    answer = colour.stream_chat(llm, say("x"))[-1].message
    colour.chat(llm, [*say("x"), restore(answer), *say("y")])
    sent_back = sim.last.body["messages"][1]
    assert sent_back == {"role": "assistant", "content": "Yes", "reasoning_details": DETAILS}


def test_reasoning_without_details_goes_back_as_text(llm: OneRouterLLM, sim: Simulator) -> None:
    """Upstreams that want their reasoning back get the words if there was nothing else."""
    events = [chunk({"reasoning_content": "Hm."}), chunk("Yes"), chunk({}, finish_reason="stop")]
    sim.script(Script(events=events))
    answer = list(llm.stream_chat(say("x")))[-1].message
    assert llm.preview([answer])["messages"][0]["reasoning"] == "Hm."


@pytest.mark.parametrize(
    ("replay", "wrote", "asked", "goes"),
    [
        ("same_model", "vendor/a", "vendor/a", True),
        ("same_model", "a-2026-01-01", "vendor/a:free", True),
        ("same_model", "vendor/a", "vendor/b", False),
        ("always", "vendor/a", "vendor/b", True),
        ("never", "vendor/a", "vendor/a", False),
    ],
)
def test_whose_reasoning_goes_back(  # noqa: PLR0913, PLR0917 -- a case, and two colours
    colour: Colour, make: Make, sim: Simulator, replay: Any, wrote: str, asked: str, goes: bool
) -> None:
    """Another model cannot read it, and may refuse it; the words are sent to all."""
    llm = make(replay_reasoning=replay)
    sim.script(reasoned(wrote))
    answer = colour.stream_chat(llm, say("x"))[-1].message
    sent_back = llm.preview([*say("x"), answer, *say("y")], model=asked)["messages"][1]
    assert sent_back["content"] == "Yes"
    assert ("reasoning_details" in sent_back) is goes


def test_a_history_that_names_no_model(llm: OneRouterLLM) -> None:
    """Where nobody knows who reasoned, it counts as the model that is asked."""
    thought = ThinkingBlock(content="Hm.", additional_information={"reasoning_details": []})
    answer = ChatMessage(role="assistant", blocks=[thought])
    assert llm.preview([answer])["messages"][0]["reasoning"] == "Hm."


def test_a_policy_that_there_is_not() -> None:
    """The error says which there are."""
    with pytest.raises(ValidationError, match="same_model"):
        OneRouterLLM(model="m", replay_reasoning="sometimes")


def test_a_completion_shows_its_reasoning(
    colour: Colour, llm: OneRouterLLM, sim: Simulator
) -> None:
    """Completions have no blocks: the words are in additional_kwargs, streamed as they grow."""
    sim.script(Script(json=completion("Yes", message={"reasoning": "Hm."})))
    assert colour.complete(llm, "x").additional_kwargs["thinking"] == "Hm."
    events = [chunk({"reasoning": "H"}), chunk({"reasoning": "m."}), chunk("Yes")]
    sim.script(Script(events=[*events, chunk({}, finish_reason="stop")]))
    items = [item.additional_kwargs for item in colour.stream_complete(llm, "x")]
    assert [item["thinking"] for item in items] == ["H", "Hm.", "Hm.", "Hm."]
    assert [item.get("thinking_delta") for item in items] == ["H", "m.", None, None]


def test_a_completion_without_reasoning(llm: OneRouterLLM) -> None:
    """Nothing is said of what is not there."""
    assert "thinking" not in llm.complete("x").additional_kwargs


def test_the_first_reasoning_is_not_lost(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """A first event that holds nothing but reasoning reaches the user in both colours."""
    events = [chunk({"role": "assistant", "content": None, "reasoning": "First."})]
    sim.script(Script(events=[*events, chunk("Yes"), chunk({}, finish_reason="stop")]))
    first, *_ = colour.stream_chat(llm, say("x"))
    assert first.additional_kwargs["thinking_delta"] == "First."
