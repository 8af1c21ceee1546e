"""A Request, encoded as a body: messages, parameters, response format, usage and streaming."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import pytest

from onerouter_core import (
    CacheControl,
    File,
    Image,
    JsonSchema,
    Message,
    ProviderRouting,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolCall,
)
from onerouter_core.errors import ConfigurationError
from onerouter_core.wire.encode import encode_request

USER = Message("user", (Text("Hello"),))


def body_of(*messages: Message, **parameters: Any) -> Any:
    """Return the body of a request without tools that asks for neither usage nor a stream."""
    parameters = {"stream_usage": False, **parameters}
    return encode_request(Request("m", messages or (USER,), parameters=parameters))[0]


def content_of(*parts: Any, **parameters: Any) -> Any:
    """Return the content of a user message with these parts."""
    return body_of(Message("user", parts), **parameters)["messages"][0]["content"]


# --- messages ---


@pytest.mark.parametrize(
    ("parts", "content"),
    [
        ((), ""),
        ((Text("a"),), "a"),
        ((Text(""),), ""),
        ((Text("a"), Text("b")), [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        ((Image(url="u"),), [{"type": "image_url", "image_url": {"url": "u"}}]),
        (
            (Text("a", CacheControl()),),
            [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
        ),
    ],
    ids=["no part", "a text", "an empty text", "two texts", "an image", "a cached text"],
)
def test_content_is_a_string_for_one_plain_text(parts: Any, content: Any) -> None:
    """Content without parts is an empty string; any other content is a list of parts."""
    assert content_of(*parts) == content


def test_file_form_chooses_the_form_of_documents() -> None:
    """The parameter itself is not sent."""
    document = File(data="QUJD", media_type="application/pdf")
    (data,) = content_of(document)
    (file_data,) = content_of(document, file_form="file_data")
    assert data["file"].keys() == {"data", "media_type", "filename"}
    assert file_data["file"].keys() == {"filename", "file_data"}
    assert "file_form" not in body_of(USER, file_form="file_data")


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_role_and_name_are_sent(role: Any) -> None:
    """An assistant message may be the last one."""
    message = Message(role, (Text("a"),), name="n")
    assert body_of(message)["messages"] == [{"role": role, "content": "a", "name": "n"}]


@pytest.mark.parametrize("name", ["", " ", "\n"])
def test_a_blank_name_is_left_out(name: str) -> None:
    """OpenAI takes one or more letters, digits, underscores and hyphens."""
    assert "name" not in body_of(Message("user", (Text("a"),), name=name))["messages"][0]


def test_names_of_authors_are_made_legal_and_stay_distinct() -> None:
    """Legal ones are sent as they are, also beside one that would become equal to them."""
    names = [
        "Research Agent",
        "Research_Agent",
        "research-agent",
        "\u5c0f\u660e",
        "\u5c0f\u7ea2",
        "x" * 65,
    ]
    messages = [Message("user", (Text("a"),), name=name) for name in names * 2]
    sent = [message["name"] for message in body_of(*messages)["messages"]]
    assert sent[:6] == sent[6:]
    assert len(set(sent)) == 6
    assert all(re.fullmatch("[a-zA-Z0-9_-]{1,64}", name) for name in sent)
    assert sent[1:3] == names[1:3]


def test_an_illegal_name_keeps_its_legal_characters() -> None:
    """The others are replaced."""
    message = Message("assistant", (Text("a"),), name="Research Agent")
    assert body_of(message)["messages"][0]["name"] == "Research_Agent"


def test_a_request_without_messages_is_rejected() -> None:
    """It is an error before anything is sent."""
    with pytest.raises(ConfigurationError, match="no messages"):
        encode_request(Request("m", ()))


def test_a_tool_call_without_text_has_null_content() -> None:
    """The call is sent with id, name and arguments."""
    call = ToolCall("1", "find", '{"what": "é"}', parsed={"what": "é"})
    message, _ = body_of(Message("assistant", (), tool_calls=(call,)))["messages"]
    function = {"name": "find", "arguments": '{"what": "é"}'}
    calls = [{"id": "1", "type": "function", "function": function}]
    assert message == {"role": "assistant", "content": None, "tool_calls": calls}


def test_text_beside_a_tool_call_is_sent() -> None:
    """An assistant message may have both."""
    call = ToolCall("1", "find", "", parsed={})
    message, _ = body_of(Message("assistant", (Text("So."),), tool_calls=(call,)))["messages"]
    assert message["content"] == "So."
    assert [call["id"] for call in message["tool_calls"]] == ["1"]


@pytest.mark.parametrize("refusal", ["No.", ""])
def test_a_refusal_is_sent_with_null_content(refusal: str) -> None:
    """An empty refusal is one, too."""
    (message,) = body_of(Message("assistant", refusal=refusal))["messages"]
    assert message == {"role": "assistant", "content": None, "refusal": refusal}


def test_reasoning_details_are_sent_as_received_in_place_of_the_reasoning() -> None:
    """The reasoning text is sent only where there are no details."""
    details = ({"type": "reasoning.encrypted", "data": "eA==", "unknown": [1]},)
    message = Message("assistant", (Text("a"),), reasoning="Hm.", reasoning_details=details)
    (sent,) = body_of(message)["messages"]
    assert sent == {"role": "assistant", "content": "a", "reasoning_details": list(details)}
    (sent,) = body_of(Message("assistant", (Text("a"),), reasoning="Hm."))["messages"]
    assert sent == {"role": "assistant", "content": "a", "reasoning": "Hm."}


def test_reasoning_and_refusal_are_sent_only_for_an_assistant() -> None:
    """Other roles do not have them."""
    message = Message("user", (Text("a"),), reasoning="Hm.", refusal="No.")
    assert body_of(message)["messages"] == [{"role": "user", "content": "a"}]


# --- parameters ---


def parameters_in(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body without model and messages."""
    return {key: value for key, value in body.items() if key not in ("model", "messages")}


USAGE = {"usage": {"include": True}}
STREAM = {"stream": True}
STREAM_OPTIONS = {"stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    ("stream", "stream_usage", "expected"),
    [
        (False, True, USAGE),
        (True, True, {**USAGE, **STREAM, **STREAM_OPTIONS}),
        (False, False, {}),
        (True, False, STREAM),
    ],
)
def test_usage_is_requested_unless_stream_usage_is_false(
    stream: bool, stream_usage: bool, expected: dict[str, Any]
) -> None:
    """The gateway has two keys for it, one of them only for streams."""
    request = Request("m", (USER,), parameters={"stream_usage": stream_usage})
    assert parameters_in(encode_request(request, stream=stream)[0]) == expected
    if stream_usage:
        assert parameters_in(encode_request(Request("m", (USER,)), stream=stream)[0]) == expected


def test_falsy_values_are_sent_but_empty_lists_are_not() -> None:
    """False, 0 and "" are values; an empty list has no effect."""
    parameters = {"temperature": 0, "logprobs": False, "user": "", "seed": 0, "fallback_rules": ""}
    assert parameters_in(body_of(**parameters, stop=[], modalities=[])) == parameters


def test_typed_parameters_are_sent_as_dicts() -> None:
    """`reasoning_effort` is sent inside `reasoning`."""
    body = body_of(
        provider=ProviderRouting(order=["a/b"], allow_fallbacks=False),
        reasoning=Reasoning(exclude=True),
        reasoning_effort="low",
    )
    assert body["provider"] == {"order": ["a/b"], "allow_fallbacks": False}
    assert body["reasoning"] == {"exclude": True, "effort": "low"}
    assert "reasoning_effort" not in body
    assert body_of(reasoning_effort="")["reasoning"] == {"effort": ""}


def test_extra_body_overrides_every_other_parameter() -> None:
    """Its values are sent as they are."""
    body = body_of(temperature=1, extra_body={"temperature": 2, "transforms": [], "x": None})
    assert (body["temperature"], body["transforms"], body["x"]) == (2, [], None)


@pytest.mark.parametrize("stream", [False, True])
def test_n_of_1_is_sent(stream: bool) -> None:
    """It changes nothing."""
    request = Request("m", (USER,), parameters={"extra_body": {"n": 1}})
    assert encode_request(request, stream=stream)[0]["n"] == 1


def test_n_above_1_is_rejected_for_a_stream() -> None:
    """A stream has deltas of one answer; the error comes before anything is sent."""
    request = Request("m", (USER,), parameters={"extra_body": {"n": 2}})
    assert encode_request(request)[0]["n"] == 2
    with pytest.raises(ConfigurationError, match="n must be 1, not 2"):
        encode_request(request, stream=True)


# --- response format ---

SCHEMA = {"name": "s", "schema": {"type": "object"}}
OPEN = {"type": "object", "properties": {"a": {"type": "string", "default": ""}}}
STRICT = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "additionalProperties": False,
    "required": ["a"],
}


@pytest.mark.parametrize(
    "response_format",
    [
        {"type": "json_schema", "json_schema": SCHEMA},
        {"type": "json_schema", "json_schema": {**SCHEMA, "strict": False, "description": ""}},
        {"type": "json"},
        {"type": "json", "schema": {}, "name": "n", "description": "d"},
        {"type": "json_object"},
        {"type": "text"},
    ],
)
def test_a_response_format_in_the_apis_form_is_sent_as_it_is(
    response_format: dict[str, Any],
) -> None:
    """The API has four types."""
    assert body_of(response_format=response_format)["response_format"] == response_format


def test_the_name_of_a_type_is_a_response_format() -> None:
    """A string is short for an object with that type."""
    assert body_of(response_format="json_object")["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize("strict", [None, False])
def test_a_json_schema_is_sent_without_empty_fields(strict: bool | None) -> None:
    """`strict` is sent only when true."""
    response_format = JsonSchema("s", {"type": "object"}, strict=strict)
    expected = {"type": "json_schema", "json_schema": SCHEMA}
    assert body_of(response_format=response_format)["response_format"] == expected


def test_a_json_schema_is_sent_with_description_and_strict() -> None:
    """Both are beside the schema."""
    response_format = JsonSchema("s", STRICT, strict=True, description="d")
    expected = {"name": "s", "schema": STRICT, "description": "d", "strict": True}
    assert body_of(response_format=response_format)["response_format"]["json_schema"] == expected


@pytest.mark.parametrize(
    "response_format",
    [
        JsonSchema("s", OPEN, strict=True),
        {"type": "json_schema", "json_schema": {"name": "s", "schema": OPEN, "strict": True}},
    ],
)
def test_a_strict_schema_is_made_strict(response_format: Any) -> None:
    """Wherever it comes from; the caller's own schema stays as it is."""
    before = deepcopy(OPEN)
    body = body_of(response_format=response_format)["response_format"]
    assert body["json_schema"] == {"name": "s", "schema": STRICT, "strict": True}
    assert before == OPEN


@pytest.mark.parametrize(
    "schema",
    [
        {"const": '{"a": 1}'},
        {"type": "array", "items": OPEN},
        {"anyOf": [OPEN, {"type": "string"}]},
        {"$ref": "#/$defs/S", "$defs": {"S": {"type": "string"}}},
    ],
)
def test_a_strict_schema_without_an_object_at_its_root_is_sent_as_it_is(
    schema: dict[str, Any],
) -> None:
    """OpenAI rejects such a schema; llama.cpp's server, for example, takes it."""
    json_schema = {"name": "s", "schema": schema, "strict": True}
    response_format = {"type": "json_schema", "json_schema": json_schema}
    assert body_of(response_format=response_format)["response_format"] == response_format


def test_a_strict_schema_whose_root_refers_to_an_object_is_made_strict() -> None:
    """Pydantic writes a recursive class so."""
    schema = {"$ref": "#/$defs/S", "$defs": {"S": OPEN}}
    json_schema = {"name": "s", "schema": schema, "strict": True}
    body = body_of(response_format={"type": "json_schema", "json_schema": json_schema})
    sent = body["response_format"]["json_schema"]["schema"]
    assert sent["properties"] == STRICT["properties"]
    assert (sent["required"], sent["additionalProperties"]) == (["a"], False)


@pytest.mark.parametrize("strict", [False, None])
def test_a_schema_that_need_not_be_strict_is_sent_as_it_is(strict: bool | None) -> None:
    """Its optional properties stay optional."""
    json_schema = {"name": "s", "schema": OPEN, "strict": strict}
    response_format = {"type": "json_schema", "json_schema": json_schema}
    assert body_of(response_format=response_format)["response_format"] == response_format


def test_a_schema_that_cannot_be_strict_is_rejected() -> None:
    """The message names the place."""
    schema = {"type": "object", "properties": {"a": {"type": "object"}}}
    with pytest.raises(ConfigurationError, match="property 'a'"):
        body_of(response_format=JsonSchema("s", schema, strict=True))


@pytest.mark.parametrize(
    "response_format",
    [
        {},
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": {"schema": {}}},
        {"type": "json_schema", "json_schema": {"name": "s"}},
        {"type": "json_schema", "json_schema": {"name": "", "schema": {}}},
        {"type": "json_schema", "json_schema": {"name": 5, "schema": {}}},
        {"type": "grammar"},
        "json_schema",
        "yaml",
        JsonSchema("", {}),
        5,
    ],
)
def test_an_unknown_or_incomplete_response_format_is_rejected(response_format: Any) -> None:
    """It is an error before anything is sent."""
    with pytest.raises(ConfigurationError, match="response_format"):
        body_of(response_format=response_format)


def test_the_request_is_not_changed() -> None:
    """Encoding changes neither the request nor the objects in it."""
    parameters = {
        "reasoning": {"exclude": True},
        "reasoning_effort": "low",
        "stop": [],
        "extra_body": {"x": 1},
        "file_form": "file_data",
        "response_format": {"type": "json_schema", "json_schema": dict(SCHEMA)},
    }
    history = (
        USER,
        Message("assistant", tool_calls=(ToolCall("1", "a.b", "{}"),), reasoning_details=({},)),
        Message("tool", (Text("x"), File(url="u")), tool_call_id="1"),
    )
    web_search = {"type": "web_search", "options": {}}
    tools = (Tool("a.b", parameters={"a": []}), web_search)
    request = Request("m", history, tools, None, parameters)
    before = deepcopy(request)
    encode_request(request, stream=True)
    assert request == before
