"""Reasoning: the parameters that request it, and the fields that carry it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.live.conftest import Question
from tests.live.gateway import Answer, check_decoded
from tests.live.test_live_usage import INCLUDE_USAGE, STREAM_USAGE

PARAMETERS: dict[str, dict[str, Any]] = {
    "none": {},
    "reasoning.effort": {"reasoning": {"effort": "low"}},
    "reasoning.max_tokens": {"reasoning": {"max_tokens": 64}},
    "reasoning_effort": {"reasoning_effort": "low"},
    "include_reasoning": {"include_reasoning": True},
    "effort none": {"reasoning": {"effort": "none"}},
}
FIELDS = ("reasoning", "reasoning_content", "reasoning_details", "thinking")


@pytest.mark.parametrize("stream", [False, True], ids=["complete", "streamed"])
@pytest.mark.parametrize("name", PARAMETERS)
def test_reasoning(question: Question, name: str, *, stream: bool) -> None:
    """Which parameters request reasoning, and which fields carry it?"""
    prompt = "Which is more, 9.11 or 9.9? Answer with one number."
    usage_flags = INCLUDE_USAGE | (STREAM_USAGE if stream else {})
    answer = question.gateway.ask(prompt, stream=stream, **PARAMETERS[name], **usage_flags)
    fields = [field for field in FIELDS if any(message.get(field) for message in messages(answer))]
    usage = getattr(answer.decoded, "usage", None)
    received = f"{', '.join(fields) or 'no field'}; {usage and usage.reasoning_tokens} tokens"
    verdict = "rejected" if not answer.is_accepted else "received" if fields else "not received"
    question.settle(f"{name}, {'streamed' if stream else 'complete'}", received, verdict)
    check_decoded(answer)


def messages(answer: Answer) -> list[dict[str, Any]]:
    """Return the message of a complete response, or the deltas of a stream."""
    if not answer.is_stream:
        return [answer.message]
    return [choice.get("delta", {}) for c in answer.chunks for choice in c.get("choices") or ()]
