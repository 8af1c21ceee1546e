"""Replies: root fields, choices, and the deltas of a message. Whole streams are in test_streams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from onerouter_simulator import Script, Simulator
from onerouter_simulator.replies import build_reply, round_up_to_tokens, split_into_deltas
from tests.simulator.conftest import JSON, MULTIPLY, Complete


def test_the_same_request_gets_the_same_answer(complete: Complete) -> None:
    """Only ids and times differ between two replies."""

    def stable_reply() -> JSON:
        reply = complete("Add 3 and 4", tools=[MULTIPLY], tool_choice="required")
        for name in ("id", "created", "request_id"):
            reply.pop(name)
        reply["choices"][0]["message"]["tool_calls"][0].pop("id")
        return reply

    assert stable_reply() == stable_reply()


def test_the_root_has_model_provider_and_ids(complete: Complete, sim: Simulator) -> None:
    """The reply has an id of its own and a request id."""
    reply = complete("Hi", model="vendor/anything:free")
    assert reply["model"] == "vendor/anything:free"
    assert reply["provider"] == "simulated/eu"
    assert reply["id"].startswith("chatcmpl-")
    assert len(reply["request_id"]) == 32
    assert sim.last.body["model"] == "vendor/anything:free"


def test_n_gives_that_many_choices(complete: Complete) -> None:
    """Each choice has its index and is counted in the usage."""
    one, three = complete("Hi"), complete("Hi", n=3)
    assert [choice["index"] for choice in three["choices"]] == [0, 1, 2]
    assert three["usage"]["completion_tokens"] == 3 * one["usage"]["completion_tokens"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_is_a_script_with_the_delay(*, stream: bool) -> None:
    """A complete reply waits once; a stream also waits between its chunks."""
    messages = [{"role": "user", "content": "Hi"}]
    reply = build_reply({"model": "a/b", "messages": messages, "stream": stream}, 12, 0.5)
    assert isinstance(reply, Script)
    assert (reply.delay, reply.chunk_delay) == (0.5, 0.5 if stream else 0.0)
    assert (reply.events is not None) is stream


@pytest.mark.parametrize(("size", "rounded"), [(1, 4), (4, 4), (5, 8), (12, 12)])
def test_a_chunk_size_is_rounded_up_to_whole_tokens(size: int, rounded: int) -> None:
    """A token has four characters."""
    assert round_up_to_tokens(size) == rounded


def test_a_message_is_split_in_the_order_of_generation() -> None:
    """Role, reasoning, text, tool calls, and last the fields that are not split."""
    detail = {"type": "t", "format": "f", "index": 0, "text": "why", "signature": "s"}
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message: dict[str, Any] = {
        "content": "Hi",
        "reasoning_details": [detail],
        "tool_calls": [call],
        "images": [{"index": 0}],
    }
    deltas = list(split_into_deltas(message, 4))
    keys = [next(key for key in delta if key != "role") for delta in deltas]
    assert keys == [
        *("content", "reasoning", "reasoning_details", "content"),
        *("tool_calls", "tool_calls", "images"),
    ]
    assert json.dumps(deltas).count('"id": "c1"') == 1
