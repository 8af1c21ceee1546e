"""Objects by a schema: whose call it is, what a call's keywords reach, and what can be pickled."""

from __future__ import annotations

import pickle
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel

from langchain_onerouter.errors import (
    ConfigurationError,
    InvalidRequestError,
    LengthLimitError,
    MalformedReplyError,
    RefusalError,
)
from onerouter_core.retry import waiting
from onerouter_simulator import Script, Simulator, chunk, completion, failure, tool_call
from tests.langchain.conftest import Colour, Make

NO_SCHEMA = failure(400, "response_format json_schema is not supported by this model")
NO_TOOLS = failure(400, "This model does not support tools")
METHODS: list[Any] = ["json_schema", "function_calling", "json_mode"]
WAYS: list[Any] = ["auto", *METHODS]
ASKED = "3 people in 'Oslo'"


class City(BaseModel):
    """A city."""

    name: str
    people: int = 0


class CityDict(TypedDict):
    """A city."""

    name: str
    people: int


PROPERTIES = {"name": {"type": "string"}, "people": {"type": "integer"}}
FORM = {"type": "object", "properties": PROPERTIES, "required": ["name"]}
OSLO = {"name": "Oslo", "people": 3}
BERGEN = {"name": "Bergen", "people": 9}


def look_up(name: str) -> str:
    """Look a city up."""
    return name


def plain(value: Any) -> Any:
    """Return an object as a dict, whatever it is."""
    return value if isinstance(value, dict) else value.model_dump()


def replies(*calls: Any, content: str | None = None) -> tuple[Script, Script]:
    """Return an answer with these calls, whole and streamed call by call."""
    message = {"content": content, "tool_calls": list(calls)}
    whole = completion(message=message, finish_reason="tool_calls")
    parts = [{"tool_calls": [{**call, "index": index}]} for index, call in enumerate(calls)]
    events = [*([content] if content else []), *parts]
    end = chunk({}, finish_reason="tool_calls")
    return Script(json=whole), Script(events=[*map(chunk, events), end])


@pytest.fixture(params=["invoke", "stream"])
def verb(request: pytest.FixtureRequest) -> str:
    """Run a test whole and streamed."""
    return request.param


@pytest.fixture
def values(colour: Colour, verb: str) -> Any:
    """Return all that a runnable gives: one value, or those of a stream."""
    if verb == "invoke":
        return lambda *asked, **options: [colour.invoke(*asked, **options)]
    return colour.stream


# --- whose call it is ---


@pytest.mark.parametrize("schema", [City, CityDict], ids=["class", "dict"])
@pytest.mark.parametrize("method", METHODS)
def test_another_tools_arguments_are_no_object(  # noqa: PLR0913, PLR0917 -- a case, and its fixtures
    make: Make, sim: Simulator, values: Any, verb: str, method: Any, schema: Any
) -> None:
    """Even if they would fit the schema; the error says which tool was called."""
    sim.script(replies(tool_call("look_up", {"name": "Oslo"}, "c"))[verb == "stream"])
    runnable = make().with_structured_output(schema, method=method, tools=[look_up])
    with pytest.raises(MalformedReplyError, match="called look_up instead"):
        values(runnable, "x")


@pytest.mark.parametrize("schema", [City, CityDict], ids=["class", "dict"])
def test_the_schemas_call_among_others(
    make: Make, sim: Simulator, values: Any, verb: str, schema: Any
) -> None:
    """It is found behind another, behind words, and before one more; nothing else shows itself."""
    calls = [
        tool_call("look_up", BERGEN, "c1"),
        tool_call(schema.__name__, OSLO, "c2"),
        tool_call(schema.__name__, BERGEN, "c3"),
    ]
    sim.script(replies(*calls, content="Well.")[verb == "stream"])
    runnable = make().with_structured_output(
        schema, method="function_calling", tools=[look_up], tool_choice="any"
    )
    assert [plain(value) for value in values(runnable, "x")] == [OSLO]


@pytest.mark.parametrize("method", ["json_schema", "json_mode"])
def test_words_beside_a_call(
    make: Make, sim: Simulator, values: Any, verb: str, method: Any
) -> None:
    """Where JSON was asked for, the words are the object."""
    call = tool_call("look_up", BERGEN, "c")
    sim.script(replies(call, content='{"name": "Oslo", "people": 3}')[verb == "stream"])
    runnable = make().with_structured_output(CityDict, method=method, tools=[look_up])
    assert values(runnable, "x")[-1] == OSLO


def test_the_schemas_call_with_a_key_missing(
    make: Make, sim: Simulator, values: Any, verb: str
) -> None:
    """The error names the key, not the call."""
    sim.script(replies(tool_call("City", {"people": 3}, "c"))[verb == "stream"])
    with pytest.raises(MalformedReplyError, match="name"):
        values(make().with_structured_output(City, method="function_calling"), "x")


@pytest.mark.parametrize("schema", [City, CityDict], ids=["class", "dict"])
@pytest.mark.parametrize("method", METHODS)
def test_a_model_that_does_not_stream(make: Make, colour: Colour, method: Any, schema: Any) -> None:
    """Its one message is read whole, calls included."""
    runnable = make(disable_streaming=True).with_structured_output(schema, method=method)
    assert [plain(value) for value in colour.stream(runnable, ASKED)] == [OSLO]


# --- a call's keywords ---


@pytest.mark.parametrize("include_raw", [False, True], ids=["object", "raw"])
@pytest.mark.parametrize("method", WAYS)
@pytest.mark.parametrize("bound", [False, True], ids=["given", "bound"])
def test_keywords_reach_the_model(  # noqa: PLR0913, PLR0917 -- a case, and its fixtures
    make: Make, sim: Simulator, values: Any, method: Any, include_raw: bool, bound: bool
) -> None:
    """In every way, with every verb, given to the call or bound to the chain."""
    given = {"model": "simulated/senses", "temperature": 0.5}
    runnable = make().with_structured_output(City, method=method, include_raw=include_raw)
    last = values(runnable.bind(**given), ASKED) if bound else values(runnable, ASKED, **given)
    found = last[-1].get("parsed") if include_raw and len(last) == 1 else last[-1]
    assert (sim.last.body["model"], sim.last.body["temperature"]) == ("simulated/senses", 0.5)
    assert include_raw or found == City(name="Oslo", people=3)


@pytest.mark.parametrize("include_raw", [False, True], ids=["object", "raw"])
def test_the_last_way_with_keywords(
    make: Make, sim: Simulator, values: Any, include_raw: bool
) -> None:
    """A model that can only be told the schema is told it, and given the keywords."""
    sim.script(NO_SCHEMA, NO_TOOLS)
    values(make().with_structured_output(City, include_raw=include_raw), ASKED, temperature=0.5)
    assert sim.last.body["response_format"] == {"type": "json_object"}
    assert [request.body["temperature"] for request in sim.requests] == [0.5] * 3
    assert sim.last.body["messages"][-1]["content"] == ASKED


@pytest.mark.parametrize("include_raw", [False, True], ids=["object", "raw"])
@pytest.mark.parametrize("bound", [False, True], ids=["given", "bound"])
def test_what_is_remembered_is_of_the_model_that_was_asked(
    make: Make, sim: Simulator, values: Any, include_raw: bool, bound: bool
) -> None:
    """Also if it was named for the call alone, or with the schema."""
    llm, named = make(), {"model": "simulated/senses"}
    options = named if bound else {}
    runnable = llm.with_structured_output(City, include_raw=include_raw, **options)
    sim.script(NO_SCHEMA)
    values(runnable, ASKED, **({} if bound else named))
    assert {request.body["model"] for request in sim.requests} == {"simulated/senses"}
    sim.clear()
    values(runnable, ASKED, **({} if bound else named))  # the remembered method comes first
    assert ["tools" in request.body for request in sim.requests] == [True]
    values(llm.with_structured_output(City), ASKED)  # another model: nothing is remembered
    assert sim.last.body["response_format"]["type"] == "json_schema"


# --- pickled ---


@pytest.mark.parametrize("include_raw", [False, True], ids=["object", "raw"])
@pytest.mark.parametrize("schema", [City, CityDict, {"title": "City", **FORM}, None], ids=str)
@pytest.mark.parametrize("method", WAYS)
def test_a_chain_can_be_pickled(
    make: Make, colour: Colour, method: Any, schema: Any, include_raw: bool
) -> None:
    """It is the same afterwards, for every kind of schema."""
    if schema is None and method != "json_mode":
        pytest.skip("only JSON mode does without a schema")
    runnable = make().with_structured_output(schema, method=method, include_raw=include_raw)
    again = pickle.loads(pickle.dumps(runnable))  # noqa: S301 -- it is our own
    found = colour.invoke(again, ASKED)
    assert include_raw == (isinstance(found, dict) and "raw" in found)
    value = found["parsed"] if include_raw else found
    assert schema is None or plain(value) == OSLO


# --- what JSON mode says ---


@pytest.mark.parametrize(
    "schema",
    [
        {"name": "city", "description": "A city.", "parameters": FORM},
        {"type": "function", "function": {"name": "city", "parameters": FORM}},
        {"name": "city", "input_schema": FORM},
        {"title": "city", **FORM},
    ],
    ids=["function", "tool", "Anthropic's", "schema"],
)
def test_json_mode_says_the_schema_itself(
    make: Make, sim: Simulator, colour: Colour, schema: dict[str, Any]
) -> None:
    """Whatever it is wrapped in: the wrapper is no part of the object."""
    runnable = make().with_structured_output(schema, method="json_mode")
    assert colour.invoke(runnable, ASKED) == OSLO
    told = sim.last.body["messages"][0]["content"]
    assert '"properties"' in told
    assert "parameters" not in told
    assert "city" not in told


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"name": "city", "schema": FORM}, "no properties"),
        ({"type": "web_search"}, "no name"),
    ],
)
@pytest.mark.parametrize("method", WAYS)
def test_every_way_refuses_the_same(
    make: Make, method: Any, schema: dict[str, Any], says: str
) -> None:
    """What is no schema for one way is none for another."""
    with pytest.raises(ConfigurationError, match=says):
        make().with_structured_output(schema, method=method)


# --- an error in mid-stream ---

BROKEN = {"error": {"message": "tool use is not supported any more", "code": 400}}


def test_what_came_is_not_asked_for_again(make: Make, sim: Simulator, colour: Colour) -> None:
    """An error behind a value is raised, whatever it says: the model could be asked."""
    llm = make()
    sim.script(Script(events=[chunk('{"name": "Os'), BROKEN]))
    with pytest.raises(InvalidRequestError, match="not supported any more"):
        colour.stream(llm.with_structured_output(CityDict), ASKED)
    assert len(sim.requests) == 1
    colour.stream(llm.with_structured_output(CityDict), ASKED)
    assert sim.last.body["response_format"]["type"] == "json_schema"  # the method is kept


def test_before_anything_came_the_next_way_is_tried(
    make: Make, sim: Simulator, colour: Colour
) -> None:
    """The first event of a stream may say that the model cannot."""
    sim.script(Script(events=[BROKEN]))
    assert colour.stream(make().with_structured_output(CityDict), ASKED)[-1] == OSLO
    assert "tools" in sim.last.body


# --- what came instead ---


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (completion('{"name": "Os', finish_reason="length"), LengthLimitError),
        (completion('{"town": "Oslo"}'), MalformedReplyError),
        (completion("No.", message={"refusal": "no"}), RefusalError),
    ],
    ids=["cut", "not valid", "refused"],
)
def test_what_came_instead_travels_with_the_error(
    make: Make, sim: Simulator, colour: Colour, body: Any, kind: Any
) -> None:
    """It was paid for: the answer is in `partial`, and how often it was asked for in `attempts`."""
    sim.script(failure(503, "Overloaded"), Script(json=body))
    with waiting(0), pytest.raises(kind) as caught:
        colour.invoke(make().with_structured_output(CityDict, method="json_schema"), ASKED)
    assert caught.value.partial.text == body["choices"][0]["message"]["content"]
    assert caught.value.attempts == 2
