"""Structured output: per-call arguments, pickling, and the JSON mode instruction."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from langchain_onerouter.errors import ConfigurationError
from onerouter_simulator import Simulator
from tests.langchain.conftest import LLMFactory, Mode
from tests.langchain.structured_replies import (
    ANSWER,
    METHODS,
    QUESTION,
    SCHEMA_UNSUPPORTED,
    TOOLS_UNSUPPORTED,
    City,
    CityDict,
    to_dict,
)

METHODS_AND_AUTO: list[Any] = ["auto", *METHODS]
PROPERTIES = {"name": {"type": "string"}, "people": {"type": "integer"}}
OBJECT_SCHEMA = {"type": "object", "properties": PROPERTIES, "required": ["name"]}


# --- per-call arguments ---


@pytest.mark.parametrize("include_raw", [False, True], ids=["object", "raw"])
@pytest.mark.parametrize("method", METHODS_AND_AUTO)
@pytest.mark.parametrize("is_bound", [False, True], ids=["given", "bound"])
def test_per_call_arguments_reach_the_model(  # noqa: PLR0913, PLR0917 -- fixtures
    make_llm: LLMFactory,
    sim: Simulator,
    collect_outputs: Any,
    method: Any,
    include_raw: bool,
    is_bound: bool,
) -> None:
    """With every method, given to the call or bound to the runnable."""
    arguments = {"model": "simulated/senses", "temperature": 0.5}
    runnable = make_llm().with_structured_output(City, method=method, include_raw=include_raw)
    outputs = (
        collect_outputs(runnable.bind(**arguments), QUESTION)
        if is_bound
        else collect_outputs(runnable, QUESTION, **arguments)
    )
    output = outputs[-1].get("parsed") if include_raw and len(outputs) == 1 else outputs[-1]
    assert (sim.last.body["model"], sim.last.body["temperature"]) == ("simulated/senses", 0.5)
    assert include_raw or output == City(**ANSWER)


@pytest.mark.parametrize("include_raw", [False, True], ids=["object", "raw"])
def test_per_call_arguments_reach_the_model_with_every_fallback(
    make_llm: LLMFactory, sim: Simulator, collect_outputs: Any, include_raw: bool
) -> None:
    """JSON mode, the last one, adds the instruction to the messages."""
    sim.script(SCHEMA_UNSUPPORTED, TOOLS_UNSUPPORTED)
    collect_outputs(
        make_llm().with_structured_output(City, include_raw=include_raw), QUESTION, temperature=0.5
    )
    assert sim.last.body["response_format"] == {"type": "json_object"}
    assert [request.body["temperature"] for request in sim.requests] == [0.5] * 3
    assert sim.last.body["messages"][-1]["content"] == QUESTION


# --- pickling ---


@pytest.mark.parametrize("include_raw", [False, True], ids=["object", "raw"])
@pytest.mark.parametrize(
    "schema", [City, CityDict, {"title": "City", **OBJECT_SCHEMA}, None], ids=str
)
@pytest.mark.parametrize("method", METHODS_AND_AUTO)
def test_the_runnable_can_be_pickled(
    make_llm: LLMFactory, mode: Mode, method: Any, schema: Any, include_raw: bool
) -> None:
    """For every kind of schema and every method."""
    if schema is None and method != "json_mode":
        pytest.skip("only JSON mode does without a schema")
    runnable = make_llm().with_structured_output(schema, method=method, include_raw=include_raw)
    unpickled = pickle.loads(pickle.dumps(runnable))  # noqa: S301 -- pickled here
    output = mode.invoke(unpickled, QUESTION)
    assert include_raw == (isinstance(output, dict) and "raw" in output)
    value = output["parsed"] if include_raw else output
    assert schema is None or to_dict(value) == ANSWER


# --- the JSON mode instruction ---


@pytest.mark.parametrize(
    "schema",
    [
        {"name": "city", "description": "A city.", "parameters": OBJECT_SCHEMA},
        {"type": "function", "function": {"name": "city", "parameters": OBJECT_SCHEMA}},
        {"name": "city", "input_schema": OBJECT_SCHEMA},
        {"title": "city", **OBJECT_SCHEMA},
    ],
    ids=["function", "tool", "Anthropic's", "schema"],
)
def test_the_instruction_contains_the_object_schema_only(
    make_llm: LLMFactory, sim: Simulator, mode: Mode, schema: dict[str, Any]
) -> None:
    """Not the function or tool dict around it."""
    runnable = make_llm().with_structured_output(schema, method="json_mode")
    assert mode.invoke(runnable, QUESTION) == ANSWER
    instruction = sim.last.body["messages"][0]["content"]
    assert '"properties"' in instruction
    assert "parameters" not in instruction
    assert "city" not in instruction


@pytest.mark.parametrize(
    ("schema", "message_part"),
    [
        ({"name": "city", "schema": OBJECT_SCHEMA}, "no properties"),
        ({"type": "web_search"}, "no name"),
    ],
)
@pytest.mark.parametrize("method", METHODS_AND_AUTO)
def test_every_method_rejects_the_same_schemas(
    make_llm: LLMFactory, method: Any, schema: dict[str, Any], message_part: str
) -> None:
    """When the runnable is built."""
    with pytest.raises(ConfigurationError, match=message_part):
        make_llm().with_structured_output(schema, method=method)
