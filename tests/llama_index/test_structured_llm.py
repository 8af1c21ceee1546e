"""structured_llm: chat and completion responses with objects, complete and streamed."""

from __future__ import annotations

from typing import Annotated

import pytest
from llama_index.core.base.llms.types import ChatResponse, ThinkingBlock
from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from llama_index_onerouter import OneRouterLLM, StructuredOneRouterLLM
from onerouter_simulator import Script, Simulator, chunk, completion, tool_call
from tests.llama_index.conftest import LLMFactory, Mode, user_messages
from tests.llama_index.samples import METHODS, PROMPT, SONG, Song


def test_a_chat_response_has_the_object_its_json_and_the_usage(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """`raw`, content and `additional_kwargs` of the response."""
    structured = llm.as_structured_llm(Song)
    assert isinstance(structured, StructuredOneRouterLLM)
    response = mode.chat(structured, user_messages("1999"))
    assert isinstance(response.raw, Song)
    assert Song.model_validate_json(response.message.content) == response.raw
    assert response.additional_kwargs["total_tokens"] > 0
    assert response.additional_kwargs["cost"] > 0


def test_the_payload_names_the_inner_model(llm: OneRouterLLM) -> None:
    """Traces read `class_name` and `model`."""
    payload = llm.as_structured_llm(Song).to_payload()
    assert (payload["class_name"], payload["model"]) == ("structured_llm", "simulated/echo")


def test_the_last_stream_item_has_the_object_and_the_finish_reason(
    mode: Mode, llm: OneRouterLLM
) -> None:
    """The items before it have incomplete objects."""
    items = mode.stream_chat(llm.as_structured_llm(Song), user_messages("1999"))
    assert [item.raw.title for item in items[:-1]]
    assert isinstance(items[-1].raw, Song)
    assert items[-1].additional_kwargs["finish_reason"] == "stop"


def test_complete_returns_the_object_and_its_json(mode: Mode, llm: OneRouterLLM) -> None:
    """Streamed or not, with token counts and finish reason."""
    structured = llm.as_structured_llm(Song)
    response = mode.complete(structured, "1999")
    assert Song.model_validate_json(response.text) == response.raw
    assert response.additional_kwargs["total_tokens"] > 0
    *partials, last = mode.stream_complete(structured, "1999")
    assert partials
    assert Song.model_validate_json(last.text) == last.raw == response.raw
    assert last.additional_kwargs["finish_reason"] == "stop"


@pytest.mark.parametrize("method", METHODS)
def test_stream_deltas_add_up_to_the_json(
    mode: Mode, make_llm: LLMFactory, sim: Simulator, method: str
) -> None:
    """Chat engines store the sum of the deltas."""
    script = (
        [chunk({"tool_calls": [tool_call("Song", part, index=0)]}) for part in ('{"ti', SONG[4:])]
        if method == "function"
        else [chunk(SONG[at : at + 3]) for at in range(0, len(SONG), 3)]
    )
    sim.script(Script(events=[*script, chunk({}, finish_reason="stop")]))
    llm = make_llm(structured_output_mode=method).as_structured_llm(Song)
    items = mode.stream_chat(llm, user_messages("1999"))
    assert "".join(item.delta for item in items) == SONG


def test_closing_an_object_stream_closes_the_connection(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """The server sees the disconnect within a second."""
    sim.script(Script(events=[chunk('{"title": "M'), chunk("oon"), 30.0]))
    structured = llm.as_structured_llm(Song)
    (first,) = mode.first(structured, "stream_chat", user_messages("x"))
    assert first.raw.title == "M"
    assert sim.last.wait_hung_up(1)


class Money:
    """A type that pydantic can validate but cannot serialize."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return f"{self.text} in money"


class Bill(BaseModel):
    """A class with a field of that type."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    amount: Annotated[Money, BeforeValidator(Money), WithJsonSchema({"type": "string"})]


def test_a_value_without_a_json_form_is_converted_with_str(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """The object itself is unchanged."""
    sim.script(*[Script(json=completion('{"amount": "5"}'))] * 2)
    assert mode.call(llm, "structured_predict", Bill, PROMPT, topic="x").amount.text == "5"
    response = mode.chat(llm.as_structured_llm(Bill), user_messages("x"))
    assert response.message.content == '{"amount":"5 in money"}'


# --- reasoning beside the object ---

DETAILS = [{"type": "reasoning.text", "text": "Let me see.", "signature": "s"}]


def thoughts(response: ChatResponse) -> list[ThinkingBlock]:
    """Return the reasoning of a response."""
    return [block for block in response.message.blocks if isinstance(block, ThinkingBlock)]


@pytest.mark.parametrize("method", METHODS)
def test_a_response_keeps_reasoning_usage_and_body(
    mode: Mode, make_llm: LLMFactory, sim: Simulator, method: str
) -> None:
    """The reasoning is a block before the JSON, and goes back to the model."""
    llm = make_llm(structured_output_mode=method)
    text = {"content": None, "tool_calls": [tool_call("Song", SONG)]}
    message = (text if method == "function" else {"content": SONG}) | {
        "reasoning": "Let me see.",
        "reasoning_details": DETAILS,
    }
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    sim.script(Script(json=completion(None, message=message, usage=usage)))
    response = mode.chat(llm.as_structured_llm(Song), user_messages("1999"))
    (thought,) = thoughts(response)
    assert thought.content == "Let me see."
    assert isinstance(response.raw, Song)
    assert Song.model_validate_json(response.message.content or "") == response.raw
    assert response.additional_kwargs["total_tokens"] == 12
    assert response.additional_kwargs["raw"].usage.total_tokens == 12
    mode.chat(llm, [*user_messages("1999"), response.message, *user_messages("And?")])
    assert sim.last.body["messages"][1]["reasoning_details"] == DETAILS


def test_a_stream_has_the_reasoning_before_the_object(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """The deltas of reasoning and JSON add up; the last item equals the complete response."""
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    deltas = [{"reasoning": "Let me "}, {"reasoning": "see."}, {"content": SONG[:12]}]
    events = [*map(chunk, deltas), chunk({"content": SONG[12:], "reasoning": " Done."})]
    events += [chunk({}, finish_reason="stop"), chunk(usage=usage)]
    sim.script(Script(events=events))
    items = mode.stream_chat(llm.as_structured_llm(Song), user_messages("1999"))
    deltas_of_reasoning = [item.additional_kwargs.get("thinking_delta", "") for item in items]
    assert "".join(deltas_of_reasoning) == "Let me see. Done."
    assert "".join(item.delta or "" for item in items) == SONG
    first, *_, last = items
    assert first.message.content is None
    assert [block.content for block in thoughts(first)] == ["Let me "]
    assert first.raw.title is None
    assert [block.content for block in thoughts(last)] == ["Let me see. Done."]
    assert last.raw == Song(title="Moon", year=1999)
    assert [item.additional_kwargs.get("total_tokens") for item in items].count(12) == 1
    assert last.additional_kwargs["raw"].usage.total_tokens == 12


def test_a_stream_of_objects_has_no_item_for_reasoning_alone(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """`stream_structured_predict` yields objects only."""
    events = [chunk({"reasoning": "Let me see."}), chunk(SONG), chunk({}, finish_reason="stop")]
    sim.script(Script(events=events))
    objects = mode.collect(llm, "stream_structured_predict", Song, PROMPT, topic="x")
    assert [item.title for item in objects] == ["Moon", "Moon"]


def test_a_completion_has_its_reasoning(mode: Mode, llm: OneRouterLLM, sim: Simulator) -> None:
    """In `additional_kwargs`, as that of the inner model."""
    message = {"reasoning": "Let me see."}
    sim.script(Script(json=completion(SONG, message=message)))
    response = mode.complete(llm.as_structured_llm(Song), "1999")
    assert response.additional_kwargs["thinking"] == "Let me see."
