"""Changes of completions and chunks: joining deltas, and splitting calls into pieces."""

from __future__ import annotations

from typing import Any

import pytest

from onerouter_simulator import Script, chunk, completion, tool_call
from onerouter_simulator.quirks.changes import (
    in_bodies,
    in_events,
    in_messages,
    in_other_deltas,
    join,
    join_deltas,
    pieces,
)

CALL = tool_call("multiply", '{"a": 12, "b": 7}')


@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_pieces_of_a_call_add_up_to_it(count: int) -> None:
    """The first piece has id and name; all have the index."""
    head, *rest = pieces(CALL, 5, count)
    assert len(rest) == count - 1
    assert head == {"index": 5} | CALL | {"function": {"name": "multiply", "arguments": ""}}
    assert {piece["index"] for piece in rest} == {5}
    text = "".join(piece["function"]["arguments"] for piece in rest)
    assert text == CALL["function"]["arguments"]


def test_pieces_without_an_index_and_without_arguments() -> None:
    """A call with empty arguments is one piece."""
    assert pieces(tool_call("f", ""), None, 3) == [tool_call("f", "")]


@pytest.mark.parametrize(
    ("value", "update", "joined"),
    [
        (None, "a", "a"),
        ("a", "b", "ab"),
        ({"text": "a", "type": "t"}, {"text": "b", "type": "t"}, {"text": "ab", "type": "t"}),
        ([{"index": 0, "text": "a"}], [{"index": 0, "text": "b"}], [{"index": 0, "text": "ab"}]),
        ([{"index": 0}], [{"index": 1}], [{"index": 0}, {"index": 1}]),
        ([{"a": 1}], [{"a": 2}], [{"a": 1}, {"a": 2}]),
        (1, None, None),
    ],
)
def test_fragments_are_joined(value: Any, update: Any, joined: Any) -> None:
    """Texts are concatenated; list items of one index are joined."""
    assert join(value, update) == joined


def test_the_deltas_of_a_message_are_joined_without_indices_of_calls() -> None:
    """The chunks themselves stay as they are."""
    deltas = [{"tool_calls": [piece]} for piece in pieces(CALL, 0, 3)]
    chunks = [chunk(delta) for delta in [{"role": "assistant", "content": ""}, *deltas]]
    message = join_deltas(chunks)
    assert message == {"role": "assistant", "content": "", "tool_calls": [CALL]}
    assert chunks[1]["choices"][0]["delta"]["tool_calls"][0]["index"] == 0


def test_other_deltas_take_the_place_of_the_first_in_each_choice() -> None:
    """The calls of two choices are kept apart; other chunks stay."""
    deltas = [chunk({"tool_calls": [p]}, index=i) for i in (0, 1) for p in pieces(CALL, 0, 3)]
    end = chunk({}, finish_reason="tool_calls")
    play = in_other_deltas(lambda calls: [{"tool_calls": calls}])
    events = play(Script(events=[*deltas, end]), {}).events
    assert events == [
        chunk({"tool_calls": [CALL]}),
        chunk({"tool_calls": [CALL]}, index=1),
        end,
    ]


def test_other_scripts_are_not_changed() -> None:
    """An error, a stream of bytes, and for changes of events a completion."""
    for play in (in_bodies(lambda _: {}), in_messages(lambda _: {})):
        for script in (Script(400, json={"error": {}}), Script(events=[b"data: 1\n\n"])):
            assert play(script, {}) == script
    script = Script(json=completion())
    assert in_events(lambda _: [])(script, {}) == script
