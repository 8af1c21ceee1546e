"""Two laws, tried on what hypothesis makes up: streamed is whole, and nothing breaks us."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onerouter_core import OneRouterError, Piece, Reply
from onerouter_core.wire.names import Names
from onerouter_core.wire.replies import decode_models
from onerouter_core.wire.stream import decode_body
from tests.core.bodies import added_up, end_of, read_in_chunks, whole
from tests.core.generated import Answer, answers, odd_bodies, odd_streams, streams

often = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)


def outcome(read: Callable[[], Reply]) -> tuple[str, Any]:
    """Return what came out, comparable: a reply, or an error and the partial reply in it."""
    try:
        return "", replace(read(), raw={})
    except OneRouterError as error:
        return f"{type(error).__name__}: {error}", replace(error.partial, raw={})


def check_sum(pieces: list[Piece]) -> None:
    """Check that the pieces of a stream add up to its end."""
    end = end_of(pieces)
    assert "".join(piece.text for piece in pieces) == end.text
    assert "".join(piece.reasoning for piece in pieces) == end.reasoning
    assert tuple(image for piece in pieces for image in piece.images) == end.images
    calls = [(call.id, call.name, call.arguments) for call in end.tool_calls]
    assert [(a, b or "", c) for a, b, c in added_up(pieces)] == calls


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


@often
@given(body=odd_bodies.map(str.encode) | odd_streams.map(b"".join) | st.binary())
def test_no_body_breaks_us(body: bytes) -> None:
    """Any body at all is a reply, or one error of ours."""
    with suppress(OneRouterError):
        assert decode_body(body, Names(), {}).raw


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
        decode_body(nested.encode(), Names(), {})
