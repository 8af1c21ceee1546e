"""Laws, tried on what hypothesis makes up.

Streamed is whole; bytes may be cut anywhere; a history goes out in order and entire; and nothing
breaks us. The checks are functions: `tests/fuzz` tries them on what a fuzzer makes up.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onerouter_core import Message, OneRouterError, Reply, ReplyDelta, Request, Text
from onerouter_core.wire.decode import decode_models
from onerouter_core.wire.encode import encode_request
from onerouter_core.wire.sse import SSEParser
from onerouter_core.wire.stream import StreamDecoder, decode_body
from onerouter_core.wire.text_buffer import TextBuffer, join_surrogates
from onerouter_core.wire.tool_names import ToolNames
from tests.core.generated import Answer, answers, cut, odd_bodies, odd_streams, streams
from tests.core.generated_histories import histories
from tests.core.payloads import added_up, end_of, read_in_chunks, whole

often = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)


def outcome(read: Callable[[], Reply]) -> tuple[str, Any]:
    """Return what came out, comparable: a reply, or an error and the partial reply in it."""
    try:
        return "", replace(read(), raw={})
    except OneRouterError as error:
        return f"{type(error).__name__}: {error}", replace(error.partial, raw={})


def check_sum(pieces: list[ReplyDelta]) -> None:
    """Check that the pieces of a stream add up to its end."""
    end = end_of(pieces)
    assert "".join(piece.text for piece in pieces) == end.text
    assert "".join(piece.reasoning for piece in pieces) == end.reasoning
    assert tuple(image for piece in pieces for image in piece.images) == end.images
    calls = [(call.id, call.name, call.arguments) for call in end.tool_calls]
    assert [(a, b or "", c) for a, b, c in added_up(pieces)] == calls


def events_in(chunks: Iterable[bytes]) -> list[bytes]:
    """Return the events that the reader finds in bytes as they arrive."""
    reader = SSEParser()
    events = [event for received in chunks for event in reader.feed(received)]
    return [*events, *reader.finish()]


def events_told(stream: bytes) -> list[bytes]:
    """Return the events of a stream, line by line as the HTML standard says; it may lack an end."""
    events: list[bytes] = []
    data: list[bytes] = []
    for line in [*re.split(b"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf")), b""]:
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif not line and data:
            events.append(b"\n".join(data))
            data = []
    return events


_MADE_UP = re.compile(r"call_[0-9a-f]{32}")  # the id of a call that came without one


def check_cuts(chunks: list[bytes]) -> None:
    """Check that bytes mean the same however they are cut, and add up, or are one error of ours."""
    pieces, error = received(chunks)
    whole = received([b"".join(chunks)])
    assert _MADE_UP.sub("", repr((pieces, error))) == _MADE_UP.sub("", repr(whole))
    if not error:
        check_sum(pieces)


def received(chunks: list[bytes]) -> tuple[list[ReplyDelta], str]:
    """Return the pieces that came, and in words the error that came after them."""
    decoder, pieces = StreamDecoder(ToolNames(), {}), []
    try:
        for chunk in chunks:
            pieces.extend(decoder.feed(chunk))
        pieces.extend(decoder.finish())
    except OneRouterError as error:
        return pieces, f"{type(error).__name__}: {error}, {error.partial}"
    return pieces, ""


def check_body(body: dict[str, Any]) -> None:
    """Check that a body is JSON in which results stand right behind their calls, and only there."""
    json.dumps(body)
    waiting: Counter[str] = Counter()
    for message in [*body["messages"], {"role": "user"}]:
        if message["role"] == "tool":
            waiting[message["tool_call_id"]] -= 1
        else:
            assert not any(waiting.values())
            waiting = Counter(call["id"] for call in message.get("tool_calls", ()))


@often
@given(data=st.data(), answer=answers)
def test_a_streamed_answer_is_the_whole_answer(data: st.DataObject, answer: Answer) -> None:
    """However an answer is cut into chunks and bytes, its end is what it would be whole."""
    received = data.draw(streams(answer))
    assert outcome(lambda: end_of(read_in_chunks(received))) == outcome(
        lambda: whole(answer.whole())
    )


@often
@given(data=st.data(), answer=answers)
def test_the_pieces_add_up(data: st.DataObject, answer: Answer) -> None:
    """The pieces of a stream add up to its end, which alone says it is the end."""
    received = data.draw(streams(answer))
    try:
        pieces = read_in_chunks(received)
    except OneRouterError:
        return
    check_sum(pieces)


@often
@given(received=odd_streams, headers=st.sampled_from([{}, {"retry-after": "soon"}]))
def test_no_stream_breaks_us(received: list[bytes], headers: dict[str, str]) -> None:
    """Any bytes at all are pieces that add up, or one error of ours."""
    with suppress(OneRouterError):
        check_sum(read_in_chunks(received, headers))


_lines = st.sampled_from(
    [
        *(b"data", b"data:", b"data: x", b"data:\xc3", b"\xa9", b":", b" ", b"event: y"),
        *(b"\r", b"\n", b"\r\n", b"\n\n", b"\xef", b"\xbb\xbf", b"\xef\xbb\xbf"),
    ]
)


@often
@given(stream=st.lists(_lines, max_size=12).map(b"".join), data=st.data())
def test_events_may_be_cut_anywhere(stream: bytes, data: st.DataObject) -> None:
    """The reader finds what stands in the stream, whatever comes with which packet."""
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=6))
    assert events_in(cut(stream, sorted(places))) == events_told(stream)


@often
@given(received=odd_streams, data=st.data())
def test_a_stream_may_be_cut_anywhere(received: list[bytes], data: st.DataObject) -> None:
    """Pieces, and the error after them, are the same whatever comes with which packet."""
    stream = b"".join(received)
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=6))
    check_cuts(cut(stream, sorted(places)))


@often
@given(text=st.text(st.sampled_from("a\xe9\U0001f600\ud83d\ude00"), max_size=8), data=st.data())
def test_characters_may_be_cut_anywhere(text: str, data: st.DataObject) -> None:
    """Halves of characters are joined, or replaced, as they would be in one text."""
    growing, places = TextBuffer(), data.draw(st.lists(st.integers(0, len(text)), max_size=4))
    joined = "".join(growing.add(piece) for piece in cut(text, sorted(places))) + growing.flush()
    assert joined == str(growing) == join_surrogates(text)
    assert joined.encode().decode() == joined


@often
@given(history=histories)
def test_a_history_goes_out_in_order(history: tuple[Message, ...]) -> None:
    """Whatever a memory has cut, the body is one that a strict gateway takes, with every word."""
    try:
        body, _ = encode_request(Request("m", history))
    except OneRouterError:
        return
    check_body(body)
    spoken = [part.text for message in history for part in message.parts if isinstance(part, Text)]
    written = json.dumps(body)
    assert [text for text in spoken if json.dumps(text)[1:-1] not in written] == []


@often
@given(names=st.lists(st.text(max_size=70) | st.text("a._-\ud800", max_size=3), max_size=6))
def test_names_go_out_and_come_back(names: list[str]) -> None:
    """Whatever tools are called, the API takes the names, tells them apart, and we know them."""
    known = ToolNames(names)
    spelled = {name: known.encode(name) for name in names}
    assert all(re.fullmatch("[a-zA-Z0-9_-]{1,64}", out) for out in spelled.values())
    assert {name: known.decode(out) for name, out in spelled.items()} == {n: n for n in names}


@often
@given(body=odd_bodies.map(str.encode) | odd_streams.map(b"".join) | st.binary())
def test_no_body_breaks_us(body: bytes) -> None:
    """Any body at all is a reply, or one error of ours."""
    with suppress(OneRouterError):
        assert decode_body(body, ToolNames(), {}).raw


@often
@given(body=odd_bodies.map(str.encode) | st.binary())
def test_no_model_list_breaks_us(body: bytes) -> None:
    """Any body at all is a model list, or one error of ours."""
    with suppress(OneRouterError):
        assert all(isinstance(entry, dict) for entry in decode_models(body))


@pytest.mark.parametrize("depth", [150, 250, 900, 5000])
@pytest.mark.parametrize("body", ["?", '{"error": ?}', '{"choices": ?, "x": "\\ud800"}'])
def test_nesting_does_not_break_us(body: str, depth: int) -> None:
    """A body that is nested more deeply than anybody can read is an error of ours."""
    nested = body.replace("?", "[" * depth + "]" * depth)
    with pytest.raises(OneRouterError):
        decode_body(nested.encode(), ToolNames(), {})
