"""Quirks 4, 5, 6 and 12 of the gateway: incomplete streams, errors under status 200, SSE.

docs/gateway-quirks.md lists all quirks.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from onerouter_core.errors import (
    IncompleteStreamError,
    InsufficientCreditsError,
    MalformedReplyError,
    OneRouterError,
    UpstreamError,
)
from tests.core.payloads import (
    USAGE,
    chunk,
    completion,
    final_reply,
    joined_calls,
    read_body,
    read_stream,
    sse,
)

# --- 4: the end of a stream ---


def test_quirk_04_a_stream_that_ends_early_is_incomplete() -> None:
    """Without finish reason and [DONE] it is incomplete; the error has the partial reply."""
    events = (chunk("Hel", model="m", provider="p"), chunk("lo", request_id="r"))
    with pytest.raises(IncompleteStreamError) as caught:
        read_stream(*events, done=False)
    error = caught.value
    assert error.partial.text == "Hello"
    assert (error.model, error.provider, error.request_id) == ("m", "p", "r")
    assert error.generation_id == "gen-1"


@pytest.mark.parametrize("stream", [b"", b": keep-alive\n\n"])
def test_quirk_04_a_stream_without_events_is_incomplete(stream: bytes) -> None:
    """A comment is no event."""
    with pytest.raises(IncompleteStreamError):
        read_stream(stream, done=False)


def test_quirk_04_a_finish_reason_or_done_ends_a_stream() -> None:
    """One of the two is enough."""
    assert final_reply(read_stream(chunk("Hi", "stop"), done=False)).finish_reason == "stop"
    assert final_reply(read_stream(chunk("Hi"), done=True)).finish_reason is None


def test_quirk_04_a_stream_that_is_cut_within_an_event() -> None:
    """Half an event is ignored: the stream is incomplete unless it had ended before."""
    half = b'data: {"choices":[{"del'
    with pytest.raises(IncompleteStreamError) as caught:
        read_stream(chunk("Hi"), half, done=False)
    assert caught.value.partial.text == "Hi"
    assert final_reply(read_stream(chunk("Hi", "stop"), half, done=False)).text == "Hi"


def test_quirk_04_events_after_done_are_ignored() -> None:
    """The reply is complete with [DONE]."""
    stream = (chunk("Hi", "stop"), b"data: [DONE]\n\n", chunk("!"))
    assert final_reply(read_stream(*stream)).text == "Hi"


# --- 5 and 6: errors with status 200 ---

CREDITS = {"error": {"message": "Your current credits have been used up", "code": 402}}


@pytest.mark.parametrize("extra", [{}, {"choices": []}, {"choices": None}])
def test_quirk_05_an_error_body_with_status_200_is_raised(extra: dict[str, Any]) -> None:
    """An error body with status 200 is an error, complete and streamed."""
    body = {**CREDITS, **extra}
    for read in (
        lambda: read_body(body),
        lambda: read_stream(json.dumps(body).encode(), done=False),
        lambda: read_stream(body),
    ):
        with pytest.raises(InsufficientCreditsError, match="used up") as caught:
            read()
        assert (caught.value.status, caught.value.code) == (402, "402")


def test_quirk_05_an_error_beside_an_answer_is_raised() -> None:
    """An error in a completion or in its choice is raised with the answer as its partial reply."""
    failure = {"error": {"message": "Provider disconnected", "code": 502}}
    at_the_root = {**completion("Hel", "error", provider="openai"), **failure}
    in_the_choice = completion("Hel", "error", provider="openai")
    in_the_choice["choices"][0] |= failure
    for body in (at_the_root, in_the_choice):
        with pytest.raises(UpstreamError, match="Provider disconnected") as caught:
            read_body(body)
        assert (caught.value.partial.text, caught.value.status) == ("Hel", 502)
        assert caught.value.provider == "openai"


def test_quirk_05_an_error_in_a_chunk_is_raised_at_once() -> None:
    """Its partial reply has the text before it and in its own chunk."""
    failure = {"error": {"code": "server_error", "message": "Provider disconnected unexpectedly"}}
    last = chunk("lo", "error", provider="openai", **failure)
    with pytest.raises(UpstreamError, match="Provider disconnected") as caught:
        read_stream(chunk("Hel"), last, chunk("!"))
    error = caught.value
    assert (error.partial.text, error.code, error.provider) == ("Hello", "server_error", "openai")
    assert error.transient


def test_quirk_05_a_message_in_an_event_without_choices_is_an_error() -> None:
    """It is raised although [DONE] follows."""
    with pytest.raises(UpstreamError, match="boom") as caught:
        read_stream(chunk("Hel"), b'data: {"code": 500, "message": "boom"}\n\ndata: [DONE]\n\n')
    assert caught.value.partial.text == "Hel"


def test_quirk_05_the_finish_reason_error_is_an_error() -> None:
    """There may be no other sign of it."""
    for read in (
        lambda: read_body(completion("Hel", "error")),
        lambda: read_stream(chunk("Hel"), chunk(finish="error")),
    ):
        with pytest.raises(UpstreamError, match="failed while it answered") as caught:
            read()
        assert caught.value.partial.text == "Hel"


@pytest.mark.parametrize("body", [b"<title>Just a moment</title>", b"\xff\xfe", b"5", b"[1]"])
def test_quirk_06_a_body_that_is_no_completion_and_no_error_is_malformed(body: bytes) -> None:
    """It is so in answer to a stream, too."""
    for read in (lambda: read_body(body), lambda: read_stream(body, done=False)):
        with pytest.raises(MalformedReplyError, match="Unexpected response body"):
            read()


# --- 12: events and bodies ---


def test_quirk_12_every_form_of_line_is_read() -> None:
    """A BOM, comments, CRLF, no space, trailing spaces, blank lines, no final newline."""
    escaped = json.dumps(chunk("é漢🙂")).encode()
    plain = json.dumps(chunk("!", "stop"), ensure_ascii=False).encode()
    stream = (
        b"\xef\xbb\xbf: OPENROUTER PROCESSING\r\n\r\n: OPENROUTER PROCESSING\r\n\r\n"
        b"data:" + escaped + b"  \r\n\r\n\r\n" + b"event: x\r\ndata: " + plain + b" \n\n"
        b"data: \n\ndata: [DONE] "
    )
    deltas = read_stream(stream, done=False)
    assert [delta.text for delta in deltas] == ["é漢🙂", "!", ""]
    assert final_reply(deltas).text == "é漢🙂!"


def test_quirk_12_blank_lines_before_a_body() -> None:
    """They keep the connection alive."""
    body = b"\n         \n\n         \n" + json.dumps(completion()).encode()
    assert read_body(body).text == "Hi"
    assert final_reply(read_stream(body, done=False)).text == "Hi"


def test_quirk_12_a_complete_body_in_place_of_a_stream() -> None:
    """It is decoded to one delta and the final reply."""
    calls = [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]
    message = {"content": "Hi", "reasoning": "Hm.", "tool_calls": calls}
    body = json.dumps(completion(message, "tool_calls")).encode()
    deltas = read_stream(body[:20], body[20:], done=False)
    assert [(delta.text, delta.reasoning) for delta in deltas] == [("Hi", "Hm."), ("", "")]
    assert joined_calls(deltas) == [("1", "f", "{}")]
    assert final_reply(deltas).tool_calls[0].parsed == {}


def test_quirk_12_a_stream_in_place_of_a_complete_body() -> None:
    """It is decoded to a reply, or raises the errors of a stream."""
    stream = sse(b": ping\n\n", chunk("H"), chunk("i", "stop", usage=USAGE))
    assert read_body(stream).text == "Hi"
    with pytest.raises(IncompleteStreamError):
        read_body(sse(chunk("H"), done=False))
    for empty in (b"data: [DONE]\n\n", b"data:\n\n", b"data"):
        with pytest.raises(OneRouterError):
            read_body(empty)


def test_quirk_12_the_complete_message_in_one_event() -> None:
    """It is under `message` then, and not under `delta`."""
    deltas = read_stream(completion({"content": "Hi", "tool_calls": None}, usage=USAGE))
    assert "".join(delta.text for delta in deltas) == final_reply(deltas).text == "Hi"


@pytest.mark.parametrize("text", ["\\ud83d", "\\ud83d\\ude42", "\xff"])
def test_quirk_12_invalid_utf_8_and_surrogates_do_not_stop_a_reply(text: str) -> None:
    """The text of the reply is valid Unicode, and the same complete and streamed."""
    body = json.dumps(completion("?")).replace("?", text).encode("latin-1")
    decoded = read_body(body).text
    assert decoded == final_reply(read_stream(b"data: " + body + b"\n\n")).text
    assert decoded.encode() == decoded.encode("utf-8", "replace") != b""


def test_quirk_12_a_character_in_two_events() -> None:
    """Surrogate pairs are joined in text, reasoning and arguments; a half alone is U+FFFD."""
    call = {"index": 0, "id": "1", "function": {"name": "f", "arguments": '{"a": "\ud83d'}}
    rest = {"index": 0, "function": {"arguments": '\ude42"}'}}
    events = (
        chunk({"content": "a\ud83d", "reasoning": "\ud83d", "tool_calls": [call]}),
        chunk({"content": "\ude42b", "reasoning": "\ude42", "tool_calls": [rest]}),
        chunk({"content": "\ude42\ud83d"}, "stop"),
    )
    deltas = read_stream(*(b"data: %s\n\n" % json.dumps(event).encode() for event in events))
    reply = final_reply(deltas)
    assert [delta.text for delta in deltas] == ["a", "\U0001f642b", "\ufffd", "\ufffd"]
    assert "".join(delta.text for delta in deltas) == reply.text
    assert reply.reasoning == "\U0001f642"
    assert reply.tool_calls[0].parsed == {"a": "\U0001f642"}


def test_quirk_12_an_event_that_is_not_json_is_malformed() -> None:
    """The error has the partial reply."""
    with pytest.raises(MalformedReplyError, match="an event that is not JSON") as caught:
        read_stream(chunk("Hi"), b"data: oops\n\n")
    assert caught.value.partial.text == "Hi"


@pytest.mark.parametrize("event", [b"data: 5\n\n", b"data: []\n\n", b'data: "x"\n\n'])
def test_quirk_12_an_event_that_is_no_object_is_ignored(event: bytes) -> None:
    """It adds nothing to the reply."""
    assert final_reply(read_stream(event, chunk("Hi", "stop"))).text == "Hi"
