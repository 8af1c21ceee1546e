"""The bytes of a stream."""

from __future__ import annotations

from typing import Any

from tests.live.conftest import Question

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tell the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def test_a_stream(question: Question) -> None:
    """What does a stream look like, and how does it end?"""
    answer = question.gateway.ask("Count from one to five.", stream=True)
    assert answer.is_stream, answer.headers
    first, *_, last = filter(None, answer.text.splitlines())
    choices = [choice for c in answer.chunks for choice in c.get("choices") or ()]
    reasons = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
    came = f"{len(answer.chunks)} chunks, the last line: {last}, the first: {first}"
    ending = "[DONE]" if last == "data: [DONE]" else "no [DONE]"
    question.settle("stream", came, f"{ending}, finish reasons: {reasons}")


def test_tool_calls_in_pieces(question: Question) -> None:
    """What do the pieces of a streamed tool call hold?"""
    choice = {"type": "function", "function": {"name": "get_weather"}}
    asked = {"tools": [TOOL], "tool_choice": choice, "stream": True}
    answer = question.gateway.ask("What is the weather in Oslo?", **asked)
    deltas = [c["choices"][0].get("delta", {}) for c in answer.chunks if c.get("choices")]
    pieces = [piece for delta in deltas for piece in delta.get("tool_calls") or ()]
    verdict = f"{len(pieces)} pieces; {described(pieces)}"
    question.settle("one tool, by name", f"{answer.status}: {pieces[:2]}", verdict)


def described(pieces: list[dict[str, Any]]) -> str:
    """Say how many pieces have what."""
    names = [name for piece in pieces for name in piece]
    return ", ".join(f"{name} on {names.count(name)}" for name in dict.fromkeys(names))
