"""Reasoning: in the responses of every endpoint, and sent back in later turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ThinkingBlock
from llama_index.core.memory import ChatMemoryBuffer
from pydantic import ValidationError

from llama_index_onerouter import OneRouterLLM
from onerouter_simulator import Script, Simulator, chunk, completion
from tests.llama_index.conftest import LLMFactory, Mode, user_messages

DETAILS = [
    {"type": "reasoning.encrypted", "data": "abc==", "id": "r1"},
    {"type": "reasoning.text", "text": "Hm.", "signature": "s"},
]


def reasoning_stream(model: str = "simulated/echo") -> Script:
    """Return a stream with reasoning, from the given model."""
    first = chunk({"reasoning": "Hm.", "reasoning_details": DETAILS}, model=model)
    end = chunk({}, finish_reason="stop", model=model)
    return Script(events=[first, chunk("Yes", model=model), end])


def through_memory_and_json(message: ChatMessage) -> ChatMessage:
    """Return a message after a memory and a JSON dump."""
    memory = ChatMemoryBuffer.from_defaults(chat_history=[message], token_limit=9000)
    dumps = [stored.model_dump_json() for stored in memory.get_all()]
    return ChatMessage.model_validate_json(dumps[0])


@pytest.mark.parametrize(
    "restore",
    [lambda m: m, lambda m: ChatMessage(**m.model_dump()), through_memory_and_json],
    ids=["unchanged", "dumped", "memory"],
)
def test_reasoning_details_are_sent_back_unchanged(
    mode: Mode,
    llm: OneRouterLLM,
    sim: Simulator,
    restore: Callable[[ChatMessage], ChatMessage],
) -> None:
    """Also after the message was dumped and loaded."""
    sim.script(reasoning_stream())
    answer = mode.stream_chat(llm, user_messages("x"))[-1].message
    mode.chat(llm, [*user_messages("x"), restore(answer), *user_messages("y")])
    sent_back = sim.last.body["messages"][1]
    assert sent_back == {"role": "assistant", "content": "Yes", "reasoning_details": DETAILS}


def test_reasoning_without_details_is_sent_back_as_text(llm: OneRouterLLM, sim: Simulator) -> None:
    """The field is the one in which it came."""
    events = [chunk({"reasoning_content": "Hm."}), chunk("Yes"), chunk({}, finish_reason="stop")]
    sim.script(Script(events=events))
    answer = list(llm.stream_chat(user_messages("x")))[-1].message
    assert llm.preview([answer])["messages"][0]["reasoning_content"] == "Hm."


@pytest.mark.parametrize(
    ("replay", "author", "called", "is_sent_back"),
    [
        ("same_model", "vendor/a", "vendor/a", True),
        ("same_model", "a-2026-01-01", "vendor/a:free", True),
        ("same_model", "vendor/a", "vendor/b", False),
        ("always", "vendor/a", "vendor/b", True),
        ("never", "vendor/a", "vendor/a", False),
    ],
)
def test_replay_reasoning_selects_the_models_to_send_back(  # noqa: PLR0913, PLR0917 -- case and fixtures
    mode: Mode,
    make_llm: LLMFactory,
    sim: Simulator,
    replay: Any,
    author: str,
    called: str,
    is_sent_back: bool,
) -> None:
    """The text of the answer is sent back in every case."""
    llm = make_llm(replay_reasoning=replay, model=author)
    sim.script(reasoning_stream("another-spelling"))
    answer = mode.stream_chat(llm, user_messages("x"))[-1].message
    sent_back = llm.preview([*user_messages("x"), answer, *user_messages("y")], model=called)[
        "messages"
    ][1]
    assert sent_back["content"] == "Yes"
    assert ("reasoning_details" in sent_back) is is_sent_back


def test_reasoning_without_a_model_id_is_sent_back(llm: OneRouterLLM) -> None:
    """It counts as the reasoning of the model that is called."""
    thought = ThinkingBlock(content="Hm.", additional_information={"reasoning_details": []})
    answer = ChatMessage(role="assistant", blocks=[thought])
    assert llm.preview([answer])["messages"][0]["reasoning"] == "Hm."


def test_an_invalid_replay_reasoning_raises() -> None:
    """The error lists the valid values."""
    with pytest.raises(ValidationError, match="same_model"):
        OneRouterLLM(model="m", replay_reasoning="sometimes")


def test_a_completion_has_its_reasoning_in_additional_kwargs(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """`thinking` is the text so far, `thinking_delta` the text that was added."""
    sim.script(Script(json=completion("Yes", message={"reasoning": "Hm."})))
    assert mode.complete(llm, "x").additional_kwargs["thinking"] == "Hm."
    events = [chunk({"reasoning": "H"}), chunk({"reasoning": "m."}), chunk("Yes")]
    sim.script(Script(events=[*events, chunk({}, finish_reason="stop")]))
    items = [item.additional_kwargs for item in mode.stream_complete(llm, "x")]
    assert [item["thinking"] for item in items] == ["H", "Hm.", "Hm.", "Hm."]
    assert [item.get("thinking_delta") for item in items] == ["H", "m.", None, None]


def test_a_completion_without_reasoning_has_no_thinking_key(llm: OneRouterLLM) -> None:
    """The key is missing, not empty."""
    assert "thinking" not in llm.complete("x").additional_kwargs


def test_reasoning_in_the_first_event_is_a_thinking_delta(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """The first event has no text."""
    events = [chunk({"role": "assistant", "content": None, "reasoning": "First."})]
    sim.script(Script(events=[*events, chunk("Yes"), chunk({}, finish_reason="stop")]))
    first, *_ = mode.stream_chat(llm, user_messages("x"))
    assert first.additional_kwargs["thinking_delta"] == "First."
