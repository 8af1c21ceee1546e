"""Completions, decoded to a Reply; the fields of messages; replies without an answer."""

from __future__ import annotations

from typing import Any

import pytest

from onerouter_core.errors import (
    ContentFilterError,
    LengthLimitError,
    MalformedReplyError,
    OneRouterError,
    UpstreamError,
)
from onerouter_core.types import Image, ToolCall, Usage
from onerouter_core.wire.decode import (
    ReplyContext,
    decode_content,
    decode_images,
    decode_partial_reply,
    decode_reasoning,
    decode_reply,
    decode_tool_call,
    decode_usage,
    generate_call_id,
)
from tests.core.payloads import USAGE, completion, read_both


def decode(body: Any, headers: dict[str, str] | None = None) -> Any:
    """Return the reply in a completion."""
    return decode_reply(body, ReplyContext(headers=headers or {}))


def choices(*messages: tuple[str, str]) -> dict[str, Any]:
    """Return a completion with these contents and finish reasons, one choice for each."""
    body = completion()
    body["choices"] = [
        {"index": index, "message": {"content": content}, "finish_reason": reason}
        for index, (content, reason) in enumerate(messages)
    ]
    return body


# --- the reply ---


def test_a_completion_is_decoded() -> None:
    """Text, finish reason, ids, usage and the completion itself are in the reply."""
    body = completion("Hi", model="m", provider="p", created=7, usage=USAGE)
    reply = decode(body)
    assert (reply.text, reply.finish_reason) == ("Hi", "stop")
    assert (reply.id, reply.model, reply.provider, reply.created) == ("gen-1", "m", "p", 7)
    assert reply.usage == Usage(3, 2, 5, raw=USAGE)
    assert (reply.extra, reply.alternatives) == ({}, ())
    assert reply.raw is body


def test_only_rate_limit_headers_are_in_the_reply() -> None:
    """The request id has a field of its own."""
    headers = {"x-ratelimit-remaining": "5", "x-infron-request-id": "r", "date": "today"}
    reply = decode(completion(), headers)
    assert reply.headers == {"x-ratelimit-remaining": "5"}
    assert reply.request_id == "r"


@pytest.mark.parametrize(
    ("root", "cost"),
    [
        ({"cost": 1, "usage": {"cost": 2}}, 1.0),
        ({"cost": None, "usage": {"cost": 2}}, 2.0),
        ({"usage": {"cost": "2e-3"}}, 0.002),
        ({"usage": USAGE}, 3.0),
    ],
    ids=["root", "usage", "text in usage", "header"],
)
def test_the_cost_is_at_the_root_in_usage_or_in_litellms_header(
    root: dict[str, Any], cost: float
) -> None:
    """The first of these that is a number counts."""
    assert decode(completion(**root), {"x-litellm-response-cost": "3.0"}).cost == cost


def test_keys_without_a_field_are_in_extra() -> None:
    """Those of the root, of the choice and of the message."""
    body = completion({"content": "Hi", "x_message": 1}, x_root=2)
    body["choices"][0]["x_choice"] = 3
    assert decode(body).extra == {"x_message": 1, "x_root": 2, "x_choice": 3}


# --- several choices ---


def test_other_choices_are_alternatives() -> None:
    """The first choice is the reply."""
    reply = decode(choices(("A", "stop"), ("B", "stop")))
    assert reply.text == "A"
    assert [alternative.text for alternative in reply.alternatives] == ["B"]


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
def test_a_choice_with_an_answer_comes_before_an_empty_one(reason: str) -> None:
    """The empty one is an alternative; its finish reason says why it is empty."""
    reply = decode(choices(("", reason), ("B", "stop")))
    assert (reply.text, reply.finish_reason) == ("B", "stop")
    alternatives = [(other.text, other.finish_reason) for other in reply.alternatives]
    assert alternatives == [("", reason)]


def test_a_failed_choice_raises_with_all_choices_as_the_partial_reply() -> None:
    """The other answers were paid for."""
    with pytest.raises(UpstreamError) as caught:
        decode(choices(("Hal", "error"), ("B", "stop")))
    partial = caught.value.partial
    assert [partial.text, *(other.text for other in partial.alternatives)] == ["Hal", "B"]


# --- replies without an answer ---


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("length", LengthLimitError),
        ("content_filter", ContentFilterError),
        ("stop", MalformedReplyError),
    ],
)
def test_an_empty_reply_raises_the_error_of_its_finish_reason(
    reason: str, kind: type[OneRouterError]
) -> None:
    """The error has the reply and its ids."""
    with pytest.raises(kind) as caught:
        decode(completion("", reason, model="m"))
    assert type(caught.value) is kind
    assert (caught.value.model, caught.value.generation_id) == ("m", "gen-1")
    assert caught.value.partial.finish_reason == reason


@pytest.mark.parametrize("body", [None, 5, "no", [], {}, {"choices": []}])
def test_a_body_without_choices_raises(body: Any) -> None:
    """There is no partial reply."""
    with pytest.raises(MalformedReplyError, match="Unexpected response body") as caught:
        decode(body)
    assert caught.value.partial is None


def test_a_partial_reply_is_never_an_error() -> None:
    """An incomplete call is invalid, and the keys of an error are left out."""
    call = {"id": "1", "function": {"name": "f", "arguments": ""}}
    body = completion({"content": None, "tool_calls": [call]}, None, error="secret", code=1)
    body["choices"][0]["error"] = "secret"
    partial = decode_partial_reply(body, ReplyContext())
    assert partial.tool_calls[0].error is not None
    assert partial.extra == {}
    assert "secret" not in repr(partial)
    assert decode_partial_reply({}, ReplyContext()).text == ""


# --- fields of a message ---

URLS = ("data:,a", "data:,b")
IMAGES = [{"type": "image_url", "image_url": {"url": url}} for url in URLS]


@pytest.mark.parametrize(
    ("content", "text", "images"),
    [
        ("Hi", "Hi", ()),
        ([{"type": "text", "text": "H"}, IMAGES[0], {"text": "i"}], "Hi", (Image(url=URLS[0]),)),
        (None, "", ()),
        ([{"text": 5}, {"image_url": URLS[0]}, "x"], "", ()),
    ],
    ids=["a string", "parts", "null", "parts of other types"],
)
def test_content_is_text_and_images(content: Any, text: str, images: Any) -> None:
    """The texts among parts are joined."""
    assert decode_content(content) == (text, images)


def test_images_are_in_the_content_or_beside_it() -> None:
    """A reply has both, streamed and complete."""
    assert decode_images({"images": [IMAGES[1], {"image_url": {}}, 5]}) == (Image(url=URLS[1]),)
    message = {"content": [{"type": "text", "text": "Hi"}, IMAGES[0]], "images": IMAGES[1:]}
    for reply in read_both(message):
        assert (reply.text, [image.url for image in reply.images]) == ("Hi", list(URLS))


@pytest.mark.parametrize(
    ("message", "reasoning"),
    [
        ({"reasoning": "a", "reasoning_content": "b"}, "a"),
        ({"reasoning": "", "reasoning_content": "b"}, "b"),
        ({"reasoning": "a", "reasoning_details": [{"text": "b"}]}, "a"),
        ({"reasoning_details": [{"text": "a"}, {"summary": "b"}, {"data": "c"}]}, "ab"),
        ({"reasoning": ["a"], "reasoning_details": "b"}, ""),
        ({}, ""),
    ],
)
def test_reasoning_is_read_from_the_first_key_that_has_text(
    message: dict[str, Any], reasoning: str
) -> None:
    """Gateways repeat one text under several keys."""
    assert decode_reasoning(message) == reasoning


def test_a_missing_total_is_the_sum() -> None:
    """Counts may be floats, strings or null."""
    usage = {"prompt_tokens": 3.0, "completion_tokens": "2", "total_tokens": None}
    assert decode_usage(usage) == Usage(3, 2, 5, raw=usage)
    assert decode_usage({}) == Usage()


@pytest.mark.parametrize(
    ("prefix", "audio_format"),
    [
        *(("UklGR", "wav"), ("SUQz", "mp3"), ("//uQ", "mp3"), ("T2dn", "opus")),
        *(("ZkxhQ", "flac"), ("AAAA", "pcm16")),
    ],
)
def test_the_format_of_audio_is_read_from_its_first_bytes(prefix: str, audio_format: str) -> None:
    """The API does not name it."""
    message = {"content": None, "audio": {"data": f"{prefix}AA", "transcript": "Hello"}}
    for reply in read_both(message):
        assert reply.audio is not None
        assert (reply.audio.data, reply.audio.format) == (f"{prefix}AA", audio_format)
        assert reply.audio.transcript == "Hello"


@pytest.mark.parametrize("audio", [{"id": "a"}, {"data": ""}, {"data": 5}, "x", None])
def test_audio_without_data_is_none(audio: Any) -> None:
    """The reply has its text."""
    for reply in read_both({"content": "Hi", "audio": audio}):
        assert (reply.text, reply.audio) == ("Hi", None)


# --- tool calls ---


@pytest.mark.parametrize(
    ("arguments", "cut", "parsed", "error"),
    [
        ('{"a": 1}', False, {"a": 1}, None),
        ('{"a": 1}', True, {"a": 1}, None),
        ("", False, {}, None),
        ("", True, None, "The arguments were cut off. ("),
        ('{"a', True, None, "The arguments were cut off. ("),
        ('{"a', False, None, "The arguments are not a JSON object. ("),
        ("[1]", False, None, "The arguments are not a JSON object."),
    ],
)
def test_arguments_are_parsed_or_an_error(
    arguments: str, cut: bool, parsed: Any, error: str | None
) -> None:
    """The text is kept in both cases."""
    call = decode_tool_call("1", "f", arguments, cut=cut)
    assert (call.id, call.name, call.arguments, call.parsed) == ("1", "f", arguments, parsed)
    assert (call.error or "").startswith(error or "")
    assert (call.error is None) is (error is None)


def test_a_generated_call_id_has_the_reply_id_or_is_random() -> None:
    """Two replies never have equal ones."""
    assert generate_call_id("gen-1", 2) == "call_gen-1_2"
    assert generate_call_id(None, 0) != generate_call_id(None, 0)


def test_blank_arguments_beside_broken_ones_are_an_error() -> None:
    """The arguments of the one may be in the other; beside valid ones they are an empty object."""

    def calls(*arguments: str) -> list[bool]:
        functions = ({"name": "f", "arguments": text} for text in arguments)
        message = {"tool_calls": [{"id": str(i), "function": f} for i, f in enumerate(functions)]}
        return [call.parsed is not None for call in read_reply(message)]

    assert calls("", '{"a": 1}', " ") == [True, True, True]
    assert calls("", '{"a": 1}{"b": 2}', "{}") == [False, False, True]
    assert calls("", "{") == [False, False]


def read_reply(message: dict[str, Any]) -> tuple[ToolCall, ...]:
    """Return the tool calls of a complete reply with this message."""
    return decode(completion(message, "tool_calls")).tool_calls


@pytest.mark.parametrize("call_id", [None, "", " ", 5])
def test_a_blank_call_id_is_none(call_id: Any) -> None:
    """The call gets a generated id."""
    call = {"id": call_id, "function": {"name": "f", "arguments": "{}"}}
    assert [c.id for c in read_reply({"tool_calls": [call]})] == ["call_gen-1_0"]
