"""Structured prediction: methods of asking for an object, and the fallback between them."""

from __future__ import annotations

import json
import pickle
from typing import Any, Generic, TypeVar

import pytest
from llama_index.core.program.llm_program import LLMTextCompletionProgram
from llama_index.core.types import PydanticProgramMode
from pydantic import (
    BaseModel,
    Field,
)

from llama_index_onerouter import OneRouterLLM
from onerouter_core.errors import (
    ContextOverflowError,
    InvalidRequestError,
    ModelNotFoundError,
    OneRouterError,
)
from onerouter_simulator import Script, Simulator, chunk, failure, tool_call
from tests.llama_index.conftest import LLMFactory, Mode
from tests.llama_index.samples import METHODS, PROMPT, SONG, Song, text_reply, text_stream

T = TypeVar("T")
UNSUPPORTED = failure(400, "response_format json_schema is not supported by this model")
NO_TOOLS = failure(404, "No endpoints found that support tool use")


class Wrap(BaseModel, Generic[T]):
    """A generic class."""

    value: T


class Loose(BaseModel):
    """A class with a free-form dict: its schema cannot be made strict."""

    tags: dict[str, int]


class Tree(BaseModel):
    """A recursive class whose field has an alias."""

    name: str = Field(alias="label")
    children: list[Tree] = []


@pytest.mark.parametrize("method", [*METHODS, "auto"])
def test_each_method_returns_an_object_of_the_class(
    mode: Mode, make_llm: LLMFactory, sim: Simulator, method: str
) -> None:
    """Streamed or not; the items of a stream before the last one are incomplete."""
    llm = make_llm(structured_output_mode=method)
    song = mode.call(llm, "structured_predict", Song, PROMPT, topic="1999")
    assert isinstance(song, Song)
    assert song.year == 1999
    *partials, last = mode.collect(llm, "stream_structured_predict", Song, PROMPT, topic="1999")
    assert last == song
    assert partials
    assert not any(isinstance(item, Song) for item in partials)
    assert all(last.title.startswith(item.title or "") for item in partials)


def test_the_default_method_sends_a_strict_json_schema(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """Name and description are those of the class."""
    mode.call(llm, "structured_predict", Song, PROMPT, topic="x")
    response_format = sim.last.body["response_format"]
    assert response_format["type"] == "json_schema"
    assert response_format["json_schema"]["name"] == "Song"
    assert response_format["json_schema"]["description"] == "A song."
    assert response_format["json_schema"]["strict"] is True
    assert response_format["json_schema"]["schema"]["additionalProperties"] is False


def test_a_schema_that_cannot_be_strict_is_sent_unchanged(
    llm: OneRouterLLM, sim: Simulator
) -> None:
    """The key `strict` is missing."""
    sim.script(text_reply('{"tags": {"a": 1}}'))
    assert llm.structured_predict(Loose, PROMPT, topic="x") == Loose(tags={"a": 1})
    json_schema = sim.last.body["response_format"]["json_schema"]
    assert "strict" not in json_schema
    assert json_schema["schema"] == Loose.model_json_schema()


@pytest.mark.parametrize("method", METHODS)
def test_generic_recursive_and_aliased_classes_work_with_each_method(
    mode: Mode, make_llm: LLMFactory, sim: Simulator, method: str
) -> None:
    """Aliases are mapped to field names in incomplete objects, too."""
    llm = make_llm(structured_output_mode=method)
    assert isinstance(mode.call(llm, "structured_predict", Wrap[int], PROMPT, topic="5"), Wrap)
    answer = {"label": "a", "children": [{"label": "b"}]}
    if method == "function":
        events = [chunk({"tool_calls": [tool_call("Tree", answer, index=0)]})]
    else:
        events = [chunk(json.dumps(answer))]
    sim.script(Script(events=[*events, chunk({}, finish_reason="stop")]))
    partial, last = mode.collect(llm, "stream_structured_predict", Tree, PROMPT, topic="x")
    assert last == Tree(**answer)
    assert partial.name == "a"
    assert partial.children[0].label == "b"


def test_the_function_method_forces_one_tool_call(
    mode: Mode, make_llm: LLMFactory, sim: Simulator
) -> None:
    """Streamed or not."""
    llm = make_llm(structured_output_mode="function")
    mode.call(llm, "structured_predict", Song, PROMPT, topic="x")
    mode.collect(llm, "stream_structured_predict", Song, PROMPT, topic="x")
    for body in (request.body for request in sim.requests):
        assert body["tool_choice"] == {"type": "function", "function": {"name": "Song"}}
        assert body["parallel_tool_calls"] is False
        assert "response_format" not in body


def test_the_json_object_method_sends_the_schema_in_a_system_message(
    make_llm: LLMFactory, sim: Simulator
) -> None:
    """JSON mode of the API takes no schema."""
    make_llm(structured_output_mode="json_object").structured_predict(Song, PROMPT, topic="x")
    first, last = sim.last.body["messages"]
    assert sim.last.body["response_format"] == {"type": "json_object"}
    assert first["role"] == "system"
    assert json.dumps(Song.model_json_schema()) in first["content"]
    assert last == {"role": "user", "content": "A song about x"}


def test_auto_falls_back_and_remembers_the_method_per_model(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """Streams use the remembered method; another model begins with a JSON schema."""
    sim.script(UNSUPPORTED)
    assert mode.call(llm, "structured_predict", Song, PROMPT, topic="1999").year == 1999
    assert len(sim.requests) == 2
    mode.collect(llm, "stream_structured_predict", Song, PROMPT, topic="1999")
    assert len(sim.requests) == 3
    assert "tools" in sim.last.body
    mode.call(llm, "structured_predict", Song, PROMPT, {"model": "simulated/other"}, topic="x")
    assert "response_format" in sim.last.body


def test_auto_falls_back_from_schema_to_function_to_json_object(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """After the last method the error is raised."""
    sim.script(UNSUPPORTED, NO_TOOLS)
    *_, last = mode.collect(llm, "stream_structured_predict", Song, PROMPT, topic="1999")
    assert last.year == 1999
    assert sim.last.body["response_format"] == {"type": "json_object"}
    sim.script(UNSUPPORTED)
    with pytest.raises(InvalidRequestError):
        mode.call(llm, "structured_predict", Song, PROMPT, topic="x")


def test_auto_falls_back_on_no_available_providers(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """The gateway sends this error also for an unsupported parameter."""
    sim.script(failure(503, "No available providers for model simulated/echo"))
    assert mode.call(llm, "structured_predict", Song, PROMPT, topic="1999").year == 1999
    sim.clear()
    sim.script(*[failure(503, "No available providers for model simulated/echo")] * 2)
    with pytest.raises(ModelNotFoundError):
        mode.call(llm, "structured_predict", Song, PROMPT, topic="x")
    mode.call(llm, "structured_predict", Song, PROMPT, topic="x")
    assert "tools" in sim.last.body


def test_auto_remembers_no_method_when_all_methods_fail(
    mode: Mode, llm: OneRouterLLM, sim: Simulator
) -> None:
    """The cause is then the request, not the model."""
    sim.script(*[failure(400, "a tool message needs its call")] * 3)
    with pytest.raises(InvalidRequestError):
        mode.call(llm, "structured_predict", Song, PROMPT, topic="x")
    mode.call(llm, "structured_predict", Song, PROMPT, topic="x")
    assert sim.last.body["response_format"]["type"] == "json_schema"


def test_the_remembered_method_is_not_part_of_equality_or_pickles(
    llm: OneRouterLLM, sim: Simulator
) -> None:
    """A model is equal to its copy from before the fallback."""
    sim.script(UNSUPPORTED)
    before = pickle.loads(pickle.dumps(llm))  # noqa: S301 -- a pickle of this test
    llm.structured_predict(Song, PROMPT, topic="x")
    assert llm == before == pickle.loads(pickle.dumps(llm))  # noqa: S301 -- a pickle of this test


@pytest.mark.parametrize(
    ("fields", "script", "error_class"),
    [
        ({"structured_output_mode": "json_schema"}, UNSUPPORTED, InvalidRequestError),
        ({"pydantic_program_mode": PydanticProgramMode.FUNCTION}, NO_TOOLS, OneRouterError),
        ({}, failure(400, "seed must be an integer"), InvalidRequestError),
        ({}, failure(400, "maximum context length: 9 in functions"), ContextOverflowError),
    ],
    ids=["fixed method", "pydantic_program_mode", "other error", "context overflow"],
)
def test_a_fixed_method_or_another_error_is_not_retried(  # noqa: PLR0913, PLR0917 -- case and fixtures
    mode: Mode,
    make_llm: LLMFactory,
    sim: Simulator,
    fields: dict[str, Any],
    script: Script,
    error_class: type[Exception],
) -> None:
    """The first error is raised, after one request."""
    sim.script(script)
    with pytest.raises(error_class):
        mode.call(make_llm(**fields), "structured_predict", Song, PROMPT, topic="x")
    assert len(sim.requests) == 1


def test_pydantic_program_mode_function_uses_the_function_method(
    mode: Mode, make_llm: LLMFactory, sim: Simulator
) -> None:
    """This is LlamaIndex's own setting."""
    llm = make_llm(pydantic_program_mode=PydanticProgramMode.FUNCTION)
    assert mode.call(llm, "structured_predict", Song, PROMPT, topic="1999").year == 1999
    assert "tool_choice" in sim.last.body


def test_pydantic_program_mode_llm_uses_llama_indexs_text_program(
    mode: Mode, make_llm: LLMFactory, sim: Simulator
) -> None:
    """The request has no response format and no tool."""
    llm = make_llm(pydantic_program_mode=PydanticProgramMode.LLM)
    sim.script(text_reply(SONG))
    assert mode.call(llm, "structured_predict", Song, PROMPT, topic="x").title == "Moon"
    assert sim.last.body.keys() == {"model", "messages", "usage"}


@pytest.mark.skipif(
    "stream_call" not in vars(LLMTextCompletionProgram), reason="this LlamaIndex has none to stream"
)
def test_pydantic_program_mode_llm_streams_llama_indexs_text_program(
    mode: Mode, make_llm: LLMFactory, sim: Simulator
) -> None:
    """Its stream has at least one object."""
    llm = make_llm(pydantic_program_mode=PydanticProgramMode.LLM)
    sim.script(text_stream(SONG))
    assert mode.collect(llm, "stream_structured_predict", Song, PROMPT, topic="x")


def test_the_system_prompt_is_the_first_message(
    mode: Mode, make_llm: LLMFactory, sim: Simulator
) -> None:
    """Streamed or not."""
    llm = make_llm(system_prompt="Be musical.")
    mode.call(llm, "structured_predict", Song, PROMPT, topic="x")
    assert sim.last.body["messages"][0] == {"role": "system", "content": "Be musical."}
    mode.collect(llm, "stream_structured_predict", Song, PROMPT, topic="x")
    assert sim.last.body["messages"][0] == {"role": "system", "content": "Be musical."}


def test_llm_kwargs_are_sent_and_not_changed(mode: Mode, llm: OneRouterLLM, sim: Simulator) -> None:
    """Keywords that set the method are ignored."""
    kwargs = {"temperature": 0.5, "tool_choice": "auto", "tool_required": True}
    before = dict(kwargs)
    mode.call(llm, "structured_predict", Song, PROMPT, kwargs, topic="x")
    mode.collect(llm, "stream_structured_predict", Song, PROMPT, kwargs, topic="x")
    assert kwargs == before
    assert sim.last.body["temperature"] == 0.5
    assert "tool_choice" not in sim.last.body
