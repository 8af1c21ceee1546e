"""Quirks 16 to 28: the deltas of tool calls, as they are sent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.quirks.conftest import (
    ARGUMENTS,
    ONE_CALL,
    TOOLS,
    TWO_CALLS,
    arguments_of,
    call_deltas,
    deltas_of,
    finish_reasons,
    message_of,
    send,
    stream,
)

# For one call and for two: the indices of the deltas in each chunk; "-" is no index.
INDICES: dict[str, tuple[Any, Any]] = {
    "call-deltas-without-index": (["-", "-", "-"], ["-", "-", "-", "-", "-", "-"]),
    "call-in-two-pieces": (["00"], ["00", "11"]),
    "call-in-three-pieces": (["000"], ["000", "111"]),
    "call-in-pairs-of-pieces": (["00", "00"], ["00", "00", "11", "11"]),
    "calls-in-pieces-in-one-chunk": (["000"], ["000111"]),
    "index-of-tool-first": (["3", "0", "0"], ["2", "0", "0", "3", "1", "1"]),
    "index-minus-one-first": (["-1", "0", "0"], ["-1", "0", "0", "-1", "1", "1"]),
    "index-from-minus-one": (["-1", "-1", "-1"], ["-1", "-1", "-1", "0", "0", "0"]),
    "index-absent-first": (["-", "0", "0"], ["-", "0", "0", "-", "1", "1"]),
    "parallel-index-0": (["0", "0", "0"], ["0", "0", "0", "0", "0", "0"]),
    "parallel-index-0-without-ids": (["0"], ["0", "0"]),
    "parallel-index-0-in-one-chunk": (["0"], ["00"]),
    "parallel-index-0-in-one-chunk-without-ids": (["0"], ["00"]),
}


@pytest.mark.parametrize("quirk", INDICES)
@pytest.mark.parametrize("number", [1, 2])
def test_the_indices_of_the_deltas(quirk: str, number: int) -> None:
    """The names and arguments are those of the completion."""
    chunks = stream(quirk, [ONE_CALL, TWO_CALLS][number - 1], tools=TOOLS)
    lists = call_deltas(chunks)
    indices = ["".join(str(delta.get("index", "-")) for delta in deltas) for deltas in lists]
    assert indices == INDICES[quirk][number - 1]
    deltas = [delta for deltas in lists for delta in deltas]
    names = [delta["function"]["name"] for delta in deltas if "name" in delta["function"]]
    assert names == ["add", "multiply"][-number:]
    assert arguments_of(deltas) == ARGUMENTS * number
    assert finish_reasons(chunks) == ["tool_calls"]


@pytest.mark.parametrize("quirk", INDICES)
def test_a_completion_is_not_changed(quirk: str) -> None:
    """These are quirks of streams."""
    calls = message_of(send(quirk, TWO_CALLS, tools=TOOLS))["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["add", "multiply"]
    assert all(call["id"] for call in calls)


def ids(quirk: str) -> list[Any]:
    """Return the ids in the deltas of two calls."""
    deltas = deltas_of(stream(quirk, TWO_CALLS, tools=TOOLS))
    return [call["id"] for d in deltas for call in d.get("tool_calls", ()) if "id" in call]


def test_the_ids_of_the_deltas() -> None:
    """With ids, the two calls have one each."""
    for quirk in ("parallel-index-0", "parallel-index-0-in-one-chunk", "call-in-two-pieces"):
        assert len(set(ids(quirk))) == len(ids(quirk)) == 2
    assert ids("parallel-index-0-without-ids") == []
    assert ids("parallel-index-0-in-one-chunk-without-ids") == ["", ""]
