"""Options of the constructor and of a call, and arguments that raise before sending."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    CacheControl,
    CachePoint,
    ChatMessage,
    ImageBlock,
    TextBlock,
)
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel, ValidationError

from llama_index_onerouter import OneRouterLLM
from onerouter_core.errors import ConfigurationError, UnsupportedContentError
from onerouter_simulator import Simulator
from tests.llama_index.conftest import LLMFactory, Mode, user_messages

# --- valid options ---


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0.0),
        ("top_p", 0.5),
        ("max_tokens", 7),
        ("frequency_penalty", 0.0),
        ("presence_penalty", -1.0),
        ("stop", ["END"]),
        ("seed", 0),
        ("logit_bias", {"50256": -100.0}),
        ("user", "u-1"),
        ("reasoning", {"max_tokens": 100}),
        ("provider", {"order": ["a"], "allow_fallbacks": False, "zdr": True}),
        ("fallback_models", ["vendor/b"]),
        ("fallback_rules", {"TTFT": {"hint_threshold": 2.0, "action": "fallback"}}),
        ("web_search_options", {"search_context_size": "low"}),
        ("service_tier", "flex"),  # not a field: it is sent in the body unchanged
    ],
)
def test_each_option_is_sent_from_the_constructor_and_per_call(
    mode: Mode, make_llm: LLMFactory, sim: Simulator, name: str, value: Any
) -> None:
    """The option of the call takes precedence."""
    is_field = name in OneRouterLLM.model_fields
    mode.chat(
        make_llm(**{name: value} if is_field else {"extra_body": {name: value}}), user_messages("x")
    )
    assert sim.last.body[name] == value
    call_value = {"temperature": 1.0, "max_tokens": 9, "seed": 1}.get(name, value)
    mode.complete(make_llm(**{name: value} if is_field else {}), "x", **{name: call_value})
    assert sim.last.body[name] == call_value


def test_reasoning_effort_is_sent_for_any_model(make_llm: LLMFactory, sim: Simulator) -> None:
    """There is no list of reasoning models."""
    make_llm(model="simulated/any", reasoning_effort="low").complete("x")
    assert sim.last.body["reasoning"] == {"effort": "low"}


def test_extra_body_is_merged_key_by_key(mode: Mode, make_llm: LLMFactory, sim: Simulator) -> None:
    """Call before `additional_kwargs` before field; none of the three is changed."""
    field = {"plugins": {"web": {"max": 1, "engine": "a"}}, "only": "field"}
    default = {"plugins": {"web": {"max": 2, "by": "b"}}, "list": [1, 2]}
    call = {"plugins": {"web": {"max": 3}}, "list": [3]}
    before = [repr(value) for value in (field, default, call)]
    llm = make_llm(extra_body=field, additional_kwargs={"extra_body": default})
    preview = llm.preview(user_messages("x"), extra_body=call)
    assert preview["plugins"] == {"web": {"max": 3, "engine": "a", "by": "b"}}
    assert (preview["only"], preview["list"]) == ("field", [3])
    assert llm.preview(user_messages("x"))["plugins"]["web"]["max"] == 2
    assert before == [repr(value) for value in (field, default, call)]


def test_headers_are_merged_key_by_key(mode: Mode, make_llm: LLMFactory, sim: Simulator) -> None:
    """Call before `additional_kwargs` before `default_headers`."""
    defaults = {"extra_headers": {"x-b": "default", "x-c": "default"}}
    llm = make_llm(default_headers={"x-a": "field"}, additional_kwargs=defaults)
    mode.chat(llm, user_messages("x"), extra_headers={"x-c": "call"})
    sent = [sim.last.headers[name] for name in ("x-a", "x-b", "x-c")]
    assert sent == ["field", "default", "call"]


def test_n_2_keeps_the_other_answers_in_raw(mode: Mode, llm: OneRouterLLM, sim: Simulator) -> None:
    """A ChatResponse has one message; `n` cannot be streamed."""
    response = mode.chat(llm, user_messages("x"), n=2)
    assert [choice.message.content for choice in response.raw.choices] == ["You said: x"] * 2
    assert response.message.content == "You said: x"
    with pytest.raises(ConfigurationError, match="n must be 1"):
        mode.stream_chat(llm, user_messages("x"), n=2)
    assert len(sim.requests) == 1


# --- invalid options ---


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("tempreture", "temperature"),
        ("max_token", "max_tokens"),
        ("modle", "model"),
        ("replay_resoning", "replay_reasoning"),
        ("structured_output_mod", "structured_output_mode"),
    ],
)
def test_a_misspelt_field_raises_with_a_suggestion(name: str, suggestion: str) -> None:
    """The error names the field that was probably meant."""
    with pytest.raises(ValidationError, match=f"Did you mean '{suggestion}'"):
        OneRouterLLM(**{"model": "m", name: 1})


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"temperature": 9}, "temperature"),
        ({"provider": {"order": "a"}}, "provider.order"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"tool_choice": 7}, "tool_choice"),
        ({"tool_choice": "add"}, "needs tools"),
        ({"tools": [print]}, "not a tool.*FunctionTool"),
        ({"tools": ["add"]}, "not a tool"),
        ({"extra_body": "x"}, "extra_body"),
        ({"context_window": 5}, "context_window belongs to the model"),
        ({"structured_output_mode": "function"}, "structured_output_mode belongs"),
        ({"replay_reasoning": "never"}, "replay_reasoning belongs"),
    ],
)
def test_an_invalid_call_option_raises_before_sending(
    mode: Mode, llm: OneRouterLLM, sim: Simulator, kwargs: dict[str, Any], message: str
) -> None:
    """The error names the option."""
    for endpoint in (mode.chat, mode.stream_chat):
        with pytest.raises(ConfigurationError, match=message):
            endpoint(llm, user_messages("x"), **kwargs)
    assert sim.requests == []


class UnknownBlock(BaseModel):
    """A block that this version does not know."""


CACHE_POINT = CachePoint(cache_control=CacheControl(type="ephemeral"))


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (ChatMessage(role="user", blocks=[CACHE_POINT]), "CachePoint.*'user'"),
        (ChatMessage(role="user", blocks=[AudioBlock(audio=b"????")]), "audio.*Set `format`"),
        (ChatMessage(role="user", blocks=[ImageBlock(image=b"????")]), "image.*mimetype"),
        (ChatMessage("42", role="tool"), "tool message needs the tool_call_id"),
        (
            ChatMessage.model_construct(
                role=ChatMessage().role, blocks=[TextBlock(text="x"), UnknownBlock()]
            ),
            "UnknownBlock.*'user'",
        ),
    ],
    ids=["cache point first", "unknown audio", "unknown image", "no call id", "unknown block"],
)
def test_an_invalid_message_raises_before_sending(
    mode: Mode, llm: OneRouterLLM, sim: Simulator, message: ChatMessage, error: str
) -> None:
    """The error says what is wrong with the message."""
    with pytest.raises(ConfigurationError, match=error) as caught:
        mode.chat(llm, [message])
    assert isinstance(caught.value, UnsupportedContentError) or message.role == "tool"
    assert sim.requests == []


@pytest.mark.parametrize("output_cls", [dict, int, list[int], {"type": "object"}, None])
def test_an_output_cls_that_is_not_a_pydantic_class_raises(
    mode: Mode, llm: OneRouterLLM, sim: Simulator, output_cls: Any
) -> None:
    """Streamed or not, before anything is sent."""
    prompt = PromptTemplate("x")
    with pytest.raises(ConfigurationError, match="pydantic model class"):
        mode.call(llm, "structured_predict", output_cls, prompt)
    with pytest.raises(ConfigurationError, match="pydantic model class"):
        mode.collect(llm, "stream_structured_predict", output_cls, prompt)
    assert sim.requests == []
