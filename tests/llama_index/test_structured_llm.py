"""structured_llm: chat and completion responses with objects, complete and streamed."""

from __future__ import annotations

from typing import Annotated

import pytest
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
