"""What a reply tells besides its words, and what it takes to be told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.live.conftest import Question
from tests.live.gateway import Answer

INCLUDE = {"usage": {"include": True}}
IN_STREAMS = {"stream_options": {"include_usage": True}}
FLAGS: dict[str, dict[str, Any]] = {
    "no flag, whole": {},
    "usage, whole": INCLUDE,
    "no flag, streamed": {"stream": True},
    "usage, streamed": {"stream": True} | INCLUDE,
    "stream_options, streamed": {"stream": True} | IN_STREAMS,
    "both, streamed": {"stream": True} | INCLUDE | IN_STREAMS,
}
OURS = ("usage, whole", "both, streamed")


def roots(answer: Answer) -> list[dict[str, Any]]:
    """Return the completion, or all chunks of a stream."""
    return answer.chunks if answer.is_stream else [answer.json or {}]


def told(answer: Answer) -> str:
    """Say which of usage and cost came, and on how many chunks."""
    counts = {
        name: sum(root.get(name) is not None for root in roots(answer))
        for name in ("usage", "cost", "cost_details", "provider")
    }
    return ", ".join(f"{name} {count}x" for name, count in counts.items() if count) or "nothing"


@pytest.mark.parametrize("flags", FLAGS)
def test_flags(question: Question, flags: str) -> None:
    """Which flags bring usage and cost?"""
    answer = question.gateway.ask("Say hello.", **FLAGS[flags])
    came = told(answer)
    all_told = "usage" in came and "cost" in came
    question.settle(flags, came, "both" if all_told else "not both")
    assert all_told or flags not in OURS, "so the package asks, and it expects to be told"


def test_where_usage_stands(question: Question) -> None:
    """On which chunk does usage come, and what else does that chunk hold?"""
    answer = question.gateway.ask("Say hello.", **FLAGS["both, streamed"])
    chunks = answer.chunks
    bearing = [chunk for chunk in chunks if chunk.get("usage")]
    places = [chunks.index(chunk) - len(chunks) for chunk in bearing]
    choices = [chunk.get("choices") for chunk in bearing]
    verdict = "without choices" if not any(choices) else "with choices"
    question.settle("a stream with both flags", f"chunks {places}: {choices}", verdict)


def test_facts(question: Question) -> None:
    """Is `provider` of a reply a string or an object, and which ids are there?"""
    answer = question.gateway.ask("Say hello.", **INCLUDE)
    root = answer.json or {}
    names = ("provider", "id", "request_id", "system_fingerprint", "service_tier")
    came = {name: root[name] for name in names if name in root}
    header = answer.headers.get("x-infron-request-id")
    verdict = f"provider: {type(root.get('provider')).__name__}"
    question.settle("a plain question", f"{came}, x-infron-request-id: {header}", verdict)
