"""`include_raw=True`: a stream ends with what `invoke` returns, and never raises for the object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from langchain_onerouter.errors import (
    LengthLimitError,
    MalformedReplyError,
    ModerationStopError,
    RefusalError,
    UpstreamError,
)
from onerouter_simulator import Script, Simulator, failure
from tests.langchain.conftest import LLMFactory, Mode
from tests.langchain.scripted_replies import arguments_delta, call_delta, streamed_reply
from tests.langchain.structured_replies import METHODS, OSLO_JSON, SCHEMAS, City

WRONG = '{"name": "Oslo"}'
FAILURES: dict[str, tuple[str, str, type[Exception]]] = {
    "a missing key": (WRONG, "stop", MalformedReplyError),
    "cut JSON": (OSLO_JSON[:20], "stop", MalformedReplyError),
    "no JSON": ("Sorry, no.", "stop", MalformedReplyError),
    "the length limit": (OSLO_JSON[:20], "length", LengthLimitError),
    "a content filter": (OSLO_JSON[:20], "content_filter", ModerationStopError),
}


def streamed(method: str, name: str, text: str, finish_reason: str = "stop") -> Script:
    """Return a streamed reply with an object: in the text, or in the arguments of a call."""
    pieces = [text[:9], text[9:]]
    if method != "function_calling":
        return streamed_reply(pieces, finish_reason)
    return streamed_reply([call_delta(name, "c"), *map(arguments_delta, pieces)], finish_reason)


def tool_name(schema: Any) -> str:
    """Return the name of the schema's tool."""
    if isinstance(schema, dict):
        return schema.get("title") or schema["name"]
    return schema.__name__


@pytest.mark.parametrize("method", [*METHODS, "auto"])
@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("reason", FAILURES)
def test_a_stream_returns_the_parsing_error(  # noqa: PLR0913, PLR0917 -- fixtures
    make_llm: LLMFactory, sim: Simulator, mode: Mode, schema: Any, method: Any, reason: str
) -> None:
    """Message, None and the error, as `invoke` does."""
    text, finish_reason, error = FAILURES[reason]
    runnable = make_llm().with_structured_output(schema, method=method, include_raw=True)
    sim.script(streamed(method, tool_name(schema), text, finish_reason))
    (output,) = mode.stream(runnable, "x")
    assert output.keys() == {"raw", "parsed", "parsing_error"}
    assert output["parsed"] is None
    assert type(output["parsing_error"]) is error
    assert output["raw"].response_metadata["finish_reason"] == finish_reason
    assert output["raw"].text == ("" if method == "function_calling" else text)


@pytest.mark.parametrize("method", [*METHODS, "auto"])
@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_a_stream_returns_the_object(
    make_llm: LLMFactory, sim: Simulator, mode: Mode, schema: Any, method: Any
) -> None:
    """The same as without `include_raw`, and the message."""
    llm = make_llm()
    sim.script(*[streamed(method, tool_name(schema), OSLO_JSON)] * 2)
    (output,) = mode.stream(
        llm.with_structured_output(schema, method=method, include_raw=True), "x"
    )
    *_, expected = mode.stream(llm.with_structured_output(schema, method=method), "x")
    assert (output["parsed"], output["parsing_error"]) == (expected, None)
    assert output["raw"].response_metadata["finish_reason"] == "stop"


class Picky(BaseModel):
    """A class with a validator of the user's."""

    name: str

    @field_validator("name")
    @classmethod
    def _refuse(cls, name: str) -> str:
        raise LookupError(name)


def test_an_error_of_a_validator_is_the_parsing_error(
    make_llm: LLMFactory, sim: Simulator, collect_outputs: Callable[..., Any]
) -> None:
    """Whatever its class is."""
    runnable = make_llm().with_structured_output(Picky, include_raw=True)
    sim.script(streamed_reply(['{"name": ', '"Oslo"}']))
    (output,) = collect_outputs(runnable, "x")
    assert (output["parsed"], type(output["parsing_error"])) == (None, LookupError)


def test_a_refusal_is_the_parsing_error(
    make_llm: LLMFactory, sim: Simulator, collect_outputs: Callable[..., Any]
) -> None:
    """It has the model's words."""
    runnable = make_llm().with_structured_output(City, include_raw=True)
    sim.script(streamed_reply([{"refusal": "No "}, {"refusal": "way."}]))
    (output,) = collect_outputs(runnable, "x")
    assert isinstance(output["parsing_error"], RefusalError)
    assert "No way." in str(output["parsing_error"])


def test_an_error_of_the_call_is_raised(
    make_llm: LLMFactory, sim: Simulator, collect_outputs: Callable[..., Any]
) -> None:
    """There is no message then."""
    runnable = make_llm(max_retries=0).with_structured_output(City, include_raw=True)
    sim.script(failure(500, "broken"))
    with pytest.raises(UpstreamError):
        collect_outputs(runnable, "x")


def test_text_is_parsed(make_llm: LLMFactory) -> None:
    """The parser can be used behind another model."""
    parser = make_llm().with_structured_output(City, method="json_schema", include_raw=True).last
    output = parser.invoke(OSLO_JSON)
    assert (output["raw"].text, output["parsed"]) == (OSLO_JSON, City(name="Oslo", people=717710))


@pytest.mark.parametrize("method", [*METHODS, "auto"])
def test_the_output_schema_is_the_class(make_llm: LLMFactory, method: Any) -> None:
    """LangServe and LangGraph show it; with `include_raw` it is the one of `parsed`."""
    llm = make_llm()
    runnable = llm.with_structured_output(City, method=method)
    assert runnable.get_output_schema() is runnable.OutputType is City
    assert runnable.get_output_jsonschema() == City.model_json_schema()
    raw = llm.with_structured_output(City, method=method, include_raw=True)
    schema = raw.get_output_jsonschema()
    assert schema["properties"].keys() == {"raw", "parsed", "parsing_error"}
    assert schema["$defs"]["City"] == City.model_json_schema()


@pytest.mark.parametrize("method", [*METHODS, "auto"])
@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_the_output_schema_has_the_properties(
    make_llm: LLMFactory, schema: Any, method: Any
) -> None:
    """Of every kind of schema."""
    llm = make_llm()
    shown = llm.with_structured_output(schema, method=method).get_output_jsonschema()
    assert shown["properties"].keys() == {"name", "people"}
    raw = llm.with_structured_output(schema, method=method, include_raw=True)
    assert raw.get_output_jsonschema()["properties"].keys() == {"raw", "parsed", "parsing_error"}


def test_without_a_schema_the_output_may_be_anything(make_llm: LLMFactory) -> None:
    """JSON mode needs none."""
    runnable = make_llm().with_structured_output(method="json_mode")
    assert runnable.OutputType is Any
    assert "properties" not in runnable.get_output_jsonschema()
