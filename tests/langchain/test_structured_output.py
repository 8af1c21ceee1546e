"""Structured output: an object of the schema, or an error that says why there is none."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Annotated, Any, Generic, TypedDict, TypeVar

import pytest
from langchain_core import exceptions as lc
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import Generation
from langchain_core.runnables import RunnableGenerator
from pydantic import BaseModel, Field
from pydantic.v1 import BaseModel as BaseModelV1

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.errors import (
    ConfigurationError,
    ContentFilterError,
    LengthLimitError,
    MalformedReplyError,
    OneRouterError,
    RefusalError,
)
from onerouter_simulator import Script, Simulator, chunk, completion, tool_call
from tests.langchain.conftest import Colour

METHODS = ["json_schema", "function_calling", "json_mode"]


class City(BaseModel):
    """A city."""

    name: str
    people: int = Field(description="How many live there.")


class CityV1(BaseModelV1):
    """A city."""

    name: str
    people: int


class CityDict(TypedDict):
    """A city."""

    name: Annotated[str, ..., "Its name."]
    people: Annotated[int, ..., "How many live there."]


CITY = {
    "title": "CitySchema",
    "description": "A city.",
    "type": "object",
    "properties": {"name": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["name", "people"],
}
FUNCTION = {"name": "CityFunction", "description": "A city.", "parameters": CITY}
CLASSES: dict[str, Any] = {"pydantic": City, "pydantic v1": CityV1}
DICTS: dict[str, Any] = {"TypedDict": CityDict, "JSON schema": CITY, "a function": FUNCTION}
SCHEMAS = {**CLASSES, **DICTS}
OSLO = '{"name": "Oslo", "people": 717710}'
OSLO_DICT = {"name": "Oslo", "people": 717710}


def name_of(schema: Any) -> str:
    """Return the name a schema goes by."""
    return schema.get("name") or schema["title"] if isinstance(schema, dict) else schema.__name__


def plain(value: Any) -> Any:
    """Return an object as a dict, whatever it is."""
    if isinstance(value, dict):
        return value
    return value.model_dump() if hasattr(value, "model_dump") else value.dict()


def is_of(schema: Any, value: Any) -> bool:
    """Tell whether a value is of the kind that a schema asks for."""
    wants_class = isinstance(schema, type) and not issubclass(schema, dict)
    return isinstance(value, schema if wants_class and schema is not CityDict else dict)


def cut(text: str) -> list[str]:
    """Return a text in some pieces."""
    size = max(4, len(text) // 8)
    return [text[at : at + size] for at in range(0, len(text), size)]


def spoken(text: str, finish: str = "stop", **message: Any) -> tuple[Script, Script]:
    """Return an answer in words, whole and streamed."""
    pieces = cut(text)
    return replies({"content": text, **message}, [*pieces, message], finish)


def called(name: str, text: str, finish: str = "tool_calls") -> tuple[Script, Script]:
    """Return an answer by tool call, whole and streamed."""
    pieces = cut(text)
    deltas = [{"index": 0, "function": {"arguments": piece}} for piece in pieces]
    begun = {"tool_calls": [tool_call(name, "", "c", 0)]}
    message = {"content": None, "tool_calls": [tool_call(name, text, "c")]}
    return replies(message, [begun, *({"tool_calls": [d]} for d in deltas)], finish)


def replies(message: Any, pieces: Sequence[Any], finish: str) -> tuple[Script, Script]:
    """Return a reply, whole and streamed."""
    events = [*map(chunk, pieces), chunk({}, finish_reason=finish)]
    return Script(json=completion(message=message, finish_reason=finish)), Script(events=events)


def answered(method: str, schema: Any, text: str, finish: str = "stop") -> tuple[Script, Script]:
    """Return an answer in the way that a method asks for."""
    if method == "function_calling":
        return called(name_of(schema), text, finish)
    return spoken(text, finish)


@pytest.fixture(params=["invoke", "stream"])
def verb(request: pytest.FixtureRequest) -> str:
    """Run a test whole and streamed."""
    return request.param


def last(
    colour: Colour, verb: str, sim: Simulator, runnable: Any, scripts: tuple[Script, Script]
) -> Any:
    """Return what a runnable gives in the end."""
    sim.script(scripts[verb == "stream"])
    return colour.invoke(runnable, "x") if verb == "invoke" else colour.stream(runnable, "x")[-1]


# --- an object ---


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("method", METHODS)
def test_an_object_of_the_schema(  # noqa: PLR0913, PLR0917 -- a case, and its fixtures
    llm: ChatOneRouter, sim: Simulator, colour: Colour, verb: str, method: Any, schema: Any
) -> None:
    """Every method gives every kind of schema, whole and at the end of a stream."""
    runnable = llm.with_structured_output(schema, method=method)
    value = last(colour, verb, sim, runnable, answered(method, schema, OSLO))
    assert is_of(schema, value)
    assert plain(value) == OSLO_DICT


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_the_simulator_keeps_to_the_schema(
    llm: ChatOneRouter, colour: Colour, verb: str, method: Any, schema: Any
) -> None:
    """What is sent makes a server answer by the schema."""
    runnable = llm.with_structured_output(schema, method=method)
    asked = "How many people, 42, live in 'Oslo'?"
    value = (
        colour.invoke(runnable, asked) if verb == "invoke" else colour.stream(runnable, asked)[-1]
    )
    assert plain(value) == {"name": "Oslo", "people": 42}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("method", METHODS)
def test_with_the_message_beside_it(  # noqa: PLR0913, PLR0917 -- a case, and its fixtures
    llm: ChatOneRouter, sim: Simulator, colour: Colour, verb: str, method: Any, schema: Any
) -> None:
    """`include_raw` gives message, object and no error."""
    runnable = llm.with_structured_output(schema, method=method, include_raw=True)
    whole, streamed = answered(method, schema, OSLO)
    sim.script(streamed if verb == "stream" else whole)
    parts = colour.stream(runnable, "x") if verb == "stream" else [colour.invoke(runnable, "x")]
    result: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            result[key] = result[key] + value if key == "raw" and key in result else value
    assert result.keys() == {"raw", "parsed", "parsing_error"}
    assert plain(result["parsed"]) == OSLO_DICT
    assert result["parsing_error"] is None
    assert isinstance(result["raw"], AIMessage)
    assert result["raw"].response_metadata["model_name"] == "simulated/echo"


@pytest.mark.parametrize("schema", CLASSES.values(), ids=CLASSES)
@pytest.mark.parametrize("method", METHODS)
def test_a_class_comes_only_whole(
    llm: ChatOneRouter, sim: Simulator, colour: Colour, method: Any, schema: Any
) -> None:
    """No half-filled object leaves a stream."""
    sim.script(answered(method, schema, OSLO)[1])
    values = colour.stream(llm.with_structured_output(schema, method=method), "x")
    assert [plain(value) for value in values] == [OSLO_DICT]


@pytest.mark.parametrize("schema", DICTS.values(), ids=DICTS)
@pytest.mark.parametrize("method", METHODS)
def test_a_dict_shows_itself_as_it_grows(
    llm: ChatOneRouter, sim: Simulator, colour: Colour, method: Any, schema: Any
) -> None:
    """Each item has more than the one before; none comes twice; the last is whole."""
    sim.script(answered(method, schema, OSLO)[1])
    values = colour.stream(llm.with_structured_output(schema, method=method), "x")
    assert values[:3] == [{}, {"name": "Os"}, {"name": "Oslo"}]
    assert values[-1] == OSLO_DICT
    assert all(one != other for one, other in pairwise(values))


# --- what is asked ---


def test_the_schema_is_made_strict(llm: ChatOneRouter, sim: Simulator) -> None:
    """json_schema is the default, and strict wherever the schema can be."""
    sim.script(spoken(OSLO)[0])
    llm.with_structured_output(City).invoke("x")
    sent = sim.last.body["response_format"]
    assert sent["type"] == "json_schema"
    assert sent["json_schema"] == {
        "name": "City",
        "description": "A city.",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "people": {"type": "integer", "description": "How many live there."},
            },
            "required": ["name", "people"],
            "additionalProperties": False,
        },
    }
    assert "tools" not in sim.last.body


class Optional(BaseModel):
    """An answer with something that may be left out."""

    answer: str
    source: str | None = None


class Open(BaseModel):
    """An object of any keys."""

    pairs: dict[str, int]


@pytest.mark.parametrize(
    ("schema", "strict", "flag", "required"),
    [
        (Optional, None, True, ["answer", "source"]),
        (Optional, True, True, ["answer", "source"]),
        (Optional, False, None, ["answer"]),
        (Open, None, None, ["pairs"]),
        (Open, False, None, ["pairs"]),
    ],
)
def test_strictness(  # noqa: PLR0913, PLR0917 -- a case, and its fixtures
    llm: ChatOneRouter,
    sim: Simulator,
    schema: Any,
    strict: bool | None,
    flag: bool | None,
    required: list[str],
) -> None:
    """Strict if asked, or if nothing is and the schema can be; the flag goes out only when true."""
    llm.with_structured_output(schema, method="json_schema", strict=strict).first.invoke("x")
    sent = sim.last.body["response_format"]["json_schema"]
    assert sent.get("strict") == flag
    assert sent["schema"]["required"] == required
    assert ("additionalProperties" in sent["schema"]) == bool(flag)


@pytest.mark.parametrize("strict", [None, False, True])
def test_function_calling_asks_for_one_call(
    llm: ChatOneRouter, sim: Simulator, strict: bool | None
) -> None:
    """One tool, which must be called, once."""
    sim.script(called("City", OSLO)[0])
    llm.with_structured_output(City, method="function_calling", strict=strict).invoke("x")
    body = sim.last.body
    (sent,) = body["tools"]
    assert sent["function"]["name"] == "City"
    assert sent["function"].get("strict") == (strict or None)
    assert ("additionalProperties" in sent["function"]["parameters"]) == bool(strict)
    assert body["tool_choice"] == {"type": "function", "function": {"name": "City"}}
    assert body["parallel_tool_calls"] is False
    assert "response_format" not in body


@pytest.mark.parametrize("schema", [None, City, CITY, {"type": "object"}], ids=str)
def test_json_mode_asks_for_json(llm: ChatOneRouter, sim: Simulator, schema: Any) -> None:
    """No schema is sent, and none is needed, not even a name."""
    sim.script(spoken(OSLO)[0])
    value = llm.with_structured_output(schema, method="json_mode").invoke("x")
    assert plain(value) == OSLO_DICT
    assert sim.last.body["response_format"] == {"type": "json_object"}


T = TypeVar("T")


class Box(BaseModel, Generic[T]):
    """A box."""

    held: T


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        (Box[int], "Box_int"),
        ({**CITY, "title": "A city, in short!"}, "A_city_in_short"),
        ({**CITY, "title": "x" * 90}, "x" * 64),
    ],
    ids=["generic", "words", "long"],
)
def test_a_schemas_name_is_made_legal(
    llm: ChatOneRouter, sim: Simulator, schema: Any, name: str
) -> None:
    """The API takes letters, digits, dashes and underscores, 64 at most."""
    llm.with_structured_output(schema).invoke("Take 'it', 3")
    assert sim.last.body["response_format"]["json_schema"]["name"] == name


class Tree(BaseModel):
    """A tree."""

    name: str
    branches: list[Tree]


@pytest.mark.parametrize("schema", [Tree, Tree.model_json_schema()], ids=["class", "schema"])
def test_a_recursive_schema(llm: ChatOneRouter, sim: Simulator, schema: Any) -> None:
    """The recursion is sent, and read."""
    sim.script(spoken('{"name": "a", "branches": [{"name": "b", "branches": []}]}')[0])
    value = llm.with_structured_output(schema).invoke("x")
    assert plain(value)["branches"][0]["name"] == "b"
    sent = sim.last.body["response_format"]["json_schema"]["schema"]
    assert sent["properties"]["branches"]["items"] == {"$ref": "#/$defs/Tree"}
    assert sent["$defs"]["Tree"]["additionalProperties"] is False


def test_tools_beside_a_schema(llm: ChatOneRouter, sim: Simulator) -> None:
    """A model may call tools before it answers by the schema; the call is in the message."""

    def population(city: str) -> int:
        """Look it up."""
        return len(city)

    runnable = llm.with_structured_output(City, tools=[population], include_raw=True)
    sim.script(called("population", '{"city": "Oslo"}')[0])
    result = runnable.invoke("x")
    assert sim.last.body["tools"][0]["function"]["name"] == "population"
    assert sim.last.body["response_format"]["type"] == "json_schema"
    assert result["raw"].tool_calls[0]["args"] == {"city": "Oslo"}
    assert result["parsed"] is None
    assert isinstance(result["parsing_error"], MalformedReplyError)


def test_parameters_are_bound_and_schemas_left_alone(llm: ChatOneRouter, sim: Simulator) -> None:
    """Any per-call parameter can be given with the schema, which is not changed."""
    before = copy.deepcopy(CITY)
    sim.script(*[spoken(OSLO)[0]] * 3)
    for method in METHODS:
        llm.with_structured_output(CITY, method=method, temperature=0, seed=7).invoke("x")
        assert sim.last.body["temperature"] == 0
        assert sim.last.body["seed"] == 7
    assert before == CITY


@pytest.mark.parametrize(
    ("schema", "options", "says"),
    [
        (None, {}, "schema is None"),
        (None, {"method": "function_calling"}, "schema is None"),
        ({"type": "object", "properties": {}}, {}, "no name"),
        ({"type": "object", "properties": {}}, {"method": "function_calling"}, "no name"),
        ({"name": "a", "schema": CITY}, {}, "no properties"),
        (City, {"method": "json_mode", "strict": True}, "strict"),
        (City, {"method": "magic"}, "json_mode.*not 'magic'"),
        (Open, {"strict": True}, "property 'pairs' must list its properties"),
        (Open, {"strict": True, "method": "function_calling"}, "property 'pairs' must list its properties"),
        (5, {}, "cannot be converted"),
        (dict, {}, "cannot be converted"),
    ],
)
def test_what_cannot_be_asked(
    llm: ChatOneRouter, schema: Any, options: dict[str, Any], says: str
) -> None:
    """It is refused where it is built."""
    with pytest.raises(ConfigurationError, match=says):
        llm.with_structured_output(schema, **options)


# --- no object ---


@pytest.fixture(params=[City, CITY], ids=["pydantic", "JSON schema"])
def schema(request: pytest.FixtureRequest) -> Any:
    """Run a test for a class and for a dict."""
    return request.param


NO_OBJECT: dict[str, tuple[tuple[Script, Script], type[OneRouterError], str]] = {
    "refused": (
        replies({"content": None, "refusal": "Not I."}, [{"refusal": "Not I."}], "stop"),
        RefusalError,
        "Not I.",
    ),
    "cut": (spoken(OSLO[:20], "length"), LengthLimitError, "length limit"),
    "cut off its call": (called("City", OSLO[:20], "length"), LengthLimitError, "length limit"),
    "moderated": (spoken(OSLO[:20], "content_filter"), ContentFilterError, "content filter"),
    "chatted": (spoken("I would rather talk."), MalformedReplyError, "not an object of the schema"),
    "invalid": (spoken('{"name": "Oslo"}'), MalformedReplyError, "people"),
    "another call": (called("look_up", OSLO), MalformedReplyError, "called look_up instead"),
    "another kind": (spoken("[1, 2]"), MalformedReplyError, "not an object of the schema"),
    "null": (spoken("null"), MalformedReplyError, "not an object of the schema"),
    "broken": (spoken(OSLO[:-1]), MalformedReplyError, "not an object of the schema"),
    "broken call": (called("City", OSLO[:-1]), MalformedReplyError, "not a complete JSON object"),
    "too deep": (spoken("[" * 5_000), MalformedReplyError, "not an object of the schema"),
}


@pytest.mark.parametrize(("scripts", "error", "says"), NO_OBJECT.values(), ids=NO_OBJECT)
@pytest.mark.parametrize("method", METHODS)
def test_why_there_is_no_object(  # noqa: PLR0913, PLR0917 -- a case, and its fixtures
    llm: ChatOneRouter,
    sim: Simulator,
    colour: Colour,
    verb: str,
    method: Any,
    schema: Any,
    scripts: tuple[Script, Script],
    error: type[OneRouterError],
    says: str,
) -> None:
    """Never None and never half an object: an error of the kind, which says whose reply it was."""
    runnable = llm.with_structured_output(schema, method=method)
    with pytest.raises(error, match=says) as caught:
        last(colour, verb, sim, runnable, scripts)
    assert caught.value.model == "simulated/echo"
    assert caught.value.generation_id == "chatcmpl-simulated"
    assert caught.value.request_id
    assert isinstance(caught.value, lc.ModelError)


@pytest.mark.parametrize(("scripts", "error", "says"), NO_OBJECT.values(), ids=NO_OBJECT)
def test_the_message_when_there_is_no_object(  # noqa: PLR0913, PLR0917 -- a case, and its fixtures
    llm: ChatOneRouter,
    sim: Simulator,
    colour: Colour,
    schema: Any,
    scripts: tuple[Script, Script],
    error: type[OneRouterError],
    says: str,
) -> None:
    """`include_raw` does not raise: the error is in the result, and the message beside it."""
    sim.script(scripts[0])
    result = colour.invoke(llm.with_structured_output(schema, include_raw=True), "x")
    assert isinstance(result["parsing_error"], error)
    assert result["parsed"] is None
    assert isinstance(result["raw"], AIMessage)


def test_errors_are_langchains_as_well(llm: ChatOneRouter, sim: Simulator, colour: Colour) -> None:
    """Code that catches parser errors and refusals of LangChain's catches these."""
    runnable = llm.with_structured_output(City)
    sim.script(spoken("chat")[0], NO_OBJECT["refused"][0][0])
    with pytest.raises(lc.OutputParserException):
        colour.invoke(runnable, "x")
    with pytest.raises(getattr(lc, "ModelRefusalError", lc.ModelError)) as caught:
        colour.invoke(runnable, "x")
    assert caught.value.raw_message.additional_kwargs["refusal"] == "Not I."


@pytest.mark.parametrize(
    "words",
    [
        f"```json\n{OSLO}\n```",
        f"Sure!\n```\n{OSLO}\n```\nAnything else?",
        f"Here it is: {OSLO}",
        f"\n\n {OSLO} \n",
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_json_among_words(  # noqa: PLR0913, PLR0917 -- a case, and its fixtures
    llm: ChatOneRouter,
    sim: Simulator,
    colour: Colour,
    verb: str,
    schema: Any,
    method: Any,
    words: str,
) -> None:
    """Fences and small talk around an object are no reason to fail; nor is an ignored tool."""
    runnable = llm.with_structured_output(schema, method=method)
    assert plain(last(colour, verb, sim, runnable, spoken(words))) == OSLO_DICT


def test_a_thought_before_the_object(llm: ChatOneRouter, colour: Colour, verb: str) -> None:
    """Reasoning is not part of the object."""
    runnable = llm.with_structured_output(City, reasoning={"effort": "low"})
    asked = "3 people in 'Oslo'"
    value = (
        colour.invoke(runnable, asked) if verb == "invoke" else colour.stream(runnable, asked)[-1]
    )
    assert value == City(name="Oslo", people=3)


# --- the parser by itself ---


def test_the_parser_reads_text_as_well(llm: ChatOneRouter, colour: Colour) -> None:
    """A step between model and parser may turn messages into strings."""
    runnable = llm.with_structured_output(CITY, method="json_schema")
    parser = runnable.last
    assert parser.parse(OSLO) == OSLO_DICT
    assert parser.parse_result([Generation(text=OSLO)]) == OSLO_DICT
    assert colour.invoke(parser, OSLO) == OSLO_DICT
    chain = runnable.first | StrOutputParser() | parser
    assert colour.invoke(chain, "3 people in 'Oslo'") == {"name": "Oslo", "people": 3}
    assert colour.stream(chain, "3 people in 'Oslo'")[-1] == {"name": "Oslo", "people": 3}
    assert colour.stream(parser, AIMessage(OSLO)) == [OSLO_DICT]


def test_a_stream_of_nothing(llm: ChatOneRouter, colour: Colour) -> None:
    """A parser that is given nothing gives nothing."""

    async def anothing(chunks: Any) -> Any:
        async for _ in chunks:
            pass
        for never in ():
            yield never

    def nothing(chunks: Any) -> Any:
        list(chunks)
        yield from ()

    parser = llm.with_structured_output(CITY, method="json_schema").last
    assert colour.stream(RunnableGenerator(nothing, anothing) | parser, "x") == []


def test_usage_is_with_the_message(llm: ChatOneRouter, colour: Colour, verb: str) -> None:
    """What the object cost is known."""
    runnable = llm.with_structured_output(CITY, include_raw=True)
    if verb == "invoke":
        raw = colour.invoke(runnable, "x")["raw"]
    else:
        raw = reduce(add, (p["raw"] for p in colour.stream(runnable, "x") if "raw" in p))
    assert raw.usage_metadata["total_tokens"] > 0
    assert raw.response_metadata["cost"] > 0
