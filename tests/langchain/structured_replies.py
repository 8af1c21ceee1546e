"""Schemas of the structured output tests, and answers with an object of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

from pydantic import BaseModel, Field
from pydantic.v1 import BaseModel as BaseModelV1

from onerouter_simulator import Script, Simulator, chunk, completion, failure, tool_call
from tests.langchain.conftest import Mode

METHODS: list[Any] = ["json_schema", "function_calling", "json_mode"]
QUESTION = "3 people in 'Oslo'"
ANSWER = {"name": "Oslo", "people": 3}  # the simulator's object for QUESTION
SCHEMA_UNSUPPORTED = failure(400, "response_format json_schema is not supported by this model")
TOOLS_UNSUPPORTED = failure(400, "This model does not support tools")


class City(BaseModel):
    """A city."""

    name: str
    people: int = Field(description="Number of inhabitants.")


class CityV1(BaseModelV1):
    """A city."""

    name: str
    people: int


class CityDict(TypedDict):
    """A city."""

    name: Annotated[str, ..., "Its name."]
    people: Annotated[int, ..., "Number of inhabitants."]


CITY_SCHEMA = {
    "title": "CitySchema",
    "description": "A city.",
    "type": "object",
    "properties": {"name": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["name", "people"],
}
CITY_FUNCTION = {"name": "CityFunction", "description": "A city.", "parameters": CITY_SCHEMA}
CLASS_SCHEMAS: dict[str, Any] = {"pydantic": City, "pydantic v1": CityV1}
DICT_SCHEMAS: dict[str, Any] = {
    "TypedDict": CityDict,
    "JSON schema": CITY_SCHEMA,
    "function": CITY_FUNCTION,
}
SCHEMAS = {**CLASS_SCHEMAS, **DICT_SCHEMAS}
OSLO_JSON = '{"name": "Oslo", "people": 717710}'
OSLO_DICT = {"name": "Oslo", "people": 717710}


def schema_name(schema: Any) -> str:
    """Return the name of a schema."""
    return schema.get("name") or schema["title"] if isinstance(schema, dict) else schema.__name__


def to_dict(value: Any) -> Any:
    """Return an object as a dict."""
    if isinstance(value, dict):
        return value
    return value.model_dump() if hasattr(value, "model_dump") else value.dict()


def split_text(text: str) -> list[str]:
    """Split a text into about eight parts."""
    size = max(4, len(text) // 8)
    return [text[at : at + size] for at in range(0, len(text), size)]


def text_replies(text: str, finish_reason: str = "stop", **message: Any) -> tuple[Script, Script]:
    """Return a text answer as a complete and as a streamed reply."""
    return replies({"content": text, **message}, [*split_text(text), message], finish_reason)


def tool_call_replies(
    name: str, arguments: str, finish_reason: str = "tool_calls"
) -> tuple[Script, Script]:
    """Return a tool call as a complete and as a streamed reply."""
    message = {"content": None, "tool_calls": [tool_call(name, arguments, "c")]}
    first = {"tool_calls": [tool_call(name, "", "c", 0)]}
    others = [
        {"tool_calls": [{"index": 0, "function": {"arguments": fragment}}]}
        for fragment in split_text(arguments)
    ]
    return replies(message, [first, *others], finish_reason)


def calls_replies(*calls: Any, content: str | None = None) -> tuple[Script, Script]:
    """Return text and several tool calls as a complete and as a streamed reply."""
    message = {"content": content, "tool_calls": list(calls)}
    deltas = [{"tool_calls": [{**call, "index": index}]} for index, call in enumerate(calls)]
    return replies(message, [*([content] if content else []), *deltas], "tool_calls")


def replies(message: Any, deltas: Sequence[Any], finish_reason: str) -> tuple[Script, Script]:
    """Return a complete and a streamed reply."""
    events = [*map(chunk, deltas), chunk({}, finish_reason=finish_reason)]
    complete = completion(message=message, finish_reason=finish_reason)
    return Script(json=complete), Script(events=events)


def replies_by_method(
    method: str, schema: Any, text: str, finish_reason: str = "stop"
) -> tuple[Script, Script]:
    """Return the answer of a model to a method, as a complete and as a streamed reply."""
    if method == "function_calling":
        return tool_call_replies(schema_name(schema), text, finish_reason)
    return text_replies(text, finish_reason)


def final_value(
    mode: Mode, endpoint: str, sim: Simulator, runnable: Any, scripts: tuple[Script, Script]
) -> Any:
    """Return the output of a runnable, or the last value of its stream."""
    sim.script(scripts[endpoint == "stream"])
    return mode.invoke(runnable, "x") if endpoint == "invoke" else mode.stream(runnable, "x")[-1]
