"""Structured output: the request of each method, and the object of the schema."""

from __future__ import annotations

import copy
import gc
import weakref
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any, ClassVar, Generic, TypeVar

import pytest
from langchain_core.messages import AIMessage
from pydantic import BaseModel

from langchain_onerouter import ChatOneRouter
from langchain_onerouter.errors import (
    ConfigurationError,
    MalformedReplyError,
)
from onerouter_simulator import Simulator
from tests.langchain.conftest import Mode
from tests.langchain.structured_replies import (
    CITY_SCHEMA,
    CLASS_SCHEMAS,
    DICT_SCHEMAS,
    METHODS,
    OSLO_DICT,
    OSLO_JSON,
    SCHEMAS,
    City,
    CityDict,
    final_value,
    replies_by_method,
    text_replies,
    to_dict,
    tool_call_replies,
)


def is_instance_of_schema(schema: Any, value: Any) -> bool:
    """Return whether a value has the type that belongs to a schema."""
    is_class = isinstance(schema, type) and not issubclass(schema, dict)
    return isinstance(value, schema if is_class and schema is not CityDict else dict)


# --- an object ---


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_returns_an_object_of_the_schema(  # noqa: PLR0913, PLR0917 -- fixtures
    llm: ChatOneRouter, sim: Simulator, mode: Mode, endpoint: str, method: Any, schema: Any
) -> None:
    """For every kind of schema, with invoke and at the end of a stream."""
    runnable = llm.with_structured_output(schema, method=method)
    value = final_value(mode, endpoint, sim, runnable, replies_by_method(method, schema, OSLO_JSON))
    assert is_instance_of_schema(schema, value)
    assert to_dict(value) == OSLO_DICT


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_the_schema_in_the_request_determines_the_answer(
    llm: ChatOneRouter, collect_outputs: Any, method: Any, schema: Any
) -> None:
    """The simulator answers by the schema that it receives."""
    runnable = llm.with_structured_output(schema, method=method)
    value = collect_outputs(runnable, "How many people, 42, live in 'Oslo'?")[-1]
    assert to_dict(value) == {"name": "Oslo", "people": 42}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("method", METHODS)
def test_include_raw(  # noqa: PLR0913, PLR0917 -- fixtures
    llm: ChatOneRouter,
    sim: Simulator,
    collect_outputs: Any,
    endpoint: str,
    method: Any,
    schema: Any,
) -> None:
    """The output has the message, the object and no error."""
    runnable = llm.with_structured_output(schema, method=method, include_raw=True)
    complete, streamed = replies_by_method(method, schema, OSLO_JSON)
    sim.script(streamed if endpoint == "stream" else complete)
    result: dict[str, Any] = {}
    for item in collect_outputs(runnable, "x"):
        for key, value in item.items():
            result[key] = result[key] + value if key == "raw" and key in result else value
    assert result.keys() == {"raw", "parsed", "parsing_error"}
    assert to_dict(result["parsed"]) == OSLO_DICT
    assert result["parsing_error"] is None
    assert isinstance(result["raw"], AIMessage)
    assert result["raw"].response_metadata["model_name"] == "simulated/echo"


@pytest.mark.parametrize("schema", CLASS_SCHEMAS.values(), ids=CLASS_SCHEMAS)
@pytest.mark.parametrize("method", METHODS)
def test_a_class_is_streamed_as_one_complete_object(
    llm: ChatOneRouter, sim: Simulator, mode: Mode, method: Any, schema: Any
) -> None:
    """A stream yields no partial instance."""
    sim.script(replies_by_method(method, schema, OSLO_JSON)[1])
    values = mode.stream(llm.with_structured_output(schema, method=method), "x")
    assert [to_dict(value) for value in values] == [OSLO_DICT]


@pytest.mark.parametrize("schema", DICT_SCHEMAS.values(), ids=DICT_SCHEMAS)
@pytest.mark.parametrize("method", METHODS)
def test_a_dict_is_streamed_as_growing_partial_dicts(
    llm: ChatOneRouter, sim: Simulator, mode: Mode, method: Any, schema: Any
) -> None:
    """No value is repeated; the last one is complete."""
    sim.script(replies_by_method(method, schema, OSLO_JSON)[1])
    values = mode.stream(llm.with_structured_output(schema, method=method), "x")
    assert values[:3] == [{}, {"name": "Os"}, {"name": "Oslo"}]
    assert values[-1] == OSLO_DICT
    assert all(first != second for first, second in pairwise(values))


# --- the request ---


class Counted(BaseModel):
    """A class that counts the builds of its schema."""

    number: int
    builds: ClassVar[int] = 0

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Count the call, and return the schema."""
        cls.builds += 1
        return super().model_json_schema(*args, **kwargs)


def test_a_schema_is_built_once_per_class(mode: Mode, llm: ChatOneRouter, sim: Simulator) -> None:
    """With a runnable, or bound tools, that are built anew for every request."""

    class Answer(Counted):
        """An answer."""

    for _ in range(3):
        for method in ("auto", *METHODS):
            runnable = llm.with_structured_output(Answer, method=method)
            assert mode.invoke(runnable, "5") == Answer(number=5)
        mode.invoke(llm.bind_tools([Answer]), "5")
        mode.invoke(llm, "5", response_format=Answer)
    assert Answer.builds == 1


@pytest.mark.parametrize("include_raw", [False, True])
def test_no_cache_keeps_a_class_alive(
    llm: ChatOneRouter, collect_outputs: Any, include_raw: bool
) -> None:
    """A class that was made for one request is garbage-collected."""

    class Temporary(BaseModel):
        """A class that is deleted in the test."""

        number: int

    collect_outputs(llm.with_structured_output(Temporary, include_raw=include_raw), "5")
    reference = weakref.ref(Temporary)
    del Temporary
    gc.collect()
    assert reference() is None


def test_the_schema_is_made_strict(llm: ChatOneRouter, sim: Simulator) -> None:
    """By default, with the method json_schema."""
    sim.script(text_replies(OSLO_JSON)[0])
    llm.with_structured_output(City).invoke("x")
    response_format = sim.last.body["response_format"]
    assert response_format["type"] == "json_schema"
    assert response_format["json_schema"] == {
        "name": "City",
        "description": "A city.",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "people": {"type": "integer", "description": "Number of inhabitants."},
            },
            "required": ["name", "people"],
            "additionalProperties": False,
        },
    }
    assert "tools" not in sim.last.body


class OptionalSource(BaseModel):
    """An answer with an optional field."""

    answer: str
    source: str | None = None


class OpenObject(BaseModel):
    """An object with arbitrary keys."""

    pairs: dict[str, int]


@pytest.mark.parametrize(
    ("schema", "strict", "expected_flag", "required"),
    [
        (OptionalSource, None, True, ["answer", "source"]),
        (OptionalSource, True, True, ["answer", "source"]),
        (OptionalSource, False, None, ["answer"]),
        (OpenObject, None, None, ["pairs"]),
        (OpenObject, False, None, ["pairs"]),
    ],
)
def test_strict_of_method_json_schema(  # noqa: PLR0913, PLR0917 -- fixtures
    llm: ChatOneRouter,
    sim: Simulator,
    schema: Any,
    strict: bool | None,
    expected_flag: bool | None,
    required: list[str],
) -> None:
    """None makes the schema strict if it can be; the flag is sent only if it is true."""
    llm.with_structured_output(schema, method="json_schema", strict=strict).first.invoke("x")
    json_schema = sim.last.body["response_format"]["json_schema"]
    assert json_schema.get("strict") == expected_flag
    assert json_schema["schema"]["required"] == required
    assert ("additionalProperties" in json_schema["schema"]) == bool(expected_flag)


@pytest.mark.parametrize("strict", [None, False, True])
def test_function_calling_forces_one_call(
    llm: ChatOneRouter, sim: Simulator, strict: bool | None
) -> None:
    """The only tool must be called, once."""
    sim.script(tool_call_replies("City", OSLO_JSON)[0])
    llm.with_structured_output(City, method="function_calling", strict=strict).invoke("x")
    body = sim.last.body
    (sent_tool,) = body["tools"]
    assert sent_tool["function"]["name"] == "City"
    assert sent_tool["function"].get("strict") == (strict or None)
    assert ("additionalProperties" in sent_tool["function"]["parameters"]) == bool(strict)
    assert body["tool_choice"] == {"type": "function", "function": {"name": "City"}}
    assert body["parallel_tool_calls"] is False
    assert "response_format" not in body


@pytest.mark.parametrize("schema", [None, City, CITY_SCHEMA, {"type": "object"}], ids=str)
def test_json_mode_response_format_has_no_schema(
    llm: ChatOneRouter, sim: Simulator, schema: Any
) -> None:
    """A schema is not needed, nor is its title."""
    sim.script(text_replies(OSLO_JSON)[0])
    value = llm.with_structured_output(schema, method="json_mode").invoke("x")
    assert to_dict(value) == OSLO_DICT
    assert sim.last.body["response_format"] == {"type": "json_object"}


T = TypeVar("T")


class Box(BaseModel, Generic[T]):
    """A box."""

    content: T


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        (Box[int], "Box_int"),
        ({**CITY_SCHEMA, "title": "A city, in short!"}, "A_city_in_short"),
        ({**CITY_SCHEMA, "title": "x" * 90}, "x" * 64),
    ],
    ids=["generic", "punctuation", "long"],
)
def test_schema_names_are_made_valid(
    llm: ChatOneRouter, sim: Simulator, schema: Any, name: str
) -> None:
    """The API allows at most 64 letters, digits, dashes and underscores."""
    llm.with_structured_output(schema).invoke("Take 'it', 3")
    assert sim.last.body["response_format"]["json_schema"]["name"] == name


class Tree(BaseModel):
    """A tree."""

    name: str
    branches: list[Tree]


@pytest.mark.parametrize("schema", [Tree, Tree.model_json_schema()], ids=["class", "schema"])
def test_a_recursive_schema(llm: ChatOneRouter, sim: Simulator, schema: Any) -> None:
    """The reference is sent, and the answer is parsed."""
    sim.script(text_replies('{"name": "a", "branches": [{"name": "b", "branches": []}]}')[0])
    value = llm.with_structured_output(schema).invoke("x")
    assert to_dict(value)["branches"][0]["name"] == "b"
    sent_schema = sim.last.body["response_format"]["json_schema"]["schema"]
    assert sent_schema["properties"]["branches"]["items"] == {"$ref": "#/$defs/Tree"}
    assert sent_schema["$defs"]["Tree"]["additionalProperties"] is False


def test_tools_beside_a_schema(llm: ChatOneRouter, sim: Simulator) -> None:
    """The model may call a tool before it answers; the call is in the message."""

    def population(city: str) -> int:
        """Return the number of inhabitants."""
        return len(city)

    runnable = llm.with_structured_output(City, tools=[population], include_raw=True)
    sim.script(tool_call_replies("population", '{"city": "Oslo"}')[0])
    result = runnable.invoke("x")
    assert sim.last.body["tools"][0]["function"]["name"] == "population"
    assert sim.last.body["response_format"]["type"] == "json_schema"
    assert result["raw"].tool_calls[0]["args"] == {"city": "Oslo"}
    assert result["parsed"] is None
    assert isinstance(result["parsing_error"], MalformedReplyError)


def test_per_call_arguments_can_be_bound_with_the_schema(
    llm: ChatOneRouter, sim: Simulator
) -> None:
    """The schema itself is not changed."""
    before = copy.deepcopy(CITY_SCHEMA)
    sim.script(*[text_replies(OSLO_JSON)[0]] * 3)
    for method in METHODS:
        llm.with_structured_output(CITY_SCHEMA, method=method, temperature=0, seed=7).invoke("x")
        assert sim.last.body["temperature"] == 0
        assert sim.last.body["seed"] == 7
    assert before == CITY_SCHEMA


@pytest.mark.parametrize(
    ("schema", "options", "message_part"),
    [
        (None, {}, "schema is None"),
        (None, {"method": "function_calling"}, "schema is None"),
        ({"type": "object", "properties": {}}, {}, "no name"),
        ({"type": "object", "properties": {}}, {"method": "function_calling"}, "no name"),
        ({"name": "a", "schema": CITY_SCHEMA}, {}, "no properties"),
        (City, {"method": "json_mode", "strict": True}, "strict"),
        (City, {"method": "magic"}, "json_mode.*not 'magic'"),
        (OpenObject, {"strict": True}, "property 'pairs' must list its properties"),
        (
            OpenObject,
            {"strict": True, "method": "function_calling"},
            "property 'pairs' must list its properties",
        ),
        (5, {}, "cannot be converted"),
        (dict, {}, "cannot be converted"),
    ],
)
def test_an_invalid_schema_or_method_raises(
    llm: ChatOneRouter, schema: Any, options: dict[str, Any], message_part: str
) -> None:
    """When the runnable is built."""
    with pytest.raises(ConfigurationError, match=message_part):
        llm.with_structured_output(schema, **options)


def test_include_raw_has_usage_and_cost(llm: ChatOneRouter, collect_outputs: Any) -> None:
    """They are on the message."""
    runnable = llm.with_structured_output(CITY_SCHEMA, include_raw=True)
    raw = reduce(add, (item["raw"] for item in collect_outputs(runnable, "x") if "raw" in item))
    assert raw.usage_metadata["total_tokens"] > 0
    assert raw.response_metadata["cost"] > 0
