"""What can be said per model and per call, and what is refused before anything is sent."""

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
from tests.llama_index.conftest import Colour, Make, say

# --- what is said where ---


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
        ("service_tier", "flex"),  # no field has this name: it goes into the body as it is
    ],
)
def test_a_field_is_sent_and_a_call_beats_it(
    colour: Colour, make: Make, sim: Simulator, name: str, value: Any
) -> None:
    """Each of them from the constructor, and per call."""
    known = name in OneRouterLLM.model_fields
    colour.chat(make(**{name: value} if known else {"extra_body": {name: value}}), say("x"))
    assert sim.last.body[name] == value
    other = {"temperature": 1.0, "max_tokens": 9, "seed": 1}.get(name, value)
    colour.complete(make(**{name: value} if known else {}), "x", **{name: other})
    assert sim.last.body[name] == other


def test_an_effort_is_sent_whatever_the_model(make: Make, sim: Simulator) -> None:
    """No table of names decides who may think."""
    make(model="simulated/any", reasoning_effort="low").complete("x")
    assert sim.last.body["reasoning"] == {"effort": "low"}


def test_extra_bodies_are_merged(colour: Colour, make: Make, sim: Simulator) -> None:
    """The call's wins over that of every call, which wins over the field's, key by key."""
    field = {"plugins": {"web": {"max": 1, "engine": "a"}}, "only": "field"}
    always = {"plugins": {"web": {"max": 2, "by": "b"}}, "list": [1, 2]}
    mine = {"plugins": {"web": {"max": 3}}, "list": [3]}
    before = [repr(one) for one in (field, always, mine)]
    llm = make(extra_body=field, additional_kwargs={"extra_body": always})
    preview = llm.preview(say("x"), extra_body=mine)
    assert preview["plugins"] == {"web": {"max": 3, "engine": "a", "by": "b"}}
    assert (preview["only"], preview["list"]) == ("field", [3])
    assert llm.preview(say("x"))["plugins"]["web"]["max"] == 2
    assert before == [repr(one) for one in (field, always, mine)]


def test_headers_are_merged(colour: Colour, make: Make, sim: Simulator) -> None:
    """Headers of the model, of every call and of this one go out together."""
    always = {"extra_headers": {"x-b": "always", "x-c": "always"}}
    llm = make(default_headers={"x-a": "field"}, additional_kwargs=always)
    colour.chat(llm, say("x"), extra_headers={"x-c": "call"})
    sent = [sim.last.headers[name] for name in ("x-a", "x-b", "x-c")]
    assert sent == ["field", "always", "call"]


def test_several_answers(colour: Colour, llm: OneRouterLLM, sim: Simulator) -> None:
    """LlamaIndex has room for one answer; the others are in `raw`, and cannot be streamed."""
    response = colour.chat(llm, say("x"), n=2)
    assert [choice.message.content for choice in response.raw.choices] == ["You said: x"] * 2
    assert response.message.content == "You said: x"
    with pytest.raises(ConfigurationError, match="n must be 1"):
        colour.stream_chat(llm, say("x"), n=2)
    assert len(sim.requests) == 1


# --- what is refused ---


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("tempreture", "temperature"),
        ("max_token", "max_tokens"),
        ("modle", "model"),
        ("replay_resoning", "replay_reasoning"),
        ("structured_output_mod", "structured_output_mode"),
    ],
)
def test_an_argument_that_there_is_not(name: str, meant: str) -> None:
    """The error names the right one."""
    with pytest.raises(ValidationError, match=f"Did you mean '{meant}'"):
        OneRouterLLM(**{"model": "m", name: 1})


@pytest.mark.parametrize(
    ("given", "named"),
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
def test_a_keyword_that_cannot_be_right(
    colour: Colour, llm: OneRouterLLM, sim: Simulator, given: dict[str, Any], named: str
) -> None:
    """It is named, and nothing is sent."""
    for endpoint in (colour.chat, colour.stream_chat):
        with pytest.raises(ConfigurationError, match=named):
            endpoint(llm, say("x"), **given)
    assert sim.requests == []


class Hologram(BaseModel):
    """A block that LlamaIndex may have one day."""


CACHED = CachePoint(cache_control=CacheControl(type="ephemeral"))


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (ChatMessage(role="user", blocks=[CACHED]), "CachePoint.*'user'"),
        (ChatMessage(role="user", blocks=[AudioBlock(audio=b"????")]), "audio.*Set `format`"),
        (ChatMessage(role="user", blocks=[ImageBlock(image=b"????")]), "image.*mimetype"),
        (ChatMessage("42", role="tool"), "tool message needs the tool_call_id"),
        (
            ChatMessage.model_construct(
                role=ChatMessage().role, blocks=[TextBlock(text="x"), Hologram()]
            ),
            "Hologram.*'user'",
        ),
    ],
    ids=["a point at nothing", "odd sound", "odd picture", "a result of nothing", "a new block"],
)
def test_a_message_that_cannot_be_sent(
    colour: Colour, llm: OneRouterLLM, sim: Simulator, message: ChatMessage, named: str
) -> None:
    """What is wrong with it is said, and nothing is sent."""
    with pytest.raises(ConfigurationError, match=named) as caught:
        colour.chat(llm, [message])
    assert isinstance(caught.value, UnsupportedContentError) or message.role == "tool"
    assert sim.requests == []


@pytest.mark.parametrize("output_cls", [dict, int, list[int], {"type": "object"}, None])
def test_an_object_of_no_class(
    colour: Colour, llm: OneRouterLLM, sim: Simulator, output_cls: Any
) -> None:
    """Structured prediction needs a pydantic class, and says so first of all."""
    prompt = PromptTemplate("x")
    with pytest.raises(ConfigurationError, match="pydantic model class"):
        colour.call(llm, "structured_predict", output_cls, prompt)
    with pytest.raises(ConfigurationError, match="pydantic model class"):
        colour.collect(llm, "stream_structured_predict", output_cls, prompt)
    assert sim.requests == []
