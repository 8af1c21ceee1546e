"""A request to the body that goes out."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from onerouter_core import (
    Audio,
    CacheControl,
    File,
    Image,
    JsonSchema,
    Message,
    NamedTool,
    ProviderRouting,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolCall,
    Video,
)
from onerouter_core.errors import ConfigurationError, UnsupportedContentError
from onerouter_core.wire.encode import encode_request

USER = Message("user", (Text("Hello"),))
FIND = Tool("find", "Finds.", {"type": "object", "properties": {"what": {"type": "string"}}})


def body_of(*messages: Message, tools: Any = (), tool_choice: Any = None, **more: Any) -> Any:
    """Return the body of a request that asks for neither usage nor a stream."""
    parameters = {"stream_usage": False, **more}
    return encode_request(Request("m", messages or (USER,), tuple(tools), tool_choice, parameters))[
        0
    ]


def content_of(*parts: Any, **more: Any) -> Any:
    """Return the content of a user message with these parts."""
    return body_of(Message("user", parts), **more)["messages"][0]["content"]


# --- parts ---

IMAGE = {"type": "image_url", "image_url": {"url": "https://a/b.png"}}
DATA = {"data": "QUJD", "media_type": "application/pdf", "filename": "a.pdf"}
PARTS = {
    "text": (Text("a"), {"type": "text", "text": "a"}),
    "empty text": (Text(""), {"type": "text", "text": ""}),
    "image by URL": (Image(url="https://a/b.png"), IMAGE),
    "image with detail": (
        Image(url="https://a/b.png", detail="high"),
        {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "high"}},
    ),
    "image by data": (
        Image(data="QUJD", media_type="image/png"),
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
    ),
    "audio": (
        Audio("QUJD", "mp3", transcript="not sent"),
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}},
    ),
    "video by URL": (
        Video(url="https://a/b.mp4"),
        {"type": "video_url", "video_url": {"url": "https://a/b.mp4"}},
    ),
    "video by data": (
        Video(data="QUJD", media_type="video/mp4"),
        {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,QUJD"}},
    ),
    "file": (
        File(data="QUJD", media_type="application/pdf", filename="a.pdf"),
        {"type": "file", "file": DATA},
    ),
    "file by data URL": (
        File(url="data:application/pdf;base64,QUJD", filename="a.pdf"),
        {"type": "file", "file": DATA},
    ),
    "file by URL": (
        File(url="https://a/b.pdf"),
        {"type": "file", "file": {"filename": "document.pdf", "file_data": "https://a/b.pdf"}},
    ),
    "cache mark": (
        Text("a", cache=CacheControl()),
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
    ),
    "cache mark for an hour": (
        Image(url="https://a/b.png", cache=CacheControl("1h")),
        {**IMAGE, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ),
}


@pytest.mark.parametrize(("part", "expected"), PARTS.values(), ids=PARTS)
def test_parts(part: Any, expected: dict[str, Any]) -> None:
    """Each part is spelled as the API takes it."""
    assert content_of(Text("first"), part)[1] == expected


@pytest.mark.parametrize(
    "part", [File(data="QUJD", media_type="application/pdf"), File(url="data:a/b;base64,QUJD")]
)
def test_files_in_the_other_form(part: File) -> None:
    """`file_form="file_data"` sends a document as a data URL."""
    (spelled,) = content_of(part, file_form="file_data")
    assert spelled["file"].keys() == {"filename", "file_data"}
    assert spelled["file"]["file_data"].endswith(";base64,QUJD")


@pytest.mark.parametrize(
    ("media_type", "name"),
    [("application/pdf", "document.pdf"), ("text/csv", "document.csv"), ("x/unheard", "document")],
)
def test_files_have_a_name(media_type: str, name: str) -> None:
    """A document without a name is called after its kind."""
    assert content_of(File(data="QUJD", media_type=media_type))[0]["file"]["filename"] == name


@pytest.mark.parametrize("kind", [Image, Video, File])
@pytest.mark.parametrize("given", [{}, {"data": "QUJD"}, {"media_type": "a/b"}])
def test_parts_with_nothing_in_them(kind: Any, given: dict[str, str]) -> None:
    """A part without URL needs data and media type; the error names its kind."""
    with pytest.raises(UnsupportedContentError, match=f"{kind.__name__} needs a url"):
        content_of(kind(**given))


def test_parts_that_are_none() -> None:
    """A part of no kind we know is an error that shows it."""
    with pytest.raises(UnsupportedContentError, match="no part for 'oops'"):
        content_of("oops", "oops")


@pytest.mark.parametrize(
    ("parts", "content"),
    [
        ((), ""),
        ((Text("a"),), "a"),
        ((Text(""),), ""),
        ((Text("a"), Text("b")), [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        ((Image(url="https://a/b.png"),), [IMAGE]),
    ],
)
def test_content_is_a_string_where_it_can_be(parts: Any, content: Any) -> None:
    """One plain text is a string, none is an empty one, the rest is a list of parts."""
    assert content_of(*parts) == content


# --- messages ---


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_roles(role: Any) -> None:
    """Roles and names go out as they are, also an assistant's message at the end."""
    message = Message(role, (Text("a"),), name="n")
    assert body_of(message)["messages"] == [{"role": role, "content": "a", "name": "n"}]


def test_an_empty_name_is_a_name() -> None:
    """Only None is dropped: an empty name is sent."""
    assert body_of(Message("user", (Text("a"),), name=""))["messages"][0]["name"] == ""


def test_no_messages() -> None:
    """A request without messages is an error before anything is sent."""
    with pytest.raises(ConfigurationError, match="no messages"):
        encode_request(Request("m", ()))


def test_a_call_goes_back() -> None:
    """A call in a history has its id, its name, and its arguments as they came."""
    call = ToolCall("1", "find", ' {"what": "é"}\n', parsed={"what": "é"})
    message, _ = body_of(Message("assistant", (), tool_calls=(call,)))["messages"]
    function = {"name": "find", "arguments": '{"what": "é"}'}
    calls = [{"id": "1", "type": "function", "function": function}]
    assert message == {"role": "assistant", "content": None, "tool_calls": calls}


def test_words_beside_a_call_go_back() -> None:
    """Words beside a call are sent with it."""
    call = ToolCall("1", "find", "", parsed={})
    message, _ = body_of(Message("assistant", (Text("So."),), tool_calls=(call,)))["messages"]
    assert message["content"] == "So."
    assert message["tool_calls"][0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize("text", ['{"path": "/', "[1]", "", 'é "quoted"'])
def test_an_invalid_call_goes_back_as_valid_json(text: str) -> None:
    """Broken arguments go back as a JSON object that holds them, so that no upstream chokes."""
    call = ToolCall("1", "find", text, error="cut off")
    message, _ = body_of(Message("assistant", tool_calls=(call,)))["messages"]
    arguments = message["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"invalid_arguments": text}


def test_a_refusal_goes_back() -> None:
    """A refusal is sent back, and stands for the content; an empty one is one."""
    for refusal in ("No.", ""):
        (message,) = body_of(Message("assistant", refusal=refusal))["messages"]
        assert message == {"role": "assistant", "content": None, "refusal": refusal}


def test_reasoning_goes_back() -> None:
    """Reasoning details go back as they came; the text goes back where there are none."""
    details = ({"type": "reasoning.encrypted", "data": "eA==", "unheard": [1]},)
    message = Message("assistant", (Text("a"),), reasoning="Hm.", reasoning_details=details)
    (sent,) = body_of(message)["messages"]
    assert sent == {"role": "assistant", "content": "a", "reasoning_details": list(details)}
    (sent,) = body_of(Message("assistant", (Text("a"),), reasoning="Hm."))["messages"]
    assert sent == {"role": "assistant", "content": "a", "reasoning": "Hm."}


def test_only_an_assistant_has_calls_and_thoughts() -> None:
    """What only an assistant can say is not sent for others."""
    message = Message("user", (Text("a"),), reasoning="Hm.", refusal="No.")
    assert body_of(message)["messages"] == [{"role": "user", "content": "a"}]


# --- tools ---


def test_tools() -> None:
    """A tool is a function with name, description and schema."""
    function = {"name": "find", "description": "Finds.", "parameters": FIND.parameters}
    assert body_of(tools=[FIND])["tools"] == [{"type": "function", "function": function}]


def test_a_bare_tool() -> None:
    """A tool of only a name takes no arguments; strictness is sent only where it is wanted."""
    for strict in (None, False):
        (tool,) = body_of(tools=[Tool("f", strict=strict)])["tools"]
        nothing = {"type": "object", "properties": {}}
        assert tool["function"] == {"name": "f", "parameters": nothing}
    (tool,) = body_of(tools=[Tool("f", strict=True, cache=CacheControl("5m"))])["tools"]
    assert tool["function"]["strict"] is True
    assert tool["cache_control"] == {"type": "ephemeral", "ttl": "5m"}


def test_a_tool_of_the_gateways_own() -> None:
    """A tool that is a mapping goes out as it is."""
    assert body_of(tools=[{"type": "web_search"}])["tools"] == [{"type": "web_search"}]


@pytest.mark.parametrize("choice", [None, "auto", "none"])
def test_no_tools(choice: Any) -> None:
    """Without tools neither tools nor choice are sent."""
    assert body_of(tool_choice=choice).keys() == {"model", "messages"}


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_tool_choice(choice: Any) -> None:
    """A choice is sent by its word."""
    assert body_of(tools=[FIND], tool_choice=choice)["tool_choice"] == choice


def test_no_tool_choice() -> None:
    """No choice is not sent."""
    assert "tool_choice" not in body_of(tools=[FIND])


def test_a_chosen_tool() -> None:
    """A named tool is sent as a function."""
    named = {"type": "function", "function": {"name": "find"}}
    assert body_of(tools=[FIND], tool_choice=NamedTool("find"))["tool_choice"] == named


@pytest.mark.parametrize("choice", ["required", NamedTool("find")])
def test_a_choice_without_tools(choice: Any) -> None:
    """Forcing a tool where there is none is an error."""
    with pytest.raises(ConfigurationError, match="needs tools"):
        body_of(tool_choice=choice)


def test_a_choice_of_no_tool() -> None:
    """Forcing a tool that is not offered is an error that names those that are."""
    with pytest.raises(ConfigurationError, match=r"'lose' of \['find'\]"):
        body_of(tools=[FIND, {"type": "web_search"}], tool_choice=NamedTool("lose"))


LONG = "a" * 65
ODD = {
    "dots": ["shop.find"],
    "brackets": ["find[item]", "find(item)"],
    "spaces and letters": ["finde Bücher", "查找"],
    "too long": [LONG, LONG + "b", LONG + "c"],
    "look-alikes": ["a.b", "a b", "a_b", "a-b"],
    "empty": [""],
    "slashes": ["a/b", "a//b"],
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_odd_names_are_spelled_and_spelled_back(odd: list[str]) -> None:
    """Names the API would refuse get legal, different, lasting spellings, which lead back."""
    request = Request("m", (USER,), tuple(map(Tool, odd)), NamedTool(odd[0]))
    body, names = encode_request(request)
    sent = [tool["function"]["name"] for tool in body["tools"]]
    assert len({*sent}) == len(odd)
    assert all(1 <= len(name) <= 64 and name.isascii() for name in sent)
    assert not any({*name} & {*". []()/"} for name in sent)
    assert [names.decode(name) for name in sent] == odd
    assert body["tool_choice"]["function"]["name"] == sent[0]
    assert encode_request(request)[0] == body


def test_legal_names_stay() -> None:
    """A name the API takes goes out as it is, also where another would be spelled like it."""
    names = ["a_b", "A-9", "a" * 64, "_"]
    body = body_of(tools=[Tool("a.b"), *map(Tool, names)])
    assert [tool["function"]["name"] for tool in body["tools"]][1:] == names


def test_a_name_is_spelled_alike_everywhere() -> None:
    """A call in the history has the spelling of its tool, also when that tool is gone."""
    turn = Message("assistant", tool_calls=(ToolCall("1", "a.b"), ToolCall("2", "x.y")))
    body = body_of(turn, tools=[Tool("a_b"), Tool("a.b")])
    sent = [tool["function"]["name"] for tool in body["tools"]]
    calls = [call["function"]["name"] for call in body["messages"][0]["tool_calls"]]
    assert calls == [sent[1], "x_y"]


def test_a_name_nobody_gave_comes_back_as_it_is() -> None:
    """A model may call a tool that was never offered; its name is its own."""
    _, names = encode_request(Request("m", (USER,), (Tool("a.b"),)))
    assert (names.decode("a_c"), names.decode("a_b")) == ("a_c", "a.b")


# --- parameters ---


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (False, {"usage": {"include": True}}),
        (
            True,
            {
                "usage": {"include": True},
                "stream": True,
                "stream_options": {"include_usage": True},
            },
        ),
    ],
)
def test_usage_is_asked_for(stream: bool, expected: dict[str, Any]) -> None:
    """Usage is asked for in both of the gateway's ways, unless it is not wanted."""
    body, _ = encode_request(Request("m", (USER,)), stream=stream)
    assert {key: body[key] for key in body if key not in ("model", "messages")} == expected
    body, _ = encode_request(
        Request("m", (USER,), parameters={"stream_usage": False}), stream=stream
    )
    assert body.keys() == {"model", "messages", *(["stream"] if stream else [])}


def test_falsy_values_are_values() -> None:
    """False, 0 and the empty string are sent; an empty list, which says nothing, is not."""
    given = {"temperature": 0, "logprobs": False, "user": "", "seed": 0, "fallback_rules": ""}
    body = body_of(**given, stop=[], modalities=[])
    assert {key: body[key] for key in body if key not in ("model", "messages")} == given


def test_objects_are_spelled() -> None:
    """Objects go out by their own keys, and the effort goes into `reasoning`."""
    body = body_of(
        provider=ProviderRouting(order=["a/b"], allow_fallbacks=False),
        reasoning=Reasoning(exclude=True),
        reasoning_effort="low",
    )
    assert body["provider"] == {"order": ["a/b"], "allow_fallbacks": False}
    assert body["reasoning"] == {"exclude": True, "effort": "low"}
    assert body_of(reasoning_effort="")["reasoning"] == {"effort": ""}


def test_extra_body_comes_last() -> None:
    """What is given as it is overrides what we would send."""
    body = body_of(temperature=1, extra_body={"temperature": 2, "transforms": [], "x": None})
    assert (body["temperature"], body["transforms"], body["x"]) == (2, [], None)


SCHEMA = {"name": "s", "schema": {"type": "object"}}


@pytest.mark.parametrize(
    "wanted",
    [
        {"type": "json_schema", "json_schema": SCHEMA},
        {"type": "json_schema", "json_schema": {**SCHEMA, "strict": False, "description": ""}},
        {"type": "json"},
        {"type": "json", "schema": {}, "name": "n", "description": "d"},
        {"type": "json_object"},
        {"type": "text"},
    ],
)
def test_response_formats(wanted: dict[str, Any]) -> None:
    """The four forms of a response format go out as they are."""
    assert body_of(response_format=wanted)["response_format"] == wanted


def test_response_formats_in_short() -> None:
    """A word stands for its object, and a JsonSchema for one with a schema."""
    assert body_of(response_format="json_object")["response_format"] == {"type": "json_object"}
    plain = {"type": "json_schema", "json_schema": SCHEMA}
    for strict in (None, False):
        short = JsonSchema("s", {"type": "object"}, strict=strict)
        assert body_of(response_format=short)["response_format"] == plain
    full = JsonSchema("s", {"type": "object"}, strict=True, description="d")
    spelled = {**SCHEMA, "description": "d", "strict": True}
    assert body_of(response_format=full)["response_format"]["json_schema"] == spelled


@pytest.mark.parametrize(
    "wanted",
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
def test_response_formats_that_are_none(wanted: Any) -> None:
    """Any other response format is an error before anything is sent."""
    with pytest.raises(ConfigurationError, match="response_format"):
        body_of(response_format=wanted)


def test_nothing_given_is_changed() -> None:
    """Encoding changes nothing in the request it is given."""
    reasoning = {"exclude": True}
    parameters = {
        "reasoning": reasoning,
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
    own = {"type": "web_search", "options": {}}
    request = Request("m", history, (Tool("a.b", parameters={"a": []}), own), None, parameters)
    before = deepcopy(request)
    encode_request(request, stream=True)
    assert request == before


@pytest.mark.parametrize("n", [1, 2])
def test_a_stream_carries_one_answer(n: int) -> None:
    """Several answers cannot be streamed as one: that is said before anything is paid for."""
    request = Request("m", (USER,), parameters={"extra_body": {"n": n}})
    assert encode_request(request)[0]["n"] == n
    if n == 1:
        assert encode_request(request, stream=True)[0]["n"] == 1
    else:
        with pytest.raises(ConfigurationError, match="n must be 1"):
            encode_request(request, stream=True)
