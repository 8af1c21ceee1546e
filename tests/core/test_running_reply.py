"""running_reply: the sum of the deltas of a stream so far."""

from __future__ import annotations

import pytest

from onerouter_core import ReplyDelta, RunningReply, ToolCallDelta


def test_text_reasoning_and_calls_are_added_up() -> None:
    """A call keeps its place, its id and its name, which come with one of its deltas."""
    running = RunningReply()
    running.add(ReplyDelta("It ", "First, "))
    running.add(ReplyDelta("is.", "then."))
    running.add(ReplyDelta(tool_calls=(ToolCallDelta(1, "b", "look_up", '{"word"'),)))
    running.add(ReplyDelta(tool_calls=(ToolCallDelta(0, None, None, "{"),)))
    running.add(ReplyDelta(tool_calls=(ToolCallDelta(0, "a", "add", ""), ToolCallDelta(1))))
    assert (running.text, running.reasoning) == ("It is.", "First, then.")
    calls = [(n, call.id, call.name, call.arguments) for n, call in running.calls.items()]
    assert calls == [(1, "b", "look_up", '{"word"'), (0, "a", "add", "{")]


@pytest.mark.parametrize(
    ("fragments", "arguments"),
    [
        ((), {}),
        (('{"wo',), {}),
        (('{"word": "mo',), {"word": "mo"}),
        (('{"word": "mo', 'on", "n": 1}'), {"word": "moon", "n": 1}),
        (("[1, 2]",), {}),
        (("{]",), {}),
    ],
)
def test_incomplete_arguments(fragments: tuple[str, ...], arguments: dict[str, object]) -> None:
    """They are as far as they have come; what is no object is none."""
    running = RunningReply()
    running.add(ReplyDelta(tool_calls=(ToolCallDelta(0, "a", "look_up"),)))
    for fragment in fragments:
        running.add(ReplyDelta(tool_calls=(ToolCallDelta(0, arguments=fragment),)))
    call = running.calls[0]
    assert call.incomplete_arguments() == arguments
    call.incomplete_arguments()["changed"] = True
    assert call.incomplete_arguments() == arguments  # each is the caller's own


def test_long_arguments_are_parsed_again_after_they_grew() -> None:
    """By 1/32: a stream of fragments does not take quadratic time."""
    running = RunningReply()
    running.add(ReplyDelta(tool_calls=(ToolCallDelta(0, "a", "look_up", '{"word": "'),)))
    values = []
    for _ in range(400):
        running.add(ReplyDelta(tool_calls=(ToolCallDelta(0, arguments="x"),)))
        values.append(str(running.calls[0].incomplete_arguments()))
    assert len(set(values)) < 200
