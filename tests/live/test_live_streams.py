"""Event streams of the gateway."""

from __future__ import annotations

from typing import Any

from tests.live.conftest import Question
from tests.live.gateway import check_decoded

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


def test_stream_of_text(question: Question) -> None:
    """What does a stream look like, and how does it end?"""
    answer = question.gateway.ask("Count from one to five.", stream=True)
    assert answer.is_stream, answer.headers
    first, *_, last = filter(None, answer.text.splitlines())
    choices = [choice for c in answer.chunks for choice in c.get("choices") or ()]
    reasons = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
    received = f"{len(answer.chunks)} chunks, the last line: {last}, the first: {first}"
    ending = "[DONE]" if last == "data: [DONE]" else "no [DONE]"
    question.settle("stream", received, f"{ending}, finish reasons: {reasons}")


def test_stream_of_a_tool_call(question: Question) -> None:
    """Which keys do the deltas of a streamed tool call have?"""
    choice = {"type": "function", "function": {"name": "get_weather"}}
    options = {"tools": [TOOL], "tool_choice": choice, "stream": True}
    answer = question.gateway.ask("What is the weather in Oslo?", **options)
    deltas = [c["choices"][0].get("delta", {}) for c in answer.chunks if c.get("choices")]
    call_deltas = [call for delta in deltas for call in delta.get("tool_calls") or ()]
    verdict = f"{len(call_deltas)} deltas; {count_keys(call_deltas)}"
    question.settle("one tool, by name", f"{answer.status}: {call_deltas[:2]}", verdict)
    check_decoded(answer)


def count_keys(call_deltas: list[dict[str, Any]]) -> str:
    """Return each key with the number of deltas that have it."""
    names = [name for delta in call_deltas for name in delta]
    return ", ".join(f"{name} on {names.count(name)}" for name in dict.fromkeys(names))
