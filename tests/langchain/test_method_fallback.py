"""`with_structured_output(schema)`: the first way to ask that the model can be asked in."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from langchain_onerouter.errors import (
    InvalidRequestError,
    MalformedReplyError,
    ModelNotFoundError,
    OneRouterError,
    UpstreamError,
)
from onerouter_simulator import Script, Simulator, failure
from tests.langchain.conftest import Colour, Make

NO_SCHEMA = failure(400, "response_format json_schema is not supported by this model")
NO_TOOLS = failure(400, "This model does not support tools")
NO_PROVIDER = failure(503, "No available providers for model simulated/echo")
ASKED = "3 people in 'Oslo'"


class City(BaseModel):
    """A city."""

    name: str
    people: int


OSLO = City(name="Oslo", people=3)


@pytest.fixture(params=["invoke", "stream"])
def last(request: pytest.FixtureRequest, colour: Colour) -> Any:
    """Run a test with each verb, in both colours; of a stream its last value counts."""
    if request.param == "invoke":
        return colour.invoke
    return lambda *asked, **options: colour.stream(*asked, **options)[-1]


def ways(sim: Simulator) -> list[str]:
    """Return the ways in which the gateway was asked."""
    return [
        "function_calling" if "tools" in body else body["response_format"]["type"]
        for body in (request.body for request in sim.requests)
    ]


def test_the_first_way_is_a_schema(make: Make, sim: Simulator, last: Any) -> None:
    """A model that can keep to a schema is asked once."""
    assert last(make().with_structured_output(City), ASKED) == OSLO
    assert ways(sim) == ["json_schema"]


@pytest.mark.parametrize("refusal", [NO_SCHEMA, NO_PROVIDER], ids=["refused", "no provider"])
def test_the_next_way_is_a_call(make: Make, sim: Simulator, last: Any, refusal: Script) -> None:
    """A model that cannot keep to a schema is asked for a tool call, and from then on at once."""
    llm = make()
    sim.script(refusal)
    runnable = llm.with_structured_output(City)
    assert last(runnable, ASKED) == OSLO
    assert last(runnable, ASKED) == OSLO
    assert last(llm.with_structured_output(City), ASKED) == OSLO
    assert ways(sim) == ["json_schema", *["function_calling"] * 3]


def test_the_last_way_is_to_say_it(make: Make, sim: Simulator, last: Any) -> None:
    """A model that can be held to nothing is told the schema, and asked for JSON."""
    sim.script(NO_SCHEMA, NO_TOOLS)
    assert last(make().with_structured_output(City), ASKED) == OSLO
    assert ways(sim) == ["json_schema", "function_calling", "json_object"]
    told, asked = sim.last.body["messages"]
    assert told["role"] == "system"
    assert '"people"' in told["content"]
    assert asked == {"role": "user", "content": ASKED}


def test_what_is_known_is_known_of_one_model(make: Make, sim: Simulator, last: Any) -> None:
    """Another model per call is asked from the beginning."""
    runnable = make().with_structured_output(City)
    sim.script(NO_SCHEMA)
    last(runnable, ASKED)
    assert last(runnable, ASKED, model="simulated/senses") == OSLO
    assert ways(sim) == ["json_schema", "function_calling", "json_schema"]


@pytest.mark.parametrize("strict", [None, False, True])
def test_strictness_holds_where_it_can(
    make: Make, sim: Simulator, last: Any, strict: bool | None
) -> None:
    """Also after the schema was refused; words cannot be strict, and are said all the same."""
    sim.script(NO_SCHEMA)
    assert last(make().with_structured_output(City, strict=strict), ASKED) == OSLO
    (tool,) = sim.last.body["tools"]
    assert tool["function"].get("strict") == (strict or None)
    sim.script(NO_SCHEMA, NO_TOOLS)
    assert last(make().with_structured_output(City, strict=strict), ASKED) == OSLO


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (failure(500, "the tool of the function is down"), UpstreamError),
        (failure(400, "the messages are odd"), InvalidRequestError),
        (failure(400, "maximum context length is 10 tokens, tools included"), InvalidRequestError),
    ],
)
def test_what_another_way_would_not_help(
    make: Make, sim: Simulator, last: Any, refusal: Script, error: type[OneRouterError]
) -> None:
    """The error is raised, and nothing more is sent."""
    sim.script(refusal)
    with pytest.raises(error):
        last(make(max_retries=0).with_structured_output(City), ASKED)
    assert len(sim.requests) == 1


def test_a_model_that_is_not_there(make: Make, sim: Simulator, last: Any) -> None:
    """It is looked for in every way, then missed."""
    llm = make(model="unknown/model")
    with pytest.raises(ModelNotFoundError):
        last(llm.with_structured_output(City), ASKED)
    assert len(sim.requests) == 3
    with pytest.raises(ModelNotFoundError):
        last(llm.with_structured_output(City), ASKED)
    assert len(sim.requests) == 6  # nothing was remembered: every method is tried again


def test_a_wrong_answer_is_no_reason_to_ask_in_another_way(
    make: Make, sim: Simulator, last: Any
) -> None:
    """The model could be asked; what it said is another matter."""
    with pytest.raises(MalformedReplyError):
        last(make().with_structured_output(City), ASKED, max_tokens=100, stop=["Oslo"])
    assert len(sim.requests) == 1


def test_with_the_message_beside_it(make: Make, sim: Simulator, colour: Colour) -> None:
    """`include_raw` works in every way."""
    sim.script(NO_SCHEMA)
    result = colour.invoke(make().with_structured_output(City, include_raw=True), ASKED)
    assert result["parsed"] == OSLO
    assert result["raw"].tool_calls[0]["name"] == "City"


def test_it_is_a_runnable_like_any(make: Make, sim: Simulator, colour: Colour) -> None:
    """It composes, batches and hands configuration on."""
    chain = make().with_structured_output(City) | (lambda city: city.name)
    assert colour.batch(chain, [ASKED, ASKED]) == ["Oslo", "Oslo"]
    assert colour.invoke(chain.with_config(tags=["a"]), ASKED) == "Oslo"
