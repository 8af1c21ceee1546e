"""`with_structured_output(schema)`, method "auto": fallback to a method that the model supports."""

from __future__ import annotations

from typing import Any

import pytest

from langchain_onerouter.errors import (
    InvalidRequestError,
    MalformedReplyError,
    ModelNotFoundError,
    OneRouterError,
    UpstreamError,
)
from onerouter_simulator import Script, Simulator, chunk, failure
from tests.langchain.conftest import LLMFactory, Mode
from tests.langchain.structured_replies import (
    ANSWER,
    QUESTION,
    SCHEMA_UNSUPPORTED,
    TOOLS_UNSUPPORTED,
    City,
    CityDict,
)

NO_PROVIDER = failure(503, "No available providers for model simulated/echo")
OSLO = City(**ANSWER)


@pytest.fixture
def final_value(collect_outputs: Any) -> Any:
    """Return a function that calls a runnable; of a stream it returns the last value."""
    return lambda *args, **kwargs: collect_outputs(*args, **kwargs)[-1]


def methods_used(sim: Simulator) -> list[str]:
    """Return the method of each request, as the response format or function calling."""
    return [
        "function_calling" if "tools" in body else body["response_format"]["type"]
        for body in (request.body for request in sim.requests)
    ]


def test_json_schema_is_tried_first(make_llm: LLMFactory, sim: Simulator, final_value: Any) -> None:
    """A model that supports JSON schemas receives one request."""
    assert final_value(make_llm().with_structured_output(City), QUESTION) == OSLO
    assert methods_used(sim) == ["json_schema"]


@pytest.mark.parametrize(
    "error_reply", [SCHEMA_UNSUPPORTED, NO_PROVIDER], ids=["unsupported", "no provider"]
)
def test_function_calling_is_tried_second(
    make_llm: LLMFactory, sim: Simulator, final_value: Any, error_reply: Script
) -> None:
    """It is remembered: later calls use it at once."""
    llm = make_llm()
    sim.script(error_reply)
    runnable = llm.with_structured_output(City)
    assert final_value(runnable, QUESTION) == OSLO
    assert final_value(runnable, QUESTION) == OSLO
    assert final_value(llm.with_structured_output(City), QUESTION) == OSLO
    assert methods_used(sim) == ["json_schema", *["function_calling"] * 3]


def test_json_mode_is_tried_last(make_llm: LLMFactory, sim: Simulator, final_value: Any) -> None:
    """A system message contains the schema."""
    sim.script(SCHEMA_UNSUPPORTED, TOOLS_UNSUPPORTED)
    assert final_value(make_llm().with_structured_output(City), QUESTION) == OSLO
    assert methods_used(sim) == ["json_schema", "function_calling", "json_object"]
    instruction, question = sim.last.body["messages"]
    assert instruction["role"] == "system"
    assert '"people"' in instruction["content"]
    assert question == {"role": "user", "content": QUESTION}


def test_the_method_is_remembered_per_model(
    make_llm: LLMFactory, sim: Simulator, final_value: Any
) -> None:
    """A call with another model starts with JSON schema."""
    runnable = make_llm().with_structured_output(City)
    sim.script(SCHEMA_UNSUPPORTED)
    final_value(runnable, QUESTION)
    assert final_value(runnable, QUESTION, model="simulated/senses") == OSLO
    assert methods_used(sim) == ["json_schema", "function_calling", "json_schema"]


@pytest.mark.parametrize("strict", [None, False, True])
def test_strict_applies_to_function_calling_and_not_to_json_mode(
    make_llm: LLMFactory, sim: Simulator, final_value: Any, strict: bool | None
) -> None:
    """JSON mode as the last method ignores it."""
    sim.script(SCHEMA_UNSUPPORTED)
    assert final_value(make_llm().with_structured_output(City, strict=strict), QUESTION) == OSLO
    (tool,) = sim.last.body["tools"]
    assert tool["function"].get("strict") == (strict or None)
    sim.script(SCHEMA_UNSUPPORTED, TOOLS_UNSUPPORTED)
    assert final_value(make_llm().with_structured_output(City, strict=strict), QUESTION) == OSLO


@pytest.mark.parametrize(
    ("error_reply", "error_class"),
    [
        (failure(500, "the tool of the function is down"), UpstreamError),
        (failure(400, "the messages are odd"), InvalidRequestError),
        (failure(400, "maximum context length is 10 tokens, tools included"), InvalidRequestError),
    ],
)
def test_other_errors_are_raised_without_a_fallback(
    make_llm: LLMFactory,
    sim: Simulator,
    final_value: Any,
    error_reply: Script,
    error_class: type[OneRouterError],
) -> None:
    """No second request is sent."""
    sim.script(error_reply)
    with pytest.raises(error_class):
        final_value(make_llm(max_retries=0).with_structured_output(City), QUESTION)
    assert len(sim.requests) == 1


def test_an_unknown_model_raises_after_every_method(
    make_llm: LLMFactory, sim: Simulator, final_value: Any
) -> None:
    """No method is remembered: the next call tries them all again."""
    llm = make_llm(model="unknown/model")
    with pytest.raises(ModelNotFoundError):
        final_value(llm.with_structured_output(City), QUESTION)
    assert len(sim.requests) == 3
    with pytest.raises(ModelNotFoundError):
        final_value(llm.with_structured_output(City), QUESTION)
    assert len(sim.requests) == 6  # nothing was remembered: every method is tried again


def test_an_invalid_answer_is_raised_without_a_fallback(
    make_llm: LLMFactory, sim: Simulator, final_value: Any
) -> None:
    """The model supports the method."""
    with pytest.raises(MalformedReplyError):
        final_value(
            make_llm().with_structured_output(City), QUESTION, max_tokens=100, stop=["Oslo"]
        )
    assert len(sim.requests) == 1


def test_fallback_with_include_raw(make_llm: LLMFactory, sim: Simulator, mode: Mode) -> None:
    """The output contains the message of the method that worked."""
    sim.script(SCHEMA_UNSUPPORTED)
    result = mode.invoke(make_llm().with_structured_output(City, include_raw=True), QUESTION)
    assert result["parsed"] == OSLO
    assert result["raw"].tool_calls[0]["name"] == "City"


def test_fallback_composes_and_batches(make_llm: LLMFactory, sim: Simulator, mode: Mode) -> None:
    """It accepts configuration like any runnable."""
    chain = make_llm().with_structured_output(City) | (lambda city: city.name)
    assert mode.batch(chain, [QUESTION, QUESTION]) == ["Oslo", "Oslo"]
    assert mode.invoke(chain.with_config(tags=["a"]), QUESTION) == "Oslo"


# --- errors in a stream ---

ERROR_EVENT = {"error": {"message": "tool use is not supported any more", "code": 400}}


def test_an_error_after_a_value_is_raised(make_llm: LLMFactory, sim: Simulator, mode: Mode) -> None:
    """The model supports the method, so no other one is tried."""
    llm = make_llm()
    sim.script(Script(events=[chunk('{"name": "Os'), ERROR_EVENT]))
    with pytest.raises(InvalidRequestError, match="not supported any more"):
        mode.stream(llm.with_structured_output(CityDict), QUESTION)
    assert len(sim.requests) == 1
    mode.stream(llm.with_structured_output(CityDict), QUESTION)
    assert sim.last.body["response_format"]["type"] == "json_schema"  # the method is kept


def test_an_error_in_the_first_event_leads_to_the_next_method(
    make_llm: LLMFactory, sim: Simulator, mode: Mode
) -> None:
    """It may say that the model does not support the method."""
    sim.script(Script(events=[ERROR_EVENT]))
    assert mode.stream(make_llm().with_structured_output(CityDict), QUESTION)[-1] == ANSWER
    assert "tools" in sim.last.body


@pytest.mark.parametrize("include_raw", [False, True], ids=["object", "raw"])
@pytest.mark.parametrize("is_bound", [False, True], ids=["given", "bound"])
def test_the_method_is_remembered_for_the_model_of_the_call(
    make_llm: LLMFactory, sim: Simulator, collect_outputs: Any, include_raw: bool, is_bound: bool
) -> None:
    """The model may be given per call or bound with the schema."""
    llm, model_argument = make_llm(), {"model": "simulated/senses"}
    options = model_argument if is_bound else {}
    runnable = llm.with_structured_output(City, include_raw=include_raw, **options)
    sim.script(SCHEMA_UNSUPPORTED)
    collect_outputs(runnable, QUESTION, **({} if is_bound else model_argument))
    assert {request.body["model"] for request in sim.requests} == {"simulated/senses"}
    sim.clear()
    # the remembered method is used at once
    collect_outputs(runnable, QUESTION, **({} if is_bound else model_argument))
    assert ["tools" in request.body for request in sim.requests] == [True]
    collect_outputs(
        llm.with_structured_output(City), QUESTION
    )  # nothing is remembered of this model
    assert sim.last.body["response_format"]["type"] == "json_schema"
