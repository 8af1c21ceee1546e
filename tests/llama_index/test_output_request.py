"""output_request: the keywords of a request for an object, and the parser of the response."""

from __future__ import annotations

import json
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from pydantic import BaseModel, Field, ValidationError

from llama_index_onerouter.output_request import OutputRequest
from onerouter_core import NamedTool
from onerouter_core.errors import (
    ConfigurationError,
    ContentFilterError,
    LengthLimitError,
    MalformedReplyError,
    OneRouterError,
    RefusalError,
)
from tests.llama_index.conftest import user_messages
from tests.llama_index.samples import METHODS, SONG, Song


def response(text: str | None = None, calls: Any = (), **kwargs: Any) -> ChatResponse:
    """Return a response with a text, or with tool calls whose arguments are given."""
    entries = [
        {"id": f"c{number}", "function": {"name": "Song", "arguments": arguments}}
        for number, arguments in enumerate(calls)
    ]
    message = ChatMessage(
        text, role=MessageRole.ASSISTANT, additional_kwargs={"tool_calls": entries}
    )
    return ChatResponse(message=message, raw={}, additional_kwargs=kwargs)


def parse_error(received: ChatResponse) -> OneRouterError:
    """Return the error that `parse` raises."""
    with pytest.raises(OneRouterError) as caught:
        OutputRequest(Song).parse(received)
    return caught.value


def test_an_output_class_that_is_no_pydantic_class_raises() -> None:
    """The error has the class."""
    with pytest.raises(ConfigurationError, match=r"pydantic model class, not <class 'dict'>"):
        OutputRequest(dict)  # type: ignore[arg-type]


# --- request_kwargs ---


def test_the_json_schema_method_sets_a_strict_response_format() -> None:
    """Its name is the title of the class."""
    kwargs = OutputRequest(Song).request_kwargs("json_schema", user_messages("x"), {})
    assert kwargs.keys() == {"response_format", "messages"}
    assert (kwargs["response_format"].name, kwargs["response_format"].strict) == ("Song", True)
    assert kwargs["messages"] == user_messages("x")


def test_the_function_method_sets_one_tool_and_forces_it() -> None:
    """Parallel calls are switched off."""
    kwargs = OutputRequest(Song).request_kwargs("function", user_messages("x"), {})
    (tool,) = kwargs["tools"]
    assert (tool.name, tool.description) == ("Song", "A song.")
    assert tool.parameters == Song.model_json_schema()
    assert kwargs["tool_choice"] == NamedTool("Song")
    assert kwargs["parallel_tool_calls"] is False


def test_the_json_object_method_adds_a_system_message_with_the_schema() -> None:
    """The caller's list of messages is not changed."""
    messages = user_messages("x")
    kwargs = OutputRequest(Song).request_kwargs("json_object", messages, {})
    instruction, question = kwargs["messages"]
    assert kwargs["response_format"] == "json_object"
    assert instruction.role == MessageRole.SYSTEM
    assert json.dumps(Song.model_json_schema()) in instruction.content
    assert [question] == messages == user_messages("x")


@pytest.mark.parametrize("method", METHODS)
def test_keywords_of_the_caller_are_kept_except_those_of_the_method(method: Any) -> None:
    """LlamaIndex's programs pass keywords such as `tool_required`."""
    given = {"temperature": 0.5, "tool_required": True, "tool_choice": "auto", "tools": ["x"]}
    kwargs = OutputRequest(Song).request_kwargs(method, user_messages("x"), given)
    assert kwargs["temperature"] == 0.5
    assert "tool_required" not in kwargs
    assert kwargs.get("tool_choice") != "auto"
    assert kwargs.get("tools") != ["x"]


# --- parse ---


@pytest.mark.parametrize(
    "received",
    [response(SONG), response(f"```json\n{SONG}\n```"), response(calls=[SONG, "{"])],
    ids=["text", "fenced text", "first tool call"],
)
def test_parse_returns_an_object_of_the_class(received: ChatResponse) -> None:
    """The JSON is in the text, or in the arguments of the first tool call."""
    assert OutputRequest(Song).parse(received) == Song(title="Moon", year=1999)


@pytest.mark.parametrize(
    ("received", "error_class", "message"),
    [
        (response(SONG, finish_reason="length"), LengthLimitError, "Raise max_tokens"),
        (response(SONG, finish_reason="content_filter"), ContentFilterError, "Moderation"),
        (response('{"title": "Moon"}'), MalformedReplyError, "not a valid Song: year: Field"),
        (response("No."), MalformedReplyError, "not a valid Song"),
        (response(calls=['{"title": "Mo']), MalformedReplyError, "not a valid Song"),
    ],
    ids=["length", "content filter", "missing field", "prose", "cut arguments"],
)
def test_parse_raises_the_class_of_the_failure(
    received: ChatResponse, error_class: type[OneRouterError], message: str
) -> None:
    """A cut answer is an error even if its JSON is complete."""
    error = parse_error(received)
    assert type(error) is error_class
    assert message in error.message


def test_a_refusal_raises_refusal_error_with_its_text() -> None:
    """The text of the answer does not count."""
    received = response(SONG)
    received.message.additional_kwargs["refusal"] = "I will not sing."
    error = parse_error(received)
    assert isinstance(error, RefusalError)
    assert error.message == "The model refused: I will not sing."


def test_an_error_has_the_ids_the_attempts_and_the_cause() -> None:
    """They are those of the response."""
    error = parse_error(
        response('{"title": 1}', model="m", provider="p", generation_id="gen-1", attempts=2)
    )
    assert (error.model, error.provider, error.generation_id) == ("m", "p", "gen-1")
    assert error.attempts == 2
    assert isinstance(error.__cause__, ValidationError)


@pytest.mark.parametrize("received", [response('{"a": 1}'), response(calls=['{"a": 1}'])])
def test_repair_messages_add_the_answer_and_the_error(received: ChatResponse) -> None:
    """The caller's list of messages is not changed."""
    messages = user_messages("x")
    error = MalformedReplyError("The answer is not a valid Song: title: Field required")
    question, answer, instruction = OutputRequest.repair_messages(messages, received, error)
    assert [question] == messages == user_messages("x")
    assert (answer.role, answer.content) == (MessageRole.ASSISTANT, '{"a": 1}')
    assert instruction.role == MessageRole.USER
    assert instruction.content == f"{error.message} Answer again with the complete object."


# --- parse_partial and new_text ---


class Album(BaseModel):
    """A class with an alias and a nested list."""

    name: str = Field(alias="label")
    songs: list[Song]


def test_parse_partial_returns_incomplete_objects_of_another_class() -> None:
    """Aliases are mapped to field names; nested objects have attributes."""
    request = OutputRequest(Album)
    partial: Any = request.parse_partial(response('{"label": "Ni", "songs": [{"title": "Mo'))
    assert not isinstance(partial, Album)
    assert partial.name == "Ni"
    assert partial.songs[0].title == "Mo"


def test_parse_partial_returns_none_without_a_change() -> None:
    """Text that begins no object, and JSON syntax that adds no value."""
    request = OutputRequest(Song)
    assert request.parse_partial(response("Here is")) is None
    assert request.parse_partial(response('{"title": "Mo"')) is not None
    assert request.parse_partial(response('{"title": "Mo", ')) is None


@pytest.mark.parametrize("in_call", [False, True])
def test_new_text_returns_the_json_added_since_the_last_call(in_call: bool) -> None:
    """The results add up to the whole text, or to the arguments of the first tool call."""
    request = OutputRequest(Song)
    texts = [SONG[:5], SONG[:5], SONG[:9], SONG]
    received = [response(calls=[text]) if in_call else response(text) for text in texts]
    assert [request.new_text(each) for each in received] == [SONG[:5], "", SONG[5:9], SONG[9:]]
