"""Asking a model to think, and finding what it thought."""

from __future__ import annotations

from typing import Any

import pytest

from tests.live.conftest import Question
from tests.live.gateway import Answer
from tests.live.test_live_usage import IN_STREAMS, INCLUDE

WORDS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "reasoning.effort": {"reasoning": {"effort": "low"}},
    "reasoning.max_tokens": {"reasoning": {"max_tokens": 64}},
    "reasoning_effort": {"reasoning_effort": "low"},
    "include_reasoning": {"include_reasoning": True},
    "effort none": {"reasoning": {"effort": "none"}},
}
FIELDS = ("reasoning", "reasoning_content", "reasoning_details", "thinking")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("words", WORDS)
def test_reasoning(question: Question, words: str, *, stream: bool) -> None:
    """Which words ask for reasoning, and in which fields does it come?"""
    asked = "Which is more, 9.11 or 9.9? Answer with one number."
    told = INCLUDE | (IN_STREAMS if stream else {})
    answer = question.gateway.ask(asked, stream=stream, **WORDS[words], **told)
    found = [name for name in FIELDS if any(message.get(name) for message in messages(answer))]
    usage = getattr(answer.read, "usage", None)
    came = f"{', '.join(found) or 'no field'}; {usage and usage.reasoning_tokens} tokens"
    verdict = "refused" if not answer.is_taken else "came" if found else "did not come"
    question.settle(f"{words}, {'streamed' if stream else 'whole'}", came, verdict)


def messages(answer: Answer) -> list[dict[str, Any]]:
    """Return the message, or the deltas of a stream."""
    if not answer.is_stream:
        return [answer.message]
    return [choice.get("delta", {}) for c in answer.chunks for choice in c.get("choices") or ()]
