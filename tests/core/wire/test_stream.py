"""Stream decoder: the deltas of a stream add up to the reply that a complete body would have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from onerouter_core.errors import IncompleteStreamError, MalformedReplyError
from onerouter_core.wire.decode import ReplyContext
from onerouter_core.wire.stream import StreamDecoder
from tests.core.payloads import (
    USAGE,
    chunk,
    completion,
    final_reply,
    read_body,
    read_stream,
    sse,
)


def read_details(*fragments: dict[str, Any]) -> tuple[Any, ...]:
    """Return the reasoning details of a stream with one chunk for each fragment."""
    chunks = [chunk({"reasoning_details": [fragment]}) for fragment in fragments]
    return final_reply(read_stream(*chunks, chunk("Hi", "stop"))).reasoning_details


# --- the decoder ---


def test_deltas_are_yielded_as_their_events_are_complete() -> None:
    """`events` counts them, `finished` and `done` say how far the stream is."""
    decoder = StreamDecoder(ReplyContext())
    stream = sse(chunk("a"), chunk("b", "stop"), done=False)
    assert [delta.text for delta in decoder.feed(stream[:-10])] == ["a"]
    assert (decoder.events, decoder.finished) == (1, False)
    assert [delta.text for delta in decoder.feed(stream[-10:])] == ["b"]
    assert (decoder.events, decoder.finished, decoder.done) == (2, True, False)
    assert list(decoder.feed(b"data: [DONE]\n\n")) == []
    assert (decoder.events, decoder.done) == (2, True)
    assert final_reply(list(decoder.finish())).text == "ab"


def test_the_partial_reply_has_the_text_so_far() -> None:
    """It can be read at any time, and changes nothing."""
    decoder = StreamDecoder(ReplyContext())
    assert decoder.partial().text == ""
    list(decoder.feed(sse(chunk("Hel", model="m"), done=False)))
    assert (decoder.partial().text, decoder.partial().model) == ("Hel", "m")
    list(decoder.feed(sse(chunk("lo", "stop"))))
    assert final_reply(list(decoder.finish())).text == "Hello"


@pytest.mark.parametrize("role", [{}, {"role": "assistant"}])
def test_thinking_parts_of_a_content_are_reasoning(role: dict[str, str]) -> None:
    """Mistral has them in a delta without any key of reasoning (docs.mistral.ai, Reasoning)."""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    text = {"type": "text", "text": "Hi"}
    deltas = read_stream(
        chunk({**role, "content": [thinking]}), chunk({"content": [thinking, text]}, "stop")
    )
    assert [delta.reasoning for delta in deltas if delta.reasoning] == ["Hm.", "Hm."]
    reply = final_reply(deltas)
    assert (reply.text, reply.reasoning) == ("Hi", "Hm.Hm.")


def test_chunks_add_up_to_the_completion() -> None:
    """The raw completion of a stream is the one that the gateway sends without streaming."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"content": "Hi", "reasoning": "Hm.", "tool_calls": [call]}
    events = (chunk({"content": "Hi", "reasoning": "Hm."}), chunk({"tool_calls": [call]}))
    end = chunk(finish="tool_calls", usage=USAGE, model="m")
    reply = final_reply(read_stream(*events, end))
    assert reply.raw == completion(message, "tool_calls", usage=USAGE, model="m")


def test_chunks_of_other_choices_are_ignored() -> None:
    """A stream carries one answer."""
    other = chunk("B")
    other["choices"][0]["index"] = 1
    deltas = read_stream(chunk("A"), other, chunk(finish="stop"))
    assert [delta.text for delta in deltas] == ["A", ""]


def test_an_event_that_is_not_json_is_ignored_after_the_finish_reason() -> None:
    """The answer is complete then. One server ends its streams with "[done]"."""
    deltas = read_stream(chunk("Hi", "stop"), b"data: [done]\n\n")
    assert final_reply(deltas).text == "Hi"


# --- reasoning details ---

THOUGHT = {"type": "reasoning.text", "index": 0, "format": "anthropic-claude-v1"}
SIGNED_THOUGHTS = (
    {**THOUGHT, "text": "First.", "signature": "sig-1"},
    {**THOUGHT, "text": "Second.", "signature": "sig-2"},
)


@pytest.mark.parametrize(
    "fragments",
    [
        SIGNED_THOUGHTS,
        (
            {**THOUGHT, "text": "Fir"},
            {**THOUGHT, "text": "st.", "signature": "sig-1"},
            {**THOUGHT, "text": "Sec"},
            {**THOUGHT, "text": "ond.", "signature": "sig-2"},
        ),
        (
            {**THOUGHT, "text": "Fir"},
            {**THOUGHT, "text": "st."},
            {**THOUGHT, "signature": "sig-1"},
            {**THOUGHT, "text": "Second."},
            {**THOUGHT, "text": "", "signature": "sig-2"},
        ),
        (
            {**THOUGHT, "text": "First.", "signature": None},
            {**THOUGHT, "text": None, "signature": "sig-1"},
            {**THOUGHT, "text": "Sec", "signature": ""},
            {**THOUGHT, "text": "ond.", "signature": None},
            {**THOUGHT, "signature": "sig-2"},
        ),
    ],
    ids=["one fragment each", "with the last text", "on its own fragment", "nulls before it"],
)
def test_a_signature_ends_a_reasoning_detail(fragments: tuple[dict[str, Any], ...]) -> None:
    """The next fragment of the same type and index begins a new one, as in a complete reply."""
    message = {"content": "Hi", "reasoning_details": list(SIGNED_THOUGHTS)}
    assert read_body(completion(message)).reasoning_details == SIGNED_THOUGHTS
    assert read_details(*fragments) == SIGNED_THOUGHTS


def test_a_signature_on_its_own_fragment_belongs_to_the_detail_before_it() -> None:
    """It begins no detail of its own; the text after it does, also without a signature."""
    details = read_details(
        {**THOUGHT, "text": "First."},
        {**THOUGHT, "signature": "sig-1"},
        {**THOUGHT, "text": "Sec"},
        {**THOUGHT, "text": "ond."},
    )
    assert details == (SIGNED_THOUGHTS[0], {**THOUGHT, "text": "Second."})


def test_a_signature_ends_a_summary() -> None:
    """Summaries are joined as texts are."""
    summary = {"type": "reasoning.summary", "index": 0}
    details = read_details(
        {**summary, "summary": "a"},
        {**summary, "summary": "b", "signature": "sig"},
        {**summary, "summary": "c"},
    )
    expected = ({**summary, "summary": "ab", "signature": "sig"}, {**summary, "summary": "c"})
    assert details == expected


def test_a_fragment_with_another_id_begins_a_new_detail() -> None:
    """Details may have ids in place of indexes, and no signature."""
    details = tuple({"type": "reasoning.text", "id": name, "text": name} for name in ("a", "b"))
    assert read_details(*details) == details


def test_a_fragment_without_the_id_continues_the_detail() -> None:
    """Only the first fragment may have it."""
    details = read_details(
        {"type": "reasoning.text", "id": "a", "text": "a"},
        {"type": "reasoning.text", "id": None, "text": "b"},
    )
    assert details == ({"type": "reasoning.text", "id": "a", "text": "ab"},)


# --- images, audio, refusals, annotations ---


def test_images_are_in_the_delta_and_in_the_final_reply() -> None:
    """Those in the content come before those beside it."""
    images = [{"type": "image_url", "image_url": {"url": f"data:,{name}"}} for name in "ab"]
    delta = {"content": [{"type": "text", "text": "Hi"}, images[0]], "images": [images[1]]}
    deltas = read_stream(chunk(delta, "stop"))
    for found in (deltas[0].images, final_reply(deltas).images):
        assert [image.url for image in found] == ["data:,a", "data:,b"]


def test_data_and_transcript_of_audio_are_joined() -> None:
    """The other fields are replaced."""
    deltas = [
        {"audio": {"id": "a", "data": "UklGR", "expires_at": None}},
        {"audio": {"transcript": "Hel"}},
        {"audio": {"data": "AA", "transcript": "lo", "expires_at": 5}},
    ]
    reply = final_reply(read_stream(*map(chunk, deltas), chunk(finish="stop")))
    audio = {"id": "a", "data": "UklGRAA", "transcript": "Hello", "expires_at": 5}
    assert reply.raw["choices"][0]["message"]["audio"] == audio
    assert reply.audio == read_body(completion({"content": None, "audio": audio})).audio


def test_audio_data_of_another_type_is_not_joined() -> None:
    """It does not stop the reply."""
    events = (chunk({"audio": {"data": 5}}), chunk({"audio": {"data": "AA"}}), chunk("Hi", "stop"))
    audio = final_reply(read_stream(*events)).audio
    assert audio is not None
    assert audio.data == "AA"


def test_refusals_are_joined_and_annotations_are_collected() -> None:
    """Nulls among them are ignored."""
    annotations = [{"type": "url_citation", "url_citation": {"url": url}} for url in ("a", "b")]
    deltas = [
        {"refusal": "I "},
        {"refusal": None, "annotations": annotations[:1]},
        {"refusal": "won't.", "annotations": None},
        {"annotations": annotations[1:]},
    ]
    reply = final_reply(read_stream(*map(chunk, deltas), chunk(finish="stop")))
    message = {"content": None, "refusal": "I won't.", "annotations": annotations}
    complete = read_body(completion(message))
    assert (reply.refusal, reply.annotations) == (complete.refusal, complete.annotations)
    assert (reply.refusal, reply.annotations) == ("I won't.", tuple(annotations))


# --- complete bodies ---


@pytest.mark.parametrize("head", ["event: message\n", "id: 1\n", "\ufeff", "\ufeff: hello\n\n"])
def test_an_event_stream_in_place_of_a_body_is_decoded(head: str) -> None:
    """It is recognised by its first line: a field, or a comment."""
    assert read_body(head.encode() + sse(chunk("Hi", "stop"))).text == "Hi"


@pytest.mark.parametrize("body", ["id:", "event:", ":", "\ufeff:", "data:"])
def test_an_event_stream_without_events_is_incomplete(body: str) -> None:
    """It has neither finish reason nor [DONE]."""
    with pytest.raises(IncompleteStreamError):
        read_body(body.encode())


@pytest.mark.parametrize("depth", [300, 600, 5000])
def test_a_body_that_is_nested_too_deeply_is_malformed(depth: int) -> None:
    """A framework that copies it would reach the recursion limit."""
    body = json.dumps(completion("Hi", extra=0)).replace(
        '"extra": 0', '"extra": ' + "[" * depth + "]" * depth
    )
    with pytest.raises(MalformedReplyError):
        read_body(body.encode())


def test_unknown_keys_of_deltas_are_merged() -> None:
    """Strings are concatenated, lists extended, objects merged; null takes nothing back."""
    fragments = [
        {"s": "ab", "l": [1], "o": {"t": "x", "type": "o"}, "n": 1},
        {"s": "cd", "l": [2], "o": {"t": "y", "type": "o"}, "n": 2},
        {"s": None, "l": None, "o": None, "n": None},
    ]
    reply = final_reply(read_stream(*map(chunk, fragments), chunk("Hi", "stop")))
    assert reply.extra == {"s": "abcd", "l": [1, 2], "o": {"t": "xy", "type": "o"}, "n": 2}
