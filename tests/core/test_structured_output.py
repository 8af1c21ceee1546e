"""structured_output: how an object is asked for, what is tried next, and what is remembered."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from onerouter_core import (
    Message,
    NamedTool,
    ObjectSchema,
    Reply,
    Request,
    StructuredMethod,
    SupportedMethods,
    Text,
    Tool,
    ask_for_object,
    class_schema,
    method_options,
)
from onerouter_core.errors import (
    ConfigurationError,
    InvalidRequestError,
    MalformedReplyError,
    ModelNotFoundError,
    OneRouterError,
    UpstreamError,
)
from onerouter_core.wire import encode_request

UNSUPPORTED = InvalidRequestError("response_format is not supported")
MODEL = "simulated/echo"


class Song(BaseModel):
    """A song."""

    title: str
    year: int = 2000


SCHEMA = class_schema(Song)
REQUEST = Request(MODEL, (Message("user", (Text("Hi"),)),), parameters={"temperature": 0})


# --- how an object is asked for ---


@pytest.mark.parametrize(("strict", "flag"), [(None, True), (True, True), (False, None)])
def test_a_json_schema_is_a_response_format(strict: bool | None, flag: bool | None) -> None:
    """Strict if it can be, unless the caller says otherwise."""
    (response_format,) = method_options(SCHEMA, "json_schema", strict=strict).values()
    assert (response_format.name, response_format.description) == ("Song", "A song.")
    assert response_format.strict is flag


@pytest.mark.parametrize(("strict", "flag"), [(None, None), (True, True), (False, None)])
def test_function_calling_forces_one_call_of_one_tool(
    strict: bool | None, flag: bool | None
) -> None:
    """Parallel calls are switched off."""
    assert method_options(SCHEMA, "function_calling", strict=strict) == {
        "tools": [Tool("Song", "A song.", Song.model_json_schema(), flag)],
        "tool_choice": NamedTool("Song"),
        "parallel_tool_calls": False,
    }


def test_json_mode_has_the_schema_in_a_system_message() -> None:
    """The request of the caller is not changed."""
    body = encode_request(ask_for_object(REQUEST, SCHEMA, "json_mode"))[0]
    instruction, question = body["messages"]
    assert body["response_format"] == {"type": "json_object"}
    assert instruction["role"] == "system"
    assert json.dumps(Song.model_json_schema()) in instruction["content"]
    assert question == {"role": "user", "content": "Hi"}
    assert REQUEST.parameters == {"temperature": 0}


def test_json_mode_without_a_schema_has_no_instruction() -> None:
    """Any JSON will do."""
    body = encode_request(ask_for_object(REQUEST, ObjectSchema("", {}), "json_mode"))[0]
    assert len(body["messages"]) == 1


def test_other_tools_and_parameters_of_a_request_are_kept() -> None:
    """The tool of the object comes first."""
    asked = ask_for_object(
        Request(MODEL, REQUEST.messages, (Tool("f"),), "auto", {"temperature": 0}),
        SCHEMA,
        "function_calling",
    )
    assert [tool.name for tool in asked.tools if isinstance(tool, Tool)] == ["Song", "f"]
    assert asked.tool_choice == NamedTool("Song")
    assert asked.parameters == {"temperature": 0, "parallel_tool_calls": False}


def test_a_schema_that_cannot_be_strict_raises_if_it_must_be() -> None:
    """Whoever asks for strict gets it, or an error."""
    schema = ObjectSchema("Open", {"type": "object", "properties": {"a": {"type": "object"}}})
    with pytest.raises(ConfigurationError, match="cannot be strict"):
        method_options(schema, "json_schema", strict=True)
    assert method_options(schema, "json_schema")["response_format"].strict is None


# --- what is tried next, and what is remembered ---


def run(
    methods: SupportedMethods,
    *errors: OneRouterError,
    answered: bool = False,
    model: str = MODEL,
    **options: Any,
) -> list[StructuredMethod]:
    """Fail with one error after the other, then work; return the methods of the attempts."""
    attempts, used, left = methods.attempts(model, **options), [], list(errors)
    while True:
        with attempts:
            used.append(attempts.method)
            attempts.has_answer = answered
            if left:
                raise left.pop(0)
            return used


@pytest.mark.parametrize("error", [UNSUPPORTED, ModelNotFoundError("no provider")])
def test_an_unsupported_method_leads_to_the_next_which_is_remembered(
    error: OneRouterError,
) -> None:
    """Per model."""
    methods = SupportedMethods()
    assert run(methods, error, error) == ["json_schema", "function_calling", "json_mode"]
    assert run(methods) == ["json_mode"]
    assert run(methods, model="another/model") == ["json_schema"]


def test_the_error_of_the_last_method_is_raised_and_nothing_is_remembered() -> None:
    """The cause is then the request, not the model."""
    methods = SupportedMethods()
    with pytest.raises(InvalidRequestError):
        run(methods, UNSUPPORTED, UNSUPPORTED, UNSUPPORTED)
    assert run(methods) == ["json_schema"]


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (UpstreamError("a tool is down"), {}),
        (UNSUPPORTED, {"only": "json_schema"}),
        (UNSUPPORTED, {"answered": True}),
        (MalformedReplyError("no object"), {"answered": True}),
        (MalformedReplyError("no answer"), {"retries": 1}),
    ],
    ids=["other error", "one method", "after an answer", "no retries", "no answer to mend"],
)
def test_other_errors_are_raised_at_once(error: OneRouterError, options: dict[str, Any]) -> None:
    """There is no second attempt."""
    with pytest.raises(type(error)) as caught:
        run(SupportedMethods(), error, **options)
    assert caught.value is error


def test_an_invalid_answer_is_asked_for_again_with_the_same_method() -> None:
    """As often as the caller allows; the answers and what to mend are kept."""
    first = MalformedReplyError("year is missing.", partial=Reply("{}"))
    second = MalformedReplyError("still missing.")
    attempts = SupportedMethods().attempts(MODEL, retries=1)
    with attempts:
        attempts.has_answer = True
        raise first
    assert attempts.repairs == [
        (Reply("{}"), "year is missing. Answer again with the complete object.")
    ]
    assert attempts.method == "json_schema"
    attempts.has_answer = True
    assert not attempts.__exit__(MalformedReplyError, second, None)
