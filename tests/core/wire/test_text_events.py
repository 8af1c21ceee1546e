"""Text events read without parsing: each is what decoding it would give, or is not read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onerouter_core import ReplyDelta
from onerouter_core.wire.decode import ReplyContext
from onerouter_core.wire.stream import StreamDecoder
from onerouter_core.wire.text_events import TextEvents


def event(text: Any = "Hi", **parts: Any) -> dict[str, Any]:
    """Return an event; parts are keys of the delta, of the choice, or of the root."""
    delta = {"content": text, **parts.pop("delta", {})}
    choice = {"index": 0, "delta": delta, "finish_reason": None, **parts.pop("choice", {})}
    return {"id": "g", "model": "m", "choices": [choice], **parts}


def compact(value: Any) -> bytes:
    """Return JSON as most servers write it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def read_next(first: bytes, text: str, second: bytes) -> str | None:
    """Return what is read of an event after another one with this text."""
    events = TextEvents()
    events.learn(first, text)
    return events.read(second) if events.is_ready else None


# --- one event after another ---


@pytest.mark.parametrize(
    "text", ["Hi", "", " ", "é", "\u4f60\u597d", "\U0001f600", "a:b,{}[]", "'"]
)
@pytest.mark.parametrize("first", ["Hi", "", "a content", "x" * 1000])
@pytest.mark.parametrize("write", [compact, lambda value: json.dumps(value, indent=1).encode()])
def test_a_text_in_the_same_bytes_is_read(first: str, text: str, write: Any) -> None:
    """In every spelling of JSON that the first event has; an escape needs decoding."""
    expected = text if b"\\" not in write(event(text)) else None
    assert read_next(write(event(first)), first, write(event(text))) == expected


@pytest.mark.parametrize(
    "second",
    [
        event("a\nb"),
        event('a"b'),
        event("a\\b"),
        event("Hi", id="other"),
        event("Hi", choice={"finish_reason": "stop"}),
        event("Hi", choice={"logprobs": {"content": []}}),
        event("Hi", delta={"reasoning": "r"}),
        event(None),
        event(["Hi"]),
        {"error": {"message": "x"}},
        [],
    ],
)
def test_any_other_event_is_decoded(second: Any) -> None:
    """And the next one is not read either, until one is learned again."""
    events = TextEvents()
    events.learn(compact(event("Hi")), "Hi")
    assert events.read(compact(second)) is None
    assert not events.is_ready


@pytest.mark.parametrize(
    "data",
    [
        compact(event("Hi"))[:-1],
        compact(event("Hi")) + b"}",
        compact(event("Hi"))[:40],
        b"",
        compact(event("Hi")).replace(b"Hi", b"\xff\xfe"),
        compact(event("Hi")).replace(b"Hi", b"tab\there"),
        compact(event("Hi")).replace(b'"Hi"', b'"a","content":"b"'),
        compact(event("Hi")).replace(b'"Hi"', b'"'),
    ],
)
def test_what_is_no_such_json_is_not_read(data: bytes) -> None:
    """Cut, too long, not UTF-8, a raw control character, a second key."""
    assert read_next(compact(event("Hi")), "Hi", data) is None


@pytest.mark.parametrize(
    "first",
    [
        compact({**event("Hi"), "extra": {"content": "Hi"}}),
        b'{"content":"Hi",' + compact(event("Hi"))[1:],
        compact(event("Hi", extra="a\nb")),
        compact(event("Hi", extra="content")),
    ],
)
def test_an_event_in_which_the_text_is_not_certain_is_not_learned(first: bytes) -> None:
    """The key stands twice, or a text that looks like it, or there is an escape."""
    assert read_next(first, "Hi", first) is None


def test_a_large_event_is_not_learned() -> None:
    """It would be held twice."""
    data = compact(event("x" * 10_000))
    assert read_next(data, "x" * 10_000, data) is None


def test_a_stream_of_ever_other_events_is_not_learned_for_ever() -> None:
    """Learning takes time, too."""
    events = TextEvents()
    for number in range(40):
        data = compact(event("Hi", id=str(number)))
        if events.is_ready:
            assert events.read(data) is None
        events.learn(data, "Hi")
    assert not events.is_ready


# --- a whole stream: the same with and without ---


def deltas_of(events: Sequence[bytes]) -> tuple[list[ReplyDelta], Any]:
    """Return the deltas of a stream without the ends of their texts, and its final reply."""
    decoder = StreamDecoder(ReplyContext())
    deltas = [d for data in events for d in decoder.feed(b"data: " + data + b"\n\n")]
    deltas += decoder.feed(b"data: [DONE]\n\n")
    *rest, last = [*deltas, *decoder.finish()]
    return rest, last


def spaced(events: Sequence[bytes]) -> list[bytes]:
    """Return the same JSON with other white space in each event, which is never the same bytes."""
    return [data + b" " * (number % 7 + 1) for number, data in enumerate(events)]


TEXTS = st.text(st.characters(codec="utf-8"), max_size=5) | st.sampled_from(["a", '"', "\\"])
EVENTS = st.lists(
    st.builds(event, TEXTS)
    | st.builds(event, TEXTS, model=st.sampled_from(["m", "n"]))
    | st.builds(event, TEXTS, delta=st.just({"role": "assistant"}))
    | st.builds(event, TEXTS, delta=st.just({"reasoning": "r"}))
    | st.builds(event, TEXTS, choice=st.just({"finish_reason": "stop"}))
    | st.builds(event, TEXTS, choice=st.just({"message": {"content": "whole"}}))
    | st.builds(event, TEXTS, usage=st.just({"prompt_tokens": 1, "completion_tokens": 2})),
    min_size=1,
    max_size=12,
)


@given(EVENTS)
def test_a_stream_is_the_same_as_if_each_event_were_decoded(events: list[Any]) -> None:
    """Deltas and final reply."""
    written = [compact(each) for each in (event("x"), *events)]
    assert deltas_of(written) == deltas_of(spaced(written))
