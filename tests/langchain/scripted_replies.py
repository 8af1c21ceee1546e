"""Replies for the simulator: complete, and the same as a stream."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

from langchain_core.messages import AIMessage

from langchain_onerouter import ChatOneRouter
from onerouter_simulator import Script, Simulator, chunk, completion, tool_call
from tests.langchain.conftest import Mode

ROOT = {"id": "gen-1", "model": "vendor/served", "provider": "vendor/eu", "created": 1700000001}
USAGE = {
    "prompt_tokens": 100.0,
    "completion_tokens": 50,
    "total_tokens": 150,
    "prompt_tokens_details": {
        "cached_tokens": 10,
        "cache_write_tokens": 20,
        "audio_tokens": 30,
        "image_tokens": 5,
        "video_tokens": 6,
    },
    "completion_tokens_details": {"reasoning_tokens": 7, "audio_tokens": 8, "image_tokens": 9},
}
BILLING = {"usage": USAGE, "cost": 0.000123, "cost_details": {"prompt_cost": 0.0001}}


def arguments_delta(arguments: str, index: int = 0) -> dict[str, Any]:
    """Return a delta with a fragment of a call's arguments."""
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}


def call_delta(name: str, call_id: str, index: int = 0) -> dict[str, Any]:
    """Return the first delta of a call."""
    return {"tool_calls": [tool_call(name, "", call_id, index)]}


def tool_call_message(*calls: dict[str, Any]) -> dict[str, Any]:
    """Return a message of the API with tool calls."""
    return {"content": None, "tool_calls": list(calls)}


def complete_reply(message: dict[str, Any], finish_reason: str = "stop", **fields: Any) -> Script:
    """Return a complete reply."""
    return Script(
        json=completion(message=message, finish_reason=finish_reason, **{**ROOT, **fields})
    )


def streamed_reply(deltas: Sequence[Any], finish_reason: str = "stop", **fields: Any) -> Script:
    """Return a streamed reply; usage and cost are in the last chunk."""
    events = [chunk(delta, **ROOT) for delta in deltas]
    return Script(
        events=[*events, chunk({}, finish_reason=finish_reason, **ROOT), chunk(**ROOT, **fields)]
    )


def complete_and_streamed(
    llm: ChatOneRouter, sim: Simulator, mode: Mode, complete: Script, streamed_script: Script
) -> tuple[AIMessage, AIMessage]:
    """Return the message of a complete reply, and the sum of the chunks of a streamed one."""
    sim.script(complete, streamed_script)
    return mode.invoke(llm, "Hi"), reduce(add, mode.stream(llm, "Hi"))
